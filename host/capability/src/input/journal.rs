//! The journal on the disk: appended to and synced, and put in place anew when it has grown.
//!
//! A line that a crash tore is passed over, and the journal is put in place anew before anything
//! follows it. Of an append that failed nothing stays: it is cut off, or, where the disk refuses even
//! that, goes when the journal is put in place anew, which is tried until it is done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::book::{Book, Record};
use super::limits::CALLS;
use super::message::Digest;
use crate::durable::{self, Rest};

/// A journal smaller than this is left as it is.
const SMALL_BYTES: u64 = 1024 * 1024;

/// How many calls more than are remembered may gather before they are forgotten.
const SLACK: usize = 1_000;

/// About how many bytes a call takes beside its command.
const CALL_BYTES: u64 = 512;

/// The one writer of a workload's journal.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    /// Absent until it is put in place anew.
    file: Option<File>,
    size: u64,
    /// What a failed append has left in it.
    rest: Rest,
}

impl Journal {
    /// The journal of a workload and what it says. Touches nothing.
    pub(crate) fn open(workload: &Path) -> io::Result<(Self, Book)> {
        let folder = folder(workload);
        let (book, whole) = read(&folder)?;
        let file = match whole {
            Some(_) => Some(OpenOptions::new().append(true).open(path(&folder))?),
            None => None,
        };
        let size = whole.unwrap_or(0);
        let journal = Self {
            folder,
            file,
            size,
            rest: Rest::Nothing,
        };
        Ok((journal, book))
    }

    /// Whether it must be put in place anew before it is appended to.
    pub(crate) fn is_worn(&self, book: &Book) -> bool {
        let alive = book.len() as u64 * CALL_BYTES + book.waiting_bytes() as u64 * 2;
        self.file.is_none()
            || book.len() > CALLS + SLACK
            || (self.size > SMALL_BYTES && self.size > 2 * alive)
    }

    /// Whether something that was refused may stand in it.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.rest == Rest::Unknown
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts it in place anew with these records, durably.
    pub(crate) fn rewrite(&mut self, records: impl Iterator<Item = Record>) -> io::Result<()> {
        self.file = None;
        durable::make_folder(&self.folder)?;
        let temporary = self.folder.join(".journal");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        let text = lines(records)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, path(&self.folder))?;
        durable::sync_folder(&self.folder)?;
        if let Some(workload) = self.folder.parent() {
            durable::sync_folder(workload)?;
        }
        self.rest = Rest::Nothing;
        self.size = text.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Adds records, durably, or none of them. After a failure it must be put in place anew.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let text = lines(records.iter().cloned())?;
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the journal is not in place"));
        };
        durable::append(&mut file, self.size, &text, || ()).map_err(|not| {
            self.rest = not.rest;
            not.error
        })?;
        self.size += text.len() as u64;
        self.file = Some(file);
        Ok(())
    }
}

/// What was taken under a call, by anybody who may read.
pub(crate) fn find(workload: &Path, call: &str) -> io::Result<Option<Digest>> {
    let (book, _) = read(&folder(workload))?;
    Ok(book.find(call).cloned())
}

fn folder(workload: &Path) -> PathBuf {
    workload.join("input")
}

fn path(folder: &Path) -> PathBuf {
    folder.join("journal")
}

/// What the journal says, and its size if it can be appended to.
fn read(folder: &Path) -> io::Result<(Book, Option<u64>)> {
    let mut book = Book::default();
    let text = match fs::read(path(folder)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((book, None)),
        Err(error) => return Err(error),
    };
    let mut is_whole = true;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let record = line
            .strip_suffix(b"\n")
            .map(serde_json::from_slice::<Record>);
        match record {
            Some(Ok(record)) => book.apply(record),
            Some(Err(_)) | None => is_whole = false,
        }
    }
    Ok((book, is_whole.then_some(text.len() as u64)))
}

