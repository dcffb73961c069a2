//! Plugins that do their worst: `tests/corpus/main.rs` says what must come of each, README.md which there are.
