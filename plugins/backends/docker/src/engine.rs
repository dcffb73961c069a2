//! The calls of the import `endpoint`: the only place from which anything leaves this plugin.

use fleet_sdk::endpoint::{Request, Response};
use fleet_sdk::{Attributes, Error, Op, Source, endpoint};

use crate::answer::Answer;
use crate::api::Api;
use crate::ask::{Ask, Framing};
use crate::refusal;

/// The endpoint's name: the manifest asks for it, a grant says what it is.
const ENDPOINT: &str = "docker";

/// The engine's own account of its version: the one request that belongs to no version.
pub(crate) fn version() -> Result<Answer, Error> {
    let request = Request {
        method: "GET".to_owned(),
        path: "/version".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        attributes: Vec::new(),
    };
    endpoint::get(ENDPOINT, &request)
        .map(answer)
        .map_err(refusal::unsent)
}

/// Looks, and says in which version the engine answered.
pub(crate) fn get(api: Api, ask: &Ask) -> Result<(Api, Answer), Error> {
    in_a_version(api, |api| {
        endpoint::get(ENDPOINT, &request(api, ask, Vec::new()))
            .map(answer)
            .map_err(refusal::unsent)
    })
}

/// Changes something, and says in which version the engine answered.
pub(crate) fn send(op: &Op, api: Api, ask: &Ask) -> Result<(Api, Answer), Error> {
    in_a_version(api, |api| {
        endpoint::send(op, ENDPOINT, &request(api, ask, Vec::new()))
            .map(answer)
            .map_err(refusal::unsent)
    })
}

/// Opens a stream: with an op one that is begun by it.
pub(crate) fn open(
    op: Option<&Op>,
    api: Api,
    ask: &Ask,
    framing: Framing,
    cursor: Option<String>,
) -> Result<Source, Error> {
    let mut attributes = vec![("framing".to_owned(), framing.word().to_owned())];
    attributes.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor)));
    endpoint::open(op, ENDPOINT, &request(api, ask, attributes)).map_err(refusal::unsent)
}

/// Asks once more in the other version where the engine does not speak the first: one that was replaced
/// by a newer one goes on with the containers it has.
fn in_a_version(
    api: Api,
    ask: impl Fn(Api) -> Result<Answer, Error>,
) -> Result<(Api, Answer), Error> {
    let first = ask(api)?;
    match api.instead(&first) {
        Some(other) => Ok((other, ask(other)?)),
        None => Ok((api, first)),
    }
}

fn request(api: Api, ask: &Ask, attributes: Attributes) -> Request {
    Request {
        method: ask.method.to_owned(),
        path: api.path(&ask.path),
        query: ask.query.clone(),
        headers: Vec::new(),
        body: ask.body.clone(),
        attributes,
    }
}

fn answer(response: Response) -> Answer {
    let mut attributes = response.attributes.into_iter();
    let job = attributes.find(|(name, _)| name == "job");
    Answer {
        status: response.status,
        body: response.body,
        job: job.map(|(_, how)| how),
    }
}
