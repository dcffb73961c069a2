//! `cargo xtask test`: everything a change must pass, area by area.

use crate::areas::AREAS;
use crate::slow::{TestTime, slowest};
use crate::workspace::Workspace;
use crate::{Command, Failure, build, engine, say};
use std::fmt;
use std::time::{Duration, Instant};

pub(crate) const COMMAND: Command = Command {
    name: "test",
    summary: "Build, then run every check and test, or some areas of them.",
    usage: "\
Usage: cargo xtask test [--install] [--only AREA]... [--list]

  --only AREA  run this area only; may be given more than once
  --list       list the areas and end
  --install    install missing tools and system packages, and count an area that
               is skipped as failed; meant for machines that test every change

Without --install an area that cannot run here is skipped, and the summary says
why and what to do about it. Ends with exit code 1 if anything failed.",
    run,
};

const SLOWEST_SHOWN: usize = 20;

/// One named part of the tests.
pub(crate) struct Area {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&mut Session<'_>) -> Result<(), Stop>,
}

/// What must be there before an area runs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Needs {
    Sources,
    Build,
}

/// What to do about a tool that is not installed.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Missing {
    Install,
    Skip,
}

/// Why an area did not succeed.
pub(crate) enum Stop {
    Failed(String),
    /// It cannot run on this machine.
    Skipped {
        why: String,
        remedy: String,
    },
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// One run of the tests.
pub(crate) struct Session<'workspace> {
    pub(crate) workspace: &'workspace Workspace,
    pub(crate) missing: Missing,
    /// Collects how long single tests took.
    pub(crate) times: Vec<TestTime>,
}

/// A line of the summary.
struct Row {
    name: &'static str,
    took: Duration,
    result: Result<(), Stop>,
}

fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let mut missing = Missing::Skip;
    let mut only = Vec::new();
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--install" => missing = Missing::Install,
            "--only" => only.push(area_name(arguments.next())?),
            "--list" => {
                list();
                return Ok(());
            }
            _ => return Err(Failure::Usage(format!("unknown argument `{argument}`"))),
        }
    }
    let mut session = Session {
        workspace,
        missing,
        times: Vec::new(),
    };
    engine::forget(workspace);
    let rows = run_areas(&mut session, &only);
    summarise(&rows, session.times);
    println!(
        "\n{} tests ran against a real Docker engine",
        engine::count(workspace)
    );
    if !rows
        .iter()
        .any(|row| matches!(row.result, Err(Stop::Failed(_))))
    {
        return Ok(());
    }
    Err(Failure::Reported)
}

fn area_name(argument: Option<&str>) -> Result<&str, Failure> {
    let name = argument.ok_or_else(|| Failure::Usage("--only needs an area".to_owned()))?;
    if AREAS.iter().any(|area| area.name == name) {
        return Ok(name);
    }
    let names = AREAS.map(|area| area.name).join(", ");
    Err(Failure::Usage(format!(
        "there is no area `{name}`, only {names}"
    )))
}

fn list() {
    for area in AREAS {
        println!("{:<10} {}", area.name, area.about);
    }
}

/// Builds once, if an area needs it, and runs the areas, all of them if `only` is empty.
fn run_areas(session: &mut Session<'_>, only: &[&str]) -> Vec<Row> {
    let chosen: Vec<Area> = AREAS
        .into_iter()
        .filter(|area| only.is_empty() || only.contains(&area.name))
        .collect();
    let mut rows = Vec::new();
    let mut built = true;
    if chosen.iter().any(|area| area.needs == Needs::Build) {
        let row = timed(session, "build", |session| {
            Ok(build::build(session.workspace)?)
        });
        built = row.result.is_ok();
        rows.push(row);
    }
    for area in chosen {
        rows.push(timed(session, area.name, |session| {
            if area.needs == Needs::Build && !built {
                return Err(Stop::Skipped {
                    why: "the build failed".to_owned(),
                    remedy: "see the build's errors".to_owned(),
                });
            }
            say(&format!("area {}: {}", area.name, area.about));
            (area.run)(session)
        }));
    }
    rows
}

/// Runs one step. Where everything missing is installed nothing may be skipped, so there a skip
/// is a failure.
fn timed(
    session: &mut Session<'_>,
    name: &'static str,
    step: impl FnOnce(&mut Session<'_>) -> Result<(), Stop>,
) -> Row {
    let start = Instant::now();
    let result = match step(session) {
        Err(Stop::Skipped { why, remedy }) if session.missing == Missing::Install => {
            Err(Stop::Failed(format!("not run: {why}; {remedy}")))
        }
        result => result,
    };
    if let Err(Stop::Failed(message)) = &result {
        say(&format!("{name} FAILED: {message}"));
    }
    Row {
        name,
        took: start.elapsed(),
        result,
    }
}

fn summarise(rows: &[Row], times: Vec<TestTime>) {
    println!("\n{:<10} {:>8}  result", "area", "seconds");
    for row in rows {
        println!("{row}");
    }
    let slow = slowest(times, SLOWEST_SHOWN);
    if !slow.is_empty() {
        println!("\nslowest tests, in seconds");
    }
    for test in slow {
        println!("{:>8.2}  {}", test.seconds, test.name);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(formatter, "{:<10} {seconds:>8.1}  ", self.name)?;
        match &self.result {
            Ok(()) => write!(formatter, "ok"),
            Err(Stop::Failed(message)) => {
                let first = message.lines().next().unwrap_or_default();
                write!(formatter, "FAILED: {first}")
            }
            Err(Stop::Skipped { why, remedy }) => {
                write!(formatter, "skipped: {why}; {remedy}")
            }
        }
    }
}
