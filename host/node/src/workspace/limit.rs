//! Whether a file fits into what its workload may have on the disk. Pure.

use fleet_model::quantity::Size;
use fleet_model::{Error, ErrorKind};

use crate::reconcile::restart::DISK_LIMIT;

/// Refuses what would go over the limit. What is replaced counts until it is replaced: both are on the
/// disk then.
///
/// # Errors
/// `exhausted` (`disk-limit`) that says how much there is.
pub(super) fn check(limit: Size, used_bytes: u64, more_bytes: u64) -> Result<(), Error> {
    let left = limit.as_bytes().saturating_sub(used_bytes);
    if more_bytes <= left {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::Exhausted,
        DISK_LIMIT,
        format!(
            "{} more would be needed, and of the workload's limit of {limit} there is {} left: remove files it does not \
             need, or raise `disk` in its [limits]",
            Size::from_bytes(more_bytes),
            Size::from_bytes(left)
        ),
    );
    Err(error.with("left_bytes", left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_exactly_fits_and_a_refusal_says_what_is_left() {
        let limit = Size::from_bytes(10 << 20);
        check(limit, 0, 10 << 20).unwrap();
        check(limit, 7 << 20, 3 << 20).unwrap();
        for (used, more, left) in [
            (0, (10 << 20) + 1, 10 << 20),
            (7 << 20, (3 << 20) + 1, 3 << 20),
            (11 << 20, 1, 0),
            (u64::MAX, u64::MAX, 0),
        ] {
            let error = check(limit, used, more).unwrap_err();
            assert_eq!(
                (error.kind, error.code.as_str()),
                (ErrorKind::Exhausted, "disk-limit")
            );
            assert_eq!(error.details["left_bytes"], left.to_string());
            assert!(error.message.contains("limit of 10MiB"), "{error}");
        }
        let error = check(Size::from_bytes(1 << 20), (1 << 20) - 4, 8).unwrap_err();
        assert!(
            error.message.starts_with("8B more") && error.message.contains("there is 4B left"),
            "{error}"
        );
    }
}
