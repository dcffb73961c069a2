//! Launchers: which programs an operator lets a plugin start, and how.
//!
//! ```toml
//! [native.process.launchers.dev]
//! any = true                       # any program, as the user who runs the host
//!
//! [native.process.launchers.web]
//! executable = "/usr/bin/python3"  # this program alone
//! arguments = ["-m", "http\\.server", "[0-9]+", "..."]
//! env = ["LANG", "APP_*"]
//! ```
//!
//! * `executable`: the command's first word must be this path or its file name.
//! * `sha256`: the program's content, checked when it is prepared and again when it is started.
//! * `arguments`: one regular expression per argument, each matching the whole argument. A last
//!   entry `"..."` lets the expression before it match any number of further arguments, or none
//!   at all. Without the key any arguments may be given; `[]` allows none.
//! * `env`: the variables a workload may set; `APP_*` allows all that start with `APP_`. Without
//!   the key it may set any where any program may run, and none where one program is named: a
//!   variable such as `LD_PRELOAD` turns one program into another. What the host itself sets
//!   (`FLEET_*`, `PORT_*`) always passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleet_model::Error;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{environment, program};

/// What the last entry of `arguments` says to let the entry before it repeat.
const REPEAT: &str = "...";

/// Variables that the host sets for every workload.
const HOST_VARIABLES: [&str; 2] = ["FLEET_", "PORT_"];

/// One launcher: `[PLUGIN.process.launchers.NAME]` of `grants.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Launcher {
    /// Any program, as the user who runs the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
    /// The one program, by its absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<PathBuf>,
    /// What the program's content must be: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What its arguments must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// The variables a workload may set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
}

/// The program a command means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedProgram {
    /// Its absolute path.
    pub path: PathBuf,
    /// What its content must be when it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Launcher {
    /// Whether this is a launcher at all, for when grants are read.
    ///
    /// # Errors
    /// `invalid`, code `bad-launcher`; the message says which key and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        let bad = |text: String| Err(Error::invalid("bad-launcher", text));
        match (&self.executable, self.any) {
            (Some(_), true) => {
                return bad("`any` and `executable` exclude each other: keep one".into());
            }
            (None, false) => {
                return bad("set `executable` to a program's absolute path, or `any = true` for every program".into());
            }
            (Some(path), false) if !path.is_absolute() => {
                return bad(format!(
                    "`executable` must be an absolute path, not `{}`",
                    path.display()
                ));
            }
            _ => {}
        }
        if self.sha256.is_some() && self.any {
            return bad("`sha256` needs `executable`".into());
        }
        if let Some(digest) = &self.sha256
            && (digest.len() != 64 || !digest.chars().all(|c| c.is_ascii_hexdigit()))
        {
            return bad(
                "`sha256` must be 64 hexadecimal digits, as `sha256sum` prints them".into(),
            );
        }
        self.patterns().map(|_| ())
    }

    /// Whether the operator allows this, and which program it means. `workspace` is the directory
    /// it will run in, `base` what stands below its environment. Looks at the file system last, so
    /// a refusal tells nothing about it.
    ///
    /// # Errors
    /// `denied` (`no-launcher-rule`), `invalid` (`bad-command`, `bad-environment`, `program-missing`,
    /// `program-is-directory`, `program-not-executable`, `program-changed`).
    pub fn check(
        &self,
        command: &[String],
        env: &BTreeMap<String, String>,
        base: &BTreeMap<String, String>,
        workspace: &Path,
    ) -> Result<ResolvedProgram, Error> {
        program::check_words(command, env)?;
        self.allows(command, env)?;
        let path = match &self.executable {
            Some(path) => path.clone(),
            None => program::find(
                command.first().map_or("", String::as_str),
                environment::search_path(base, env),
                workspace,
            )?,
        };
        program::check_file(&path)?;
        let resolved = ResolvedProgram {
            path,
            sha256: self.sha256.clone(),
        };
        program::check_digest(&resolved)?;
        Ok(resolved)
    }

    /// The rule alone: no look at the file system.
    ///
    /// # Errors
    /// `denied`, code `no-launcher-rule`.
    pub fn allows(&self, command: &[String], env: &BTreeMap<String, String>) -> Result<(), Error> {
        self.validate()?;
        let Some((word, arguments)) = command.split_first() else {
            return Err(Error::invalid(
                "bad-command",
                "the command is empty: name a program",
            ));
        };
        if let Some(path) = &self.executable
            && Path::new(word) != path
            && path.file_name().is_none_or(|name| name != word.as_str())
        {
            return Err(denied(format!(
                "this launcher runs `{}` alone, not `{word}`: that needs another launcher",
                path.display()
            )));
        }
        if let Some(patterns) = self.patterns()? {
            patterns.check(arguments)?;
        }
        let allowed = match &self.env {
            Some(allowed) => allowed.as_slice(),
            None if self.any => return Ok(()),
            None => &[],
        };
        match env.keys().find(|name| !is_listed(allowed, name)) {
            None => Ok(()),
            Some(name) => Err(denied(format!(
                "this launcher does not let a workload set `{name}`; allow it in the launcher: env = [\"{name}\"]"
            ))),
        }
    }

    fn patterns(&self) -> Result<Option<Patterns>, Error> {
        let Some(texts) = &self.arguments else {
            return Ok(None);
        };
        let (texts, repeat) = match texts.split_last() {
            Some((last, before)) if last == REPEAT => (before, true),
            _ => (texts.as_slice(), false),
        };
        if repeat && texts.is_empty() {
            return Err(Error::invalid(
                "bad-launcher",
                "`arguments`: \"...\" repeats the expression before it; put one there, `.*` for any argument",
            ));
        }
        let compile = |text: &String| {
            // First alone, so that an expression cannot close the group it is put into.
            Regex::new(text)
                .and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")))
                .map_err(|error| {
                    Error::invalid(
                        "bad-launcher",
                        format!("`arguments`: `{text}` is not a regular expression: {error}"),
                    )
                })
        };
        Ok(Some(Patterns {
            list: texts.iter().map(compile).collect::<Result<_, _>>()?,
            repeat,
        }))
    }
}

