//! What a plugin may do: what its manifest requests, and its operator grants, and the node's
//! ceiling leaves.
//!
//! [`effective`] is a pure function of the three. A request without a grant does not reject a
//! plugin; the calls that need it are refused, and each refusal carries the lines that would
//! allow it. Grants beyond the request give nothing, so a plugin that is taken over later can not
//! do more than it asked for when it was looked at.

mod secrets;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use fleet_capability::Launcher;
use fleet_model::plugin::Capability;
use fleet_model::{Error, Name};

use crate::digest::Digest;
use crate::grants::{Ceiling, EndpointGrant, Grant, describe};
use crate::manifest::Requests;
use crate::remedy::merged;
use secrets::{Place, Secrets};

/// Something that stands behind a grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// `fleet:host/log`.
    Log,
    /// `fleet:host/clock`.
    Clock,
    /// `fleet:host/config`.
    Config,
    /// `fleet:host/process`, whatever the launcher.
    Process,
    /// `fleet:host/process` through one launcher.
    Launcher(Name),
    /// `fleet:host/endpoint` of this name.
    Endpoint(Name),
    /// This secret put into what it makes.
    Secret(Name),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Clock => f.write_str("clock"),
            Self::Config => f.write_str("config"),
            Self::Process => f.write_str("process"),
            Self::Launcher(name) => write!(f, "process.launcher {name}"),
            Self::Endpoint(name) => write!(f, "endpoint {name}"),
            Self::Secret(name) => write!(f, "secret {name}"),
        }
    }
}

/// All that is decided about one capability of one plugin.
#[derive(Debug, Clone, PartialEq)]
struct Verdict {
    requested: bool,
    granted: Option<String>,
    above_ceiling: bool,
    remedy: String,
}

impl Verdict {
    fn is_effective(&self) -> bool {
        self.requested && self.granted.is_some() && !self.above_ceiling
    }
}

/// What one plugin generation may do. Never changes.
#[derive(Debug, Clone)]
pub(crate) struct Permissions {
    plugin: Name,
    grants_path: PathBuf,
    verdicts: BTreeMap<Need, Verdict>,
    launchers: BTreeMap<Name, Launcher>,
    endpoints: BTreeMap<Name, EndpointGrant>,
    /// Whether it asks for whichever launchers are granted.
    asks_for_any: bool,
    /// Whether it asks for whichever endpoints are granted.
    asks_for_any_endpoint: bool,
    secrets: Secrets,
}

/// Who asks, and where its grant would stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) plugin: &'a Name,
    pub(crate) digest: Digest,
    pub(crate) grants_path: &'a Path,
}

/// Request ∩ grant ∩ ceiling.
pub(crate) fn effective(
    subject: Subject<'_>,
    requests: &Requests,
    grant: Option<&Grant>,
    ceiling: Option<&Ceiling>,
) -> Permissions {
    let plugin = subject.plugin;
    let pinned_elsewhere = grant
        .and_then(|grant| grant.digest)
        .filter(|digest| *digest != subject.digest);
    let in_force = grant.filter(|_| pinned_elsewhere.is_none());
    let repin = pinned_elsewhere.map(|_| {
        format!(
            "digest = \"{:?}\"   # in the table [{plugin}]: its grant is for another digest",
            subject.digest
        )
    });
    let remedy = |lines: String| repin.clone().unwrap_or(lines);
    let line = |name: &str| match grant {
        Some(_) => format!("{name} = true   # in the table [{plugin}]"),
        None => format!("[{plugin}]\n{name} = true"),
    };
    let plain = [
        (
            Need::Log,
            requests.log,
            in_force.is_some_and(|g| g.log),
            ceiling.and_then(|c| c.log),
        ),
        (
            Need::Clock,
            requests.clock,
            in_force.is_some_and(|g| g.clock),
            ceiling.and_then(|c| c.clock),
        ),
        (
            Need::Config,
            requests.config,
            in_force.is_some_and(|g| g.config),
            ceiling.and_then(|c| c.config),
        ),
    ];
    let mut verdicts = BTreeMap::new();
    for (need, requested, granted, ceiling) in plain {
        if requested || granted {
            let name = need.to_string();
            let verdict = Verdict {
                requested,
                granted: granted.then(|| format!("{name} = true")),
                above_ceiling: ceiling == Some(false),
                remedy: remedy(line(&name)),
            };
            verdicts.insert(need, verdict);
        }
    }
    let none = BTreeMap::new();
    let granted = in_force.map_or(&none, |grant| &grant.process.launchers);
    let allowed = ceiling
        .and_then(|ceiling| ceiling.process.as_ref())
        .map(|process| &process.launchers);
    let asked = &requests.process.launchers;
    let names: BTreeSet<&Name> = asked.named().chain(granted.keys()).collect();
    let mut launchers = BTreeMap::new();
    for name in names {
        let launcher = granted.get(name);
        let verdict = Verdict {
            requested: asked.contains(name),
            granted: launcher.map(describe),
            above_ceiling: allowed.is_some_and(|allowed| !allowed.contains(name)),
            remedy: remedy(launcher_lines(plugin, name)),
        };
        if let Some(launcher) = launcher.filter(|_| verdict.is_effective()) {
            launchers.insert(name.clone(), launcher.clone());
        }
        verdicts.insert(Need::Launcher(name.clone()), verdict);
    }
    let none = BTreeMap::new();
    let granted = in_force.map_or(&none, |grant| &grant.endpoint);
    let allowed = ceiling.and_then(|ceiling| ceiling.endpoints.as_ref());
    let names: BTreeSet<&Name> = requests.endpoints.named().chain(granted.keys()).collect();
    let mut endpoints = BTreeMap::new();
    for name in names {
        let endpoint = granted.get(name);
        let verdict = Verdict {
            requested: requests.endpoints.contains(name),
            granted: endpoint.map(EndpointGrant::describe),
            above_ceiling: allowed.is_some_and(|allowed| !allowed.contains(name)),
            remedy: remedy(endpoint_lines(plugin, name)),
        };
        if let Some(endpoint) = endpoint.filter(|_| verdict.is_effective()) {
            endpoints.insert(name.clone(), endpoint.clone());
        }
        verdicts.insert(Need::Endpoint(name.clone()), verdict);
    }
    let secrets = Secrets {
        asked: requests.secrets.clone(),
        granted: in_force.map_or_else(Default::default, |grant| grant.secrets.clone()),
        ceiling: ceiling.and_then(|ceiling| ceiling.secrets.clone()),
        place: match (repin, grant) {
            (Some(line), _) => Place::Elsewhere(line),
            (None, Some(_)) => Place::Table,
            (None, None) => Place::NewTable,
        },
    };
    Permissions {
        plugin: plugin.clone(),
        grants_path: subject.grants_path.to_owned(),
        verdicts,
        launchers,
        endpoints,
        asks_for_any: asked.has_any(),
        asks_for_any_endpoint: requests.endpoints.has_any(),
        secrets,
    }
}

