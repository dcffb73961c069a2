//! Files of workloads' workspaces: looked at, read, written, whatever the backend and whether or not the
//! program runs.
//!
//! The workspace itself keeps every path inside it (`fleet_capability::workspace`). Here is the way of
//! the bytes: a piece at a time in both directions, so that a file of any size takes the same memory,
//! and a thread only while the disk works.

mod find;
mod hashes;
mod limit;
mod read;
mod room;
pub(crate) mod sweep;
mod write;
mod writer;

use std::io;
use std::sync::Arc;

use fleet_capability::workspace::{Depth, Links, Taken, Tree};
use fleet_model::Error;
use fleet_model::item::{Generation, ItemKey};
use fleet_protocol::bulk::Pending;
use fleet_protocol::file::{FileCall, MAX_PAGE, Reply};

use crate::context::Context;
use crate::files::blocking;

pub(crate) use hashes::Hashes;
pub(crate) use room::Rooms;

/// Answers one request.
pub(crate) async fn answer(
    context: &Arc<Context>,
    pending: Pending,
    item: ItemKey,
    generation: Generation,
    call: FileCall,
) -> io::Result<()> {
    let found = match find::find(context, &item, generation).await {
        Ok(found) => found,
        Err(error) => return pending.refuse(error).await,
    };
    match call {
        FileCall::Read {
            path,
            offset,
            length,
        } => read::send(pending, found.tree, path, offset, length).await,
        FileCall::Stat {
            path,
            digest: true,
            follow,
        } => read::digest(pending, found.tree, path, links(follow)).await,
        FileCall::Write(upload) => write::take(context, pending, found, upload).await,
        call => match blocking(move || at_once(&found.tree, call)).await {
            Ok(reply) => {
                let mut stream = pending.accept().await?;
                stream.send_json(&reply).await?;
                stream.finish().await
            }
            Err(error) => pending.refuse(error).await,
        },
    }
}

/// What takes no bytes.
fn at_once(tree: &Tree, call: FileCall) -> Result<Reply, Error> {
    match call {
        FileCall::List { path, after, limit } => {
            let limit = usize::try_from(limit.min(MAX_PAGE)).unwrap_or_default();
            let listing = tree.list(&path, after.as_deref(), limit)?;
            Ok(Reply::Entries {
                entries: listing.entries,
                next: listing.next,
            })
        }
        FileCall::Stat { path, follow, .. } => tree.stat(&path, links(follow)).map(Reply::Entry),
        FileCall::Uploaded { key } => Ok(Reply::Upload {
            arrived: tree.arrived(&key)?,
            sha256: None,
        }),
        FileCall::MakeFolder { path } => tree.make_folder(&path).map(|()| Reply::Done),
        FileCall::Move { from, to, replace } => {
            let existing = if replace { Taken::Replace } else { Taken::Keep };
            tree.rename(&from, &to, existing).map(|()| Reply::Done)
        }
        FileCall::Remove { path, recursive } => {
            let depth = if recursive { Depth::All } else { Depth::One };
            tree.remove(&path, depth).map(|()| Reply::Done)
        }
        FileCall::Read { .. } | FileCall::Write(_) => Err(Error::internal(
            "file-call",
            "a file's bytes were asked for in the wrong place",
        )),
    }
}

fn links(follow: bool) -> Links {
    if follow { Links::Follow } else { Links::Keep }
}
