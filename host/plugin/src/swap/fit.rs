//! Whether a newcomer fits what is there: the machine, the handles, the configs, what is running.

use fleet_model::driver::{Description, Fingerprint};
use fleet_model::swap::{Adoption, SwapWay};
use fleet_model::{Error, Name};

use super::adopt::{Adopted, Before, adopt};
use super::live::Live;
use super::options::SwapOptions;
use super::plan::{self, Schemas};
use super::probe::look_around;
use super::record::Stamp;
use super::report::Draft;
use super::shared::Shared;
use super::slot::Slot;
use crate::generation::PluginGeneration;
use crate::refused::{Code, Refused};
use crate::schema;

impl Shared {
    /// Whether it can work here, at least where the old code can.
    pub(super) async fn fit_for_this_machine(
        &self,
        slot: &Slot,
        new: &PluginGeneration,
    ) -> Result<Result<Fingerprint, Error>, Refused> {
        let found = look_around(new).await;
        let why = match &found {
            Ok(Fingerprint { unusable: None, .. }) => return Ok(found),
            Ok(Fingerprint {
                unusable: Some(why),
                ..
            }) => why.clone(),
            Err(error) => error.to_string(),
        };
        let Some(serving) = self.serving(slot) else {
            return Ok(found);
        };
        let was = look_around(&serving.generation).await;
        if was.is_ok_and(|was| was.unusable.is_none()) {
            return Err(Code::Unusable.because(format!(
                "cannot work on this machine, where the version that serves can: {why}"
            )));
        }
        Ok(found)
    }

    /// Whether it reads the handles that are in use, takes the configs that are there, and knows what
    /// is running.
    pub(super) async fn knows_what_is_there(
        &self,
        slot: &Slot,
        old: &PluginGeneration,
        new: &PluginGeneration,
        options: &SwapOptions,
        draft: &Draft,
    ) -> Result<Schemas, Refused> {
        let live = || self.live.live(&slot.plugin);
        let now = live();
        let record = slot.record();
        let schemas = plan::schemas(
            &Stamp::of(old),
            record.fallback(),
            &Stamp::of(new),
            &in_use(&now),
            options.way,
            options.adoption,
        )?;
        let before = Some(&*old.description);
        let configs = fitting_configs(&slot.plugin, before, &new.description, &now)?;
        draft.note(|report| {
            report.configs = configs;
            report.one_way = schemas.one_way;
        });
        let kept = slot.backend().map(|backend| backend.kept());
        let kept = kept.unwrap_or_default();
        let kept: Vec<&PluginGeneration> = kept.iter().map(|kept| &*kept.generation).collect();
        let before = Before::Code {
            active: old,
            kept: &kept,
        };
        let adopted = adopt(before, new, live, options.adoption).await;
        let failed = adopted.counts.failed;
        let first = adopted.failed.first().cloned();
        draft.note(|report| {
            report.handles = adopted.counts;
            report.failed_handles = adopted.failed;
        });
        match (first, options.adoption) {
            (Some(first), Adoption::Strict) => Err(Code::Adoption.because(format!(
                "does not know what is running ({failed} of {}): {} is {} to the version that serves and {} to this one: {}",
                adopted.counts.looked_at, first.name, first.was, first.is, first.reason
            ))),
            _ => Ok(schemas),
        }
    }

    /// The same where nothing that is written down could be loaded, so that nobody else can be asked:
    /// all that is recorded counts as there.
    pub(super) async fn knows_what_is_recorded(
        &self,
        slot: &Slot,
        new: &PluginGeneration,
    ) -> Result<Schemas, Refused> {
        let live = || self.live.live(&slot.plugin);
        let now = live();
        let record = slot.record();
        // Better no way back than nothing that serves.
        let schemas = plan::schemas(
            &record.active,
            record.fallback(),
            &Stamp::of(new),
            &in_use(&now),
            SwapWay::OneWay,
            Adoption::Strict,
        )?;
        fitting_configs(&slot.plugin, None, &new.description, &now)?;
        let Adopted { counts, failed } = adopt(Before::Nothing, new, live, Adoption::Strict).await;
        let Some(first) = failed.first() else {
            return Ok(schemas);
        };
        Err(Code::Adoption.because(format!(
            "does not know what is recorded as running ({} of {}): {} is {} to it: {}. Version {} served and cannot be \
             loaded: mend that, or remove those workloads. To install this one without being asked, stop the host and \
             remove {}",
            counts.failed,
            counts.looked_at,
            first.name,
            first.is,
            first.reason,
            record.active.version,
            self.journal.path(&slot.plugin).display()
        )))
    }
}

/// The schemas of the handles that are in use.
fn in_use(live: &[Live]) -> Vec<u32> {
    live.iter()
        .filter_map(|live| Some(live.handle.as_ref()?.schema))
        .collect()
}

/// How many of the configs that are there fit the new schema; `old` is absent where it is not known what
/// that was before.
///
/// # Errors
/// `config` where one does not that fitted the old one.
fn fitting_configs(
    plugin: &Name,
    old: Option<&Description>,
    new: &Description,
    live: &[Live],
) -> Result<u64, Refused> {
    let describe = |message: String| Code::Describe.because(message);
    let schema = schema::compile(&new.config_schema).map_err(describe)?;
    // That one was judged when it was put in place.
    let before = old.and_then(|old| schema::compile(&old.config_schema).ok());
    let mut fitting = 0;
    for one in live {
        let Some(config) = &one.config else { continue };
        match schema::check(&schema, config) {
            Ok(()) => fitting += 1,
            Err(mistakes) => {
                let fitted = before
                    .as_ref()
                    .is_none_or(|before| schema::check(before, config).is_ok());
                if fitted {
                    return Err(Code::Config.because(format!(
                        "does not take the config of {} ({}), which the `{plugin}` before it takes: {mistakes}",
                        one.name, one.item
                    )));
                }
            }
        }
    }
    Ok(fitting)
}
