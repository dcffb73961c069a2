//! Services that answer what a test wrote down.

use crate::endpoint::{Request, Response};
use crate::testing::{Host, Seen, with_host};
use crate::{Error, ErrorKind, Op, Source};

/// Asks under a rule that reads.
///
/// # Errors
/// `denied` (`no-rule`) where no answer is written down.
pub fn get(_endpoint: &str, request: &Request) -> Result<Response, Error> {
    with_host(|host| answer(host, request))
}

/// Asks under a rule that writes.
///
/// # Errors
/// As [`get`].
pub fn send(_op: &Op, _endpoint: &str, request: &Request) -> Result<Response, Error> {
    with_host(|host| answer(host, request))
}

/// Opens a stream.
///
/// # Errors
/// As [`get`].
pub fn open(_op: Option<&Op>, _endpoint: &str, request: &Request) -> Result<Source, Error> {
    with_host(|host| {
        answer(host, request)?;
        let Request { method, path, .. } = request.clone();
        Ok(host.source(Seen::Endpoint(method, path)))
    })
}

fn answer(host: &mut Host, request: &Request) -> Result<Response, Error> {
    host.asked.push(request.clone());
    let asked = (request.method.clone(), request.path.clone());
    let Some(found) = host.answers.get(&asked) else {
        let message = format!("no rule allows {} {}", request.method, request.path);
        return Err(Error::new(ErrorKind::Denied, "no-rule", message));
    };
    Ok(Response {
        status: found.status,
        headers: Vec::new(),
        body: found.body.clone(),
        attributes: Vec::new(),
    })
}
