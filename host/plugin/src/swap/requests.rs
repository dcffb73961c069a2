//! Swaps as people and programs ask for them.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use fleet_model::swap::{
    MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES, Quarantined, SwapCause, SwapEvent, SwapReason,
    SwapReport,
};
use fleet_model::{Error, ErrorKind, Name};
use tokio::sync::broadcast;

use super::back::Try;
use super::newcomer::Newcomer;
use super::options::{SwapOptions, Swaps, Upload};
use super::record::NoWayBack;
use super::shared::Shared;
use super::slot::Slot;
use crate::digest::Digest;
use crate::folder::too_large;
use crate::generation::{GenerationId, PluginGeneration};
use crate::load::Content;
use crate::manifest::{Manifest, ManifestText};
use crate::refused::{Code, Refused, blocking};

/// The least digits a digest is known by.
const LEAST_DIGITS: usize = 8;

impl Shared {
    /// The place of a plugin that serves.
    fn serving_slot(&self, plugin: &Name) -> Result<Arc<Slot>, Error> {
        let slot = self.slot(plugin).filter(|slot| slot.backend().is_some());
        slot.ok_or_else(|| {
            let there: Vec<String> = self
                .slots()
                .iter()
                .filter(|slot| slot.backend().is_some())
                .map(|slot| slot.plugin.to_string())
                .collect();
            let there = match there.is_empty() {
                true => "none".to_owned(),
                false => there.join(", "),
            };
            Error::not_found(
                "no-plugin",
                format!(
                    "no plugin `{plugin}` serves here; there are: {there}. A new one is installed by putting {plugin}.wasm and \
                     {plugin}.toml into the plugin folder"
                ),
            )
        })
    }

    async fn swap_in(
        self: Arc<Self>,
        plugin: Name,
        upload: Upload,
        options: SwapOptions,
    ) -> Result<SwapReport, Error> {
        let slot = self.serving_slot(&plugin)?;
        let component = upload.component;
        if component.len() as u64 > MAX_COMPONENT_BYTES {
            return Err(refused_upload(&too_large(MAX_COMPONENT_BYTES)));
        }
        let turn = slot.turn().ok_or_else(|| under_way(&plugin))?;
        let Some(serving) = self.serving(&slot) else {
            return Err(under_way(&plugin));
        };
        let active = &serving.generation;
        let manifest = self
            .manifest_of(active, upload.manifest)
            .await
            .map_err(|refused| refused_upload(&refused))?;
        let component = Vec::from(component);
        let (component, digest) = blocking(move || {
            let digest = Digest::of(&component);
            Ok((component, digest))
        })
        .await
        .map_err(|refused| Error::internal("host-failed", refused.message))?;
        if is_same(active, digest, &manifest.manifest) {
            return Err(already_active(&plugin, digest));
        }
        let id = GenerationId {
            component: digest,
            manifest: manifest.digest,
        };
        if let Some(ban) = slot.record().ban(id) {
            let message = format!(
                "the digest {digest} of `{plugin}` is quarantined ({}): `fleet-host plugin unquarantine {digest}` lets it in \
                 again",
                ban.reason
            );
            return Err(Error::conflict("quarantined", message).with("plugin", &plugin));
        }
        let newcomer = Newcomer {
            component: Ok(component),
            manifest: Ok(manifest),
            seen: None,
            objection: None,
        };
        Ok(self
            .bring(slot, newcomer, SwapCause::Upload, options, turn)
            .await)
    }

    /// What was sent along, else what is in force.
    async fn manifest_of(
        &self,
        active: &PluginGeneration,
        sent: Option<String>,
    ) -> Result<ManifestText, Refused> {
        let file = format!("{}.toml", active.manifest.name);
        let text = match sent {
            Some(text) if text.len() as u64 > MAX_MANIFEST_BYTES => {
                return Err(too_large(MAX_MANIFEST_BYTES));
            }
            Some(text) => text,
            None => {
                let (store, digest) = (self.loader.store.clone(), active.id.manifest);
                let bytes = blocking(move || store.read(Content::Manifest, digest)).await?;
                String::from_utf8(bytes)
                    .map_err(|_| Code::Storage.because("the copy of its manifest is no text"))?
            }
        };
        ManifestText::parse(&file, text)
    }

    async fn roll_back_by_hand(
        self: Arc<Self>,
        plugin: Name,
        request: Option<String>,
    ) -> Result<SwapReport, Error> {
        let slot = self.serving_slot(&plugin)?;
        let _turn = slot.turn().ok_or_else(|| under_way(&plugin))?;
        let record = slot.record();
        record.way_back().map_err(|no| no_way_back(&plugin, no))?;
        let reason = SwapReason {
            code: "operator".to_owned(),
            message: "rolled back by hand".to_owned(),
        };
        let cause = (SwapCause::Operator, request);
        self.roll_back(&slot, record.active.id, cause, reason, Try::First)
            .await
            .ok_or_else(|| under_way(&plugin))
    }

