//! What it offers beside the driver.

use fleet_sdk::driver::RunState;
use fleet_sdk::{
    Error, ErrorKind, Handle, Op, Source, clock, exec, input, lines, logs, signals, stats,
};

use crate::Mock;
use crate::config::{Call, Config};
use crate::exec::{self as beside, Name, Screen};
use crate::fault::{self, Conduct, FIRST_ATTEMPT};
use crate::life::Life;
use crate::runtime::Runtime;
use crate::settings::Bug;
use crate::{output, signal, usage};

impl logs::Guest for Mock {
    fn open(handle: Handle, mut options: logs::Options) -> Result<Source, Error> {
        let Runtime {
            config,
            life,
            settings,
            ..
        } = Runtime::of(&handle)?;
        honest(&config, Call::Logs, FIRST_ATTEMPT)?;
        output::misread(&mut options, settings);
        lines::open(&output::lines(&config, &life, &options, clock::now()?)?)
    }
}

impl input::Guest for Mock {
    /// A running life takes every command and does nothing about it.
    fn send(op: Op, handle: Handle, _bytes: Vec<u8>) -> Result<(), Error> {
        let Runtime {
            config,
            life,
            settings,
            ..
        } = Runtime::of(&handle)?;
        honest(&config, Call::Send, op.attempt)?;
        if settings.has(Bug::SendStopped) {
            return Ok(());
        }
        running(&config, &life, "it reads no commands")
    }
}

impl exec::Guest for Mock {
    /// It is in the name that there is such a program, so nothing is begun.
    fn start(op: Op, handle: Handle, request: exec::Request) -> Result<String, Error> {
        let Runtime {
            config,
            life,
            settings,
            ..
        } = Runtime::of(&handle)?;
        honest(&config, Call::Exec, op.attempt)?;
        running(&config, &life, "nothing can be run beside it")?;
        let name = Name::of(&config, &request, &op.call)?.to_string();
        if settings.has(Bug::ExecTwice) {
            return Ok(format!("{name}.{}", clock::now()?));
        }
        Ok(name)
    }

    fn open(handle: Handle, exec: String, cursor: Option<String>) -> Result<Source, Error> {
        let Runtime { config, life, .. } = Runtime::of(&handle)?;
        lines::open(&beside::lines(
            &exec.parse()?,
            &config,
            &life,
            cursor.as_deref(),
        )?)
    }

    fn inspect(handle: Handle, exec: String) -> Result<exec::State, Error> {
        let Runtime { config, life, .. } = Runtime::of(&handle)?;
        beside::state(&exec.parse()?, &config, &life, clock::now()?)
    }

    fn resize(handle: Handle, exec: String, _size: exec::Size) -> Result<(), Error> {
        let Runtime { settings, .. } = Runtime::of(&handle)?;
        match exec.parse::<Name>()?.screen() {
            Screen::Terminal => Ok(()),
            Screen::Pipes if settings.has(Bug::ResizeAny) => Ok(()),
            Screen::Pipes => Err(Error::invalid(
                "no-terminal",
                "it was started without a terminal, so there is no size to change",
            )),
        }
    }

    /// One that runs takes every signal and does nothing about it.
    fn signal(_op: Op, handle: Handle, exec: String, signal: String) -> Result<(), Error> {
        let Runtime { config, life, .. } = Runtime::of(&handle)?;
        signal::effect(&signal)?;
        match beside::state(&exec.parse()?, &config, &life, clock::now()?)? {
            exec::State::Running => Ok(()),
            _ => Err(Error::new(
                ErrorKind::NotFound,
                "not-running",
                "it has ended, so there is nothing to signal",
            )),
        }
    }

    /// Nothing is kept of it.
    fn remove(_op: Op, _handle: Handle, _exec: String) -> Result<(), Error> {
        Ok(())
    }
}

impl signals::Guest for Mock {
    /// A running life takes every signal and does nothing about it: `stop` ends one.
    fn send(op: Op, handle: Handle, signal: String) -> Result<(), Error> {
        let Runtime {
            config,
            life,
            settings,
            ..
        } = Runtime::of(&handle)?;
        honest(&config, Call::Signal, op.attempt)?;
        if !settings.has(Bug::SignalUnknown) {
            signal::effect(&signal)?;
        }
        running(&config, &life, "there is nothing to signal")
    }
}

impl stats::Guest for Mock {
    fn take(handle: Handle) -> Result<stats::Sample, Error> {
        let Runtime {
            config,
            life,
            settings,
            ..
        } = Runtime::of(&handle)?;
        honest(&config, Call::Stats, FIRST_ATTEMPT)?;
        let mut sample = usage::sample(&config, &life, clock::now()?)?;
        if settings.has(Bug::StatsFall) {
            sample.cpu_us = sample.cpu_us.map(|us| u64::MAX.saturating_sub(us));
        }
        Ok(sample)
    }
}

/// Does what is planned against a call that can only refuse instead of answering garbage.
fn honest(config: &Config, call: Call, attempt: u64) -> Result<(), Error> {
    match fault::commit(config, call, attempt)? {
        Conduct::Honest => Ok(()),
        Conduct::Garbage => Err(fault::error()),
    }
}

/// Whether it runs now; `so` says what follows where it does not.
fn running(config: &Config, life: &Life, so: &str) -> Result<(), Error> {
    match life.look(config, clock::now()?).state {
        RunState::Running => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Conflict,
            "not-running",
            format!("it does not run, so {so}: start it first"),
        )),
    }
}
