//! The backend `berth`: programs on a runtime that was invented for tests.
//!
//! It is as small as a backend can be that still does what a host relies on: one request a call, and the
//! handle is the ship's id.

mod ask;
mod told;

use std::collections::BTreeMap;

use fleet_sdk::driver::{
    Created, Creation, Description, Facilities, Listing, Observation, RunState, Workload,
};
use fleet_sdk::{Error, ErrorKind, Handle, Op, Page, Source, driver, exec, logs};
use serde::{Deserialize, Serialize};

use crate::ask::{Answer, Ask};
use crate::told::{Hull, Moored, Ships};

const SCHEMA: u32 = 1;

/// Nothing can be said of a ship but what to run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// What a ship is made of.
#[derive(Serialize)]
struct Plan {
    argv: Vec<String>,
    vars: BTreeMap<String, String>,
}

/// What a boat is made of.
#[derive(Serialize)]
struct BoatPlan {
    argv: Vec<String>,
    vars: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen: Option<Screen>,
    reads: bool,
}

/// A terminal's size.
#[derive(Serialize)]
struct Screen {
    columns: u16,
    rows: u16,
}

impl From<exec::Size> for Screen {
    fn from(size: exec::Size) -> Self {
        Self {
            columns: size.columns,
            rows: size.rows,
        }
    }
}

struct Berth;

impl driver::Guest for Berth {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "berth".to_owned(),
            version: fleet_sdk::version!(),
            handle_schema: SCHEMA,
            reads: vec![SCHEMA],
            config_schema: include_str!("../config.schema.json").to_owned(),
            attributes: Vec::new(),
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
        let about = Ask::new("GET", "/r2/about").get();
        let unusable = match about {
            Ok(answer) => answer.done().err().map(|error| error.message),
            Err(error) => Some(error.message),
        };
        Ok(Facilities {
            unusable,
            attributes: Vec::new(),
        })
    }

    fn create(op: Op, workload: Workload) -> Result<Creation, Error> {
        let Config {} = workload.config()?;
        if workload.command.is_empty() {
            return Err(Error::invalid(
                "command-missing",
                "there is no program to run: put one after `--`",
            ));
        }
        let name = format!("{}.{}.{}", workload.id, op.generation, op.attempt);
        let plan = Plan {
            argv: workload.command,
            vars: workload.env.into_iter().collect(),
        };
        let answer = Ask::new("PUT", format!("/r2/ships/{name}"))
            .body(&plan)?
            .send(&op)?;
        let ship = match answer.status {
            // Made before, and nobody heard of it.
            409 => adopted(&op, &name)?,
            _ => answer.read::<Moored>()?.ship,
        };
        Ok(Creation::Ready(Created {
            handle: Handle::write(SCHEMA, &ship)?,
            kill_target: None,
        }))
    }

    fn start(op: Op, handle: Handle) -> Result<Handle, Error> {
        let answer = of(&handle, "/sail")?.send(&op)?;
        // 409: it has left before.
        answer.done_or(409)?;
        Ok(handle)
    }

    fn stop(op: Op, handle: Handle, signal: String) -> Result<Handle, Error> {
        hail(&of(&handle, "/hail")?, &op, &signal)?;
        Ok(handle)
    }

    fn kill(op: Op, handle: Handle) -> Result<Handle, Error> {
        hail(&of(&handle, "/hail")?, &op, "KILL")?;
        Ok(handle)
    }

    fn destroy(op: Op, handle: Handle) -> Result<(), Error> {
        let ask = Ask::new("DELETE", format!("/r2/ships/{}", ship(&handle)?));
        or_gone(ask.send(&op)).map(drop)
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let ask = Ask::new("GET", format!("/r2/ships/{}", ship(&handle)?));
        match ask.get().and_then(Answer::read::<Hull>) {
            Ok(hull) => Ok(hull.observation()),
            Err(error) if is_gone(&error) => Ok(state(RunState::Lost(error.message))),
            Err(error) => Err(error),
        }
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        let unknown = |error: Error| state(RunState::Unknown(error.message));
        let look = |handle| Self::inspect(handle).unwrap_or_else(unknown);
        Ok(handles.into_iter().map(look).collect())
    }

    fn list(page: Page) -> Result<Listing, Error> {
        let ships: Ships = Ask::new("GET", "/r2/ships").get()?.read()?;
        ships.page(&page)
    }

    fn watch(handle: Handle) -> Result<Option<Source>, Error> {
        let ask = Ask::new("GET", format!("/r2/ships/{}/bell", ship(&handle)?));
        ask.open(None, None).map(Some)
    }
}

impl logs::Guest for Berth {
    fn open(handle: Handle, options: logs::Options) -> Result<Source, Error> {
        let follow = if options.follow { "yes" } else { "no" };
        let path = format!("/r2/ships/{}/journal", ship(&handle)?);
        let mut ask = Ask::new("GET", path).with("follow", follow);
        if options.cursor.is_none() {
            if let Some(last) = options.tail {
                ask = ask.with("last", last.to_string());
            }
            if let Some(since) = options.since_ms {
                ask = ask.with("since", told::time(since));
            }
        }
        ask.open(None, options.cursor)
    }
}

