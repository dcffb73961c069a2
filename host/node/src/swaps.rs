//! Tells the controller of swaps, through the outbox: each report once.
//!
//! The history of a plugin says what there is to tell, and the node remembers what of it was told, in
//! the transaction that tells it. So nothing is lost or told twice, whenever the host ends.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use fleet_model::event::Event;
use fleet_model::swap::{SwapEvent, SwapKind, SwapReport, SwapSide, SwapVerdict};
use fleet_model::{Error, Name};
use fleet_plugin::Swaps;
use fleet_store::{Store, WriteError};
use tokio::sync::broadcast::error::RecvError;

use crate::context::Context;
use crate::outbox;
use crate::state::{NodeState, ToldSwaps};

/// More reports than are kept of a plugin.
const ALL: usize = 1_000;

/// Writes down what happens. Never ends.
pub(crate) async fn watch(context: &Arc<Context>) {
    let Some(swaps) = context.drivers.swaps() else {
        return std::future::pending().await;
    };
    let mut events = swaps.events();
    catch_up_all(context, swaps).await;
    loop {
        match events.recv().await {
            Ok(SwapEvent::Ended { report }) => catch_up_one(context, swaps, &report.plugin).await,
            Ok(event) => tell(context, event).await,
            Err(RecvError::Lagged(_)) => catch_up_all(context, swaps).await,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

async fn catch_up_all(context: &Context, swaps: &dyn Swaps) {
    let names: BTreeSet<String> = context
        .drivers
        .plugins()
        .into_iter()
        .map(|plugin| plugin.name)
        .collect();
    for name in names {
        catch_up_one(context, swaps, &name).await;
    }
}

async fn catch_up_one(context: &Context, swaps: &dyn Swaps, plugin: &str) {
    let Ok(name) = plugin.parse::<Name>() else {
        return;
    };
    // One that never served has no history.
    let Ok((reports, _)) = swaps.history(&name, None, ALL) else {
        return;
    };
    let clean = |mut event: Event| {
        context.redactor.string(&mut event.message);
        context.redactor.facts(&mut event.details);
        event
    };
    let now_ms = context.clock.unix_ms();
    let caught_up = catch_up(&context.store, plugin, reports, now_ms, |report| {
        clean(told(SwapEvent::Ended { report }, &context.name))
    });
    if let Err(error) = caught_up.await {
        tracing::warn!(plugin, "swaps are told later: {error}");
    }
}

/// Tells what was not told yet. `reports` are the whole history, the latest first.
async fn catch_up(
    store: &Store<NodeState>,
    plugin: &str,
    reports: Vec<SwapReport>,
    now_ms: u64,
    event: impl Fn(Box<SwapReport>) -> Event,
) -> Result<(), Error> {
    let before = store.snapshot();
    let before = before.state.swaps.get(plugin);
    let known = |id: u64| before.is_some_and(|told| told.ids.contains(&id));
    let ids: BTreeSet<u64> = reports.iter().map(|report| report.id).collect();
    let news: Vec<Event> = reports
        .into_iter()
        .rev()
        .filter(|report| !known(report.id))
        .map(|report| event(Box::new(report)))
        .collect();
    if news.is_empty() {
        return Ok(());
    }
    let row = ToldSwaps {
        plugin: plugin.to_owned(),
        ids,
    };
    let written = store.write(move |tx| -> Result<(), Infallible> {
        for event in news {
            outbox::append(tx, now_ms, event);
        }
        tx.put(row);
        Ok(())
    });
    written.await.map_err(|error| failed(&error))
}

/// What has no report: it is told if it can be.
async fn tell(context: &Context, event: SwapEvent) {
    let now_ms = context.clock.unix_ms();
    let mut event = told(event, &context.name);
    context.redactor.string(&mut event.message);
    context.redactor.facts(&mut event.details);
    let written = context.store.write(move |tx| -> Result<(), Infallible> {
        outbox::append(tx, now_ms, event);
        Ok(())
    });
    if let Err(error) = written.await {
        tracing::warn!("an event of a plugin is lost: {}", failed(&error));
    }
}

fn failed(error: &WriteError<Infallible>) -> Error {
    let why = match error {
        WriteError::Full(_) => "the disk is full",
        _ => "the node's store takes no writes",
    };
    Error::unavailable("node-store", why)
}

/// As an entry of the outbox.
fn told(event: SwapEvent, node: &str) -> Event {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let (kind, plugin, message, mut details) = match event {
        SwapEvent::Ended { report } => {
            let (kind, message) = ended(&report);
            let details = facts(&report);
            (kind, report.plugin, message, details)
        }
        SwapEvent::Proven {
            plugin,
            digest,
            version,
        } => {
            let message = format!("{plugin} {version} has proven itself");
            let facts = [fact("to", digest), fact("to-version", version)];
            ("plugin.proven", plugin, message, BTreeMap::from(facts))
        }
        SwapEvent::Failing {
            plugin,
            digest,
            reason,
        } => {
            let message = format!("{plugin} is failing and there is no way back: {reason}");
            let facts = BTreeMap::from([fact("to", digest)]);
            ("plugin.failing", plugin, message, facts)
        }
        SwapEvent::Unquarantined { plugin, digest } => {
            let message = format!("{plugin} {digest} may be swapped in again");
            let facts = BTreeMap::from([fact("to", digest)]);
            ("plugin.unquarantined", plugin, message, facts)
        }
    };
    details.insert("node".to_owned(), node.to_owned());
    Event {
        seq: 0,
        at_ms: 0,
        kind: kind.to_owned(),
        subject: plugin.clone(),
        name: Some(plugin),
        generation: None,
        message,
        details,
    }
}

/// What kind of end it was, and a line about it.
fn ended(report: &SwapReport) -> (&'static str, String) {
    let version = |side: &Option<SwapSide>| {
        side.as_ref()
            .map_or_else(|| "?".to_owned(), |side| side.version.clone())
    };
    let (plugin, from, to) = (&report.plugin, version(&report.from), version(&report.to));
    let why = report
        .reason
        .as_ref()
        .map_or("no reason given", |reason| reason.message.as_str());
    match (report.verdict, report.kind) {
        (SwapVerdict::Rejected, _) => (
            "plugin.swap-rejected",
            format!("{plugin} stays {from}; {to} {why}"),
        ),
        (SwapVerdict::DryRun, _) => (
            "plugin.swap-tried",
            format!("{plugin} {to} would take the place of {from}"),
        ),
        (SwapVerdict::Active, SwapKind::Swap) => (
            "plugin.swapped",
            format!(
                "{plugin} {to} took the place of {from}: {} handles adopted, {} calls ended on the old code, {} asked again",
                report.handles.adopted, report.calls.drained, report.calls.reissued
            ),
        ),
        (SwapVerdict::Active, SwapKind::Rollback) => (
            "plugin.rolled-back",
            format!("{plugin} went back from {from} to {to}: {why}"),
        ),
    }
}

fn facts(report: &SwapReport) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::from([
        ("verdict".to_owned(), report.verdict.to_string()),
        ("cause".to_owned(), report.cause.to_string()),
        (
            "report".to_owned(),
            serde_json::to_string(report).unwrap_or_default(),
        ),
    ]);
    let sides = [
        ("from", "from-version", &report.from),
        ("to", "to-version", &report.to),
    ];
    for (digest, version, side) in sides {
        if let Some(side) = side {
            facts.insert(digest.to_owned(), side.digest.clone());
            facts.insert(version.to_owned(), side.version.clone());
        }
    }
    if let Some(reason) = &report.reason {
        facts.insert("code".to_owned(), reason.code.clone());
    }
    facts
}

#[cfg(test)]
mod tests {
    use fleet_model::swap::{CallCounts, HandleCounts, SwapCause, SwapReason};
    use fleet_store::Options;
    use fleet_store::sim::SimDisk;

    use super::*;

    fn report(kind: SwapKind, verdict: SwapVerdict) -> SwapReport {
        let side = |version: &str| {
            Some(SwapSide {
                digest: format!("digest of {version}"),
                manifest: String::new(),
                version: version.to_owned(),
            })
        };
        SwapReport {
            id: 1,
            plugin: "mock".into(),
            node: "here".into(),
            kind,
            cause: SwapCause::File,
            request: None,
            dry_run: false,
            one_way: false,
            at_ms: 0,
            took_ms: 0,
            active_after_ms: None,
            file: None,
            from: side("1"),
            to: side("2"),
            stages: Vec::new(),
            handles: HandleCounts::default(),
            failed_handles: Vec::new(),
            configs: 0,
            calls: CallCounts::default(),
            verdict,
            reason: Some(SwapReason {
                code: "failures".into(),
                message: "it trapped".into(),
            }),
            remarks: Vec::new(),
            probation_ms: None,
        }
    }

    #[test]
    fn each_end_has_its_kind_and_its_line() {
        use SwapKind::{Rollback, Swap};
        use SwapVerdict::{Active, DryRun, Rejected};
        for (kind, verdict, want, line) in [
            (Swap, Active, "plugin.swapped", "mock 2 took the place of 1"),
            (
                Swap,
                Rejected,
                "plugin.swap-rejected",
                "mock stays 1; 2 it trapped",
            ),
            (Swap, DryRun, "plugin.swap-tried", "mock 2 would take"),
            (
                Rollback,
                Active,
                "plugin.rolled-back",
                "mock went back from 1 to 2: it trapped",
            ),
            (Rollback, Rejected, "plugin.swap-rejected", "mock stays 1"),
        ] {
            let report = Box::new(report(kind, verdict));
            let event = told(SwapEvent::Ended { report }, "here");
            assert_eq!(event.kind, want);
            assert!(event.message.contains(line), "{}", event.message);
            assert_eq!(event.details["from"], "digest of 1");
            assert_eq!(event.details["code"], "failures");
            assert_eq!(event.details["node"], "here");
            let whole: SwapReport = serde_json::from_str(&event.details["report"]).unwrap();
            assert_eq!((whole.kind, whole.verdict), (kind, verdict));
        }
    }
    #[tokio::test]
    async fn each_report_is_told_once_also_over_a_crash_and_out_of_order() {
        let disk = SimDisk::new::<NodeState>("st_00000000000000000000000001", 7).unwrap();
        let open = async || {
            Store::<NodeState>::open(disk.mount(), Options::default())
                .await
                .unwrap()
        };
        let with_id = |id: u64| SwapReport {
            id,
            ..report(SwapKind::Swap, SwapVerdict::Active)
        };
        let catch_up = async |store: &Store<NodeState>, ids: &[u64]| {
            let reports = ids.iter().map(|id| with_id(*id)).collect();
            super::catch_up(store, "mock", reports, 1, |report| {
                told(SwapEvent::Ended { report }, "here")
            })
            .await
            .unwrap();
        };
        let store = open().await;
        catch_up(&store, &[2, 1]).await;
        catch_up(&store, &[2, 1]).await;
        disk.crash();
        drop(store);
        let store = open().await;
        // The fourth ended before the third.
        catch_up(&store, &[4, 2, 1]).await;
        catch_up(&store, &[4, 3, 2]).await;
        let told: Vec<u64> = store
            .read_log::<Event>(0, 100)
            .await
            .unwrap()
            .into_iter()
            .map(|(_, _, event)| {
                let report: SwapReport = serde_json::from_str(&event.details["report"]).unwrap();
                report.id
            })
            .collect();
        assert_eq!(told, [1, 2, 4, 3]);
    }
}
