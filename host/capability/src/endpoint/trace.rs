//! Every verdict: in the audit log, in the counters, and, where the operator wants it, in a file that
//! says what was asked and what would allow it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use fleet_model::{Error, Name};
use serde_json::json;

use super::policy::{Effect, Rule};
use super::request::Request;
use super::service::Call;
use super::verdict::{Mode, Refused};
use crate::secret::Redactor;

/// How much of a text of a request is written.
const SHOWN: usize = 4 * 1024;

/// How often a verdict was given, by plugin, endpoint, rule (`-` for none) and verdict.
pub type Verdicts = BTreeMap<(Name, Name, String, &'static str), u64>;

/// Where verdicts go.
pub(crate) struct Trace {
    verdicts: Mutex<Verdicts>,
    file: Option<Mutex<File>>,
    redactor: Redactor,
}

impl Trace {
    /// With a file, which is made if it is not there and only added to.
    ///
    /// # Errors
    /// `invalid` (`bad-policy-trace`) where it cannot be written.
    pub(crate) fn open(file: Option<&Path>, redactor: Redactor) -> Result<Self, Error> {
        let open = |path: &Path| {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(path);
            file.map_err(|error| {
                Error::invalid(
                    "bad-policy-trace",
                    format!("cannot write the policy trace {}: {error}", path.display()),
                )
            })
        };
        Ok(Self {
            verdicts: Mutex::default(),
            file: file.map(open).transpose()?.map(Mutex::new),
            redactor,
        })
    }

    /// How often each verdict was given.
    pub(crate) fn verdicts(&self) -> Verdicts {
        let verdicts = self.verdicts.lock();
        verdicts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something was allowed.
    pub(crate) fn allowed(
        &self,
        call: &Call,
        mode: Mode,
        request: &Request,
        rule: &Rule,
        now_ms: u64,
    ) {
        self.count(call, &rule.name, "allowed");
        let (plugin, endpoint, rule_name) = (&call.plugin, &call.endpoint, &rule.name);
        let op = call
            .op
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        // Looks come by the second; what changes something is what an auditor wants.
        if rule.effect == Effect::Write {
            tracing::info!(target: "audit", %plugin, %endpoint, rule = rule_name, %op, verdict = "allowed", "endpoint");
        } else {
            tracing::debug!(target: "audit", %plugin, %endpoint, rule = rule_name, %op, verdict = "allowed", "endpoint");
        }
        self.write(call, mode, request, now_ms, |line| {
            line["verdict"] = json!("allowed");
            line["rule"] = json!(rule.name);
        });
    }

    /// Something was refused.
    pub(crate) fn refused(
        &self,
        call: &Call,
        mode: Mode,
        request: &Request,
        refused: &Refused,
        now_ms: u64,
    ) {
        let rule = refused.rule.as_deref().unwrap_or("-");
        self.count(call, rule, refused.code());
        let (plugin, endpoint) = (&call.plugin, &call.endpoint);
        let op = call
            .op
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let method: String = request.method.chars().take(16).collect();
        let path = self.text(&request.path);
        let (at, reason) = (self.text(&refused.at), self.text(&refused.reason));
        tracing::info!(target: "audit", %plugin, %endpoint, rule, %op, verdict = refused.code(), ?method, ?path, ?at, ?reason, "endpoint");
        self.write(call, mode, request, now_ms, |line| {
            line["verdict"] = json!(refused.code());
            line["rule"] = json!(refused.rule);
            line["at"] = json!(at);
            line["reason"] = json!(reason);
            line["allowed"] = json!(self.text(&refused.allowed));
            line["body"] = json!(request.body.as_deref().map(|body| self.text(body)));
        });
    }

    fn count(&self, call: &Call, rule: &str, verdict: &'static str) {
        let key = (
            call.plugin.clone(),
            call.endpoint.clone(),
            rule.to_owned(),
            verdict,
        );
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        *verdicts.entry(key).or_default() += 1;
    }

    fn text(&self, text: &str) -> String {
        let text = self.redactor.text(text);
        text.chars().take(SHOWN).collect()
    }

    fn write(
        &self,
        call: &Call,
        mode: Mode,
        request: &Request,
        now_ms: u64,
        more: impl FnOnce(&mut serde_json::Value),
    ) {
        let Some(file) = &self.file else {
            return;
        };
        let pairs = |list: &[(String, String)]| -> Vec<(String, String)> {
            let shown = list.iter().take(64);
            shown
                .map(|(key, value)| (self.text(key), self.text(value)))
                .collect()
        };
        let mut line = json!({
            "at_ms": now_ms,
            "plugin": call.plugin,
            "endpoint": call.endpoint,
            "op": call.op.as_ref().map(ToString::to_string),
            "call": mode.as_str(),
            "method": self.text(&request.method),
            "path": self.text(&request.path),
            "query": pairs(&request.query),
            "headers": pairs(&request.headers),
        });
        more(&mut line);
        let mut text = line.to_string();
        text.push('\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::warn!(%error, "a line of the policy trace was not written");
        }
    }
}
