//! A file on its way in.
//!
//! What is written is what has arrived, and stays when the connection breaks. The answer comes when the
//! file is in its place, durably, or when less than all of it came and that is kept.

use std::io;
use std::sync::Arc;

use fleet_capability::workspace::{Incoming, Progress, Reserve};
use fleet_model::Error;
use fleet_model::file::Upload;
use fleet_protocol::bulk::{BulkStream, Pending};
use fleet_protocol::file::Reply;

use super::find::Found;
use super::room::{self, Need, Reserved};
use super::writer::Writer;
use crate::context::Context;
use crate::files::blocking;

/// What uploads leave of a file system for all else on the machine: 64 MiB.
const RESERVE: Reserve = Reserve { bytes: 64 << 20 };

/// How a connection's bytes end.
enum End {
    /// With all that was to be sent.
    InOrder,
    /// In the middle.
    Cut,
}

/// Takes what one connection brings.
pub(super) async fn take(
    context: &Arc<Context>,
    pending: Pending,
    found: Found,
    upload: Upload,
) -> io::Result<()> {
    let (workload, key, size) = (found.workload, upload.key.clone(), upload.size);
    let (incoming, reserved) = match begin(context, found, upload).await {
        Ok(begun) => begun,
        Err(error) => return pending.refuse(error).await,
    };
    let mut stream = pending.accept().await?;
    let mut writer = Writer::new(incoming, reserved);
    let reply = match receive(&mut stream, &mut writer).await {
        Ok(End::InOrder) => match writer.finish().await {
            Ok(Progress::Placed { sha256 }) => Reply::Upload {
                arrived: size,
                sha256: Some(sha256),
            },
            Ok(Progress::Waiting { arrived, hash }) => {
                context.hashes.keep(workload, key, hash);
                Reply::Upload {
                    arrived,
                    sha256: None,
                }
            }
            Err(error) => Reply::Failed(error),
        },
        Ok(End::Cut) => {
            context.hashes.keep(workload, key, writer.suspend().await);
            return Ok(());
        }
        Err(error) => {
            context.hashes.keep(workload, key, writer.suspend().await);
            Reply::Failed(error)
        }
    };
    stream.send_json(&reply).await?;
    stream.finish().await
}

/// Begins it, with the room it needs where its workload has a limit.
async fn begin(
    context: &Arc<Context>,
    found: Found,
    upload: Upload,
) -> Result<(Incoming, Option<Reserved>), Error> {
    let Found {
        tree,
        workload,
        disk,
    } = found;
    let reserved = match disk {
        Some(disk) => {
            let need = Need {
                workload,
                disk,
                // What has arrived is among what is used.
                more_bytes: upload.size.saturating_sub(upload.offset),
                key: &upload.key,
            };
            Some(room::reserve(context, need).await?)
        }
        None => None,
    };
    let key = upload.key.clone();
    let hash = context.hashes.take(workload, &key);
    let known = hash.clone();
    let begun = blocking(move || tree.receive(upload, RESERVE, known)).await;
    if begun.is_err() {
        context.hashes.keep(workload, key, hash);
    }
    Ok((begun?, reserved))
}

/// Writes frame by frame; an empty one is the last.
async fn receive(stream: &mut BulkStream, writer: &mut Writer) -> Result<End, Error> {
    loop {
        match stream.receive().await {
            Some(Ok(frame)) if frame.is_empty() => return Ok(End::InOrder),
            Some(Ok(frame)) => writer.take(frame).await?,
            Some(Err(_)) | None => return Ok(End::Cut),
        }
    }
}
