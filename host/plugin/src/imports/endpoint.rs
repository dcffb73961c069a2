//! `fleet:host/endpoint`: a grant names the service and its policy; the policy decides on each request.

use fleet_capability::Source;
use fleet_capability::endpoint::{self, Endpoints};
use fleet_model::{Error, ErrorKind, Name};
use wasmtime::component::Resource;

use super::{Answer, answer};
use crate::bindings::fleet::common::types as common;
use crate::bindings::fleet::host::endpoint::{Host, Request, Response};
use crate::convert::Intake;
use crate::permission::Need;
use crate::state::CallState;

/// How many keys of a query, headers and attributes a request may have, each.
const MAX_PAIRS: usize = 64;

impl CallState {
    /// The capability, on this plugin's behalf, for a call that has this op or none.
    fn endpoint(
        &mut self,
        name: &str,
        op: Option<&common::Op>,
        request: Request,
    ) -> Result<(Endpoints, endpoint::Call, endpoint::Request), Error> {
        let name: Name = name
            .parse()
            .map_err(|error| Error::invalid("bad-endpoint-name", format!("{error}")))?;
        self.allow(Need::Endpoint(name.clone()))?;
        let target = self.scope.targets.get(&name).cloned();
        let endpoints = self.scope.services.endpoints.clone();
        let (Some(target), Some(endpoints)) = (target, endpoints) else {
            return Err(Error::unavailable(
                "no-endpoints",
                "this host reaches no endpoints",
            ));
        };
        let op = op.map(|op| self.op(&op.id)).transpose()?;
        let terms = op.is_some().then_some(self.terms.as_ref()).flatten();
        let terms = terms.map(|terms| terms.for_endpoint(request.body.as_deref()));
        let secrets: Vec<Name> = terms
            .iter()
            .flat_map(|terms| terms.secrets.values().cloned())
            .collect();
        for secret in secrets {
            self.allow(Need::Secret(secret))?;
        }
        let call = endpoint::Call {
            plugin: self.scope.plugin.clone(),
            endpoint: name,
            target,
            op,
            terms,
        };
        Ok((endpoints, call, taken(request)?))
    }

    async fn ask_endpoint(
        &mut self,
        name: String,
        op: Option<common::Op>,
        request: Request,
    ) -> Result<Response, Error> {
        let (endpoints, call, request) = self.endpoint(&name, op.as_ref(), request)?;
        let work = async move {
            if call.op.is_some() {
                endpoints.send(&call, request).await
            } else {
                endpoints.get(&call, request).await
            }
        };
        let response = self.outside(work).await?;
        let intake = Intake(&self.scope.services.redactor);
        Ok(given(intake, response))
    }

    async fn open_endpoint(
        &mut self,
        op: Option<common::Op>,
        name: String,
        request: Request,
    ) -> Result<Resource<Source>, Error> {
        let (endpoints, call, request) = self.endpoint(&name, op.as_ref(), request)?;
        let source = self
            .outside(async move { endpoints.open_stream(&call, request).await })
            .await?;
        self.table.push(source).map_err(|_| {
            Error::new(
                ErrorKind::Exhausted,
                "too-many-sources",
                "this call holds too many sources",
            )
        })
    }
}

fn taken(request: Request) -> Result<endpoint::Request, Error> {
    let Request {
        method,
        path,
        query,
        headers,
        body,
        attributes,
    } = request;
    if [&query, &headers, &attributes]
        .iter()
        .any(|pairs| pairs.len() > MAX_PAIRS)
    {
        return Err(Error::invalid(
            "request-too-large",
            format!("a request has at most {MAX_PAIRS} keys, headers and attributes each"),
        ));
    }
    Ok(endpoint::Request {
        method,
        path,
        query,
        headers,
        body,
        attributes: attributes.into_iter().collect(),
    })
}

/// An answer on its way to the guest. It can hold what a program was given, and so the value of a
/// secret.
fn given(intake: Intake<'_>, response: endpoint::Response) -> Response {
    Response {
        status: response.status,
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| (name, intake.0.text(&value).into_owned()))
            .collect(),
        body: intake.bytes(response.body),
        attributes: response.attributes.into_iter().collect(),
    }
}

impl Host for CallState {
    async fn get(&mut self, endpoint: String, request: Request) -> Answer<Response> {
        answer(self.ask_endpoint(endpoint, None, request).await)
    }

    async fn send(
        &mut self,
        op: common::Op,
        endpoint: String,
        request: Request,
    ) -> Answer<Response> {
        answer(self.ask_endpoint(endpoint, Some(op), request).await)
    }

    async fn open(
        &mut self,
        op: Option<common::Op>,
        endpoint: String,
        request: Request,
    ) -> Answer<Resource<Source>> {
        answer(self.open_endpoint(op, endpoint, request).await)
    }
}
