//! A linked component, ready to be instantiated once per call.

use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{AsContextMut, Store};

use crate::bindings::exports::fleet::backend::{driver, logs};
use crate::state::CallState;
use crate::world::LOGS;

/// What every call starts from. Making an instance of it takes microseconds.
pub(crate) struct Template {
    pre: InstancePre<CallState>,
    driver: driver::GuestIndices,
    logs: Option<logs::GuestIndices>,
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
        let offers_logs = component
            .component_type()
            .get_export(component.engine(), LOGS)
            .is_some();
        let logs = offers_logs
            .then(|| logs::GuestIndices::new(&pre))
            .transpose()
            .map_err(misfit)?;
        Ok(Self { pre, driver, logs })
    }

    /// Whether it exports `logs`.
    pub(crate) fn has_logs(&self) -> bool {
        self.logs.is_some()
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
}
