//! What swaps meet in tests: handles that are there, and moments at which the host stands still.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_model::Name;
use fleet_model::driver::Handle;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::swap::{SwapEvent, SwapReport};
use fleet_plugin::{
    Digest, Drivers, Live, LiveHandles, PluginHost, SwapOptions, SwapPoint, SwapPoints, Swaps,
    Upload,
};
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};

use super::guest::Guest;
use super::item_of;

/// What plugins have made.
#[derive(Default)]
pub(crate) struct Alive {
    all: Mutex<Vec<(Name, Live)>>,
    /// How many more looks find anything.
    looks: Mutex<Option<u32>>,
}

impl Alive {
    /// A plugin has made so many, with handles of this schema.
    pub(crate) fn set(&self, plugin: &str, number: u32, schema: u32) {
        let live = (0..number).map(|number| Live {
            item: item_of(number),
            name: format!("web-{number}"),
            handle: Some(Handle {
                schema,
                opaque: vec![1],
            }),
            config: Some(json!({})),
        });
        self.put(plugin, live.collect());
    }

    /// One item of a plugin has this config.
    pub(crate) fn config(&self, plugin: &str, config: Value) {
        let live = Live {
            item: item_of(1),
            name: "web".to_owned(),
            handle: None,
            config: Some(config),
        };
        self.put(plugin, vec![live]);
    }

    /// After so many looks nothing is there any more.
    pub(crate) fn gone_after(&self, looks: u32) {
        *self.looks.lock().unwrap() = Some(looks);
    }

    fn put(&self, plugin: &str, live: Vec<Live>) {
        let plugin: Name = plugin.parse().unwrap();
        let mut all = self.all.lock().unwrap();
        all.retain(|(other, _)| *other != plugin);
        all.extend(live.into_iter().map(|live| (plugin.clone(), live)));
    }
}

impl LiveHandles for Alive {
    fn live(&self, plugin: &Name) -> Vec<Live> {
        if let Some(looks) = self.looks.lock().unwrap().as_mut() {
            *looks = looks.saturating_sub(1);
            if *looks == 0 {
                return Vec::new();
            }
        }
        let all = self.all.lock().unwrap();
        let mine = all.iter().filter(|(other, _)| other == plugin);
        mine.map(|(_, live)| live.clone()).collect()
    }
}

/// Where swaps stop, for ever or until they may go on.
#[derive(Default)]
pub(crate) struct Stops {
    at: Mutex<Option<SwapPoint>>,
    reached: Mutex<Vec<SwapPoint>>,
    changed: Notify,
}

impl Stops {
    /// The next swap stops here.
    pub(crate) fn stop_at(&self, point: SwapPoint) {
        *self.at.lock().unwrap() = Some(point);
    }

    /// Whatever has stopped goes on.
    pub(crate) fn go_on(&self) {
        *self.at.lock().unwrap() = None;
        self.changed.notify_waiters();
    }

    /// Returns when a swap has come here.
    pub(crate) async fn reached(&self, point: SwapPoint) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.reached.lock().unwrap().contains(&point) {
                    return;
                }
                changed.await;
            }
        };
        within(&format!("it to come to {point}"), wait).await;
    }
}

#[async_trait]
impl SwapPoints for Stops {
    async fn reach(&self, point: SwapPoint) {
        self.reached.lock().unwrap().push(point);
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if *self.at.lock().unwrap() != Some(point) {
                return;
            }
            changed.await;
        }
    }
}

/// Waits for something, and panics when it takes too long.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until the list of plugins is so.
pub(crate) async fn until<T>(
    host: &PluginHost,
    what: &str,
    probe: impl Fn(&[Plugin]) -> Option<T>,
) -> T {
    let mut changes = host.changes();
    let wait = async {
        loop {
            changes.borrow_and_update();
            if let Some(found) = probe(&host.plugins()) {
                return found;
            }
            changes.changed().await.unwrap();
        }
    };
    within(what, wait).await
}

/// What is told from now on.
pub(crate) struct News(broadcast::Receiver<SwapEvent>);

impl News {
    pub(crate) fn of(host: &PluginHost) -> Self {
        Self(host.events())
    }

    /// The next report.
    pub(crate) async fn report(&mut self) -> SwapReport {
        let wait = async {
            loop {
                if let SwapEvent::Ended { report } = self.0.recv().await.unwrap() {
                    return *report;
                }
            }
        };
        within("a report", wait).await
    }

    /// The next event that is no report.
    pub(crate) async fn other(&mut self) -> SwapEvent {
        let wait = async {
            loop {
                match self.0.recv().await.unwrap() {
                    SwapEvent::Ended { .. } => {}
                    other => return other,
                }
            }
        };
        within("an event", wait).await
    }

    /// Whether nothing was told.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// A guest as it is given to a host.
pub(crate) fn upload(guest: &Guest) -> Upload {
    upload_with(guest, "")
}

/// The same with more in its manifest.
pub(crate) fn upload_with(guest: &Guest, more: &str) -> Upload {
    Upload {
        component: guest.component().into(),
        manifest: Some(guest.manifest(more)),
    }
}

/// Swaps a guest in.
pub(crate) async fn swap(host: &PluginHost, guest: &Guest) -> SwapReport {
    swap_as(host, guest, SwapOptions::default()).await
}

/// Swaps a guest in, in this way.
pub(crate) async fn swap_as(host: &PluginHost, guest: &Guest, options: SwapOptions) -> SwapReport {
    let name = guest.name.parse().unwrap();
    let swap = host.swap(&name, upload(guest), options);
    within("a swap", swap).await.unwrap()
}

/// What serves as this plugin.
pub(crate) fn active(host: &PluginHost, name: &str) -> Plugin {
    let plugins = host.plugins();
    let mut active = plugins
        .iter()
        .filter(|plugin| plugin.name == name && plugin.state == PluginState::Active);
    let first = active.next().unwrap_or_else(|| panic!("{plugins:?}"));
    assert!(active.next().is_none(), "{plugins:?}");
    first.clone()
}

/// The version that serves as this plugin.
pub(crate) fn version(host: &PluginHost, name: &str) -> String {
    active(host, name).version.unwrap()
}

/// What a component is called, in hex.
pub(crate) fn digest(component: &[u8]) -> String {
    Digest::of(component).to_string()
}

/// The same component under another digest: with a section that nobody reads.
pub(crate) fn restamped(component: &[u8], stamp: u32) -> Bytes {
    let name = b"stamp";
    let mut section = vec![u8::try_from(name.len()).unwrap()];
    section.extend_from_slice(name);
    section.extend_from_slice(&stamp.to_le_bytes());
    let mut bytes = component.to_vec();
    // Id 0 is a custom section; then comes its size.
    bytes.extend([0, u8::try_from(section.len()).unwrap()]);
    bytes.extend(section);
    bytes.into()
}

/// In which states this plugin's rows are.
pub(crate) fn states(host: &PluginHost, name: &str) -> BTreeSet<&'static str> {
    let plugins = host.plugins();
    let of_name = plugins.iter().filter(|plugin| plugin.name == name);
    of_name.map(|plugin| plugin.state.as_str()).collect()
}
