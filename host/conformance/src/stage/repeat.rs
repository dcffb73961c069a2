//! The last call again, with the same op: same effect, same answer.

use fleet_model::Op;
use fleet_model::driver::Handle;
use fleet_model::exec::ExecSpec;

use super::Stage;
use super::change::Change;
use crate::check::{Met, states, unmet};

/// How long to wait before a call is repeated, in milliseconds: a plugin that puts the time into an
/// answer puts another one in.
const LATER_MS: u64 = 5;

/// How much of two handles is shown before and after the place where they differ, in bytes.
const AROUND: usize = 24;

/// A call that changed something, with all it was given.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Create {
        on: String,
        op: Op,
    },
    Change {
        on: String,
        change: Change,
        op: Op,
        before: Handle,
    },
    Destroy {
        on: String,
        op: Op,
    },
    Send {
        on: String,
        op: Op,
        bytes: Vec<u8>,
    },
    Signal {
        on: String,
        op: Op,
        signal: String,
    },
    Exec {
        exec: String,
        op: Op,
        spec: ExecSpec,
    },
    ExecRemove {
        exec: String,
        op: Op,
    },
}

impl Stage {
    pub(super) async fn repeat(&mut self) -> Met {
        let Some(last) = self.last.clone() else {
            return unmet("an earlier step that changed something", "none");
        };
        self.pause(LATER_MS).await;
        let driver = self.driver()?;
        match &last {
            Deed::Create { on, op } => {
                let runtime = self.runtime(on)?;
                let (handle, target) = self.make(op, &runtime.workload).await?;
                if handle != runtime.handle {
                    return another(&runtime.handle, &handle);
                }
                if target != runtime.kill_target {
                    return unmet(
                        format!("the same answer: the kill target {:?}", runtime.kill_target),
                        format!("{target:?}"),
                    );
                }
                Ok(())
            }
            Deed::Change {
                on,
                change,
                op,
                before,
            } => self.change_again(on, change, op, before).await,
            Deed::Destroy { on, op } => {
                let handle = &self.runtime(on)?.handle;
                self.persist(None, || driver.destroy(op, handle)).await
            }
            Deed::Send { on, op, bytes } => {
                let handle = &self.runtime(on)?.handle;
                self.ask(driver.send(op, handle, bytes.clone().into()))
                    .await
            }
            Deed::Signal { on, op, signal } => {
                let handle = &self.runtime(on)?.handle;
                self.ask(driver.signal(op, handle, signal)).await
            }
            Deed::Exec { exec, op, spec } => {
                let beside = self.beside(exec)?;
                let handle = &self.runtime(&beside.on)?.handle;
                let name = self.ask(driver.exec(op, handle, spec)).await?;
                if name == beside.name {
                    Ok(())
                } else {
                    unmet(format!("the same answer: {}", beside.name), name)
                }
            }
            Deed::ExecRemove { exec, op } => {
                let beside = self.beside(exec)?;
                let handle = &self.runtime(&beside.on)?.handle;
                self.ask(driver.remove_exec(op, handle, &beside.name)).await
            }
        }
    }

    /// On the handle it was given, because its answer was lost: the same effect. On the handle it
    /// answered: the same answer.
    async fn change_again(&self, on: &str, change: &Change, op: &Op, before: &Handle) -> Met {
        let now = self.runtime(on)?.handle.clone();
        let look = self.observe(on, &now).await?;
        let again = self.called(change, op, &now, None).await?;
        if again != now {
            return another(&now, &again);
        }
        let from_before = self.called(change, op, before, None).await?;
        states::same(&look, &self.observe(on, &from_before).await?)?;
        states::same(&look, &self.observe(on, &now).await?)
    }
}

fn another(wanted: &Handle, found: &Handle) -> Met {
    if wanted.schema != found.schema {
        return unmet(
            format!("the same answer: a handle of schema {}", wanted.schema),
            format!("one of schema {}", found.schema),
        );
    }
    let same = wanted.opaque.iter().zip(&found.opaque);
    let same = same.take_while(|(one, other)| one == other).count();
    let around = |handle: &Handle| {
        let from = same.saturating_sub(AROUND);
        let to = same.saturating_add(AROUND).min(handle.opaque.len());
        let bytes = handle.opaque.get(from..to).unwrap_or_default();
        format!("{:?}", String::from_utf8_lossy(bytes))
    };
    unmet(
        format!(
            "the same answer: a handle with {} around byte {same}",
            around(wanted)
        ),
        around(found),
    )
}
