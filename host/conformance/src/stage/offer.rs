//! Input, signals, stats and watches.

use fleet_model::Verb;
use fleet_model::stats::Usage;
use futures::StreamExt;

use super::Stage;
use super::repeat::Deed;
use crate::case::step::{Kinds, Word, Words};
use crate::check::{Met, refused, unmet};

/// How soon after the end a watch must have woken, in milliseconds.
const WAKE_MS: u64 = 3_000;

impl Stage {
    pub(super) async fn send(&mut self, on: &str, text: &str, kinds: Option<&Kinds>) -> Met {
        let op = self.keyed(on, Verb::Send)?;
        let (driver, handle) = (self.driver()?, self.runtime(on)?.handle.clone());
        let bytes = format!("{text}\n").into_bytes();
        let call = driver.send(&op, &handle, bytes.clone().into());
        refused(self.timed(None, call).await?, kinds)?;
        self.last = Some(Deed::Send {
            on: on.to_owned(),
            op,
            bytes,
        });
        Ok(())
    }

    pub(super) async fn signal(&mut self, on: &str, signal: &str, kinds: Option<&Kinds>) -> Met {
        let op = self.keyed(on, Verb::Signal)?;
        let (driver, handle) = (self.driver()?, self.runtime(on)?.handle.clone());
        let call = driver.signal(&op, &handle, signal);
        refused(self.timed(None, call).await?, kinds)?;
        self.last = Some(Deed::Signal {
            on: on.to_owned(),
            op,
            signal: signal.to_owned(),
        });
        Ok(())
    }

    pub(super) async fn stats(&mut self, on: &str, kinds: Option<&Kinds>) -> Met {
        let driver = self.driver()?;
        let runtime = self.runtime(on)?;
        let item = runtime.item();
        let call = driver.usage(&item, &runtime.handle);
        let Some(usage) = refused(self.timed(None, call).await?, kinds)? else {
            return Ok(());
        };
        if usage == Usage::default() {
            return unmet("some figure", "none at all");
        }
        if let Some(before) = self.runtime_mut(on)?.usage.replace(usage) {
            not_below(&before, &usage)?;
        }
        Ok(())
    }

    pub(super) async fn watch(&mut self, on: &str) -> Met {
        let driver = self.driver()?;
        let runtime = self.runtime(on)?;
        let item = runtime.item();
        let watch = self.ask(driver.watch(&item, &runtime.handle)).await?;
        self.runtime_mut(on)?.watch.put(watch);
        Ok(())
    }

    pub(super) async fn woken(&mut self, on: &str) -> Met {
        let over = Words(vec![Word::Exited, Word::Lost]);
        self.wait_for(on, &over, None, None).await?;
        let Some(mut watch) = self.runtime_mut(on)?.watch.take() else {
            return Ok(());
        };
        // Anything that comes wakes, an error or the end too.
        tokio::select! {
            biased;
            _ = watch.output.next() => Ok(()),
            () = self.pause(WAKE_MS) => unmet(
                format!("to be woken within {WAKE_MS} ms of its end"),
                "nothing on the watch",
            ),
        }
    }
}

/// Counters only rise.
fn not_below(before: &Usage, now: &Usage) -> Met {
    for (name, before, now) in [
        ("cpu_us", before.cpu_us, now.cpu_us),
        ("read_bytes", before.read_bytes, now.read_bytes),
        ("written_bytes", before.written_bytes, now.written_bytes),
    ] {
        if let (Some(before), Some(now)) = (before, now)
            && now < before
        {
            return unmet(
                format!("{name} of {before} or more, as before"),
                now.to_string(),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_may_rise_or_be_absent_but_not_fall() {
        let usage = |cpu_us, memory_bytes| Usage {
            cpu_us,
            memory_bytes,
            ..Usage::default()
        };
        assert!(not_below(&usage(Some(5), Some(9)), &usage(Some(5), Some(1))).is_ok());
        assert!(not_below(&usage(Some(5), None), &usage(None, None)).is_ok());
        assert_eq!(
            not_below(&usage(Some(5), None), &usage(Some(4), None)),
            unmet("cpu_us of 5 or more, as before", "4")
        );
    }
}
