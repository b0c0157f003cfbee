//! On a real disk.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_made_for_our_eyes_only_and_read_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("a/state");
    let batches = changes();
    let (mut store, recovered) = Store::open(&directory).unwrap();
    assert_eq!(recovered, Recovered::default());
    store.append(&batches[0]).unwrap();
    store.append(&batches[1]).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(JOURNAL)), 0o600);
    drop(store);
    let (_, recovered) = Store::open(&directory).unwrap();
    assert_eq!(only_state(&recovered), Some(state_of(&batches[1])));
    assert_eq!(recovered.lines.len(), 2);
}

#[test]
fn a_second_process_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let first = Store::open(place.path());
    assert!(first.is_ok());
    let error = Store::open(place.path()).err().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    drop(first);
    assert!(Store::open(place.path()).is_ok());
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let place = tempfile::tempdir().unwrap();
    for bits in [0o770, 0o707, 0o777] {
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(bits)).unwrap();
        let error = Store::open(place.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("mode {bits:o}")) && error.contains("chmod 700"), "{error}");
    }
}

#[test]
fn what_is_not_a_plain_file_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let elsewhere = place.path().join("elsewhere");
    std::fs::write(&elsewhere, "secret").unwrap();
    let journal = |name: &str| {
        let directory = place.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700)).unwrap();
        directory.join(JOURNAL)
    };
    symlink(&elsewhere, journal("link")).unwrap();
    std::fs::create_dir(journal("directory")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        journal("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    std::fs::write(journal("empty"), "").unwrap();
    for name in ["link", "directory", "pipe", "empty"] {
        assert!(Store::open(&place.path().join(name)).is_err(), "{name}");
    }
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"secret");
}

#[test]
fn a_journal_deleted_while_running_is_written_again() {
    let place = tempfile::tempdir().unwrap();
    let batches = changes();
    let (mut store, _) = Store::open(place.path()).unwrap();
    store.append(&batches[0]).unwrap();
    store.append(&batches[1]).unwrap();
    std::fs::remove_file(place.path().join(JOURNAL)).unwrap();
    store.append(&batches[2]).unwrap();
    drop(store);
    let (_, recovered) = Store::open(place.path()).unwrap();
    assert_eq!(only_state(&recovered), Some(state_of(&batches[2])));
    assert_eq!(recovered.lines.len(), 3);
}
