//! Journals that are cut, flipped, or something else altogether.

use super::*;
use crate::store::memory::Trouble;

fn journal_of(batches: &[Vec<Record>]) -> Vec<u8> {
    let disk = MemoryDisk::default();
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    batches.iter().for_each(|it| store.append(it).unwrap());
    disk.content(JOURNAL)
}

#[test]
fn cut_at_any_length_it_is_the_state_of_the_last_whole_record() {
    let batches = &changes()[..4];
    let whole = journal_of(batches);
    let ends: Vec<usize> = (0..=batches.len()).map(|it| journal_of(&batches[..it]).len()).collect();
    for length in 0..=whole.len() {
        let disk = MemoryDisk::with(JOURNAL, whole[..length].to_vec());
        let opened = reopened(&disk);
        if length < frame::MAGIC.len() {
            // It came into being by a rename, so this is no crash, and nothing can be said about it.
            assert!(matches!(opened, Err(OpenError::Damaged { .. })), "cut at {length}");
            assert_eq!(disk.content(JOURNAL).len(), length, "cut at {length}: left as it was");
            continue;
        }
        let recovered = opened.unwrap_or_else(|it| panic!("cut at {length}: {it}"));
        let last = ends.iter().rposition(|it| *it <= length);
        let expected = last.and_then(|it| it.checked_sub(1)).map(|it| state_of(&batches[it]));
        assert_eq!(only_state(&recovered), expected, "cut at {length}");
        let clean = length == frame::MAGIC.len() || ends.contains(&length);
        assert_eq!(recovered.torn.is_some(), !clean, "cut at {length}");
    }
}

#[test]
fn any_flipped_bit_stops_the_start_and_changes_nothing() {
    let whole = journal_of(&changes()[..3]);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let disk = MemoryDisk::with(JOURNAL, flipped.clone());
        match reopened(&disk) {
            Err(OpenError::Damaged { .. } | OpenError::Unknown { .. }) => {}
            other => panic!("bit {bit}: {other:?}"),
        }
        assert_eq!(disk.content(JOURNAL), flipped, "bit {bit}");
    }
}

#[test]
fn the_message_names_the_record_and_the_way_out() {
    let mut journal = journal_of(&changes()[..3]);
    let at = journal_of(&changes()[..1]).len() + 30;
    journal[at] ^= 1;
    let error = reopened(&MemoryDisk::with(JOURNAL, journal)).unwrap_err().to_string();
    assert!(error.starts_with("journal `/state/journal` is damaged in record 3 at byte"), "{error}");
    assert!(error.contains("checksum does not match"), "{error}");
    assert!(error.contains("move it away"), "{error}");
}

#[test]
fn a_missing_record_in_the_middle_is_noticed() {
    let ends: Vec<usize> = (0..4).map(|it| journal_of(&changes()[..it]).len()).collect();
    let mut journal = journal_of(&changes()[..3]);
    journal.drain(ends[1]..ends[2]);
    let error = reopened(&MemoryDisk::with(JOURNAL, journal)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { record: 3, .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let journal = b"TIDEGATE JOURNAL 5\nwhatever".to_vec();
    let disk = MemoryDisk::with(JOURNAL, journal.clone());
    assert!(matches!(reopened(&disk), Err(OpenError::Unknown { .. })));
    assert_eq!(disk.content(JOURNAL), journal);
}

/// An older format is read, kept as it was, and written anew; a disk that is full then changes nothing.
#[test]
fn an_older_format_is_kept_beside_the_new_one() {
    let batches = changes();
    let mut old = journal_of(&batches[..3]);
    old[..frame::MAGIC.len()].copy_from_slice(b"TIDEGATE JOURNAL 1\n");
    for full in [false, true] {
        let disk = MemoryDisk::with(JOURNAL, old.clone());
        if full {
            disk.trouble(Trouble::Full);
        }
        let (mut store, recovered) = Store::on(Box::new(disk.clone())).unwrap();
        assert_eq!(only_state(&recovered), Some(state_of(&batches[2])));
        if full {
            assert!(store.append(&batches[3]).is_err());
            assert_eq!(disk.content(JOURNAL), old);
            disk.trouble(Trouble::None);
        }
        store.append(&batches[3]).unwrap();
        for left in disk.after_power_loss() {
            assert_eq!(left.content("journal.format-1"), old);
            assert!(left.content(JOURNAL).starts_with(frame::MAGIC));
            assert_eq!(only_state(&reopened(&left).unwrap()), Some(state_of(&batches[3])));
        }
    }
}
