//! Something that is reached through `&mut` alone, so that what holds it can be shared between threads
//! although it cannot.

use std::sync::{Mutex, PoisonError};

/// A place for one.
#[derive(Debug)]
pub(super) struct Held<T>(Mutex<Option<T>>);

impl<T> Held<T> {
    /// Puts something else in.
    pub(super) fn put(&mut self, value: Option<T>) {
        *self.place() = value;
    }

    /// Takes out what is in.
    pub(super) fn take(&mut self) -> Option<T> {
        self.place().take()
    }

    fn place(&mut self) -> &mut Option<T> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}
