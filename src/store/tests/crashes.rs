//! Power fails at every operation; disks are full, or lie.

use super::*;
use crate::store::memory::Trouble;

/// Writes all batches, compacting every few of them, until the power fails at operation `at`. Returns the
/// number of batches that were acknowledged.
fn write_until_power_fails(disk: &MemoryDisk, at: usize, batches: &[Vec<Record>]) -> usize {
    disk.trouble(Trouble::Power { at });
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    store.compact_bytes_min = 3_000;
    batches.iter().take_while(|it| store.append(it).is_ok()).count()
}

#[test]
fn power_loss_at_any_operation_gives_the_last_acknowledged_state_or_the_one_in_flight() {
    let batches = changes();
    assert!(batches.len() > 10);
    for at in 0.. {
        let disk = MemoryDisk::default();
        let acknowledged = write_until_power_fails(&disk, at, &batches);
        for left in disk.after_power_loss() {
            let recovered = reopened(&left).unwrap_or_else(|it| panic!("power lost at {at}: {it}"));
            let found = only_state(&recovered);
            let before = acknowledged.checked_sub(1).map(|it| state_of(&batches[it]));
            let in_flight = batches.get(acknowledged).map(|it| state_of(it));
            assert!(
                found == before || found == in_flight,
                "power lost at {at}, {acknowledged} acknowledged: {found:?}"
            );
            let weight = |it: &Option<State>| it.as_ref().map_or(0, |it| it.weight().basis_points());
            assert!(weight(&found) <= weight(&before).max(weight(&in_flight)));
            // What is left can be written to, and read again.
            let (mut store, _) = Store::on(Box::new(left.clone())).unwrap();
            store.append(&batches[0]).unwrap();
            assert_eq!(only_state(&reopened(&left).unwrap()), Some(state_of(&batches[0])));
        }
        if acknowledged == batches.len() {
            assert!(at > 30, "the script has {at} operations");
            return;
        }
    }
}

#[test]
fn a_full_disk_is_reported_and_forgotten_when_there_is_room() {
    let batches = changes();
    let disk = MemoryDisk::default();
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    store.append(&batches[0]).unwrap();
    disk.trouble(Trouble::Full);
    let error = store.append(&batches[1]).unwrap_err();
    assert_eq!(error.to_string(), "failed to write journal `/state/journal`");
    assert!(store.append(&batches[2]).is_err());
    for left in disk.after_power_loss() {
        assert_eq!(only_state(&reopened(&left).unwrap()), Some(state_of(&batches[0])));
    }
    disk.trouble(Trouble::None);
    store.append(&batches[3]).unwrap();
    for left in disk.after_power_loss() {
        assert_eq!(only_state(&reopened(&left).unwrap()), Some(state_of(&batches[3])));
    }
}

#[test]
fn a_full_disk_at_the_first_start_does_not_stop_it() {
    let disk = MemoryDisk::default();
    disk.trouble(Trouble::Full);
    let (mut store, recovered) = Store::on(Box::new(disk.clone())).unwrap();
    assert_eq!(recovered, Recovered::default());
    assert!(store.append(&changes()[0]).is_err());
    disk.trouble(Trouble::None);
    store.append(&changes()[0]).unwrap();
    assert_eq!(only_state(&reopened(&disk).unwrap()), Some(state_of(&changes()[0])));
}

/// A sync that failed has lost what it was to save, and the next one says nothing about it.
#[test]
fn after_a_failed_sync_everything_is_written_again() {
    let batches = changes();
    let disk = MemoryDisk::default();
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    store.append(&batches[0]).unwrap();
    disk.trouble(Trouble::Sync { n: 1 });
    store.append(&batches[1]).unwrap();
    store.append(&batches[2]).unwrap();
    for left in disk.after_power_loss() {
        assert_eq!(only_state(&reopened(&left).unwrap()), Some(state_of(&batches[2])));
    }
}
