//! Reading a log, chunk by chunk. Blocking: it is called where blocking is allowed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::limits::CHUNK_BYTES;
use super::segment::Place;
use super::{line, segment};
use crate::source::{Frame, Stream};

/// What one read gave.
#[derive(Debug)]
pub(crate) enum Read {
    /// The next frames, at least one.
    Frames(Vec<Frame>),
    /// Nothing more is there now.
    Idle,
    /// Nothing more will come: the end that was asked for, or the log is removed.
    Over,
}

/// One reader's place in a log.
#[derive(Debug)]
pub(crate) struct Reader {
    folder: PathBuf,
    place: Place,
    /// Where to stop; a follower does not.
    until: Option<Place>,
    /// The segment of `place`. It stays readable when rotation removes it.
    file: Option<File>,
}

impl Reader {
    /// A reader from a place on.
    pub(crate) fn new(folder: &Path, place: Place, until: Option<Place>) -> Self {
        Self {
            folder: folder.to_owned(),
            place,
            until,
            file: None,
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self) -> io::Result<Read> {
        loop {
            if self.until.is_some_and(|until| self.place >= until) {
                return Ok(Read::Over);
            }
            if self.file.is_none() {
                match self.enter()? {
                    Entered::Yes => continue,
                    Entered::After(gap) => return Ok(Read::Frames(vec![gap])),
                    Entered::Nothing => return Ok(Read::Idle),
                    Entered::Removed => return Ok(Read::Over),
                }
            }
            let frames = self.next_lines()?;
            if !frames.is_empty() {
                return Ok(Read::Frames(frames));
            }
            if self.has_successor()? {
                // Whatever was written before the successor began is in the file by now; what is
                // left after that, if anything, is a torn line.
                let frames = self.next_lines()?;
                if !frames.is_empty() {
                    return Ok(Read::Frames(frames));
                }
                self.place = Place::start_of(self.place.segment + 1);
                self.file = None;
            } else if self.until.is_some() || !self.folder.exists() {
                return Ok(Read::Over);
            } else {
                return Ok(Read::Idle);
            }
        }
    }

    fn has_successor(&self) -> io::Result<bool> {
        match segment::list(&self.folder) {
            Ok(segments) => Ok(segments
                .last()
                .is_some_and(|last| *last > self.place.segment)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The whole lines of the next chunk; moves on behind them.
    fn next_lines(&mut self) -> io::Result<Vec<Frame>> {
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let chunk = self.chunk(file)?;
        Ok(self.frames(&chunk))
    }

    fn chunk(&self, file: &File) -> io::Result<Bytes> {
        let end = self
            .until
            .filter(|until| until.segment == self.place.segment)
            .map_or(u64::MAX, |until| until.offset);
        let wanted = usize::try_from(end - self.place.offset)
            .unwrap_or(usize::MAX)
            .min(CHUNK_BYTES);
        let mut buffer = vec![0; wanted];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, self.place.offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer.into())
    }

    fn frames(&mut self, chunk: &Bytes) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut start = 0;
        while let Some(length) = chunk
            .get(start..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let text = chunk.slice(start..start + length);
            start += length + 1;
            let place = Place {
                offset: self.place.offset + start as u64,
                ..self.place
            };
            frames.push(frame(&text, place));
        }
        if start == 0 && chunk.len() == CHUNK_BYTES {
            // No line is that long: the file is damaged here.
            start = chunk.len();
            let place = Place {
                offset: self.place.offset + start as u64,
                ..self.place
            };
            frames.push(event(
                format!("{start} bytes of the log are damaged"),
                place,
            ));
        }
        self.place.offset += start as u64;
        frames
    }

    /// Opens the segment of the place, or the oldest one after it.
    fn enter(&mut self) -> io::Result<Entered> {
        match File::open(segment::path(&self.folder, self.place.segment)) {
            Ok(file) => {
                self.file = Some(file);
                return Ok(Entered::Yes);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let segments = match segment::list(&self.folder) {
            Ok(segments) => segments,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entered::Removed),
            Err(error) => return Err(error),
        };
        let Some(next) = segments
            .into_iter()
            .find(|number| *number >= self.place.segment)
        else {
            return Ok(if self.until.is_some() {
                Entered::Removed
            } else {
                Entered::Nothing
            });
        };
        let missing = next - self.place.segment;
        self.place = Place::start_of(next);
        if missing == 0 {
            // It appeared between the two looks.
            return Ok(Entered::Yes);
        }
        let what = match missing {
            1 => "1 segment of the log is".to_owned(),
            _ => format!("{missing} segments of the log are"),
        };
        Ok(Entered::After(event(
            format!("{what} gone: its limit left no room for older output"),
            self.place,
        )))
    }
}

enum Entered {
    Yes,
    After(Frame),
    Nothing,
    Removed,
}

fn frame(text: &Bytes, next: Place) -> Frame {
    match line::parse(text) {
        None => event(format!("{} bytes of the log are damaged", text.len()), next),
        Some(line) => Frame {
            stream: line.stream,
            time_us: u64::try_from(line.time.as_microsecond()).ok(),
            bytes: text.slice_ref(line.bytes),
            complete: line.complete,
            cursor: Some(next.to_string()),
        },
    }
}

fn event(text: String, next: Place) -> Frame {
    Frame {
        stream: Stream::Event,
        time_us: None,
        bytes: text.into(),
        complete: true,
        cursor: Some(next.to_string()),
    }
}
