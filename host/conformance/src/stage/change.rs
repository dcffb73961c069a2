//! Steps that make, start and end a runtime.

use fleet_model::driver::{Creation, Handle, KillTarget, Workload};
use fleet_model::{Attempt, ErrorKind, Generation, ItemKey, Op, Verb, WorkloadId};
use fleet_plugin::conformance::Role;
use serde_json::{Value, json};

use super::repeat::Deed;
use super::{Runtime, Stage};
use crate::case::step::Kinds;
use crate::check::{Met, answered, refused, unmet};
use crate::remains::WORKLOAD;

/// A key that no schema has.
const OFF_SCHEMA: &str = "fleet-host-conformance-no-such-key";

/// A call that changes a runtime and answers its handle.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Start,
    /// By this signal.
    Stop(String),
    Kill,
}

impl Change {
    fn verb(&self) -> Verb {
        match self {
            Self::Start => Verb::Start,
            Self::Stop(_) => Verb::Stop,
            Self::Kill => Verb::Kill,
        }
    }
}

impl Stage {
    pub(super) async fn create(
        &mut self,
        name: &str,
        role: Role,
        of: Option<&str>,
        generation: u64,
        attempt: u64,
    ) -> Met {
        let id = match of {
            Some(other) => self.runtime(other)?.workload.id,
            None => self.ids.workload(),
        };
        self.workloads.insert(id);
        let workload = self.workload(role, id, Generation(generation));
        let op = Op {
            item: ItemKey::workload(id),
            generation: Generation(generation),
            attempt: Attempt(attempt),
            verb: Verb::Create,
            call: String::new(),
        };
        answered(
            self.bench
                .workspaces()
                .and_then(|folders| folders.create(id)),
        )?;
        let (handle, kill_target) = self.make(&op, &workload).await?;
        let runtime = Runtime {
            workload,
            attempt: op.attempt,
            handle,
            kill_target,
            is_destroyed: false,
            ended: None,
            log: Vec::new(),
            watch: Default::default(),
            usage: None,
        };
        self.runtimes.insert(name.to_owned(), runtime);
        self.last = Some(Deed::Create {
            on: name.to_owned(),
            op,
        });
        Ok(())
    }

    pub(super) async fn create_off_schema(&mut self, role: Role) -> Met {
        let driver = self.driver()?;
        let id = self.ids.workload();
        self.workloads.insert(id);
        let mut workload = self.workload(role, id, Generation(1));
        let config = workload.config.as_object_mut();
        match config {
            Some(config) => config.insert(OFF_SCHEMA.to_owned(), Value::Bool(true)),
            None => return unmet("a config that is a table", workload.config.to_string()),
        };
        let schema = &driver.description().config_schema;
        if jsonschema::draft202012::is_valid(schema, &workload.config) {
            return unmet(
                "a config schema with `additionalProperties: false`",
                format!("one that takes any key, `{OFF_SCHEMA}` for one"),
            );
        }
        let op = Op {
            item: ItemKey::workload(id),
            generation: Generation(1),
            attempt: Attempt(1),
            verb: Verb::Create,
            call: String::new(),
        };
        let answer = self.timed(None, driver.create(&op, &workload)).await?;
        // What was made all the same is cleared away like the rest.
        if let Ok(Creation::Ready {
            handle,
            kill_target,
        }) = &answer
        {
            let runtime = Runtime {
                workload,
                attempt: op.attempt,
                handle: handle.clone(),
                kill_target: kill_target.clone(),
                is_destroyed: false,
                ended: None,
                log: Vec::new(),
                watch: Default::default(),
                usage: None,
            };
            self.runtimes.insert(OFF_SCHEMA.to_owned(), runtime);
        }
        refused(answer, Some(&Kinds(vec![ErrorKind::Invalid]))).map(|_| ())
    }

    pub(super) async fn start(&mut self, on: &str) -> Met {
        self.change(on, Change::Start, None, None).await
    }

