//! The one way out: what goes to stdout and stderr, and in which form.
//!
//! Stdout carries the answer, whole and flushed line by line where it is followed. Stderr carries
//! failures and warnings, and nothing at all when a command succeeds and all is well.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::{Exit, Failure};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// The API's objects.
    Json,
}

/// Stdout and stderr of a command.
pub(crate) struct Output {
    format: Format,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Output {
    /// This process's own.
    pub(crate) fn of_process(format: Format) -> Self {
        Self {
            format,
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// Output that is kept.
    #[cfg(test)]
    pub(crate) fn to(format: Format, out: impl Write + 'static, err: impl Write + 'static) -> Self {
        Self {
            format,
            out: Box::new(out),
            err: Box::new(err),
        }
    }

    /// Whether the answer is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Answers with an object, or with what people read instead.
    pub(crate) fn answer(
        &mut self,
        object: &impl Serialize,
        people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                let json = serde_json::to_string_pretty(object).map_err(io::Error::from)?;
                self.text(&format!("{json}\n"))
            }
            Format::Table => self.text(&people()),
        }
    }

    /// One object of many, on a line of its own.
    pub(crate) fn json_line(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string(object).map_err(io::Error::from)?;
        self.text(&format!("{json}\n"))
    }

    /// Text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        Ok(self.out.flush()?)
    }

    /// Bytes as they are, to stderr.
    pub(crate) fn error_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.err.write_all(bytes)?;
        Ok(self.err.flush()?)
    }

    /// Tells what the answer cannot say, where it is for programs.
    pub(crate) fn warning(&mut self, message: &str) -> Result<(), Failure> {
        self.error_bytes(format!("warning: {message}\n").as_bytes())
    }

    /// Tells a failure: one line, and its remedy.
    pub(crate) fn failure(&mut self, failure: &Failure) -> Exit {
        let text = told(failure);
        // Where stderr is gone too, the exit code is all there is.
        let _ = self.err.write_all(text.as_bytes());
        let _ = self.err.flush();
        failure.exit
    }
}

fn told(failure: &Failure) -> String {
    let mut text = String::new();
    if failure.message.is_empty() {
        return text;
    }
    text.push_str(&format!(
        "error: {}\n",
        failure.message.trim_end().replace('\n', "\n       ")
    ));
    if let Some(help) = &failure.help {
        // Lines to copy stand alone.
        let gap = if help.contains('\n') { '\n' } else { ' ' };
        text.push_str(&format!("help:{gap}{help}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_line_and_a_remedy() {
        let failure = Failure::failed("it broke").help("mend it");
        assert_eq!(told(&failure), "error: it broke\nhelp: mend it\n");
        assert_eq!(told(&Failure::failed("it broke")), "error: it broke\n");
        assert_eq!(
            told(&Failure::failed("a").help("  b\n  c")),
            "error: a\nhelp:\n  b\n  c\n"
        );
        assert_eq!(told(&Failure::told(Exit::Failed)), "");
    }
}
