//! Names of workloads: unique among those that exist, made up where none is given.

use fleet_model::{Error, Name};

use super::Found;
use crate::state::ControllerState;

/// Why a name cannot be had.
pub(super) fn taken(state: &ControllerState, name: &Name) -> Option<Error> {
    let id = state.names.get(name)?.id;
    let is_going = state
        .workloads
        .get(&id)
        .and_then(|at| Found::at(state, at).ok())
        .is_some_and(|found| found.item.is_tombstone());
    let remedy = match is_going {
        true => "it is being removed: wait until it is gone, or take another name",
        false => "remove that one first, or take another name",
    };
    Some(
        Error::conflict(
            "name-taken",
            format!("workload {id} has the name `{name}`: {remedy}"),
        )
        .with("id", id)
        .with("name", name),
    )
}

/// Not one of the names that were made up is free.
pub(super) fn no_name() -> Error {
    Error::internal("no-name", "no name could be made up: give one")
}

/// A name for a workload that was given none: its backend and some letters.
pub(super) fn made_up(backend: &Name, bits: u128) -> Option<Name> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter = |place: u32| {
        LETTERS
            .get(usize::try_from((bits >> (5 * place)) & 31).ok()?)
            .copied()
            .map(char::from)
    };
    let suffix: String = (0..6).filter_map(letter).collect();
    let stem: String = backend.as_str().chars().take(56).collect();
    format!("{}-{suffix}", stem.trim_end_matches('-'))
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_are_names_whatever_the_backend_is_called() {
        for backend in [
            "native",
            "a",
            &"a".repeat(63),
            &format!("{}-{}", "a".repeat(55), "b".repeat(7)),
        ] {
            for bits in [0, u128::MAX, 0x0123_4567_89ab_cdef] {
                let name = made_up(&backend.parse().unwrap(), bits).unwrap();
                assert!(
                    name.as_str().len() <= 63 && name.as_str().starts_with('a')
                        || backend == "native",
                    "{name}"
                );
            }
        }
    }
}
