//! A component on its way in.
//!
//! It goes to the disk as it comes, so a slow one takes no memory, and is read back when all of it is
//! there. Nothing begins before that.

use std::io::SeekFrom;
use std::time::Duration;

use bytes::Bytes;
use fleet_model::swap::MAX_COMPONENT_BYTES;
use fleet_model::{Error, ErrorKind};
use fleet_plugin::Swaps;
use fleet_protocol::bulk::BulkStream;
use fleet_protocol::plugin::Tail;
use fleet_seam::Clock;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// How long the next piece may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A component that is here.
pub(super) struct Arrived {
    pub(super) component: Bytes,
    /// Its SHA-256, in hex.
    pub(super) digest: String,
    pub(super) manifest: Option<String>,
}

/// Takes one. Nothing where the asker went away before all of it had come.
///
/// # Errors
/// `invalid` (`too-large`); `exhausted` (`disk-full`); `unavailable` (`no-spool`); `deadline`
/// (`upload-stalled`) where nothing more comes.
pub(super) async fn take(
    swaps: &dyn Swaps,
    clock: &dyn Clock,
    stream: &mut BulkStream,
) -> Result<Option<Arrived>, Error> {
    let mut file = File::from_std(swaps.spool()?);
    let mut hash = Sha256::new();
    let mut count = 0_u64;
    loop {
        let Some(Ok(frame)) = in_time(clock, stream.receive()).await? else {
            return Ok(None);
        };
        if frame.is_empty() {
            break;
        }
        count += frame.len() as u64;
        if count > MAX_COMPONENT_BYTES {
            return Err(too_large());
        }
        hash.update(&frame);
        file.write_all(&frame)
            .await
            .map_err(|error| spooled(&error))?;
    }
    let tail = in_time(clock, stream.receive_json()).await?;
    let Some(Ok(Tail { manifest })) = tail else {
        return Ok(None);
    };
    let component = read_back(file, count)
        .await
        .map_err(|error| spooled(&error))?;
    Ok(Some(Arrived {
        component,
        digest: hex(&hash.finalize()),
        manifest,
    }))
}

async fn in_time<T>(clock: &dyn Clock, piece: impl Future<Output = T>) -> Result<T, Error> {
    tokio::select! {
        biased;
        piece = piece => Ok(piece),
        () = clock.sleep(PATIENCE) => Err(Error::new(
            ErrorKind::Deadline,
            "upload-stalled",
            format!("nothing more of the component came for {} s: send it again", PATIENCE.as_secs()),
        )),
    }
}

async fn read_back(mut file: File, count: u64) -> std::io::Result<Bytes> {
    // Only now is it known that all that was written could be.
    file.flush().await?;
    file.seek(SeekFrom::Start(0)).await?;
    let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    file.read_to_end(&mut bytes).await?;
    Ok(bytes.into())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn too_large() -> Error {
    Error::invalid(
        "too-large",
        format!(
            "the component is larger than {} MiB, the most that is taken: build it optimised, and strip what is for a debugger",
            MAX_COMPONENT_BYTES >> 20
        ),
    )
}

fn spooled(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::new(
            ErrorKind::Exhausted,
            "disk-full",
            "the component does not fit on the disk of the node's data folder: make room there",
        ),
        _ => Error::unavailable(
            "no-spool",
            format!("the component cannot be kept in the node's data folder: {error}"),
        ),
    }
}