    pub(super) async fn stop(
        &mut self,
        on: &str,
        signal: &str,
        attempt: Option<u64>,
        at_most_ms: Option<u64>,
    ) -> Met {
        let stop = Change::Stop(signal.to_owned());
        self.change(on, stop, attempt, at_most_ms).await
    }

    pub(super) async fn kill(&mut self, on: &str, attempt: Option<u64>) -> Met {
        self.change(on, Change::Kill, attempt, None).await
    }

    pub(super) async fn destroy(&mut self, on: &str, attempt: Option<u64>) -> Met {
        let driver = self.driver()?;
        let runtime = self.runtime(on)?;
        let mut op = runtime.op(Verb::Destroy, "");
        op.attempt = attempt.map_or(op.attempt, Attempt);
        let handle = runtime.handle.clone();
        self.persist(None, || driver.destroy(&op, &handle)).await?;
        self.runtime_mut(on)?.is_destroyed = true;
        self.last = Some(Deed::Destroy {
            on: on.to_owned(),
            op,
        });
        Ok(())
    }

    async fn change(
        &mut self,
        on: &str,
        change: Change,
        attempt: Option<u64>,
        at_most_ms: Option<u64>,
    ) -> Met {
        let runtime = self.runtime(on)?;
        let mut op = runtime.op(change.verb(), "");
        op.attempt = attempt.map_or(op.attempt, Attempt);
        let before = runtime.handle.clone();
        let answer = self.called(&change, &op, &before, at_most_ms).await?;
        self.runtime_mut(on)?.handle = answer;
        self.last = Some(Deed::Change {
            on: on.to_owned(),
            change,
            op,
            before,
        });
        Ok(())
    }

    /// Makes the call and answers the handle it answered.
    pub(super) async fn called(
        &self,
        change: &Change,
        op: &Op,
        handle: &Handle,
        at_most_ms: Option<u64>,
    ) -> Met<Handle> {
        let driver = self.driver()?;
        let call = || match change {
            Change::Start => driver.start(op, handle),
            Change::Stop(signal) => driver.stop(op, handle, signal),
            Change::Kill => driver.kill(op, handle),
        };
        self.persist(at_most_ms, call).await
    }

    /// Asks for a runtime until it is there.
    pub(super) async fn make(
        &self,
        op: &Op,
        workload: &Workload,
    ) -> Met<(Handle, Option<KillTarget>)> {
        let driver = self.driver()?;
        loop {
            match self.ask(driver.create(op, workload)).await? {
                Creation::Ready {
                    handle,
                    kill_target,
                } => return Ok((handle, kill_target)),
                // The deadline of the case ends what never gets ready.
                Creation::Pending { retry_after_ms, .. } => {
                    self.pause(retry_after_ms.clamp(20, 10_000).into()).await;
                }
            }
        }
    }

    /// A workload that plays a part, as a node would hand it over.
    fn workload(&self, role: Role, id: WorkloadId, generation: Generation) -> Workload {
        let part = self.backend.parts.workload(role);
        let text = id.to_string();
        let bare = text.split_once('_').map_or("", |(_, bare)| bare);
        let name = format!("kit-{bare}");
        let mut env = part.env;
        env.extend([
            (WORKLOAD.to_owned(), text.clone()),
            ("FLEET_WORKLOAD_NAME".to_owned(), name.clone()),
            ("FLEET_NODE".to_owned(), "conformance".to_owned()),
            ("FLEET_GENERATION".to_owned(), generation.to_string()),
        ]);
        Workload {
            id,
            name: workload_name(&name),
            node: self.node,
            generation,
            command: part.command,
            env,
            secrets: Default::default(),
            limits: Default::default(),
            ports: Vec::new(),
            labels: Default::default(),
            config: json!(part.config),
            wanted: Default::default(),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "`kit-` and 26 lower-case characters are a name"
)]
fn workload_name(text: &str) -> fleet_model::Name {
    text.parse().expect("a name")
}
