//! Making a container: at most one for an op, however often it is asked.
//!
//! The host keeps the answer of the engine, so the same op again finds the same container. Where the answer
//! was lost, the name tells: it is the op's, and the engine says that it is taken. Then the container is
//! looked for among those this host made and taken over, if it is the one: the host compares what it alone
//! knows. A foreign one of that name stays as it is, and the create fails.
//!
//! No image is fetched for what is to be removed: it is only looked whether there is something.

use fleet_sdk::driver::{Created, Creation, Workload};
use fleet_sdk::{Error, ErrorKind, Op};

use crate::answer::Answer;
use crate::api::Api;
use crate::config::{Config, Pull};
use crate::pull::{self, Pulled};
use crate::refusal::{self, Doing};
use crate::runtime::Runtime;
use crate::{again, ask, beside, body, engine, image, name, rows, state};

/// One try.
pub(crate) fn create(op: &Op, workload: Workload) -> Result<Creation, Error> {
    let config: Config = workload.config()?;
    let (image, pull, terminal) = (config.image.clone(), config.pull, config.terminal);
    image::check(&image)?;
    let id = workload.id.clone();
    let is_wanted = is_wanted(&workload);
    let ask = ask::create(body::create(workload, config)?);
    let (mut api, mut answer) = engine::send(op, Api::default(), &ask)?;
    if refusal::is_no_image(&answer) {
        if !is_wanted {
            return ready(known(op, api, &id)?, api, terminal);
        }
        if let Some(progress) = fetch(op, api, &image, pull)? {
            return Ok(Creation::Pending(progress));
        }
        (api, answer) = engine::send(op, api, &ask)?;
        if refusal::is_no_image(&answer) {
            return Err(pull::gone(&image));
        }
    }
    ready(made(op, api, &id, &answer)?, api, terminal)
}

fn is_wanted(workload: &Workload) -> bool {
    let is_not = |(name, value): &(String, String)| name == "wanted" && value == "no";
    !workload.attributes.iter().any(is_not)
}

fn ready(container: String, api: Api, terminal: bool) -> Result<Creation, Error> {
    let runtime = Runtime {
        container,
        api,
        terminal: Some(terminal),
    };
    Ok(Creation::Ready(Created {
        handle: runtime.handle()?,
        kill_target: None,
    }))
}

/// Has the engine fetch the image: how far it is, or none when it is done.
fn fetch(
    op: &Op,
    api: Api,
    image: &str,
    pull: Pull,
) -> Result<Option<fleet_sdk::driver::Progress>, Error> {
    if pull == Pull::Never {
        return Err(pull::missing(image));
    }
    let (name, tag) = image::split(image);
    let pulled = engine::send(op, api, &ask::pull(&name, tag));
    let (_, answer) = pulled.map_err(|error| pull::unsent(image, error))?;
    match pull::read(image, &answer)? {
        Pulled::Done => Ok(None),
        Pulled::Under(progress) => Ok(Some(progress)),
    }
}

/// The container that this answer to a create is about.
fn made(op: &Op, api: Api, workload: &str, answer: &Answer) -> Result<String, Error> {
    if answer.status != 409 {
        return beside::id(Doing::Create, answer);
    }
    let name = name::of(op, workload);
    let row = listed(api, workload, &name)?;
    // One that is not whole yet has its name already and is in no list.
    let id = row.or_else(|| name::holder(&answer.message()));
    let Some(id) = id else {
        return Err(foreign(&name));
    };
    take_over(op, api, &name, id)
}

/// What an earlier call of this op has made.
///
/// # Errors
/// `not-found` (`nothing-made`).
fn known(op: &Op, api: Api, workload: &str) -> Result<String, Error> {
    let name = name::of(op, workload);
    match listed(api, workload, &name)? {
        Some(id) => take_over(op, api, &name, id),
        None => Err(Error::new(
            ErrorKind::NotFound,
            "nothing-made",
            "no container was made",
        )),
    }
}

/// The container of this name among those this host made.
fn listed(api: Api, workload: &str, name: &str) -> Result<Option<String>, Error> {
    let (_, found) = engine::get(api, &ask::find(workload))?;
    Ok(rows::named(rows::read(&found)?, name).map(|row| row.id))
}

fn take_over(op: &Op, api: Api, name: &str, id: String) -> Result<String, Error> {
    let seen = match engine::send(op, api, &ask::inspect(&id)) {
        Ok((_, seen)) => seen,
        Err(error) if error.kind == ErrorKind::Denied && error.code == "not-adoptable" => {
            return Err(foreign(name));
        }
        Err(error) => return Err(error),
    };
    if seen.status == 404 {
        // It is being made or removed at this moment.
        return Err(again(&seen));
    }
    state::look(&seen).map(|_| id)
}

fn foreign(name: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "name-taken",
        format!(
            "the engine has a container `{name}` that this host did not make: remove or rename it \
             (`docker rename {name} other`) and start the workload again"
        ),
    )
}
