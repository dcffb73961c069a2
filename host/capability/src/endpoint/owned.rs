//! What was made through an endpoint and whose it is, durably.
//!
//! One file per thing, written before the plugin hears of it: `ENDPOINT/owned/HASH.json`. The nonces of
//! writes lie in `ENDPOINT/nonces/WORKLOAD.json`, written before anything is sent, so that what a lost
//! answer left behind can be known again. Answers to requests that are sent once per op lie in
//! `ENDPOINT/answers/HASH.json` until what they made is released.
//!
//! Calls that change something block on the disk, one at a time. Looks do not: they are made for each
//! request, where nothing may wait, and wait for memory alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fleet_model::{Error, Name, Op};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::facts::{Owner, Ownership};
use crate::{durable, fault};

/// How many nonces of one workload are kept; the oldest go first.
const NONCES: usize = 64;
/// How long nonces of a workload that owns nothing are kept.
const NONCE_MS: u64 = 30 * DAY_MS;
/// How often it is looked for nonces that are kept no longer.
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// Something made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thing {
    pub(crate) plugin: Name,
    pub(crate) sort: String,
    pub(crate) id: String,
    pub(crate) workload: String,
    /// The sort and id of what it lives in.
    #[serde(default)]
    pub(crate) parent: Option<(String, String)>,
    /// The op it was made under.
    pub(crate) op: String,
    /// The streams of it that were begun, by rule and path.
    #[serde(default)]
    pub(crate) begun: BTreeSet<String>,
}

/// A nonce and the create it was drawn for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nonce {
    pub(crate) plugin: Name,
    pub(crate) op: Op,
    pub(crate) nonce: String,
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
}

/// What an op was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// What was made, by sort and id.
    pub(crate) made: Option<(String, String)>,
}

/// All that is known of one endpoint.
pub(crate) struct Book {
    root: PathBuf,
    /// Held by whoever changes something, for as long as the disk takes.
    writing: Mutex<Written>,
    /// Held for no longer than memory takes.
    known: RwLock<Known>,
}

/// What only those who change something know.
#[derive(Default)]
struct Written {
    /// When nonces were last pruned, in Unix milliseconds.
    pruned_at_ms: u64,
}

#[derive(Default)]
struct Known {
    things: BTreeMap<(String, String), Thing>,
    nonces: BTreeMap<String, Vec<Nonce>>,
    answers: BTreeMap<String, Answer>,
}

impl Book {
    /// Reads what is there.
    ///
    /// # Errors
    /// Where the disk refuses, or a file is not what this host wrote.
    pub(crate) fn open(root: &Path, now_ms: u64) -> Result<Self, Error> {
        let read = || -> io::Result<Known> {
            for part in ["owned", "nonces", "answers"] {
                durable::make_folder(&root.join(part))?;
            }
            let things = all::<Thing>(&root.join("owned"))?.into_values();
            Ok(Known {
                things: things.map(|thing| (thing.key(), thing)).collect(),
                nonces: all(&root.join("nonces"))?,
                answers: all(&root.join("answers"))?,
            })
        };
        let book = Self {
            root: root.to_owned(),
            writing: Mutex::default(),
            known: RwLock::new(read().map_err(|error| fault::storage("read", root, &error))?),
        };
        book.prune(&mut book.turn(), now_ms)?;
        Ok(book)
    }

    /// What a plugin owns.
    pub(crate) fn of<'a>(&'a self, plugin: &'a Name) -> Owned<'a> {
        Owned { book: self, plugin }
    }

    /// Something was made.
    ///
    /// # Errors
    /// `conflict` (`owned-elsewhere`) where it is another's already; `not-found` (`gone`) where what it lives
    /// in was released meanwhile; where the disk refuses.
    pub(crate) fn learn(&self, thing: &Thing) -> Result<(), Error> {
        let _turn = self.turn();
        {
            let known = self.known();
            if let Some(there) = known.things.get(&thing.key()) {
                if (&there.plugin, &there.workload) == (&thing.plugin, &thing.workload) {
                    return Ok(());
                }
                return Err(Error::conflict(
                    "owned-elsewhere",
                    format!(
                        "the {} {} was made for another workload: the service gave one id twice",
                        thing.sort, thing.id
                    ),
                ));
            }
            if let Some(parent) = &thing.parent
                && !known.things.contains_key(parent)
            {
                return Err(released(&parent.0, &parent.1));
            }
        }
        self.write("owned", &file_of(&[&thing.sort, &thing.id]), thing)?;
        self.change().things.insert(thing.key(), thing.clone());
        Ok(())
    }

