//! What is decided about a newcomer. Pure: no clock, no disk, no component.

use std::cmp::Ordering;
use std::path::Path;

use fleet_model::Name;
use fleet_model::driver::{Observation, RunState};
use fleet_model::plugin::Capability;
use fleet_model::swap::{Adoption, SwapWay};

use super::record::{Record, Stamp};
use crate::generation::GenerationId;
use crate::refused::{Code, Refused};

/// What becomes of a file that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// It is a plugin that is not there yet.
    Install,
    /// It is for this plugin, which serves.
    Offer(Name),
    /// It is for this plugin, whose own file is gone: from now on this is its file.
    Move(Name),
    /// It came to this plugin, which cannot take it.
    Object(Name, Refused),
    /// Others have its name as well, and none of them serves.
    Twins,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// The file.
    pub(crate) file: &'a str,
    /// Its manifest's name; absent where that cannot be read.
    pub(crate) name: Option<&'a Name>,
    /// The plugin that this file brought before and that serves.
    pub(crate) brought: Option<&'a Name>,
    /// The file that brought the plugin of its name, where that serves.
    pub(crate) brought_by: Option<&'a str>,
    /// Whether that file is there.
    pub(crate) is_that_there: bool,
    /// Whether another file has its name.
    pub(crate) has_twins: bool,
}

/// Decides whose a file is.
pub(crate) fn whose(arrival: &Arrival<'_>) -> Whose {
    let Arrival {
        file,
        name,
        brought,
        brought_by,
        is_that_there,
        has_twins,
    } = *arrival;
    let Some(name) = name else {
        // Without a manifest it can only be what it was.
        return brought.map_or(Whose::Install, |plugin| Whose::Offer(plugin.clone()));
    };
    match (brought, brought_by) {
        (Some(plugin), _) if plugin == name => Whose::Offer(name.clone()),
        (Some(plugin), _) => {
            let reason = format!(
                "holds the plugin `{name}`, but {file} brings `{plugin}`: put it into {name}.wasm beside {name}.toml"
            );
            Whose::Object(plugin.clone(), Code::OtherName.because(reason))
        }
        (None, Some(by)) if is_that_there => {
            let reason = format!(
                "holds the plugin `{name}`, which {by} brings already: put it in the place of {by}, or take one of the two away"
            );
            Whose::Object(name.clone(), Code::NameTaken.because(reason))
        }
        (None, Some(_)) => Whose::Move(name.clone()),
        (None, None) if has_twins => Whose::Twins,
        (None, None) => Whose::Install,
    }
}

/// Whether what lies in a file is a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appearance {
    /// It is what serves.
    Serves,
    /// It was decided on before: it did not appear just now.
    Known,
    /// It is new here.
    New,
}

/// Decides whether the content of a file is a request: what is not what the file held when it was
/// last decided on.
pub(crate) fn appearance(
    found: GenerationId,
    is_same_as_active: bool,
    seen: Option<GenerationId>,
    refused: Option<GenerationId>,
) -> Appearance {
    if is_same_as_active {
        Appearance::Serves
    } else if seen == Some(found) || refused == Some(found) {
        Appearance::Known
    } else {
        Appearance::New
    }
}

