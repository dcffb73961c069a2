//! A life: what was done to a runtime, and what it therefore does at a given time.
//!
//! There is no state but the handle, so a life is a pure function: the config plans, the calls
//! add what happened and when, a look asks what has become of it by now. Whatever comes first
//! ends it: being killed, a stop, its own exit, being lost.
//!
//! A call that repeats an op on the handle it answered changes nothing. Repeated on the handle
//! before, because the answer was lost, it counts from the later time.

use fleet_sdk::driver::{Exit, Observation, RunState};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::signal::Deadly;

/// What happened so far. Times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Life {
    started: Option<Started>,
    stopped: Option<Stopped>,
    killed_at_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Started {
    op: String,
    at_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stopped {
    signal: Deadly,
    at_ms: u64,
}

/// How it ends, or would.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Signal(Deadly),
    Code(u8),
    Lost,
}

impl Life {
    /// After a start: it begins, or begins anew when it was over. One that lives is left alone.
    pub(crate) fn start(self, config: &Config, op: &str, now_ms: u64) -> Self {
        let repeated = self
            .started
            .as_ref()
            .is_some_and(|started| started.op == op);
        if repeated || self.is_live(config, now_ms) {
            return self;
        }
        let started = Some(Started {
            op: op.to_owned(),
            at_ms: now_ms,
        });
        Self {
            started,
            stopped: None,
            killed_at_ms: None,
        }
    }

    /// After a signal that ends programs. The first one counts, and one that is ignored does not.
    pub(crate) fn stop(mut self, config: &Config, signal: Deadly, now_ms: u64) -> Self {
        if signal == Deadly::KILL {
            return self.kill(config, now_ms);
        }
        if !config.ignore_stop && self.stopped.is_none() && self.is_live(config, now_ms) {
            self.stopped = Some(Stopped {
                signal,
                at_ms: now_ms,
            });
        }
        self
    }

    /// After a kill, which nothing survives.
    pub(crate) fn kill(mut self, config: &Config, now_ms: u64) -> Self {
        if self.is_live(config, now_ms) {
            self.killed_at_ms = Some(now_ms);
        }
        self
    }

    /// What it does now.
    pub(crate) fn look(&self, config: &Config, now_ms: u64) -> Observation {
        let mut attributes = Vec::new();
        let state = match self.ended(config, now_ms) {
            Some((at_ms, end)) => {
                let exit = |code, signal| {
                    RunState::Exited(Exit {
                        code,
                        signal,
                        at_ms: Some(at_ms),
                    })
                };
                match end {
                    End::Lost => RunState::Lost("planned in the workload's [config]".to_owned()),
                    End::Code(code) => exit(code.into(), None),
                    End::Signal(signal) => {
                        attributes.push(("signal".to_owned(), signal.name().to_owned()));
                        exit(signal.exit_code(), Some(signal.name().to_owned()))
                    }
                }
            }
            None if self
                .running_since_ms(config)
                .is_some_and(|since| since <= now_ms) =>
            {
                RunState::Running
            }
            None => RunState::Created,
        };
        let until_ms = self.end_ms(config).unwrap_or(now_ms).min(now_ms);
        let started_at_ms = self
            .running_since_ms(config)
            .filter(|since| *since <= until_ms);
        Observation {
            state,
            started_at_ms,
            attributes,
        }
    }

    /// When the next look will differ, if it ever will by itself.
    pub(crate) fn next_change_ms(&self, config: &Config, now_ms: u64) -> Option<u64> {
        if self.ended(config, now_ms).is_some() {
            return None;
        }
        let changes = [self.running_since_ms(config), self.end_ms(config)];
        changes
            .into_iter()
            .flatten()
            .filter(|at_ms| *at_ms > now_ms)
            .min()
    }

    /// When it runs, or is going to, if it was started.
    pub(crate) fn running_since_ms(&self, config: &Config) -> Option<u64> {
        let started = self.started.as_ref()?;
        Some(started.at_ms.saturating_add(config.start_delay_ms.get()))
    }

    /// When it ends or ended, as far as that is decided.
    pub(crate) fn end_ms(&self, config: &Config) -> Option<u64> {
        self.end(config).map(|(at_ms, _)| at_ms)
    }

    /// Whether it was started and has not ended.
    pub(crate) fn is_live(&self, config: &Config, now_ms: u64) -> bool {
        self.started.is_some() && self.ended(config, now_ms).is_none()
    }

    fn ended(&self, config: &Config, now_ms: u64) -> Option<(u64, End)> {
        self.end(config).filter(|(at_ms, _)| *at_ms <= now_ms)
    }

    /// Its end, as far as it is decided: of all that would end it, the earliest.
    fn end(&self, config: &Config) -> Option<(u64, End)> {
        let started = self.started.as_ref()?;
        let killed = self
            .killed_at_ms
            .map(|at_ms| (at_ms, End::Signal(Deadly::KILL)));
        let stopped = self.stopped.as_ref().map(|stopped| {
            let at_ms = stopped.at_ms.saturating_add(config.stop_ms.get());
            (at_ms, End::Signal(stopped.signal))
        });
        let exits = config
            .run_ms
            .zip(self.running_since_ms(config))
            .map(|(run, since)| {
                let code = End::Code(config.exit_code.unwrap_or(0));
                (
                    since.saturating_add(run.get()),
                    config.exit_signal.map_or(code, End::Signal),
                )
            });
        let lost = config
            .lost_after_ms
            .map(|after| (started.at_ms.saturating_add(after.get()), End::Lost));
        [killed, stopped, exits, lost]
            .into_iter()
            .flatten()
            .min_by_key(|(at_ms, _)| *at_ms)
    }
}

#[cfg(test)]
mod tests;