impl Permissions {
    /// None at all: what `describe` runs with.
    pub(crate) fn none(plugin: &Name) -> Self {
        Self {
            plugin: plugin.clone(),
            grants_path: PathBuf::new(),
            verdicts: BTreeMap::new(),
            launchers: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            asks_for_any: false,
            asks_for_any_endpoint: false,
            secrets: Secrets::default(),
        }
    }

    /// Whether a call that needs this is let through.
    ///
    /// # Errors
    /// `denied`, with the reason and what would allow it.
    pub(crate) fn check(&self, need: &Need) -> Result<(), Error> {
        let allowed = match need {
            Need::Process => !self.launchers.is_empty(),
            need => self
                .verdict(need)
                .is_some_and(|verdict| verdict.is_effective()),
        };
        if allowed {
            Ok(())
        } else {
            Err(self.refusal(need))
        }
    }

    /// The launcher of this name.
    ///
    /// # Errors
    /// `denied`, as [`check`](Self::check).
    pub(crate) fn launcher(&self, name: &Name) -> Result<&Launcher, Error> {
        self.launchers
            .get(name)
            .ok_or_else(|| self.refusal(&Need::Launcher(name.clone())))
    }

    /// The launchers it may use.
    pub(crate) fn launchers(&self) -> impl Iterator<Item = &Name> {
        self.launchers.keys()
    }

    /// The endpoints it may use.
    pub(crate) fn endpoints(&self) -> &BTreeMap<Name, EndpointGrant> {
        &self.endpoints
    }

    /// The name under which a refusal is counted: its own where a person wrote that down, else one
    /// for all of its sort, so that a guest cannot fill the list with names it made up.
    pub(crate) fn counted_as(&self, need: &Need) -> String {
        match need {
            Need::Launcher(_) if !self.verdicts.contains_key(need) => {
                "process.launcher *".to_owned()
            }
            Need::Endpoint(_) if !self.verdicts.contains_key(need) => "endpoint *".to_owned(),
            Need::Secret(name) if !self.secrets.is_named(name) => "secret *".to_owned(),
            need => need.to_string(),
        }
    }

    /// What is asked, granted and left, for people.
    pub(crate) fn view(&self) -> Vec<Capability> {
        let fixed = self
            .verdicts
            .iter()
            .map(|(need, verdict)| (need.to_string(), verdict.clone()));
        fixed
            .chain(self.secrets.rows(&self.plugin))
            .map(|(name, verdict)| Capability {
                name,
                requested: verdict.requested,
                above_ceiling: verdict.above_ceiling,
                effective: verdict.is_effective(),
                remedy: (verdict.requested && verdict.granted.is_none())
                    .then(|| verdict.remedy.clone()),
                granted: verdict.granted,
            })
            .collect()
    }