impl exec::Guest for Berth {
    fn start(op: Op, handle: Handle, request: exec::Request) -> Result<String, Error> {
        let is_null = |(name, value): &(String, String)| name == "stdin" && value == "null";
        let plan = BoatPlan {
            reads: !request.attributes.iter().any(is_null),
            argv: request.command,
            vars: request.env.into_iter().collect(),
            screen: request.terminal.map(Screen::from),
        };
        let answer = of(&handle, "/boats")?.body(&plan)?.send(&op)?;
        let boat = answer.read::<told::Lowered>()?.boat;
        match row(&boat).open(Some(&op), None) {
            Ok(_kept) => Ok(boat),
            // By a host that was there before this one.
            Err(error) if error.code == "stream-begun" => Ok(boat),
            Err(error) => Err(error),
        }
    }

    fn open(_handle: Handle, exec: String, cursor: Option<String>) -> Result<Source, Error> {
        row(&exec).open(None, cursor)
    }

    fn inspect(_handle: Handle, exec: String) -> Result<exec::State, Error> {
        let look = Ask::new("GET", format!("/r2/boats/{exec}")).get();
        match look.and_then(Answer::read::<Hull>) {
            Ok(hull) => Ok(hull.exec_state()),
            Err(error) if is_gone(&error) => Ok(exec::State::Lost(error.message)),
            Err(error) => Err(error),
        }
    }

    fn resize(_handle: Handle, exec: String, size: exec::Size) -> Result<(), Error> {
        let ask = Ask::new("POST", format!("/r2/boats/{exec}/screen"));
        let answer = ask.body(&Screen::from(size))?.get()?;
        if answer.status == 409 {
            let none = "the program has no terminal: start it with one";
            return Err(Error::invalid("no-terminal", none));
        }
        answer.done()
    }

    fn signal(op: Op, _handle: Handle, exec: String, signal: String) -> Result<(), Error> {
        let ask = Ask::new("POST", format!("/r2/boats/{exec}/hail"));
        let answer = ask.body(&BTreeMap::from([("flag", signal)]))?.send(&op)?;
        if answer.status == 409 {
            let ended = "the program has ended: there is nothing to send a signal to";
            return Err(Error::new(ErrorKind::NotFound, "exec-ended", ended));
        }
        answer.done()
    }

    fn remove(op: Op, _handle: Handle, exec: String) -> Result<(), Error> {
        let ask = Ask::new("POST", format!("/r2/boats/{exec}/hail"));
        or_gone(ask.body(&BTreeMap::from([("flag", "KILL")]))?.send(&op))?;
        let ask = Ask::new("DELETE", format!("/r2/boats/{exec}"));
        or_gone(ask.send(&op)).map(drop)
    }
}

fn ship(handle: &Handle) -> Result<String, Error> {
    handle.read(SCHEMA)
}

fn of(handle: &Handle, what: &str) -> Result<Ask, Error> {
    let path = format!("/r2/ships/{}{what}", ship(handle)?);
    Ok(Ask::new("POST", path))
}

fn row(boat: &str) -> Ask {
    Ask::new("POST", format!("/r2/boats/{boat}/row"))
}

/// A ship of this name that this host laid on without hearing of it.
fn adopted(op: &Op, name: &str) -> Result<String, Error> {
    let ships: Ships = Ask::new("GET", "/r2/ships").get()?.read()?;
    let Some(ship) = ships.named(name) else {
        return Err(Error::new(
            ErrorKind::Conflict,
            "name-taken",
            format!("a ship named {name} lies there that this host did not lay on: break it up"),
        ));
    };
    let answer = Ask::new("GET", format!("/r2/ships/{ship}")).send(op)?;
    Ok(answer.read::<Moored>()?.ship)
}

fn hail(ask: &Ask, op: &Op, signal: &str) -> Result<(), Error> {
    let ask = ask.clone().body(&BTreeMap::from([("flag", signal)]))?;
    // 409: it does not sail, which is what was wanted.
    or_gone(ask.send(op))?.done_or(409)
}

/// What is gone need not be ended.
fn or_gone(answer: Result<Answer, Error>) -> Result<Answer, Error> {
    match answer {
        Ok(answer) if answer.status == 404 => Ok(Answer::nothing()),
        // The host has forgotten it with the ship.
        Err(error) if is_gone(&error) => Ok(Answer::nothing()),
        answer => answer,
    }
}

/// Whether an error says that a ship or a boat is not there: the runtime does not know it, or the host
/// does not own it any more.
fn is_gone(error: &Error) -> bool {
    let why = |(name, value): &(String, String)| name == "why" && value == "not-owned";
    error.is_not_found() || error.details.iter().any(why)
}

fn state(state: RunState) -> Observation {
    Observation {
        state,
        started_at_ms: None,
        attributes: Vec::new(),
    }
}

fleet_sdk::export!(Berth with exec);