#[derive(Debug)]
struct Patterns {
    list: Vec<Regex>,
    repeat: bool,
}

impl Patterns {
    fn check(&self, arguments: &[String]) -> Result<(), Error> {
        for (index, argument) in arguments.iter().enumerate() {
            let place = index + 1;
            let pattern = self
                .list
                .get(index)
                .or_else(|| self.list.last().filter(|_| self.repeat));
            match pattern {
                Some(pattern) if pattern.is_match(argument) => {}
                Some(pattern) => {
                    return Err(denied(format!(
                        "argument {place}, `{argument}`, is not what this launcher allows there, `{}`: give another one or change its `arguments`",
                        written(pattern)
                    )));
                }
                None => {
                    return Err(denied(format!(
                        "this launcher allows {} arguments at most; argument {place} is `{argument}`; change its `arguments`",
                        self.list.len()
                    )));
                }
            }
        }
        let needed = self.list.len() - usize::from(self.repeat);
        if arguments.len() < needed {
            return Err(denied(format!(
                "this launcher asks for {needed} arguments, and there are {}; give them or change its `arguments`",
                arguments.len()
            )));
        }
        Ok(())
    }
}

/// An expression as the operator wrote it.
fn written(pattern: &Regex) -> &str {
    let text = pattern.as_str();
    let inner = text.strip_prefix(r"\A(?:");
    inner
        .and_then(|inner| inner.strip_suffix(r")\z"))
        .unwrap_or(text)
}

fn denied(text: String) -> Error {
    Error::denied("no-launcher-rule", text)
}

fn is_listed(allowed: &[String], name: &str) -> bool {
    HOST_VARIABLES.iter().any(|prefix| name.starts_with(prefix))
        || allowed.iter().any(|entry| match entry.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => entry == name,
        })
}

#[cfg(test)]
#[path = "launcher_tests.rs"]
mod tests;
