//! Versions of run time beside those of the file: which of them are known, and a service that has both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{Addition, ServiceConfig};
use crate::model::ServiceName;
use crate::release::{Deployed, Version};
use crate::routing::{ServiceSpec, VersionSpec};

/// What the versions of run time are. It outlives a core that panicked, as the configuration does.
#[derive(Debug, Default)]
pub(super) struct Additions(Mutex<BTreeMap<(ServiceName, Version), VersionSpec>>);

impl Additions {
    /// Takes these over; what is known by the same name and fingerprint is renewed.
    pub fn learn<'a>(&self, additions: impl IntoIterator<Item = &'a Addition>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(
            additions.into_iter().map(|it| ((it.service.clone(), version(&it.spec)), it.spec.clone())),
        );
    }

    /// Forgets what is not used.
    pub fn keep(&self, used: impl Fn(&ServiceName, &Version) -> bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(service, version), _| used(service, version));
    }

    /// Those of these versions that nothing is known of.
    pub fn missing(&self, service: &ServiceName, deployed: &[Deployed]) -> Vec<Version> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = deployed.iter().map(|it| it.version.clone());
        versions.filter(|it| !known.contains_key(&(service.clone(), it.clone()))).collect()
    }

    /// The service as the file has it, and behind its versions those of run time that the file does not
    /// name; and which those are. Indices into the versions of the file stay what they are.
    pub fn fit(&self, service: &ServiceConfig, deployed: &[Deployed]) -> (Arc<ServiceSpec>, Vec<Version>) {
        let filed = &service.spec;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let added =
            deployed.iter().filter(|it| filed.versions.iter().all(|spec| spec.name != it.version.name));
        let added = added.filter_map(|it| known.get(&(filed.name.clone(), it.version.clone())));
        let added: Vec<VersionSpec> = added.cloned().collect();
        let versions = added.iter().map(version).collect();
        if added.is_empty() {
            return (Arc::clone(filed), versions);
        }
        let mut spec = ServiceSpec::clone(filed);
        spec.versions.extend(added);
        (Arc::new(spec), versions)
    }
}

/// A version in the words of the machine.
pub(super) fn version(it: &VersionSpec) -> Version {
    Version { name: it.name.clone(), fingerprint: it.fingerprint }
}