    fn verdict(&self, need: &Need) -> Option<Cow<'_, Verdict>> {
        match need {
            Need::Secret(name) => Some(Cow::Owned(self.secrets.verdict(&self.plugin, name))),
            // Any launcher would do; the first one asked for says what is missing.
            Need::Process => self
                .verdicts
                .iter()
                .find(|(need, v)| matches!(need, Need::Launcher(_)) && v.requested)
                .map(|(_, verdict)| Cow::Borrowed(verdict)),
            need => self.verdicts.get(need).map(Cow::Borrowed),
        }
    }

    /// The plain ones that are asked for and not granted, this one first: a plugin that was granted one
    /// of them would be refused the next.
    fn plain_missing(&self, need: &Need) -> Vec<(&Need, &Verdict)> {
        let is_plain = |need: &Need| matches!(need, Need::Log | Need::Clock | Need::Config);
        let mut missing: Vec<(&Need, &Verdict)> = self
            .verdicts
            .iter()
            .filter(|(other, _)| is_plain(need) && is_plain(other))
            .filter(|(_, verdict)| verdict.requested && verdict.granted.is_none())
            .collect();
        missing.sort_by_key(|(other, _)| *other != need);
        missing
    }

    fn refusal(&self, need: &Need) -> Error {
        let (plugin, file) = (&self.plugin, self.grants_path.display());
        let verdict = self.verdict(need);
        let plain = self.plain_missing(need);
        let missing = |remedy: &str| {
            let what = match plain.as_slice() {
                [] => format!("`{need}`"),
                some => list(some.iter().map(|(need, _)| format!("`{need}`")).collect()),
            };
            let lines = plain.iter().map(|(_, verdict)| verdict.remedy.as_str());
            let remedy = &merged(std::iter::once(remedy).chain(lines));
            Error::denied(
                "not-granted",
                format!("`{plugin}` is not granted {what}: add to {file}\n{remedy}"),
            )
            .with("remedy", remedy)
            .with("file", file)
        };
        let error = match (verdict.as_deref(), need) {
            (Some(verdict), _) if verdict.requested && verdict.granted.is_none() => {
                missing(&verdict.remedy)
            }
            (None, Need::Launcher(name)) if self.asks_for_any => {
                missing(&launcher_lines(plugin, name))
            }
            (None, Need::Endpoint(name)) if self.asks_for_any_endpoint => {
                missing(&endpoint_lines(plugin, name))
            }
            (Some(verdict), _) if verdict.requested => Error::denied(
                "above-ceiling",
                format!(
                    "`{plugin}` is granted `{need}`, but the [ceiling] of this node's fleet-host.toml forbids it"
                ),
            ),
            _ => Error::denied(
                "not-requested",
                format!(
                    "`{plugin}` uses `{need}` and its manifest does not ask for it: add it to [capabilities] in {plugin}.toml"
                ),
            ),
        };
        error.with("plugin", plugin).with("capability", need)
    }
}

impl Permissions {
    /// A launcher's own refusal of a program, with where that can be changed: in the launcher, where it is
    /// for that program, else by one of its own. Nothing is looked up for it: who is refused learns
    /// nothing of what is on this machine.
    pub(crate) fn with_launcher_lines(&self, error: Error, name: &Name, program: &str) -> Error {
        let (plugin, file) = (&self.plugin, self.grants_path.display());
        let is_meant = |path: &Path| {
            path == Path::new(program) || path.file_name().is_some_and(|name| name == program)
        };
        let launcher = self.launchers.get(name);
        if launcher.is_some_and(|it| it.executable.as_deref().is_none_or(is_meant)) {
            let message = format!(
                "{} ([{plugin}.process.launchers.{name}] in {file})",
                error.message
            );
            return Error { message, ..error }.with("file", file);
        }
        let file_name = Path::new(program)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let plain: String = file_name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(63)
            .collect();
        let Ok(own) = plain.trim_matches('-').parse::<Name>() else {
            return error;
        };
        let executable = if program.starts_with('/') {
            format!("\"{program}\"")
        } else {
            format!("\"/path/of/{program}\"   # as `command -v {program}` prints it")
        };
        let remedy = format!("[{plugin}.process.launchers.{own}]\nexecutable = {executable}");
        let message = format!(
            "{}, which the workload names (`launcher = \"{own}\"` in its [config]): add to {file}\n{remedy}",
            error.message
        );
        Error { message, ..error }
            .with("remedy", remedy)
            .with("file", file)
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list(mut words: Vec<String>) -> String {
    let last = words.pop().unwrap_or_default();
    if words.is_empty() {
        last
    } else {
        format!("{} and {last}", words.join(", "))
    }
}

fn launcher_lines(plugin: &Name, launcher: &Name) -> String {
    format!(
        "[{plugin}.process.launchers.{launcher}]\nexecutable = \"/path/of/the/program\"   # or any = true"
    )
}

fn endpoint_lines(plugin: &Name, endpoint: &Name) -> String {
    format!(
        "[{plugin}.endpoint.{endpoint}]\naddress = \"unix:///var/run/{endpoint}.sock\"\npolicy = \"{plugin}.policy.toml\""
    )
}

#[cfg(test)]
#[path = "permission_tests.rs"]
mod tests;