/// What a newcomer asks for, is not given, and what serves does not miss: the first of it, and what
/// would give it.
///
/// # Errors
/// `needs-grant`.
pub(crate) fn new_needs(
    serves: &[Capability],
    newcomer: &[Capability],
    grants: &Path,
) -> Result<(), Refused> {
    let is_missed = |capability: &Capability| capability.requested && !capability.effective;
    let missed_before = |name: &str| {
        serves
            .iter()
            .any(|capability| capability.name == name && is_missed(capability))
    };
    let missing: Vec<&Capability> = newcomer
        .iter()
        .filter(|capability| is_missed(capability) && !missed_before(&capability.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing
        .iter()
        .map(|capability| format!("`{}`", capability.name))
        .collect();
    let names = names.join(", ");
    let mut lines: Vec<&str> = missing
        .iter()
        .filter_map(|capability| capability.remedy.as_deref())
        .collect();
    lines.dedup();
    let reason = if lines.is_empty() {
        format!(
            "asks for {names}, which the [ceiling] of this node's fleet-host.toml forbids: raise that, or stay with what serves"
        )
    } else {
        format!(
            "asks for {names}, which nobody has granted: add to {}\n{}\nand start the host again",
            grants.display(),
            lines.join("\n")
        )
    };
    Err(Code::NeedsGrant.because(reason))
}

/// What handle schemas allow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Schemas {
    /// What the newcomer is to write for as long as it is on probation; its own where that is fine.
    pub(crate) write: Option<u32>,
    /// Whether the old code is still to be asked about some handles.
    pub(crate) keep_old: bool,
    /// Whether there is no way back.
    pub(crate) one_way: bool,
}

/// Decides on handle schemas: `live` are those of handles that are in use, `back` is what would be put
/// back.
///
/// # Errors
/// `handle-schema`, `one-way`.
pub(crate) fn schemas(
    serves: &Stamp,
    back: Option<&Stamp>,
    newcomer: &Stamp,
    live: &[u32],
    way: SwapWay,
    adoption: Adoption,
) -> Result<Schemas, Refused> {
    let unread: Vec<u32> = live
        .iter()
        .copied()
        // What the active code does not read is another's already.
        .filter(|schema| serves.reads.contains(schema) && !newcomer.reads.contains(schema))
        .collect();
    if let (Some(schema), Adoption::Strict) = (unread.first(), adoption) {
        return Err(Code::HandleSchema.because(format!(
            "reads handle schemas {:?}, and {} of what is there: schema {schema}. Build it so that it reads that one \
             too, or remove those workloads first",
            newcomer.reads,
            count(unread.len(), "handle is not among them", "handles are not among them"),
        )));
    }
    let mut schemas = Schemas {
        keep_old: !unread.is_empty() || !newcomer.reads.contains(&serves.writes),
        ..Schemas::default()
    };
    let Some(back) = back else {
        return Ok(schemas);
    };
    match shared(back, newcomer) {
        Some(_) => {
            schemas.write = schema_on_probation(back, newcomer);
            Ok(schemas)
        }
        None if way == SwapWay::OneWay => {
            schemas.one_way = true;
            Ok(schemas)
        }
        None => Err(Code::OneWay.because(format!(
            "reads handle schemas {:?} and what would be put back reads {:?}: there would be no way back. With --one-way it \
             is taken all the same",
            newcomer.reads, back.reads
        ))),
    }
}

/// What a newcomer is to write for as long as `back` would be put back; its own where that reads it.
pub(crate) fn schema_on_probation(back: &Stamp, newcomer: &Stamp) -> Option<u32> {
    match back.reads.contains(&newcomer.writes) {
        true => None,
        false => shared(back, newcomer),
    }
}

/// The highest handle schema that both read.
fn shared(one: &Stamp, other: &Stamp) -> Option<u32> {
    let both = one
        .reads
        .iter()
        .filter(|schema| other.reads.contains(schema));
    both.max().copied()
}

/// What code knows of a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was made and never started.
    Created,
    Running,
    Exited,
    Lost(String),
    Unknown(String),
    /// It failed to say.
    Error(String),
    /// Nobody can be asked: it is recorded.
    Recorded,
}

impl Known {
    /// By a look.
    pub(crate) fn of(seen: &Observation) -> Self {
        match &seen.state {
            RunState::Created => Self::Created,
            RunState::Running => Self::Running,
            RunState::Exited { .. } => Self::Exited,
            RunState::Lost { reason } => Self::Lost(reason.clone()),
            RunState::Unknown { reason } => Self::Unknown(reason.clone()),
        }
    }

    /// The word as it is written everywhere.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Lost(_) => "lost",
            Self::Unknown(_) => "unknown",
            Self::Error(_) => "error",
            Self::Recorded => "recorded",
        }
    }

    /// Why it knows no more.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Created | Self::Running | Self::Exited | Self::Recorded => "",
            Self::Lost(reason) | Self::Unknown(reason) | Self::Error(reason) => reason,
        }
    }
}

/// Whether a handle would be lost: the old code knows of it, the new one does not.
pub(crate) fn is_lost(was: &Known, is: &Known) -> bool {
    matches!(was, Known::Running | Known::Exited | Known::Recorded)
        && matches!(is, Known::Lost(_) | Known::Unknown(_) | Known::Error(_))
}

/// Of other code, the one that is still to be asked beside `next`: each once, and none whose handles
/// `next` reads all.
pub(crate) fn kept_beside(next: &Stamp, others: impl IntoIterator<Item = Stamp>) -> Vec<Stamp> {
    let mut kept: Vec<Stamp> = Vec::new();
    for other in others {
        let is_there = other.id == next.id || kept.iter().any(|kept| kept.id == other.id);
        if !is_there && !next.reads_all_of(&other) {
            kept.push(other);
        }
    }
    kept
}

/// What a start tries, in this order: what served, else what would have been put back.
pub(crate) fn revival(record: &Record) -> Vec<Stamp> {
    let fallback = record
        .probation
        .as_ref()
        .and_then(|probation| probation.fallback.as_ref());
    let mut order: Vec<Stamp> = Vec::new();
    for stamp in [&record.active]
        .into_iter()
        .chain(fallback)
        .chain(&record.proven)
    {
        let is_banned = stamp.id != record.active.id && record.ban(stamp.id).is_some();
        if !is_banned && !order.iter().any(|other| other.id == stamp.id) {
            order.push(stamp.clone());
        }
    }
    order
}

/// Whether what cannot be loaded any more is itself to blame. What the machine lacks may be there at
/// the next start.
pub(crate) fn is_its_own_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Storage | Code::DoesNotLink | Code::Describe | Code::BadManifest
    )
}

/// What is worth knowing when this version follows that one.
pub(crate) fn versions_remark(from: &str, to: &str) -> Option<String> {
    (by_number(to, from) == Ordering::Less).then(|| format!("it goes back from {from} to {to}"))
}

/// Compares two versions number by number, as far as they have numbers.
fn by_number(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        core.split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(one).cmp(&numbers(other))
}

/// `1 handle`, `3 handles`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
