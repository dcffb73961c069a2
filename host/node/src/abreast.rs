//! So much at once for each backend: one that hangs takes its own places and nobody else's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleet_model::Name;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places, as many for each backend.
#[derive(Debug)]
pub(crate) struct Abreast {
    most: usize,
    backends: Mutex<BTreeMap<Name, Arc<Semaphore>>>,
}

impl Abreast {
    /// So many at once for each backend.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            backends: Mutex::default(),
        }
    }

    /// One of a backend's places until it is dropped, waiting for as long as it takes.
    pub(crate) async fn place(&self, backend: &Name) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(self.most));
            backends.entry(backend.clone()).or_insert_with(new).clone()
        };
        // Nobody closes them.
        places.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_backend_whose_places_are_taken_holds_up_no_other() {
        let abreast = Abreast::new(2);
        let place = |backend: &str| {
            let backend = backend.parse().unwrap();
            abreast.place(&backend).now_or_never().flatten()
        };
        let first = place("a").unwrap();
        let _second = place("a").unwrap();
        assert!(place("a").is_none());
        assert!(place("b").is_some());
        drop(first);
        assert!(place("a").is_some());
    }
}