    async fn allow(self: Arc<Self>, digest: String) -> Result<Vec<Quarantined>, Error> {
        let digits = digest.strip_prefix("sha256:").unwrap_or(&digest);
        let digits = digits.to_ascii_lowercase();
        if digits.len() < LEAST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let message = format!(
                "`{digits}` is no digest: write {LEAST_DIGITS} to 64 hexadecimal digits of one that `fleet-host plugin ls` \
                 shows as quarantined"
            );
            return Err(Error::invalid("bad-digest", message));
        }
        let mut allowed: Vec<Quarantined> = Vec::new();
        let all = self.slots().into_iter().map(|slot| {
            let bans = slot.record().quarantine;
            (slot, bans)
        });
        let found: Vec<(Arc<Slot>, Digest)> = all
            .flat_map(|(slot, bans)| {
                bans.into_iter()
                    .map(move |ban| (slot.clone(), ban.component))
            })
            .filter(|(_, component)| component.to_string().starts_with(&digits))
            .collect();
        let mut components: Vec<Digest> = found.iter().map(|(_, digest)| *digest).collect();
        components.sort();
        components.dedup();
        let [component] = components[..] else {
            return Err(match components.is_empty() {
                true => Error::not_found(
                    "not-quarantined",
                    format!(
                        "no digest that begins with {digits} is quarantined: `fleet-host plugin ls` shows those that are"
                    ),
                ),
                false => Error::conflict(
                    "several-digests",
                    format!(
                        "{} quarantined digests begin with {digits}: write more of it",
                        components.len()
                    ),
                ),
            });
        };
        for (slot, _) in found {
            let _book = slot.book.lock().await;
            let record = slot.record();
            let lifted = record.quarantined();
            let lifted = lifted
                .into_iter()
                .filter(|ban| ban.digest == component.to_string());
            let before = allowed.len();
            allowed.extend(lifted);
            if allowed.len() == before {
                continue;
            }
            let written = self.write(&slot, record.allowed(component)).await;
            written.map_err(|refused| refused_write(&refused))?;
            self.show_bans(&slot);
            self.tell(SwapEvent::Unquarantined {
                plugin: slot.plugin.to_string(),
                digest: component.to_string(),
            });
        }
        Ok(allowed)
    }
}

/// Whether this is what serves: the same component, and a manifest that says the same.
pub(crate) fn is_same(active: &PluginGeneration, component: Digest, manifest: &Manifest) -> bool {
    active.id.component == component && active.manifest == *manifest
}

fn under_way(plugin: &Name) -> Error {
    let mut error = Error::conflict(
        "swap-under-way",
        format!("a swap of `{plugin}` is under way: ask again when it has ended"),
    );
    error.retry_after_ms = Some(1_000);
    error.with("plugin", plugin)
}

fn already_active(plugin: &Name, digest: Digest) -> Error {
    let message =
        format!("already active: same digest ({digest}); nothing of `{plugin}` was changed");
    Error::conflict("already-active", message).with("plugin", plugin)
}

fn no_way_back(plugin: &Name, no: NoWayBack) -> Error {
    match no {
        NoWayBack::NothingProven => Error::conflict(
            "nothing-to-roll-back-to",
            format!("no other version of `{plugin}` has proven itself here: swap one in"),
        ),
        NoWayBack::OneWay => Error::conflict(
            "rollback-off",
            format!(
                "the active version of `{plugin}` was swapped in with --one-way, so rollback is off: swap a version in that \
                 reads what it writes"
            ),
        ),
    }
    .with("plugin", plugin)
}

fn refused_upload(refused: &Refused) -> Error {
    Error::invalid(refused.code.as_str(), refused.message.clone())
}

fn refused_write(refused: &Refused) -> Error {
    let kind = match refused.code {
        Code::DiskFull => ErrorKind::Exhausted,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, refused.code.as_str(), refused.message.clone())
}

/// Does something to its end, whether or not anybody waits for it.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        Err(Error::internal(
            "host-failed",
            format!("a task of the host failed: {error}"),
        ))
    })
}

#[async_trait]
impl Swaps for crate::PluginHost {
    async fn swap(
        &self,
        plugin: &Name,
        upload: Upload,
        options: SwapOptions,
    ) -> Result<SwapReport, Error> {
        to_its_end(self.shared.clone().swap_in(plugin.clone(), upload, options)).await
    }

    async fn rollback(&self, plugin: &Name, request: Option<String>) -> Result<SwapReport, Error> {
        let work = self.shared.clone();
        to_its_end(work.roll_back_by_hand(plugin.clone(), request)).await
    }

    fn spool(&self) -> Result<File, Error> {
        let spool = self.shared.loader.store.spool();
        spool.map_err(|refused| refused_write(&refused))
    }

    fn history(
        &self,
        plugin: &Name,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<SwapReport>, Option<u64>), Error> {
        let slot = self.shared.slot(plugin).ok_or_else(|| {
            Error::not_found(
                "no-plugin",
                format!("no plugin `{plugin}` has ever served here"),
            )
        })?;
        let mut reports = slot.reports();
        reports.retain(|report| before.is_none_or(|before| report.id < before));
        let is_more = reports.len() > limit;
        reports.truncate(limit);
        let next = reports.last().filter(|_| is_more).map(|report| report.id);
        Ok((reports, next))
    }

    fn quarantined(&self) -> Vec<Quarantined> {
        let slots = self.shared.slots();
        slots
            .iter()
            .flat_map(|slot| slot.record().quarantined())
            .collect()
    }

    async fn unquarantine(&self, digest: &str) -> Result<Vec<Quarantined>, Error> {
        to_its_end(self.shared.clone().allow(digest.to_owned())).await
    }

    fn events(&self) -> broadcast::Receiver<SwapEvent> {
        self.shared.events.subscribe()
    }
}
