//! One look at one file: whose it is, whether it is a request, and what becomes of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet_model::swap::{SwapCause, SwapVerdict};

use super::desk::Looked;
use super::facts::Facts;
use crate::digest::Digest;
use crate::folder::{Candidate, MAX_COMPONENT_BYTES, read, twins};
use crate::generation::GenerationId;
use crate::refused::{Refused, blocking};
use crate::swap::newcomer::Newcomer;
use crate::swap::options::SwapOptions;
use crate::swap::plan::{self, Appearance, Arrival, Whose};
use crate::swap::requests::is_same;
use crate::swap::shared::Shared;
use crate::swap::slot::{Remark, Slot};

/// What was read of a file.
struct Letter {
    candidate: Candidate,
    component: Result<Vec<u8>, Refused>,
    /// What it is known by, also where it cannot be read.
    id: GenerationId,
}

/// Looks at a file that looked like this.
pub(super) async fn consider(
    shared: Arc<Shared>,
    folder: PathBuf,
    file: String,
    facts: Facts,
    files: Vec<String>,
) -> Looked {
    let path = folder.join(&file);
    let (read_from, read_path) = (folder.clone(), path.clone());
    let Ok(letter) = blocking(move || Ok(open(&read_from, &read_path))).await else {
        return Looked::Changed;
    };
    // Replaced or written while it was read: it may be half of each.
    if Facts::of(&path) != facts {
        return Looked::Changed;
    }
    let has_twins = has_twins(&shared, &folder, &letter.candidate, &files).await;
    let name = letter.candidate.manifest_name().cloned();
    let slots: Vec<Arc<Slot>> = shared
        .slots()
        .into_iter()
        .filter(|slot| slot.backend().is_some())
        .collect();
    let brought = slots.iter().find(|slot| slot.record().file == file);
    let by_name = slots
        .iter()
        .find(|slot| Some(&slot.plugin) == name.as_ref());
    let brought_by = by_name.map(|slot| slot.record().file);
    let whose = plan::whose(&Arrival {
        file: &file,
        name: name.as_ref(),
        brought: brought.map(|slot| &slot.plugin),
        brought_by: brought_by.as_deref(),
        is_that_there: brought_by.as_ref().is_some_and(|by| files.contains(by)),
        has_twins,
    });
    tracing::debug!(file, ?whose, "a file lies still");
    match (whose, brought, by_name) {
        (Whose::Offer(_), Some(slot), _) => offer(shared, slot, letter, None).await,
        (Whose::Object(_, refused), Some(slot), _)
        | (Whose::Object(_, refused), None, Some(slot)) => {
            offer(shared, slot, letter, Some(refused)).await
        }
        (Whose::Move(_), _, Some(slot)) => {
            move_to(&shared, slot, &file).await;
            offer(shared, slot, letter, None).await
        }
        (Whose::Twins, ..) => {
            refuse_twins(&shared, &folder, &letter.candidate, &files).await;
            Looked::Done
        }
        _ => install(&shared, letter).await,
    }
}

fn open(folder: &Path, path: &Path) -> Letter {
    let candidate = Candidate::at(folder, path);
    let component = read(folder, path, MAX_COMPONENT_BYTES);
    let of_reason = |refused: &Refused| Digest::of(refused.message.as_bytes());
    let id = GenerationId {
        component: match &component {
            Ok(bytes) => Digest::of(bytes),
            Err(refused) => of_reason(refused),
        },
        manifest: match &candidate.manifest {
            Ok(manifest) => manifest.digest,
            Err(refused) => of_reason(refused),
        },
    };
    Letter {
        candidate,
        component,
        id,
    }
}

/// The other files that have its name, of those that bring nothing that serves.
async fn twins_of(folder: &Path, candidate: &Candidate, files: &[String]) -> Vec<String> {
    let Some(name) = candidate.manifest_name().cloned() else {
        return Vec::new();
    };
    let others: Vec<PathBuf> = files
        .iter()
        .filter(|other| **other != candidate.file)
        .map(|other| folder.join(other))
        .collect();
    let folder = folder.to_owned();
    let work = move || {
        let others = others.iter().filter(|other| other.exists());
        let others = others.map(|other| Candidate::at(&folder, other));
        let twins = others.filter(|other| other.manifest_name() == Some(&name));
        Ok(twins.map(|other| other.file).collect())
    };
    blocking(work).await.unwrap_or_default()
}

async fn has_twins(
    shared: &Shared,
    folder: &Path,
    candidate: &Candidate,
    files: &[String],
) -> bool {
    // Beside one that serves only the newcomer is refused.
    let serves = candidate
        .manifest_name()
        .and_then(|name| shared.slot(name))
        .is_some_and(|slot| slot.backend().is_some());
    !serves && !twins_of(folder, candidate, files).await.is_empty()
}

