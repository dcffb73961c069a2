//! The backend `docker`: containers of a Docker engine.
//!
//! It holds nothing but a grant: it says what it wants of the engine by the import `endpoint`, and the
//! policy of that endpoint decides (`policies/docker.toml`). What a container may use, where its files
//! are, whose it is and what it may not do is put into each request by the host.
//!
//! | room | what is decided there |
//! |---|---|
//! | [`ask`], [`body`] | what is asked of the engine |
//! | [`answer`], [`refusal`] | what an answer says, and what a refusal means |
//! | [`state`], [`rows`], [`beside`], [`usage`], [`pull`], [`facilities`] | what answers tell of |
//! | [`api`] | which version of the API is spoken |
//! | [`create`] | making a container once |
//! | [`young`] | when a signal will be heard |
//! | [`engine`] | the calls |
//!
//! Commands for a program's input are not offered: an engine's way to write to a program tells neither
//! that it arrived nor that it did not, so none could be given exactly once.

mod answer;
mod api;
mod ask;
mod beside;
mod body;
mod config;
mod create;
mod engine;
mod facilities;
mod image;
mod name;
mod offers;
mod pull;
mod refusal;
mod rows;
mod runtime;
mod signal;
mod state;
mod time;
mod usage;
mod young;

use fleet_sdk::driver::{Creation, Description, Facilities, Listing, Observation, Workload};
use fleet_sdk::{Error, Handle, Op, Page, Source, clock, driver};

use crate::answer::Answer;
use crate::api::Api;
use crate::ask::{Ask, Framing};
use crate::refusal::Doing;
use crate::runtime::Runtime;
use crate::state::{Look, Phase};

struct Docker;

impl driver::Guest for Docker {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "docker".to_owned(),
            version: fleet_sdk::version!(),
            handle_schema: runtime::SCHEMA,
            reads: vec![runtime::SCHEMA],
            config_schema: config::SCHEMA.to_owned(),
            // A container's ports are its own, each behind one of the node's.
            attributes: vec![("network".to_owned(), "mapped".to_owned())],
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
        let version = engine::version().and_then(|answer| facilities::read(&answer));
        let version: facilities::Version = match version {
            Ok(version) => version,
            Err(error) => return facilities::none(error),
        };
        let api = match version.api() {
            Ok(api) => api,
            reason => return Ok(facilities::found(&version, reason, None)),
        };
        let info = engine::get(api, &ask::info()).and_then(|(_, answer)| facilities::read(&answer));
        match info {
            Ok(info) => Ok(facilities::found(&version, Ok(api), Some(&info))),
            Err(error) => facilities::none(error),
        }
    }

    fn create(op: Op, workload: Workload) -> Result<Creation, Error> {
        create::create(&op, workload)
    }

    /// Looks first: what ran once must not run again, and an engine would start it.
    fn start(op: Op, handle: Handle) -> Result<Handle, Error> {
        let runtime = Runtime::of(&handle)?;
        match look(&runtime)?.phase() {
            Phase::Runs | Phase::Over => return Ok(handle),
            Phase::Made | Phase::Spoiled | Phase::Unclear => {}
        }
        let (_, answer) = engine::send(&op, runtime.api, &ask::start(&runtime.container))?;
        done(Doing::Start, &answer)?;
        Ok(handle)
    }

    fn stop(op: Op, handle: Handle, signal: String) -> Result<Handle, Error> {
        let runtime = Runtime::of(&handle)?;
        let signal = signal::named(&signal)?;
        young::grow_up(&runtime);
        end(&op, &runtime, signal)?;
        Ok(handle)
    }

    fn kill(op: Op, handle: Handle) -> Result<Handle, Error> {
        let runtime = Runtime::of(&handle)?;
        end(&op, &runtime, "KILL")?;
        Ok(handle)
    }

    fn destroy(op: Op, handle: Handle) -> Result<(), Error> {
        let runtime = Runtime::of(&handle)?;
        match remove(&op, &runtime) {
            // Nobody's: it was removed before, or the answer to its create was lost.
            Err(error) if error.is_not_found() => {
                let ask = ask::inspect(&runtime.container);
                let (_, seen) = engine::send(&op, runtime.api, &ask)?;
                match seen.status {
                    404 => Ok(()),
                    _ => done(Doing::Other, &seen).and_then(|()| remove(&op, &runtime)),
                }
            }
            removed => removed,
        }
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let runtime = Runtime::of(&handle)?;
        state::observation(look(&runtime))
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        let look = |handle| Self::inspect(handle).unwrap_or_else(state::unknown);
        Ok(handles.into_iter().map(look).collect())
    }

    fn list(page: Page) -> Result<Listing, Error> {
        let (api, answer) = engine::get(Api::default(), &ask::list())?;
        rows::page(rows::read(&answer)?, api, &page)
    }

    fn watch(handle: Handle) -> Result<Option<Source>, Error> {
        let runtime = Runtime::of(&handle)?;
        let ask = ask::events(&runtime.container, clock::now()?);
        engine::open(None, runtime.api, &ask, Framing::Raw, None).map(Some)
    }
}