    /// It is gone, and what lives in it. Answers what went, by sort and id.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn release(&self, sort: &str, id: &str) -> Result<Vec<(String, String)>, Error> {
        let _turn = self.turn();
        let mut gone = vec![(sort.to_owned(), id.to_owned())];
        let mut next = 0;
        while let Some(parent) = gone.get(next).cloned() {
            let known = self.known();
            let inside = known.things.values();
            let inside = inside.filter(|thing| thing.parent.as_ref() == Some(&parent));
            let inside: Vec<_> = inside
                .map(Thing::key)
                .filter(|key| !gone.contains(key))
                .collect();
            gone.extend(inside);
            next += 1;
        }
        // Inside out: what is left after a crash still knows what it lives in.
        for key in gone.iter().rev() {
            let answers: Vec<String> = self
                .known()
                .answers
                .iter()
                .filter(|(_, answer)| answer.made.as_ref() == Some(key))
                .map(|(file, _)| file.clone())
                .collect();
            for file in answers {
                self.remove("answers", &format!("{file}.json"))?;
                self.change().answers.remove(&file);
            }
            let is_there = self.known().things.contains_key(key);
            if is_there {
                self.remove("owned", &file_of(&[&key.0, &key.1]))?;
                self.change().things.remove(key);
            }
        }
        Ok(gone)
    }

    /// The nonce of an op: what was written down for it, else this fresh one, durably.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn nonce(
        &self,
        plugin: &Name,
        op: &Op,
        fresh: impl FnOnce() -> String,
        now_ms: u64,
    ) -> Result<String, Error> {
        let mut turn = self.turn();
        if turn.pruned_at_ms.saturating_add(DAY_MS) <= now_ms {
            self.prune(&mut turn, now_ms)?;
        }
        let workload = &op.item.key;
        let list = self.known().nonces.get(workload).cloned();
        let mut list = list.unwrap_or_default();
        let there = list.iter().find(|n| &n.plugin == plugin && &n.op == op);
        if let Some(there) = there {
            return Ok(there.nonce.clone());
        }
        let nonce = fresh();
        list.push(Nonce {
            plugin: plugin.clone(),
            op: op.clone(),
            nonce: nonce.clone(),
            at_ms: now_ms,
        });
        let surplus = list.len().saturating_sub(NONCES);
        list.drain(..surplus);
        self.write("nonces", &format!("{workload}.json"), &list)?;
        self.change().nonces.insert(workload.clone(), list);
        Ok(nonce)
    }

    /// Forgets the nonces that are kept no longer.
    fn prune(&self, turn: &mut Written, now_ms: u64) -> Result<(), Error> {
        let stale = self.known().stale(now_ms);
        for workload in stale {
            self.remove("nonces", &format!("{workload}.json"))?;
            self.change().nonces.remove(&workload);
        }
        turn.pruned_at_ms = now_ms;
        Ok(())
    }

    /// The nonces of a workload that were drawn for a plugin.
    pub(crate) fn nonces(&self, plugin: &Name, workload: &str) -> Vec<Nonce> {
        let known = self.known();
        let list = known.nonces.get(workload).into_iter().flatten();
        list.filter(|nonce| &nonce.plugin == plugin)
            .cloned()
            .collect()
    }

    /// What this was answered before.
    pub(crate) fn answer(&self, name: &str) -> Option<Answer> {
        self.known().answers.get(name).cloned()
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn keep(&self, name: &str, answer: Answer) -> Result<(), Error> {
        let _turn = self.turn();
        self.write("answers", &format!("{name}.json"), &answer)?;
        self.change().answers.insert(name.to_owned(), answer);
        Ok(())
    }

    /// Writes down that a stream of a thing is about to be begun.
    ///
    /// # Errors
    /// `conflict` (`stream-begun`) where it was before; where the disk refuses.
    pub(crate) fn begin(&self, sort: &str, id: &str, stream: &str) -> Result<(), Error> {
        let _turn = self.turn();
        let key = (sort.to_owned(), id.to_owned());
        let thing = self.known().things.get(&key).cloned();
        let mut thing = thing.ok_or_else(|| released(sort, id))?;
        if !thing.begun.insert(stream.to_owned()) {
            return Err(Error::conflict(
                "stream-begun",
                format!(
                    "this stream of the {sort} {id} was begun before and is not held any more: it cannot be begun twice"
                ),
            ));
        }
        self.write("owned", &file_of(&[sort, id]), &thing)?;
        self.change().things.insert(key, thing);
        Ok(())
    }

    /// It was not begun after all.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn not_begun(&self, sort: &str, id: &str, stream: &str) -> Result<(), Error> {
        let _turn = self.turn();
        let key = (sort.to_owned(), id.to_owned());
        let thing = self.known().things.get(&key).cloned();
        if let Some(mut thing) = thing
            && thing.begun.remove(stream)
        {
            self.change().things.insert(key, thing.clone());
            self.write("owned", &file_of(&[sort, id]), &thing)?;
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, Written> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, part: &str, file: &str, value: &impl Serialize) -> Result<(), Error> {
        let folder = self.root.join(part);
        durable::replace(&folder, file, value)
            .map_err(|error| fault::storage("write in", &folder, &error))
    }

    fn remove(&self, part: &str, file: &str) -> Result<(), Error> {
        let folder = self.root.join(part);
        remove(&folder, file).map_err(|error| fault::storage("remove in", &folder, &error))
    }
}

