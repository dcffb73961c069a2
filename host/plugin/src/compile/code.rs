#![expect(
    unsafe_code,
    reason = "mapping compiled code is unsafe by nature; this file is all of it"
)]
//! The one place where bytes become code.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::Entry;

/// Bytes that came out of this host's own compiler.
pub(crate) struct Trusted<'a>(&'a [u8]);

impl<'a> Trusted<'a> {
    /// What a child of this process has just written to a file that nobody else can open.
    pub(super) fn fresh(code: &'a [u8]) -> Self {
        Self(code)
    }

    /// An entry of the cache whose seal was right.
    pub(super) fn sealed(entry: &'a Entry) -> Self {
        Self(entry.code())
    }
}

/// Maps code. Code for another engine, processor or configuration is refused.
pub(super) fn load(engine: &Engine, code: Trusted<'_>) -> wasmtime::Result<Component> {
    // SAFETY: `Component::deserialize` asks that the bytes are what `Engine::precompile_component`
    // returned, unchanged. A `Trusted` is made in two ways only. `fresh` takes what the compiling
    // child wrote to a file of mode 0600 in a folder of mode 0700 that belongs to this user.
    // `sealed` takes an entry of that folder after its SHA-256 was checked on these very bytes in
    // memory, so neither a torn write nor a later change of the file can get here. Whoever can
    // write to that folder on purpose is this user and needs no plugin to run code.
    unsafe { Component::deserialize(engine, code.0) }
}
