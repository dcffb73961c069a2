//! Programs beside a workload.

use bytes::Bytes;
use fleet_capability::Source;
use fleet_model::exec::{ExecInput, ExecSpec, ExecState, TerminalSize};
use fleet_model::{ErrorKind, Verb};
use fleet_plugin::conformance::ExecRole;
use futures::StreamExt;

use super::repeat::Deed;
use super::{Beside, LOOK_MS, PATIENCE_MS, Stage};
use crate::case::step::{Kinds, Word, Words};
use crate::check::exec::Output;
use crate::check::states::{self, End};
use crate::check::{Met, answered, refused, shown, unmet};
use crate::remains::EXEC;

/// What a shell answers for a program that it cannot execute.
const NOT_EXECUTED: [i32; 2] = [126, 127];

/// A program whose output is being read.
pub(super) struct Attached {
    source: Source,
    output: Output,
}

impl Stage {
    pub(super) async fn exec(
        &mut self,
        on: &str,
        name: &str,
        role: ExecRole,
        terminal: Option<TerminalSize>,
        kinds: Option<&Kinds>,
    ) -> Met {
        let op = self.keyed(on, Verb::Exec)?;
        let mark = format!("{}/{name}", self.runtime(on)?.workload.id);
        let spec = ExecSpec {
            terminal,
            ..self.spec(role, &mark)
        };
        let (driver, handle) = (self.driver()?, self.runtime(on)?.handle.clone());
        let answer = self.timed(None, driver.exec(&op, &handle, &spec)).await?;
        let Some(known) = refused(answer, kinds)? else {
            return Ok(());
        };
        let beside = Beside {
            on: on.to_owned(),
            name: known,
            mark,
            attached: Default::default(),
        };
        self.execs.insert(name.to_owned(), beside);
        self.last = Some(Deed::Exec {
            exec: name.to_owned(),
            op,
            spec,
        });
        Ok(())
    }

