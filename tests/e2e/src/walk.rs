//! A page of the documentation, done as a reader would do it.
//!
//! | block | what is done |
//! |---|---|
//! | `sh` | typed into the first terminal; must succeed |
//! | `sh,background` | typed into a terminal of its own, which stays |
//! | `diff` | the file after `---` is edited and saved: the line after `-` becomes the one after `+` |
//! | `text` | what the block before must have printed; it is typed again until it does |
//!
//! What is promised of a line is how it begins, or how a part of it does that comes after a comma.
//!
//! Other blocks are only read. A terminal keeps its folder and its exported variables from block to block.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::find_processes;

/// How long what a page promises may take to come true.
const PATIENCE: Duration = Duration::from_secs(300);

/// What stands in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Type(String),
    Background(String),
    Edit {
        file: String,
        from: String,
        to: String,
    },
    Printed(Vec<String>),
}

/// A reader in an empty folder.
pub struct Walk {
    folder: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
    terminals: Vec<Child>,
}

impl Walk {
    /// In a new folder, with these variables beside those of the test.
    #[must_use]
    pub fn new(variables: Vec<(OsString, OsString)>) -> Self {
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix("fleet-walk-").tempdir().unwrap();
        let walk = Self {
            folder,
            variables,
            terminals: Vec::new(),
        };
        std::fs::create_dir(walk.start()).unwrap();
        std::fs::write(walk.state(), format!("cd '{}'\n", walk.start().display())).unwrap();
        walk
    }

    /// Does all that a page says.
    pub fn page(&mut self, text: &str) {
        let mut typed: Option<(String, String)> = None;
        for block in blocks(text) {
            match block {
                Block::Type(script) => {
                    let said = patiently(&script, PATIENCE, || match self.typed(&script) {
                        Ok(said) => Ok(said),
                        // A host that was started a moment ago: a reader is not as quick.
                        Err(why) if why.contains("nothing answers at") => Err(why),
                        Err(why) => panic!("{script}\n{why}"),
                    });
                    typed = Some((script, said));
                }
                Block::Background(script) => self.background(&script),
                Block::Edit { file, from, to } => self.edit(&file, &from, &to),
                Block::Printed(lines) => {
                    let (script, said) = typed.clone().expect("something was typed before");
                    self.printed(&script, said, &lines);
                }
            }
        }
    }

