//! Output of a program beside a workload: bytes on two streams, with one count over both.

use fleet_capability::{Frame, Stream};

use super::{Met, unmet};

/// What was read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The places at which a piece ended, each with what had been read by then.
    pub(crate) places: Vec<Place>,
}

/// A place to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    stdout: usize,
    stderr: usize,
}

impl Output {
    /// Takes a piece. `after` is how much was known before the first one. A piece without a place to go
    /// on from is of a source that has none at all.
    pub(crate) fn take(&mut self, frame: &Frame, after: u64) -> Met {
        match frame.stream {
            Stream::Stdout => self.stdout.extend_from_slice(&frame.bytes),
            Stream::Stderr => self.stderr.extend_from_slice(&frame.bytes),
            Stream::Event => return Ok(()),
        }
        let read = (self.stdout.len() + self.stderr.len()) as u64;
        let counted = after.saturating_add(read);
        let offset = match frame.cursor.as_deref().map(str::parse::<u64>) {
            Some(Ok(offset)) if offset == counted => offset,
            _ => {
                let saw = frame.cursor.as_deref().unwrap_or("none");
                return unmet(format!("the cursor {counted}, the bytes so far"), saw);
            }
        };
        self.places.push(Place {
            offset,
            stdout: self.stdout.len(),
            stderr: self.stderr.len(),
        });
        Ok(())
    }

    /// Whether each stream holds exactly these lines.
    pub(crate) fn is(&self, stdout: &[String], stderr: &[String]) -> Met {
        for (name, lines, found) in [
            ("stdout", stdout, &self.stdout),
            ("stderr", stderr, &self.stderr),
        ] {
            let wanted = text(lines);
            if wanted.as_bytes() != found.as_slice() {
                let found = String::from_utf8_lossy(found);
                return unmet(format!("on {name} {wanted:?}"), format!("{found:?}"));
            }
        }
        Ok(())
    }

    /// Whether stdout begins with these lines.
    pub(crate) fn begins(&self, stdout: &[String]) -> bool {
        self.stdout.starts_with(text(stdout).as_bytes())
    }

    /// Whether `rest` is what follows a place.
    pub(crate) fn goes_on(&self, place: &Place, rest: &Self) -> Met {
        let after = |bytes: &[u8], from: usize| bytes.get(from..).unwrap_or_default().to_vec();
        for (name, wanted, found) in [
            ("stdout", after(&self.stdout, place.stdout), &rest.stdout),
            ("stderr", after(&self.stderr, place.stderr), &rest.stderr),
        ] {
            if wanted != *found {
                let (wanted, found) = (
                    String::from_utf8_lossy(&wanted),
                    String::from_utf8_lossy(found),
                );
                return unmet(
                    format!("after byte {} on {name} {wanted:?}", place.offset),
                    format!("{found:?}"),
                );
            }
        }
        Ok(())
    }
}

fn text(lines: &[String]) -> String {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: Stream, text: &str, cursor: u64) -> Frame {
        Frame {
            stream,
            time_us: None,
            bytes: text.to_owned().into(),
            complete: false,
            cursor: Some(cursor.to_string()),
        }
    }

    #[test]
    fn output_is_counted_over_both_streams_and_goes_on_anywhere() {
        let mut all = Output::default();
        all.take(&frame(Stream::Stdout, "a\n", 2), 0).unwrap();
        all.take(&frame(Stream::Stderr, "x\n", 4), 0).unwrap();
        all.take(&frame(Stream::Stdout, "b\n", 6), 0).unwrap();
        let lines = |lines: &[&str]| -> Vec<String> {
            lines.iter().map(|line| (*line).to_owned()).collect()
        };
        assert!(all.is(&lines(&["a", "b"]), &lines(&["x"])).is_ok());
        assert!(all.is(&lines(&["a"]), &lines(&["x"])).is_err());
        assert!(all.begins(&lines(&["a"])) && !all.begins(&lines(&["b"])));
        let mut rest = Output::default();
        rest.take(&frame(Stream::Stdout, "b\n", 6), 4).unwrap();
        assert!(all.goes_on(&all.places[1], &rest).is_ok());
        assert_eq!(
            all.goes_on(&all.places[0], &rest),
            unmet(r#"after byte 2 on stderr "x\n""#, r#""""#)
        );
        assert_eq!(
            all.take(&frame(Stream::Stdout, "c", 9), 0),
            unmet("the cursor 7, the bytes so far", "9")
        );
    }
}
