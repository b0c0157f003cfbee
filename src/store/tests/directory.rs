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

#[test]
fn a_directory_deleted_while_running_is_made_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("state");
    let batches = changes();
    let (mut store, _) = Store::open(&directory).unwrap();
    store.append(&batches[0]).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    store.append(&batches[1]).unwrap();
    store.append(&batches[2]).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert!(matches!(Store::open(&directory), Err(OpenError::Locked { .. })), "it is locked again");
    drop(store);
    let (_, recovered) = Store::open(&directory).unwrap();
    assert_eq!(only_state(&recovered), Some(state_of(&batches[2])));
}

/// A file that is copied while it is written to is whole, or ends in the middle of a record.
#[test]
fn a_live_copy_is_a_state_that_was_there() {
    let place = tempfile::tempdir().unwrap();
    let batches = changes();
    let states: Vec<State> = batches.iter().map(|it| state_of(it)).collect();
    let (mut store, _) = Store::open(place.path()).unwrap();
    store.compact_bytes_min = 3_000;
    store.append(&batches[0]).unwrap();
    let (path, stop) = (place.path().join(JOURNAL), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let copier = scope.spawn(|| {
            let mut copies = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let Ok(bytes) = std::fs::read(&path) else { continue };
                let recovered = reopened(&MemoryDisk::with(JOURNAL, bytes)).unwrap();
                assert!(states.contains(&only_state(&recovered).unwrap()));
                copies += 1;
            }
            copies
        });
        for _ in 0..30 {
            batches.iter().for_each(|it| store.append(it).unwrap());
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(copier.join().unwrap() > 0);
    });
}

/// Years of history cost a bounded file and a bounded start.
#[test]
fn a_long_history_is_bounded() {
    let disk = MemoryDisk::default();
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    let batches = changes();
    let Some(Record::Change(first)) = batches[0].last() else { panic!() };
    let entry = first.line.as_ref().unwrap().entry.clone();
    let mut largest = 0;
    for part in 0..1_000 {
        let records: Vec<Record> =
            (0..100).map(|it| Record::Line(Box::new(line(part * 100 + it + 1, &entry)))).collect();
        store.append(&records).unwrap();
        largest = largest.max(disk.content(JOURNAL).len());
    }
    assert!(largest < 8 << 20, "{largest} bytes");
    let recovered = reopened(&disk).unwrap();
    assert_eq!(recovered.lines.last().unwrap().id, 100_000);
}
