//! What is there of a plugin's making, which new code must know before it serves.

use fleet_model::driver::Handle;
use fleet_model::{ItemKey, Name};
use serde_json::Value;

/// Knows what plugins have made and what is asked of them: the node.
pub trait LiveHandles: Send + Sync + 'static {
    /// Everything that is this plugin's, as it is recorded now.
    fn live(&self, plugin: &Name) -> Vec<Live>;
}

/// One item of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Which.
    pub item: ItemKey,
    /// Its name, for people.
    pub name: String,
    /// How the plugin finds what it made; absent where nothing is made yet.
    pub handle: Option<Handle>,
    /// The plugin's own part of what is asked; absent where it is to be removed.
    pub config: Option<Value>,
}

/// Nothing is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHandles;

impl LiveHandles for NoHandles {
    fn live(&self, _: &Name) -> Vec<Live> {
        Vec::new()
    }
}
