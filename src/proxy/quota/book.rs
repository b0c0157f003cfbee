//! The limits of every version, found again by name, so that a reload forgets nothing that is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::model::{ServiceName, VersionName};
use crate::routing::ServiceLimits;

use super::Bounds;

/// All limits of the process. The lock is taken when tables are built.
#[derive(Debug, Default)]
pub struct Book {
    known: Mutex<HashMap<(ServiceName, VersionName), Weak<Bounds>>>,
}

impl Book {
    /// The limits of a version, which are these from now on.
    pub fn bounds(
        &self,
        names: (&ServiceName, &VersionName),
        limits: &ServiceLimits,
        workers: usize,
    ) -> Arc<Bounds> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, it| it.strong_count() > 0);
        let key = (names.0.clone(), names.1.clone());
        let bounds = known.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let bounds = Arc::new(Bounds::new(workers));
            known.insert(key, Arc::downgrade(&bounds));
            bounds
        });
        bounds.resize(limits.connections, limits.in_flight);
        bounds
    }
}
