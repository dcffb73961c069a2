//! Steps that change nothing.

use fleet_model::driver::{Handle, Observation, RunState};
use fleet_model::{Error, ErrorKind};

use super::{LOOK_MS, PATIENCE_MS, Stage};
use crate::case::step::Words;
use crate::check::states::{self, End};
use crate::check::{Met, answered, unmet};

/// What stands for a handle that nobody wrote.
const GARBAGE: &str = "garbage";

impl Stage {
    pub(super) fn describe(&self) -> Met {
        let described = self.driver()?.description();
        let manifest = &self.backend.manifest;
        for (what, said, written) in [
            ("name", &described.name, &manifest.name.to_string()),
            ("version", &described.version, &manifest.version),
        ] {
            if said != written {
                return unmet(format!("the manifest's {what}, {written}"), said);
            }
        }
        if !described.reads.contains(&described.handle_schema) {
            return unmet(
                format!(
                    "handle schema {} among those it reads",
                    described.handle_schema
                ),
                format!("{:?}", described.reads),
            );
        }
        match jsonschema::draft202012::meta::validate(&described.config_schema) {
            Ok(()) => Ok(()),
            Err(error) => unmet(
                "a config schema that is JSON Schema 2020-12",
                error.to_string(),
            ),
        }
    }

    pub(super) async fn fingerprint(&mut self) -> Met {
        let driver = self.driver()?;
        let found = self.ask(driver.fingerprint()).await?;
        if let Some(reason) = &found.unusable {
            return unmet("a backend that can work here", reason);
        }
        match self.fingerprint.replace(found.clone()) {
            Some(before) if before.unusable != found.unusable => {
                unmet("the same as before", "another answer")
            }
            _ => Ok(()),
        }
    }

    /// One look at a runtime, as a node makes it: what is not found is lost.
    pub(super) async fn observe(&self, name: &str, handle: &Handle) -> Met<Observation> {
        let (driver, runtime) = (self.driver()?, self.runtime(name)?);
        let item = runtime.item();
        match self.timed(None, driver.inspect(&item, handle)).await? {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(lost(error)),
            other => answered(other),
        }
    }

    /// The same, which must agree with what was seen before.
    pub(super) async fn seen(&mut self, name: &str) -> Met<Observation> {
        let handle = self.runtime(name)?.handle.clone();
        let look = self.observe(name, &handle).await?;
        let runtime = self.runtime_mut(name)?;
        if let Some(ended) = runtime.ended.as_ref().filter(|_| !runtime.is_destroyed) {
            states::agrees(ended, &look.state)?;
        }
        if let RunState::Exited { exit } = &look.state {
            runtime.ended.get_or_insert_with(|| exit.clone());
        }
        Ok(look)
    }

    pub(super) async fn look(&mut self, name: &str, is: &Words) -> Met {
        let look = self.seen(name).await?;
        states::is(&look.state, is, &End::default())
    }

    pub(super) async fn wait_for(
        &mut self,
        name: &str,
        is: &Words,
        code: Option<i32>,
        signal: Option<&str>,
    ) -> Met {
        let end = End {
            code,
            signal: signal.map(str::to_owned),
        };
        let until_ms = self.clock.boot_ms() + PATIENCE_MS;
        let mut pause_ms = LOOK_MS.0;
        loop {
            let look = self.seen(name).await?;
            let verdict = states::is(&look.state, is, &end);
            let is_decided = verdict.is_ok()
                || is.0.contains(&states::word(&look.state))
                || !states::may_become(&look.state, is);
            if is_decided || self.clock.boot_ms() >= until_ms {
                return verdict;
            }
            self.pause(pause_ms).await;
            pause_ms = (pause_ms * 2).min(LOOK_MS.1);
        }
    }

    pub(super) async fn recover(
        &mut self,
        of: &[String],
        are: &[Words],
        count: Option<usize>,
    ) -> Met {
        let driver = self.driver()?;
        let schema = driver.description().handle_schema;
        let mut handles = Vec::new();
        for name in of {
            handles.push(match name.as_str() {
                GARBAGE => Handle {
                    schema,
                    opaque: b"\x00\xffno handle\xfe".to_vec(),
                },
                name => self.runtime(name)?.handle.clone(),
            });
        }
        let asked = of.iter().zip(are).zip(handles).cycle();
        let asked: Vec<_> = asked.take(count.unwrap_or(of.len())).collect();
        let handles: Vec<Handle> = asked.iter().map(|(_, handle)| handle.clone()).collect();
        let looks = self.ask(driver.recover(&handles)).await?;
        if looks.len() != asked.len() {
            return unmet(
                format!("{} answers", asked.len()),
                format!("{}", looks.len()),
            );
        }
        for (place, (((name, is), _), look)) in asked.iter().zip(&looks).enumerate() {
            states::is(&look.state, is, &End::default()).map_err(|mut unmet| {
                unmet.expected = format!(
                    "at place {} of {} `{name}` to be {}",
                    place + 1,
                    asked.len(),
                    unmet.expected
                );
                unmet
            })?;
        }
        Ok(())
    }
}

fn lost(error: Error) -> Observation {
    Observation {
        state: RunState::Lost {
            reason: error.message,
        },
        started_at_ms: None,
        attributes: Default::default(),
    }
}
