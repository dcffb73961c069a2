//! A report in the making: what has been reached, and when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_capability::Redactor;
use fleet_model::Name;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{
    CallCounts, HandleCounts, StageTime, SwapCause, SwapKind, SwapReason, SwapReport, SwapRun,
    SwapSide, SwapVerdict,
};
use fleet_seam::Clock;

use crate::refused::Refused;

/// How one begins.
pub(crate) struct Begin<'a> {
    pub(crate) id: u64,
    pub(crate) plugin: &'a Name,
    pub(crate) node: &'a str,
    pub(crate) kind: SwapKind,
    pub(crate) cause: SwapCause,
    pub(crate) run: SwapRun,
    pub(crate) request: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) from: Option<SwapSide>,
}

/// One report. Shared by all who have a part in the swap.
pub(crate) struct Draft {
    clock: Arc<dyn Clock>,
    began_ms: u64,
    inner: Mutex<Inner>,
}

struct Inner {
    report: SwapReport,
    last_ms: u64,
}

impl Draft {
    pub(crate) fn begin(begin: Begin<'_>, clock: Arc<dyn Clock>) -> Self {
        let began_ms = clock.boot_ms();
        let report = SwapReport {
            id: begin.id,
            plugin: begin.plugin.to_string(),
            node: begin.node.to_owned(),
            kind: begin.kind,
            cause: begin.cause,
            request: begin.request,
            dry_run: begin.run == SwapRun::Dry,
            one_way: false,
            at_ms: clock.unix_ms(),
            took_ms: 0,
            active_after_ms: None,
            file: begin.file,
            from: begin.from,
            to: None,
            stages: Vec::new(),
            handles: HandleCounts::default(),
            failed_handles: Vec::new(),
            configs: 0,
            calls: CallCounts::default(),
            verdict: SwapVerdict::Rejected,
            reason: None,
            remarks: Vec::new(),
            probation_ms: None,
        };
        Self {
            inner: Mutex::new(Inner {
                report,
                last_ms: began_ms,
            }),
            clock,
            began_ms,
        }
    }

    /// It has come to this state.
    pub(crate) fn reached(&self, stage: PluginState) {
        let now_ms = self.clock.boot_ms();
        let mut inner = self.lock();
        let took_ms = now_ms.saturating_sub(inner.last_ms);
        inner.last_ms = now_ms;
        inner.report.stages.push(StageTime { stage, took_ms });
        if stage == PluginState::Active {
            inner.report.active_after_ms = Some(now_ms.saturating_sub(self.began_ms));
        }
    }

    /// Writes something into it.
    pub(crate) fn note(&self, write: impl FnOnce(&mut SwapReport)) {
        write(&mut self.lock().report);
    }

    /// As it is so far.
    pub(crate) fn so_far(&self) -> SwapReport {
        let now_ms = self.clock.boot_ms();
        let mut report = self.lock().report.clone();
        report.took_ms = now_ms.saturating_sub(self.began_ms);
        report
    }

    /// The whole of it. What it quotes may be the component's own words.
    pub(crate) fn end(&self, verdict: SwapVerdict, redactor: &Redactor) -> SwapReport {
        let mut report = self.so_far();
        report.verdict = verdict;
        let reason = report.reason.iter_mut().map(|reason| &mut reason.message);
        let handles = report.failed_handles.iter_mut();
        let quoted = reason
            .chain(handles.map(|handle| &mut handle.reason))
            .chain(&mut report.remarks);
        for text in quoted {
            redactor.string(text);
        }
        report
    }

    /// The whole of one whose newcomer is not taken.
    pub(crate) fn refused(&self, refused: &Refused, redactor: &Redactor) -> SwapReport {
        self.note(|report| report.reason = Some(reason(refused)));
        self.end(SwapVerdict::Rejected, redactor)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As a report has it.
pub(crate) fn reason(refused: &Refused) -> SwapReason {
    SwapReason {
        code: refused.code.as_str().to_owned(),
        message: refused.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleet_seam::SimClock;

    use super::*;
    use crate::refused::Code;

    #[test]
    fn each_stage_has_its_time_and_the_whole_has_theirs() {
        let clock = Arc::new(SimClock::new(1_000));
        let begin = Begin {
            id: 4,
            plugin: &"mock".parse().unwrap(),
            node: "here",
            kind: SwapKind::Swap,
            cause: SwapCause::File,
            run: SwapRun::Real,
            request: None,
            file: None,
            from: None,
        };
        let draft = Draft::begin(begin, clock.clone());
        for (stage, ms) in [
            (PluginState::Verified, 3),
            (PluginState::Compiled, 40),
            (PluginState::Active, 7),
            (PluginState::Draining, 20),
        ] {
            clock.advance(Duration::from_millis(ms));
            draft.reached(stage);
        }
        clock.advance(Duration::from_millis(5));
        let report = draft.end(SwapVerdict::Active, &Redactor::default());
        let times: Vec<u64> = report.stages.iter().map(|stage| stage.took_ms).collect();
        assert_eq!(times, [3, 40, 7, 20]);
        assert_eq!((report.active_after_ms, report.took_ms), (Some(50), 75));
        assert_eq!((report.at_ms, report.id), (1_000, 4));
        let refused = draft.refused(&Code::Adoption.because("no"), &Redactor::default());
        assert_eq!(refused.reason.unwrap().code, "adoption");
        assert_eq!(refused.verdict, SwapVerdict::Rejected);
    }
}
