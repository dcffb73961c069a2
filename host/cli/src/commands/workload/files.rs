//! `workload files`: what is in a workload's workspace, and changes that need no bytes.

use clap::{Args, Subcommand};
use fleet_client::{Client, Depth, Page, Taken};
use fleet_model::file::{FileEntry, FileKind};
use fleet_seam::{Clock as _, SystemClock};
use serde::Serialize;

use super::cp::plain;
use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::time::age;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what is in a folder of the workspace
    #[command(visible_alias = "list")]
    Ls(At),
    /// Make a folder, and those above it that are missing
    Mkdir(To),
    /// Give something another path
    Mv(Move),
    /// Remove a file, a link or an empty folder
    Rm(Remove),
}

/// A folder.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The workload's name or id
    #[arg(value_name = "ID")]
    name: String,
    /// The folder [default: the workspace itself]
    #[arg(value_name = "PATH", default_value = "", hide_default_value = true)]
    path: String,
}

/// A path.
#[derive(Debug, Args)]
pub(crate) struct To {
    /// The workload's name or id
    #[arg(value_name = "ID")]
    name: String,
    /// Where in its workspace
    #[arg(value_name = "PATH")]
    path: String,
}

/// Two paths.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// The workload's name or id
    #[arg(value_name = "ID")]
    name: String,
    /// Where it is
    #[arg(value_name = "FROM")]
    from: String,
    /// Where it is to be
    #[arg(value_name = "TO")]
    to: String,
    /// Replace a file that is there
    #[arg(long)]
    replace: bool,
}

/// What goes.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    at: To,
    /// A folder with all that is in it, too
    #[arg(long, short)]
    recursive: bool,
}

/// What was changed.
#[derive(Debug, Serialize)]
struct Changed<'a> {
    path: &'a str,
}

/// Does one of them.
pub(crate) async fn run(command: Command, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    match command {
        Command::Ls(At { name, path }) => {
            let page = Page::complete(all(&client, &name, &plain(&path)).await?);
            context
                .output
                .answer(&page, || people(&page.items, SystemClock.unix_ms()))
        }
        Command::Mkdir(To { name, path }) => {
            let path = plain(&path);
            client.make_folder(&name, &path).await?;
            context
                .output
                .answer(&Changed { path: &path }, || format!("made {name}:{path}\n"))
        }
        Command::Mv(Move {
            name,
            from,
            to,
            replace,
        }) => {
            let existing = if replace { Taken::Replace } else { Taken::Keep };
            client.move_file(&name, &from, &to, existing).await?;
            let text = || format!("moved {name}:{from} to {to}\n");
            context.output.answer(&Changed { path: &to }, text)
        }
        Command::Rm(Remove {
            at: To { name, path },
            recursive,
        }) => {
            let depth = if recursive { Depth::All } else { Depth::One };
            client.remove_file(&name, &path, depth).await?;
            context.output.answer(&Changed { path: &path }, || {
                format!("removed {name}:{path}\n")
            })
        }
    }
}

async fn all(client: &Client, name: &str, path: &str) -> Result<Vec<FileEntry>, Failure> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = client.files_page(name, path, after.as_deref()).await?;
        all.extend(page.items);
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            _ => return Ok(all),
        }
    }
}

fn people(entries: &[FileEntry], now_ms: u64) -> String {
    table(
        ["NAME", "SIZE", "MODE", "AGE", "KIND"],
        entries.iter().map(|entry| {
            let kind = match (entry.kind, &entry.target) {
                (FileKind::File, _) => "file".to_owned(),
                (FileKind::Folder, _) => "folder".to_owned(),
                (FileKind::Link, Some(target)) => format!("link to {}", visible(target)),
                (FileKind::Link, None) => "link".to_owned(),
                (FileKind::Other, _) => "other".to_owned(),
            };
            let size = match entry.kind {
                FileKind::File => entry.size.to_string(),
                _ => String::new(),
            };
            [
                visible(&entry.name),
                size,
                format!("{:04o}", entry.mode),
                age(entry.modified_ms, now_ms),
                kind,
            ]
        }),
    )
}

/// A name in which what moves a cursor is seen and moves none: `\x1B`.
fn visible(name: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => format!("\\x{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    name.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_what_is_there() {
        let entry = |name: &str, kind, target: Option<&str>| FileEntry {
            name: name.into(),
            kind,
            size: 12,
            mode: 0o640,
            modified_ms: 0,
            target: target.map(str::to_owned),
            sha256: None,
        };
        let text = people(
            &[
                entry("app.toml", FileKind::File, None),
                entry("conf", FileKind::Folder, None),
                entry("now", FileKind::Link, Some("app.toml")),
                entry("a\x1b[31m\n", FileKind::File, None),
            ],
            5_000,
        );
        assert_eq!(
            text,
            "NAME           SIZE  MODE  AGE  KIND\n\
             app.toml       12    0640  5s   file\n\
             conf           -     0640  5s   folder\n\
             now            -     0640  5s   link to app.toml\n\
             a\\x1B[31m\\x0A  12    0640  5s   file\n"
        );
    }
}