/// None of them is used.
async fn refuse_twins(shared: &Shared, folder: &Path, candidate: &Candidate, files: &[String]) {
    let Some(name) = candidate.manifest_name() else {
        return;
    };
    let mut all = twins_of(folder, candidate, files).await;
    all.push(candidate.file.clone());
    all.sort();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let reason = twins(name, &names);
    for file in &all {
        shared
            .loader
            .registry
            .discovered(file, name.as_str(), &shared.node_name);
        shared.loader.reject(file, &reason);
    }
}

/// It brings a plugin that does not serve. What is written down of one that served goes first: what kept
/// it from being loaded may be mended. Then the file is looked at once more, as one for what serves.
async fn install(shared: &Arc<Shared>, letter: Letter) -> Looked {
    let Letter { candidate, id, .. } = letter;
    let dead = match candidate.manifest_name() {
        Some(name) => shared.slot(name),
        None => shared
            .slots()
            .into_iter()
            .find(|slot| slot.record().file == candidate.file),
    };
    let mut turn = None;
    if let Some(slot) = &dead {
        turn = slot.turn();
        if turn.is_none() {
            return Looked::Busy;
        }
        if slot.backend().is_some() || is_back(shared, slot).await {
            return Looked::Changed;
        }
        let record = slot.record();
        let is_it = record.active.id.component == id.component;
        // What served before is put back into service; what is not new here stays where it is.
        if !is_it && record.seen.get(&candidate.file) == Some(&id) {
            return Looked::Done;
        }
    }
    let (file, name) = (candidate.file.clone(), candidate.name());
    shared
        .loader
        .registry
        .discovered(&file, &name, &shared.node_name);
    if let Err(refused) = shared.install(&candidate).await {
        shared.loader.reject(&file, &refused.message);
    }
    drop(turn);
    Looked::Done
}

/// Whether what is written down serves again.
async fn is_back(shared: &Arc<Shared>, slot: &Arc<Slot>) -> bool {
    let back = shared.revive(slot).await;
    if let Err(refused) = &back {
        shared.loader.reject(&slot.record().file, &refused.message);
    }
    back.is_ok()
}

/// It is for a plugin that serves.
async fn offer(
    shared: Arc<Shared>,
    slot: &Arc<Slot>,
    letter: Letter,
    objection: Option<Refused>,
) -> Looked {
    let Letter {
        candidate,
        component,
        id,
    } = letter;
    let file = candidate.file.clone();
    let Some(serving) = shared.serving(slot) else {
        return Looked::Done;
    };
    let is_same = objection.is_none()
        && candidate
            .manifest
            .as_ref()
            .is_ok_and(|manifest| is_same(&serving.generation, id.component, &manifest.manifest));
    drop(serving);
    let record = slot.record();
    let seen = record
        .seen
        .get(&file)
        .copied()
        .filter(|_| !slot.was_gone(&file));
    let is_own = record.file == file;
    match plan::appearance(id, is_same, seen, slot.refused(&file)) {
        Appearance::Serves => {
            shared.loader.registry.newcomer(&file, None);
            slot.set_refused(&file, None);
            slot.set_decided(&file, id);
            if is_own {
                shared.remark(slot, Remark::File, None);
            }
            Looked::Done
        }
        Appearance::Known => {
            if is_own && slot.refused(&file) != Some(id) {
                let version = candidate
                    .manifest
                    .as_ref()
                    .map_or("?", |manifest| manifest.manifest.version.as_str());
                let text = format!(
                    "{file} in the plugin folder is version {version} ({}), which was decided on before: what serves is another. `fleet-host plugin swap {} FILE` takes it all the same, \
                     and so does the folder when the file is removed and comes again",
                    short(id.component),
                    slot.plugin
                );
                shared.remark(slot, Remark::File, Some(text));
            }
            Looked::Done
        }
        Appearance::New => {
            let Some(turn) = slot.turn() else {
                return Looked::Busy;
            };
            if is_own {
                shared.remark(slot, Remark::File, None);
            }
            let newcomer = Newcomer {
                component,
                manifest: candidate.manifest,
                seen: Some((file.clone(), id)),
                objection,
            };
            let options = SwapOptions::default();
            let report = shared
                .bring(slot.clone(), newcomer, SwapCause::File, options, turn)
                .await;
            // What the host had no room for is a request again when the file is touched.
            let was_decided =
                report.verdict == SwapVerdict::Active || slot.refused(&file) == Some(id);
            if was_decided {
                slot.set_decided(&file, id);
            }
            Looked::Done
        }
    }
}

/// A plugin's own file is gone and another brings it.
async fn move_to(shared: &Shared, slot: &Arc<Slot>, file: &str) {
    let _book = slot.book.lock().await;
    let mut record = slot.record();
    let before = std::mem::replace(&mut record.file, file.to_owned());
    if let Err(refused) = shared.write(slot, record).await {
        tracing::warn!(plugin = %slot.plugin, "the new place of its file is not written down: {refused}");
        return;
    }
    if let Some(backend) = slot.backend() {
        backend.set_file(file);
    }
    shared.loader.registry.renamed(&before, file);
    slot.set_refused(file, None);
    shared.remark(slot, Remark::File, None);
    shared.show_bans(slot);
}

/// The first digits of a digest.
fn short(digest: Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