/// One look at a container.
fn look(runtime: &Runtime) -> Result<Look, Error> {
    let (_, answer) = ask_for(runtime, &ask::inspect(&runtime.container))?;
    state::look(&answer)
}

/// One look at anything of a container.
fn ask_for(runtime: &Runtime, ask: &Ask) -> Result<(Api, Answer), Error> {
    engine::get(runtime.api, ask)
}

/// Sends a signal that is to end it. One that does not run has its wish.
fn end(op: &Op, runtime: &Runtime, signal: &str) -> Result<(), Error> {
    let ask = ask::signal(&runtime.container, signal);
    let answer = match engine::send(op, runtime.api, &ask) {
        Ok((_, answer)) => answer,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    match answer.status {
        404 | 409 => Ok(()),
        _ => done(Doing::Other, &answer),
    }
}

/// Removes it.
///
/// # Errors
/// `not-found` (`container-gone`) where it is not the host's.
fn remove(op: &Op, runtime: &Runtime) -> Result<(), Error> {
    let (_, answer) = engine::send(op, runtime.api, &ask::remove(&runtime.container))?;
    match answer.status {
        404 => Ok(()),
        // Somebody else is at it.
        409 if answer.message().contains("in progress") => Err(again(&answer)),
        _ => done(Doing::Other, &answer),
    }
}

fn done(doing: Doing, answer: &Answer) -> Result<(), Error> {
    if answer.is_done() || answer.status == 304 {
        Ok(())
    } else {
        Err(refusal::error(doing, answer))
    }
}

/// Asked once more soon, it will be so.
fn again(answer: &Answer) -> Error {
    let mut error = Error::new(
        fleet_sdk::ErrorKind::Unavailable,
        "engine-busy",
        answer.message(),
    );
    error.retry_after_ms = Some(200);
    error
}

fleet_sdk::export!(Docker with exec, signals, stats);

#[cfg(test)]
mod tests {
    use driver::Guest;

    use super::*;

    #[test]
    fn the_description_agrees_with_the_manifest() {
        let description = Docker::describe().unwrap();
        let manifest = include_str!("../docker.toml");
        for (key, value) in [("name", description.name), ("version", description.version)] {
            let line = format!("{key} = \"{value}\"");
            assert!(
                manifest.lines().any(|found| found == line),
                "no line `{line}`"
            );
        }
        assert!(description.reads.contains(&description.handle_schema));
    }

    #[test]
    fn done_is_also_what_was_so_before() {
        for (status, fine) in [
            (204, true),
            (304, true),
            (200, true),
            (404, false),
            (500, false),
        ] {
            let answer = Answer::new(status, b"");
            assert_eq!(done(Doing::Start, &answer).is_ok(), fine, "{status}");
        }
        assert_eq!(again(&Answer::new(409, b"x")).retry_after_ms, Some(200));
    }
}
