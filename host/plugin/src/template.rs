//! A linked component, ready to be instantiated once per call.

use std::collections::BTreeMap;

use fleet_model::driver::Fingerprint;
use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{AsContextMut, Store};

use crate::bindings::exports::fleet::backend::{driver, exec, input, logs, signals, stats};
use crate::state::CallState;
use crate::world::{EXEC, INPUT, LOGS, SIGNALS, STATS};

/// What every call starts from. Making an instance of it takes microseconds.
pub(crate) struct Template {
    pre: InstancePre<CallState>,
    driver: driver::GuestIndices,
    logs: Option<logs::GuestIndices>,
    input: Option<input::GuestIndices>,
    exec: Option<exec::GuestIndices>,
    stats: Option<stats::GuestIndices>,
    signals: Option<signals::GuestIndices>,
}

impl Template {
    /// Links a component: all its imports are there and its exports have the contract's types.
    ///
    /// # Errors
    /// What does not fit, for people.
    pub(crate) fn link(linker: &Linker<CallState>, component: &Component) -> Result<Self, String> {
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| format!("it does not link: {error:#}"))?;
        let misfit =
            |error: wasmtime::Error| format!("an export does not fit the contract: {error:#}");
        let driver = driver::GuestIndices::new(&pre).map_err(misfit)?;
        // Looked for as the indices below are: a later patch of an interface is that interface.
        let offers = |interface: &str| component.get_export_index(None, interface).is_some();
        let logs = offers(LOGS).then(|| logs::GuestIndices::new(&pre));
        let input = offers(INPUT).then(|| input::GuestIndices::new(&pre));
        let exec = offers(EXEC).then(|| exec::GuestIndices::new(&pre));
        let stats = offers(STATS).then(|| stats::GuestIndices::new(&pre));
        let signals = offers(SIGNALS).then(|| signals::GuestIndices::new(&pre));
        Ok(Self {
            logs: logs.transpose().map_err(misfit)?,
            input: input.transpose().map_err(misfit)?,
            exec: exec.transpose().map_err(misfit)?,
            stats: stats.transpose().map_err(misfit)?,
            signals: signals.transpose().map_err(misfit)?,
            pre,
            driver,
        })
    }

    /// Whether it exports `logs`.
    pub(crate) fn has_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// Whether it exports `input`.
    pub(crate) fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// Whether it exports `exec`.
    pub(crate) fn has_exec(&self) -> bool {
        self.exec.is_some()
    }

    /// Whether it exports `stats`.
    pub(crate) fn has_stats(&self) -> bool {
        self.stats.is_some()
    }

    /// Whether it exports `signals`.
    pub(crate) fn has_signals(&self) -> bool {
        self.signals.is_some()
    }

    /// What a plugin may offer beside the driver, and whether this one does: facts about it that
    /// others decide on, so no plugin says them itself.
    pub(crate) fn offers(&self) -> BTreeMap<String, String> {
        let facts = [
            ("exec", self.has_exec()),
            ("input", self.has_input()),
            ("logs", self.has_logs()),
            ("signals", self.has_signals()),
            ("stats", self.has_stats()),
        ];
        facts
            .into_iter()
            .map(|(name, is_there)| (name.to_owned(), is_there.to_string()))
            .collect()
    }

    /// Takes out of what it said of its machine what is not for it to say.
    pub(crate) fn keep_own_facts(&self, found: &mut Fingerprint) {
        let fixed = self.offers();
        found.attributes.retain(|name, _| !fixed.contains_key(name));
    }

    pub(crate) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<Instance> {
        self.pre.instantiate_async(store).await
    }

    pub(crate) fn driver(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<driver::Guest> {
        self.driver.load(store, instance)
    }

    pub(crate) fn logs(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<logs::Guest> {
        match &self.logs {
            Some(logs) => logs.load(store, instance),
            None => wasmtime::bail!("the component has no `logs`"),
        }
    }

    pub(crate) fn input(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<input::Guest> {
        match &self.input {
            Some(input) => input.load(store, instance),
            None => wasmtime::bail!("the component has no `input`"),
        }
    }

    pub(crate) fn exec(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<exec::Guest> {
        match &self.exec {
            Some(exec) => exec.load(store, instance),
            None => wasmtime::bail!("the component has no `exec`"),
        }
    }

    pub(crate) fn stats(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<stats::Guest> {
        match &self.stats {
            Some(stats) => stats.load(store, instance),
            None => wasmtime::bail!("the component has no `stats`"),
        }
    }

    pub(crate) fn signals(
        &self,
        store: impl AsContextMut,
        instance: &Instance,
    ) -> wasmtime::Result<signals::Guest> {
        match &self.signals {
            Some(signals) => signals.load(store, instance),
            None => wasmtime::bail!("the component has no `signals`"),
        }
    }
}