    /// Types a script into the first terminal and answers what it printed.
    fn typed(&self, script: &str) -> Result<String, String> {
        let state = self.state().display().to_string();
        let keep = format!("{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > '{state}'");
        let output = self
            .shell(&format!(". '{state}'\n{script}\n{keep}\n"))
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(out);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}\n{out}{errors}", output.status))
    }

    /// Types a script into a terminal that stays. What it prints goes to a file for whoever looks for a reason.
    fn background(&mut self, script: &str) {
        let number = self.terminals.len() + 1;
        let log = std::fs::File::create(self.log(number)).unwrap();
        let script = format!(". '{}'\n{script}\n", self.state().display());
        let child = self
            .shell(&script)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        self.terminals.push(child);
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let state = std::fs::read_to_string(self.state()).unwrap();
        let here = state
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("cd "));
        let here = PathBuf::from(here.unwrap().trim_matches('\''));
        let path = here.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let found = text.lines().filter(|line| *line == from).count();
        assert_eq!(found, 1, "{} has the line once: {from}", path.display());
        let lines = text
            .lines()
            .map(|line| if line == from { to } else { line });
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text).unwrap();
    }

    fn printed(&self, script: &str, first: String, lines: &[String]) {
        let mut first = Some(first);
        patiently(&format!("{lines:?} from\n{script}"), PATIENCE, || {
            let said = first.take().map_or_else(|| self.typed(script), Ok)?;
            let is_all = lines.iter().all(|line| has(&said, line));
            if is_all { Ok(()) } else { Err(said) }
        });
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .envs(self.variables.iter().cloned())
            .current_dir(self.start())
            .stdin(Stdio::null());
        command
    }

    /// The empty folder.
    fn start(&self) -> PathBuf {
        self.folder.path().join("here")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("terminal-{number}"))
    }

    fn terminals_said(&self) -> String {
        (1..=self.terminals.len())
            .map(|number| {
                let text = std::fs::read_to_string(self.log(number)).unwrap_or_default();
                format!("\n--- terminal {number}\n{text}")
            })
            .collect()
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.terminals_said());
        }
        let kill = |pid: u32| {
            let pid = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        };
        // All that was begun names the folder: in its command line, or in its environment.
        for pid in find_processes(&self.folder.path().display().to_string()) {
            kill(pid);
        }
        for child in &mut self.terminals {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Tries until it is done; panics with what the last try said.
fn patiently<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(said) => assert!(
                Instant::now() < deadline,
                "waited {patience:?} in vain for {what}\n--- at last it said\n{said}"
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a text has such a line, or a part of one after a comma, however it is spaced and goes on.
fn has(text: &str, line: &str) -> bool {
    let wanted: Vec<&str> = line.split_whitespace().collect();
    let begins = |part: &str| {
        let mut words = part.split_whitespace();
        wanted.iter().all(|&word| words.next() == Some(word))
    };
    text.lines().flat_map(|line| line.split(',')).any(begins)
}

/// The blocks of a page that are done.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let script = body.join("\n");
        match info {
            "sh" => blocks.push(Block::Type(script)),
            "sh,background" => blocks.push(Block::Background(script)),
            "text" => blocks.push(Block::Printed(
                body.iter().map(|&line| line.to_owned()).collect(),
            )),
            "diff" => {
                let part = |prefix: &str| {
                    let found = body.iter().find_map(|line| line.strip_prefix(prefix));
                    found
                        .unwrap_or_else(|| panic!("a diff has `{prefix}`: {script}"))
                        .to_owned()
                };
                blocks.push(Block::Edit {
                    file: part("--- "),
                    from: body[1].strip_prefix('-').unwrap().to_owned(),
                    to: part("+"),
                });
            }
            _ => {}
        }
    }
    blocks
}

/// The documentation.
#[must_use]
pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_block_by_block() {
        let page = "# T\n```sh\na\nb\n```\ntext\n```diff\n--- src/x\n-old\n+new\n```\n```rust\nno\n```\n\
                    ```text\nout  1\n```\n```sh,background\nc\n```\n";
        assert_eq!(
            blocks(page),
            [
                Block::Type("a\nb".into()),
                Block::Edit {
                    file: "src/x".into(),
                    from: "old".into(),
                    to: "new".into()
                },
                Block::Printed(vec!["out  1".into()]),
                Block::Background("c".into()),
            ]
        );
    }

    #[test]
    fn a_line_has_its_words_whole_and_first() {
        for (text, line, want) in [
            ("x\n  out 1, and more\n", "out  1", true),
            ("out\n1", "out 1", false),
            ("41 passed, 0 failed, 2 skipped", "0 failed", true),
            ("41 passed, 10 failed", "0 failed", false),
            ("sh -c 'echo hello'", "hello", false),
            ("hello there", "hello", true),
            ("helloes", "hello", false),
        ] {
            assert_eq!(has(text, line), want, "{text}: {line}");
        }
    }

    #[test]
    #[should_panic(expected = "for it\n--- at last it said\ntry 1")]
    fn what_does_not_come_true_is_told_with_the_last_words() {
        let mut tries = 0;
        patiently("it", Duration::ZERO, || -> Result<(), String> {
            tries += 1;
            Err(format!("try {tries}"))
        });
    }

    #[test]
    fn a_terminal_remembers_its_folder_and_its_variables() {
        let mut walk = Walk::new(Vec::new());
        walk.page("```sh\nmkdir a && cd a && echo one > f\nexport X=7\n```\n```diff\n--- f\n-one\n+two\n```\n```sh\ncat f; echo $X; basename $PWD\n```\n```text\ntwo\n7\na\n```\n");
    }

    #[test]
    #[should_panic(expected = "exit status: 3")]
    fn a_command_that_fails_is_told() {
        Walk::new(Vec::new()).page("```sh\nexit 3\n```\n");
    }
}