    pub(super) async fn exec_missing(&mut self, on: &str) -> Met {
        const NAME: &str = "missing";
        let wanted = "the error invalid or not-found, or an end with code 126 or 127";
        let op = self.keyed(on, Verb::Exec)?;
        let spec = self.spec(ExecRole::Missing, NAME);
        let (driver, handle) = (self.driver()?, self.runtime(on)?.handle.clone());
        let known = match self.timed(None, driver.exec(&op, &handle, &spec)).await? {
            Ok(known) => known,
            Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) => {
                return Ok(());
            }
            Err(error) => return unmet(wanted, shown(&error)),
        };
        let beside = Beside {
            on: on.to_owned(),
            name: known,
            mark: NAME.to_owned(),
            attached: Default::default(),
        };
        self.execs.insert(NAME.to_owned(), beside);
        match self.exec_over(NAME).await? {
            ExecState::Exited { exit, .. } if NOT_EXECUTED.contains(&exit.code) => Ok(()),
            other => unmet(wanted, states::exec_shown(&other)),
        }
    }

    pub(super) async fn exec_output(
        &mut self,
        of: &str,
        stdout: &[String],
        stderr: &[String],
    ) -> Met {
        let mut attached = self.attached(of).await?;
        let all = async {
            while attached.next().await? {}
            Ok(())
        };
        self.within("the end of its output", all).await?;
        attached.output.is(stdout, stderr)
    }

    pub(super) async fn exec_prints(&mut self, of: &str, stdout: &[String]) -> Met {
        let mut attached = self.attached(of).await?;
        let begins = async {
            while !attached.output.begins(stdout) {
                if !attached.next().await? {
                    return attached.output.is(stdout, &[]);
                }
            }
            Ok(())
        };
        let what = format!("on stdout {stdout:?}");
        self.within(&what, begins).await?;
        self.beside_mut(of)?.attached.put(Some(attached));
        Ok(())
    }

    pub(super) async fn exec_cursors(&mut self, of: &str) -> Met {
        let all = self.read_exec(of, 0).await?;
        if all.places.is_empty() {
            return unmet("output with places to go on from", "none");
        }
        for place in &all.places {
            let rest = self.read_exec(of, place.offset).await?;
            all.goes_on(place, &rest)?;
        }
        Ok(())
    }

    pub(super) async fn exec_give(&mut self, of: &str, text: &str, end: bool) -> Met {
        let mut attached = self.attached(of).await?;
        let Some(input) = &mut attached.source.input else {
            return unmet("a source with an input", "one without");
        };
        let give = async {
            answered(input.give(Bytes::from(format!("{text}\n"))).await)?;
            if end {
                answered(input.end().await)
            } else {
                Ok(())
            }
        };
        self.within("its input to be taken", give).await?;
        self.beside_mut(of)?.attached.put(Some(attached));
        Ok(())
    }

    pub(super) async fn exec_await(
        &mut self,
        of: &str,
        code: Option<i32>,
        signal: Option<&str>,
    ) -> Met {
        let state = self.exec_over(of).await?;
        let end = End {
            code,
            signal: signal.map(str::to_owned),
        };
        states::exec_is(&state, &Words(vec![Word::Exited, Word::Lost]), &end)
    }

    pub(super) async fn exec_look(&mut self, of: &str, is: &Words) -> Met {
        let state = self.exec_state(of).await?;
        states::exec_is(&state, is, &End::default())
    }

    pub(super) async fn exec_resize(
        &mut self,
        of: &str,
        to: TerminalSize,
        kinds: Option<&Kinds>,
    ) -> Met {
        let (driver, beside) = (self.driver()?, self.beside(of)?);
        let runtime = self.runtime(&beside.on)?;
        let (item, handle) = (runtime.item(), &runtime.handle);
        let call = driver.resize_exec(&item, handle, &beside.name, to);
        refused(self.timed(None, call).await?, kinds).map(|_| ())
    }

    pub(super) async fn exec_signal(
        &mut self,
        of: &str,
        signal: &str,
        kinds: Option<&Kinds>,
    ) -> Met {
        let on = self.beside(of)?.on.clone();
        let op = self.keyed(&on, Verb::Signal)?;
        let (driver, beside) = (self.driver()?, self.beside(of)?);
        let handle = &self.runtime(&on)?.handle;
        let call = driver.signal_exec(&op, handle, &beside.name, signal);
        refused(self.timed(None, call).await?, kinds).map(|_| ())
    }

    pub(super) async fn exec_remove(&mut self, of: &str) -> Met {
        let on = self.beside(of)?.on.clone();
        self.beside_mut(of)?.attached.put(None);
        let op = self.keyed(&on, Verb::Exec)?;
        let (driver, beside) = (self.driver()?, self.beside(of)?);
        let handle = &self.runtime(&on)?.handle;
        self.ask(driver.remove_exec(&op, handle, &beside.name))
            .await?;
        self.last = Some(Deed::ExecRemove {
            exec: of.to_owned(),
            op,
        });
        Ok(())
    }

    fn spec(&self, role: ExecRole, mark: &str) -> ExecSpec {
        let part = self.backend.parts.exec(role);
        let mut env = part.env;
        env.insert(EXEC.to_owned(), mark.to_owned());
        ExecSpec {
            command: part.command,
            env,
            input: match role {
                ExecRole::Reads => ExecInput::Stream,
                _ => ExecInput::Null,
            },
            terminal: None,
            timeout_ms: None,
        }
    }

    /// The attachment there is, or a new one from the begin.
    async fn attached(&mut self, of: &str) -> Met<Attached> {
        if let Some(attached) = self.beside_mut(of)?.attached.take() {
            return Ok(attached);
        }
        Ok(Attached {
            source: self.open_exec(of, 0).await?,
            output: Output::default(),
        })
    }

    async fn open_exec(&self, of: &str, after: u64) -> Met<Source> {
        let (driver, beside) = (self.driver()?, self.beside(of)?);
        let runtime = self.runtime(&beside.on)?;
        let (item, handle) = (runtime.item(), &runtime.handle);
        self.ask(driver.open_exec(&item, handle, &beside.name, after))
            .await
    }

    /// Its output from after so many bytes to the end.
    async fn read_exec(&self, of: &str, after: u64) -> Met<Output> {
        let mut source = self.open_exec(of, after).await?;
        let all = async {
            let mut output = Output::default();
            while let Some(frame) = source.output.next().await {
                output.take(&answered(frame)?, after)?;
            }
            Ok(output)
        };
        self.within("the end of its output", all).await
    }

    async fn exec_state(&self, of: &str) -> Met<ExecState> {
        let (driver, beside) = (self.driver()?, self.beside(of)?);
        let runtime = self.runtime(&beside.on)?;
        let (item, handle) = (runtime.item(), &runtime.handle);
        self.ask(driver.inspect_exec(&item, handle, &beside.name))
            .await
    }

    /// What became of it, once it runs no more; that it runs, where it goes on.
    async fn exec_over(&self, of: &str) -> Met<ExecState> {
        let until_ms = self.clock.boot_ms() + PATIENCE_MS;
        let mut pause_ms = LOOK_MS.0;
        loop {
            let state = self.exec_state(of).await?;
            if state.is_over() || self.clock.boot_ms() >= until_ms {
                return Ok(state);
            }
            self.pause(pause_ms).await;
            pause_ms = (pause_ms * 2).min(LOOK_MS.1);
        }
    }
}

impl Attached {
    /// Reads a piece; `false` at the end.
    async fn next(&mut self) -> Met<bool> {
        match self.source.output.next().await {
            Some(frame) => {
                self.output.take(&answered(frame)?, 0)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
