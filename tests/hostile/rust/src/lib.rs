//! A backend that does its worst: whatever its workload's `[config] deed` says, in `create`; deeds of other calls
//! travel in the handle.

use std::hint::black_box;
use std::time::Duration;

use fleet_sdk::driver::{
    Created, Creation, Description, Facilities, Listing, Observation, RunState, Workload,
};
use fleet_sdk::{Error, ErrorKind, Handle, Op, Page, Source, clock, driver, log, logs, process};
use serde::Deserialize;

#[derive(Deserialize)]
struct Config {
    deed: String,
}

struct Hostile;

impl driver::Guest for Hostile {
    fn describe() -> Result<Description, Error> {
        Ok(Description {
            name: "hostile".to_owned(),
            version: "0.1.0".to_owned(),
            handle_schema: 1,
            reads: vec![1],
            config_schema: "{\"type\": \"object\"}".to_owned(),
            attributes: Vec::new(),
        })
    }

    fn fingerprint() -> Result<Facilities, Error> {
        Ok(Facilities {
            unusable: None,
            attributes: Vec::new(),
        })
    }

    fn create(_op: Op, workload: Workload) -> Result<Creation, Error> {
        let Config { deed } = workload.config()?;
        match deed.as_str() {
            "trap" => panic!("on purpose"),
            "exit" => std::process::exit(3),
            "spin" => loop {
                black_box(());
            },
            "spin-in-host" => loop {
                black_box(clock::now()?);
            },
            "memory" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(black_box(vec![1; 1 << 20]));
                }
            }
            "recurse" => recurse(0),
            "hold" => loop {
                std::thread::sleep(Duration::from_secs(86_400));
            },
            "print" => loop {
                println!("{}", "x".repeat(10_000));
                log::write(log::Level::Info, &"y".repeat(10_000));
            },
            "say-too-much" => Err(Error {
                kind: ErrorKind::Other,
                code: "No Code\0\u{202e}".repeat(100_000),
                message: "\u{1b}[2J\0".repeat(1_000_000),
                retry_after_ms: Some(u32::MAX),
                details: vec![("k".repeat(1_000), "v".repeat(1_000)); 10_000],
            }),
            "large-handle" => created(vec![0; 10 << 20]),
            "not-granted" => process::facilities().map(|_| unreachable!()),
            "foreign-source" => {
                process::open("wl_other/1.1", &process::Stream::End).map(|_| unreachable!())
            }
            _ => created(deed.into_bytes()),
        }
    }

    fn start(_op: Op, handle: Handle) -> Result<Handle, Error> {
        Ok(handle)
    }

    fn stop(_op: Op, handle: Handle, _signal: String) -> Result<Handle, Error> {
        Ok(handle)
    }

    fn kill(_op: Op, handle: Handle) -> Result<Handle, Error> {
        Ok(handle)
    }

    fn destroy(_op: Op, _handle: Handle) -> Result<(), Error> {
        Ok(())
    }

    fn inspect(_handle: Handle) -> Result<Observation, Error> {
        Ok(observation())
    }

    fn recover(handles: Vec<Handle>) -> Result<Vec<Observation>, Error> {
        let deed = handles.first().map(|handle| handle.opaque.clone());
        Ok(match deed.as_deref() {
            Some(b"too-few") => Vec::new(),
            Some(b"too-many") => (0..100_000).map(|_| observation()).collect(),
            _ => handles.iter().map(|_| observation()).collect(),
        })
    }

    fn list(_page: Page) -> Result<Listing, Error> {
        Ok(Listing {
            entries: Vec::new(),
            next: None,
        })
    }

    fn watch(_handle: Handle) -> Result<Option<Source>, Error> {
        Ok(None)
    }
}

impl logs::Guest for Hostile {
    fn open(_handle: Handle, _options: logs::Options) -> Result<Source, Error> {
        Err(Error::unsupported("none", "there is none"))
    }
}

fn created(opaque: Vec<u8>) -> Result<Creation, Error> {
    Ok(Creation::Ready(Created {
        handle: Handle { schema: 1, opaque },
        kill_target: None,
    }))
}

fn observation() -> Observation {
    Observation {
        state: RunState::Running,
        started_at_ms: None,
        attributes: Vec::new(),
    }
}

#[expect(unconditional_recursion, reason = "that is the deed")]
fn recurse<T>(depth: u64) -> T {
    let room = black_box([depth; 64]);
    recurse(black_box(room[0] + 1))
}

fleet_sdk::export!(Hostile);