impl Known {
    /// The workloads whose nonces nobody will ask for.
    fn stale(&self, now_ms: u64) -> Vec<String> {
        let is_stale = |workload: &str, list: &[Nonce]| {
            let newest = list.iter().map(|nonce| nonce.at_ms).max();
            newest.unwrap_or_default().saturating_add(NONCE_MS) < now_ms
                && !self.things.values().any(|thing| thing.workload == workload)
        };
        let stale = self
            .nonces
            .iter()
            .filter(|(workload, list)| is_stale(workload, list));
        stale.map(|(workload, _)| workload.clone()).collect()
    }
}

fn released(sort: &str, id: &str) -> Error {
    Error::not_found("gone", format!("the {sort} {id} was released"))
}

impl Thing {
    fn key(&self) -> (String, String) {
        (self.sort.clone(), self.id.clone())
    }
}

/// What one plugin owns of an endpoint.
pub(crate) struct Owned<'a> {
    book: &'a Book,
    plugin: &'a Name,
}

impl Ownership for Owned<'_> {
    fn owner(&self, sort: &str, id: &str) -> Option<Owner> {
        let known = self.book.known();
        let thing = known.things.get(&(sort.to_owned(), id.to_owned()))?;
        (&thing.plugin == self.plugin).then(|| Owner {
            workload: thing.workload.clone(),
            parent: thing.parent.as_ref().map(|(_, id)| id.clone()),
        })
    }
}

/// The name of what these texts are together.
pub(crate) fn name_of(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    let hash = hasher.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_of(texts: &[&str]) -> String {
    format!("{}.json", name_of(texts))
}

/// Every file of a folder, by its name without `.json`. What a crash left half written is skipped.
fn all<T: serde::de::DeserializeOwned>(folder: &Path) -> io::Result<BTreeMap<String, T>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        if let Some(name) = name.strip_suffix(".json")
            && let Some(value) = durable::read(&entry.path())?
        {
            found.insert(name.to_owned(), value);
        }
    }
    Ok(found)
}

fn remove(folder: &Path, file: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(file)) {
        Ok(()) => durable::sync_folder(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "owned_tests.rs"]
mod tests;
