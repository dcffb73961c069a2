//! Standard input, read whole.

use std::io::Read as _;

use zeroize::Zeroizing;

use crate::failure::{Failure, reason};

/// What comes in, up to its end. It may be a secret, so it has one place in memory, which is wiped.
pub(crate) fn read(most_bytes: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    take(std::io::stdin().lock(), most_bytes)
}

fn take(input: impl std::io::Read, most_bytes: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // As large as it gets, so that no part of it is left behind by growing.
    let capacity = usize::try_from(most_bytes).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity.saturating_add(1)));
    input
        .take(most_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Failure::usage(format!("cannot read standard input: {}", reason(&error)))
        })?;
    if bytes.len() > capacity {
        return Err(Failure::usage(format!(
            "standard input has more than {most_bytes} bytes, which is more than fits"
        ))
        .help("put large data into a file, and pass its path"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_read_or_nothing() {
        assert_eq!(*take(&b"ab\n"[..], 3).unwrap(), b"ab\n");
        let failure = take(std::io::repeat(b'x'), 3).unwrap_err();
        assert!(failure.message.contains("more than 3 bytes"), "{failure:?}");
    }
}
