//! Asks new code what it knows of what is running, before it serves.
//!
//! Both the code that is asked about a handle now and the new one are asked, with imports that can only
//! look. What the one knows and the other does not is asked about a second time, as it is recorded
//! then: meanwhile it may have ended or gone. What no old code can be asked about counts as there, for it
//! is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_model::driver::Handle;
use fleet_model::swap::{Adoption, FailedHandle, HandleCounts};

use super::live::Live;
use super::plan::{Known, is_lost};
use crate::backend::RECOVER_AT_ONCE;
use crate::call::Call;
use crate::convert::{from_guest, to_guest};
use crate::gate::Gate;
use crate::generation::PluginGeneration;
use crate::state::Scope;

/// How many handles that are not adopted are named.
const MOST_NAMED: usize = 20;
/// How many of some that are asked about together must be lost twice before it is clear.
const ENOUGH: usize = 3;

/// What became of live handles.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    pub(crate) counts: HandleCounts,
    /// The first that were not adopted.
    pub(crate) failed: Vec<FailedHandle>,
}

/// Who is asked now.
#[derive(Clone, Copy)]
pub(crate) enum Before<'a> {
    /// What serves, and beside it what is asked about the handles that this does not read.
    Code {
        active: &'a PluginGeneration,
        kept: &'a [&'a PluginGeneration],
    },
    /// Nobody: nothing of it could be loaded.
    Nothing,
}

/// Code that is asked, and what it may do meanwhile: look.
struct Asked<'a> {
    generation: &'a PluginGeneration,
    scope: Arc<Scope>,
    gate: Gate,
}

/// All code that is asked.
struct Both<'a> {
    /// What serves comes first; none where nothing does.
    old: Vec<Asked<'a>>,
    new: Asked<'a>,
}

/// Who answers for a handle now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Nobody,
    /// This one of the old code.
    Old(usize),
}

/// One handle with its item.
type Held<'a> = (&'a Live, &'a Handle);

/// Asks about every handle that what serves reads, and every other that would be the new code's. Where
/// all must be adopted it ends with the first that are not.
pub(crate) async fn adopt(
    before: Before<'_>,
    new: &PluginGeneration,
    live: impl Fn() -> Vec<Live> + Sync,
    adoption: Adoption,
) -> Adopted {
    let both = Both::new(before, new);
    let mut adopted = Adopted::default();
    let now = live();
    let mut all: Vec<(Who, Held<'_>)> = held(&now)
        .filter_map(|held| Some((both.who(held.1.schema)?, held)))
        .collect();
    all.sort_by_key(|(who, _)| *who);
    let alike = all.chunk_by(|(one, _), (other, _)| one == other);
    for some in alike.flat_map(|alike| alike.chunks(RECOVER_AT_ONCE)) {
        let Some(&(who, _)) = some.first() else {
            continue;
        };
        let some: Vec<Held<'_>> = some.iter().map(|(_, held)| *held).collect();
        let first = both.compare(who, &some).await;
        let (lost, named) = match first.is_empty() {
            true => (0, Vec::new()),
            false => both.again(&live(), &first).await,
        };
        let counts = &mut adopted.counts;
        counts.looked_at += some.len() as u64;
        counts.failed += lost as u64;
        counts.adopted += some.len().saturating_sub(lost) as u64;
        let room = MOST_NAMED.saturating_sub(adopted.failed.len());
        adopted.failed.extend(named.into_iter().take(room));
        if counts.failed > 0 && adoption == Adoption::Strict {
            break;
        }
    }
    adopted
}

fn held(live: &[Live]) -> impl Iterator<Item = Held<'_>> {
    live.iter()
        .filter_map(|live| Some((live, live.handle.as_ref()?)))
}

impl<'a> Both<'a> {
    fn new(before: Before<'a>, new: &'a PluginGeneration) -> Self {
        let old = match before {
            Before::Code { active, kept } => {
                let all = std::iter::once(active).chain(kept.iter().copied());
                all.map(Asked::new).collect()
            }
            Before::Nothing => Vec::new(),
        };
        Self {
            old,
            new: Asked::new(new),
        }
    }

    /// Who answers for handles of this schema now; nothing where they are no matter of the new code: what
    /// serves does not read them, and neither does it.
    fn who(&self, schema: u32) -> Option<Who> {
        let mut old = self.old.iter();
        let who = match old.position(|old| old.generation.reads(schema)) {
            Some(place) => Who::Old(place),
            None => Who::Nobody,
        };
        let is_its = who == Who::Old(0) || self.new.generation.reads(schema);
        is_its.then_some(who)
    }

    /// The second time: each by itself, for one may take the others along. How many are lost, and some
    /// of them by name; when it is clear that some are, the rest is not asked about again.
    async fn again(&self, live: &[Live], failed: &[FailedHandle]) -> (usize, Vec<FailedHandle>) {
        let now: BTreeMap<String, Held<'_>> = held(live)
            .map(|held| (held.0.item.to_string(), held))
            .collect();
        let (mut found, mut twice) = (0, Vec::new());
        for failed in failed {
            if twice.len() == ENOUGH {
                break;
            }
            // It may be gone.
            let lost = match now.get(&failed.item) {
                None => Vec::new(),
                Some(held) => match self.who(held.1.schema) {
                    None => Vec::new(),
                    Some(who) => self.compare(who, std::slice::from_ref(held)).await,
                },
            };
            if lost.is_empty() {
                found += 1;
            }
            twice.extend(lost);
        }
        (failed.len().saturating_sub(found), twice)
    }

    /// Those of these that would be lost.
    async fn compare(&self, who: Who, some: &[Held<'_>]) -> Vec<FailedHandle> {
        let handles: Vec<&Handle> = some.iter().map(|(_, handle)| *handle).collect();
        let old = match who {
            Who::Old(place) => self.old.get(place),
            Who::Nobody => None,
        };
        let was = match old {
            Some(old) => old.recover(&handles).await,
            None => vec![Known::Recorded; handles.len()],
        };
        let is = self.new.recover(&handles).await;
        let pairs = some.iter().zip(was.iter().zip(&is));
        pairs
            .filter(|(_, (was, is))| is_lost(was, is))
            .map(|((live, _), (was, is))| FailedHandle {
                item: live.item.to_string(),
                name: live.name.clone(),
                was: was.as_str().to_owned(),
                is: is.as_str().to_owned(),
                reason: is.reason().to_owned(),
            })
            .collect()
    }
}

impl<'a> Asked<'a> {
    fn new(generation: &'a PluginGeneration) -> Self {
        Self {
            generation,
            scope: generation.scope.read_only(),
            gate: Gate::new(),
        }
    }

    /// What it knows of these, in order.
    async fn recover(&self, handles: &[&Handle]) -> Vec<Known> {
        let asked = handles.len();
        let told: Vec<_> = handles
            .iter()
            .map(|handle| to_guest::handle(handle))
            .collect();
        let answer = async {
            let callee = &self.generation.callee;
            let place = callee.enter(&self.scope).await?;
            let call = Call::look("recover");
            let answer =
                callee.driver(place, &self.gate, &self.scope, call, move |store, guest| {
                    Box::pin(async move { guest.call_recover(store, &told).await })
                });
            from_guest::recovered(self.scope.intake(), asked, answer.await?)
        };
        match answer.await {
            Ok(seen) => seen.iter().map(Known::of).collect(),
            Err(error) => vec![Known::Error(error.to_string()); asked],
        }
    }
}
