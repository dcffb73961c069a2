//! Reads standard input on a thread of its own: a read cannot be broken off, and must hold up nothing.

use rustix::io::{Errno, read};
use rustix::stdio::stdin;
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What comes on standard input, piece by piece, until its end. The thread ends with the process.
pub(super) fn input() -> Result<mpsc::Receiver<Vec<u8>>, Failure> {
    let (give, take) = mpsc::channel(1);
    let read_on = move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            match read(stdin(), &mut buffer) {
                Ok(count) if count > 0 => {
                    let piece = buffer.get(..count).unwrap_or_default().to_vec();
                    if give.blocking_send(piece).is_err() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                // Its end, or nothing that could be read: a closed one reads as empty.
                Ok(_) | Err(_) => return,
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read_on)
        .map_err(|error| Failure::io("cannot read standard input", &error))?;
    Ok(take)
}
