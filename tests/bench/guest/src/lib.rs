//! A backend for a benchmark: `inspect` calls `fleet:host/clock.now` as often as the number of the
//! handle's schema says. Nothing else is ever asked of it.

use fleet_sdk::driver::{
    Creation, Description, Facilities, Listing, Observation, RunState, Workload,
};
use fleet_sdk::{Error, ErrorKind, Handle, Op, Page, Source, clock, driver, logs};

struct Caller;

impl driver::Guest for Caller {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "caller".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            handle_schema: 1,
            reads: vec![1],
            config_schema: r#"{"type":"object"}"#.to_owned(),
            attributes: Vec::new(),
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
        Ok(Facilities {
            unusable: None,
            attributes: Vec::new(),
        })
    }

    fn inspect(handle: Handle) -> Result<Observation, Error> {
        let mut last = None;
        for _ in 0..handle.schema {
            last = Some(clock::now()?);
        }
        Ok(Observation {
            state: RunState::Running,
            started_at_ms: last,
            attributes: Vec::new(),
        })
    }

    fn create(_: Op, _: Workload) -> Result<Creation, Error> {
        Err(nothing())
    }

    fn start(_: Op, _: Handle) -> Result<Handle, Error> {
        Err(nothing())
    }

    fn stop(_: Op, _: Handle, _: String) -> Result<Handle, Error> {
        Err(nothing())
    }

    fn kill(_: Op, _: Handle) -> Result<Handle, Error> {
        Err(nothing())
    }

    fn destroy(_: Op, _: Handle) -> Result<(), Error> {
        Err(nothing())
    }

    fn recover(_: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        Err(nothing())
    }

    fn list(_: Page) -> Result<Listing, Error> {
        Err(nothing())
    }

    fn watch(_: Handle) -> Result<Option<Source>, Error> {
        Err(nothing())
    }
}

impl logs::Guest for Caller {
    fn open(_: Handle, _: logs::Options) -> Result<Source, Error> {
        Err(nothing())
    }
}

fn nothing() -> Error {
    let message = "this component is for a benchmark of `inspect` alone";
    Error::new(ErrorKind::Unsupported, "for-a-benchmark", message)
}

fleet_sdk::export!(Caller);