fn lines(records: impl Iterator<Item = Record>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, &record)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use fleet_model::Generation;

    use super::super::book::Take;
    use super::super::message::Bytes64;
    use super::*;

    fn take(number: u64) -> Record {
        let bytes = number.to_string().into_bytes();
        Record::Take(Take {
            number,
            call: format!("call-{number}"),
            digest: Digest::of(&bytes),
            generation: Generation(1),
            at_ms: 1,
            bytes: Some(Bytes64(bytes)),
        })
    }

    fn due(book: &Book) -> Vec<u64> {
        book.due(Generation(1), 1_000)
    }

    #[test]
    fn what_was_appended_is_found_again() {
        let workload = tempfile::tempdir().unwrap();
        let (mut journal, book) = Journal::open(workload.path()).unwrap();
        assert!(journal.is_worn(&book));
        assert!(!folder(workload.path()).exists());
        journal.rewrite(book.records()).unwrap();
        journal.append(&[take(1), Record::Begin(vec![1])]).unwrap();
        journal.append(&[take(2)]).unwrap();
        let (mut again, book) = Journal::open(workload.path()).unwrap();
        assert!(!again.is_worn(&book));
        again.append(&[take(3)]).unwrap();
        let (_, book) = Journal::open(workload.path()).unwrap();
        assert_eq!((book.len(), due(&book)), (3, vec![2, 3]));
        assert_eq!(
            find(workload.path(), "call-1").unwrap(),
            Some(Digest::of(b"1"))
        );
        assert_eq!(find(workload.path(), "other").unwrap(), None);
    }

    #[test]
    fn a_tail_torn_at_any_byte_loses_nothing_before_it_and_nothing_after() {
        let workload = tempfile::tempdir().unwrap();
        let path = path(&folder(workload.path()));
        let (mut journal, book) = Journal::open(workload.path()).unwrap();
        journal.rewrite(book.records()).unwrap();
        journal.append(&[take(1)]).unwrap();
        let answered = fs::read(&path).unwrap().len();
        journal.append(&[take(2), Record::Begin(vec![1])]).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in answered..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, book) = Journal::open(workload.path()).unwrap();
            assert!(book.find("call-1").is_some());
            if journal.is_worn(&book) {
                journal.rewrite(book.records()).unwrap();
            }
            journal.append(&[take(9)]).unwrap();
            let (journal, after) = Journal::open(workload.path()).unwrap();
            assert!(!journal.is_worn(&after));
            assert_eq!(due(&after), [due(&book), vec![9]].concat(), "{length}");
        }
    }

    #[test]
    fn a_journal_that_has_grown_is_worn() {
        let workload = tempfile::tempdir().unwrap();
        let (mut journal, mut book) = Journal::open(workload.path()).unwrap();
        journal.rewrite(book.records()).unwrap();
        let large = |number| {
            let bytes = vec![0; 600_000];
            Record::Take(Take {
                number,
                call: number.to_string(),
                digest: Digest::of(&bytes),
                generation: Generation(1),
                at_ms: 1,
                bytes: Some(Bytes64(bytes)),
            })
        };
        for number in 1..=2 {
            let records = [large(number), Record::Begin(vec![number])];
            journal.append(&records).unwrap();
            records.into_iter().for_each(|record| book.apply(record));
        }
        assert!(journal.is_worn(&book));
        journal.rewrite(book.records()).unwrap();
        assert!(!journal.is_worn(&book));
        let size = fs::metadata(path(&folder(workload.path()))).unwrap().len();
        assert!(size < 1_000, "{size}");
        let (_, book) = Journal::open(workload.path()).unwrap();
        assert_eq!((book.len(), due(&book).len()), (2, 0));
    }

    #[test]
    fn of_what_was_refused_nothing_is_found_again() {
        let workload = tempfile::tempdir().unwrap();
        let (mut journal, mut book) = Journal::open(workload.path()).unwrap();
        book.apply(take(1));
        let first = book.next();
        book.apply(take(2));
        // Put in place anew before the new ones are added: they are not in it yet.
        journal.rewrite(book.records_before(first)).unwrap();
        // A file that takes nothing, and cannot be cut either.
        journal.file = Some(File::open(path(&folder(workload.path()))).unwrap());
        journal.append(&[take(2)]).unwrap_err();
        assert!(journal.is_in_doubt() && journal.is_worn(&book));
        let (_, found) = Journal::open(workload.path()).unwrap();
        assert!(found.find("call-1").is_some() && found.find("call-2").is_none());
        book.undo(2);
        journal.rewrite(book.records()).unwrap();
        assert!(!journal.is_in_doubt());
        let (_, found) = Journal::open(workload.path()).unwrap();
        assert_eq!(due(&found), [1]);
    }
}
