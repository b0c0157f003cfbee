//! Versions that were added at run time, read as if they stood in the file.

use std::path::{Path, PathBuf};

use crate::config::{Addition, Loaded, Problems, addition};
use crate::controller::{ServiceStatus, Status};
use crate::model::{ServiceName, VersionName};
use crate::store::Recovered;

use super::disk::Disk;

/// A service, a version of it that was added at run time, and what the file would say of that.
pub type Deployment = (ServiceName, VersionName, String);

/// Those that a running controller knows.
pub(super) fn of_status(status: &Status) -> Vec<Deployment> {
    let of = |it: &ServiceStatus| {
        let service = it.name.clone();
        let deployed = it.deployed.clone().into_iter();
        deployed.map(move |(version, text)| (service.clone(), version, text)).collect::<Vec<_>>()
    };
    status.services.iter().flat_map(of).collect()
}

/// Those that the journal knows.
pub(super) fn of_journal(recovered: &Recovered) -> Vec<Deployment> {
    let of = |(service, state): &(ServiceName, crate::release::State)| {
        let deployed = state.deployed.iter();
        let of =
            |it: &crate::release::Deployed| (service.clone(), it.version.name.clone(), it.definition.clone());
        deployed.map(of).collect::<Vec<_>>()
    };
    recovered.services.iter().flat_map(of).collect()
}

/// The versions of run time, as they are meant now. One that cannot be read any more is missing: it goes on as
/// it was, or, at a start, is lost.
pub(super) fn additions(path: &Path, loaded: &Loaded, deployed: Vec<Deployment>) -> Vec<Addition> {
    let Some(config) = &loaded.config else { return Vec::new() };
    let read = |(service, version, definition): Deployment| {
        let found = addition(config, path, (&service, &version), &definition, &Disk);
        let report = |it: Problems| it.render_human(false);
        found
            .map_err(|it| tracing::error!(%service, %version, "a version of run time cannot be read\n{}", report(it)))
            .ok()
    };
    deployed.into_iter().filter_map(read).collect()
}

/// Files to watch for them, and the directories that hold those.
pub(super) fn rests_on(additions: &[Addition]) -> impl Iterator<Item = PathBuf> {
    let with_directory = |it: &PathBuf| [Some(it.clone()), it.parent().map(Path::to_owned)];
    additions.iter().flat_map(move |it| it.read.iter().flat_map(with_directory)).flatten()
}
