//! What is written is what is read: now, after compaction, and by the next version.

use proptest::prelude::*;

use super::*;
use crate::release::tests::walk::{moves, walk};
use crate::release::tests::{event_in, permit};

#[test]
fn evidence_is_kept_bit_for_bit_while_the_release_goes_on() {
    let batches = changes();
    let disk = MemoryDisk::default();
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    let evidence = Evidence {
        service: shop(),
        release: 1,
        at: Timestamp(9),
        began: Timestamp(7),
        counts: vec![0, 1, u64::MAX],
        values: vec![0.1 + 0.2, -1e-300, 5e-324],
    };
    store.append(&batches[1]).unwrap();
    store.append(&[Record::Evidence(Box::new(evidence.clone()))]).unwrap();
    assert_eq!(reopened(&disk).unwrap().evidence, [evidence]);
    let rolled_back = batches.iter().find(|it| state_of(it).trial().is_none() && state_of(it).release == 1);
    store.append(rolled_back.unwrap()).unwrap();
    assert_eq!(reopened(&disk).unwrap().evidence, []);
}

#[test]
fn it_is_compacted_and_forgets_only_old_lines() {
    let batches = changes();
    let disk = MemoryDisk::default();
    let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
    store.compact_bytes_min = 10_000;
    let Some(Record::Change(it)) = batches[3].last().cloned() else { panic!() };
    let (state, line) = (it.state, it.line.unwrap());
    let mut largest = 0;
    for id in 1..=3_000 {
        let line = Line { id, ..line.clone() };
        store.append(&[change(&state, Some(line))]).unwrap();
        largest = largest.max(store.bytes);
    }
    assert!(largest < 5_000_000, "{largest}");
    let recovered = reopened(&disk).unwrap();
    assert_eq!(only_state(&recovered), Some(state));
    let ids: Vec<u64> = recovered.lines.iter().map(|it| it.id).collect();
    assert_eq!(ids, (1_001..=3_000).collect::<Vec<_>>());
}

/// Written by the first version: readable for ever, and nothing of it is lost when it is written again.
/// When the format grows, keep this file, give new fields defaults, and add a file of the new format.
#[test]
fn records_of_older_versions_are_read() {
    let old = include_bytes!("../fixtures/records-1.json");
    let mut journal = frame::MAGIC.to_vec();
    journal.extend(frame::write(1, old));
    let recovered = reopened(&MemoryDisk::with(JOURNAL, journal)).unwrap();
    let state = only_state(&recovered).unwrap();
    assert_eq!((state.word(), state.release, state.quarantine.len()), ("ROLLED BACK", 3, 2));
    assert_eq!(recovered.lines.len(), 15);

    let again = record::write(&record::read(old).unwrap());
    let value = |bytes| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(&again), value(old));
}

/// Written by the second version, with its gates, causes and times.
#[test]
fn records_of_the_second_version_are_read() {
    let text = include_str!("../fixtures/records-2.json");
    reads_as_written(text);
    for word in [
        "verifying",
        "checking",
        "asking",
        "shut",
        "until_us",
        "checked",
        "approved",
        "previous_since_us",
        "clock",
        "ready",
        "\"check\"",
        "deadline",
        "no_traffic",
        "overridden",
        "weighted",
    ] {
        assert!(text.contains(word), "no {word}");
    }
    // The file alone could want something then.
    let records = record::read(text.as_bytes()).unwrap();
    for it in &records {
        let Record::Change(it) = it else { continue };
        assert_eq!((&it.state.filed, it.state.deployed.len()), (&it.state.wanted, 0));
    }
}

/// Written by the fourth, which knows of versions that the file does not. `UPDATE=1` writes it anew, which is
/// right only until that version is out.
#[test]
fn records_of_the_fourth_version_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/fixtures/records-4.json");
    if std::env::var_os("UPDATE").is_some() {
        let text = String::from_utf8(record::write(&of_every_kind())).unwrap();
        std::fs::write(path, text.replace("},{\"change\"", "},\n{\"change\"") + "\n").unwrap();
    }
    let text = std::fs::read_to_string(path).unwrap();
    reads_as_written(&text);
    for word in [
        "\"filed\"",
        "\"deployed\":[",
        "definition",
        "by_hand",
        "\"what\":\"deployed\"",
        "\"why\":\"rolled back by",
    ] {
        assert!(text.contains(word), "no {word}");
    }
}

/// Nothing is lost when it is written again.
#[track_caller]
fn reads_as_written(text: &str) {
    let records = record::read(text.as_bytes()).unwrap();
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(&record::write(&records)), value(text.as_bytes()));
}

/// Every word that the format has.
fn of_every_kind() -> Vec<Record> {
    let plan =
        plan("verify; 5% 5m checked | 25% 5m approved, watch 5m, deadline 1h, keep 30m, empty rollback");
    let (mut state, _) = adopt(version("v1"), Actor::file("tidegate.yaml"), Timestamp(7));
    let (mut records, mut now) = (Vec::new(), Timestamp(7));
    for text in [
        "live v2",
        "tick",
        "passed",
        "fine",
        "passed",
        "pause until 900h",
        "resume",
        "fine",
        "fine",
        "promote",
        "ready canary",
        "fine",
        "ready both",
        "fine",
        "live v3",
        "tick",
        "failed",
        "override",
        "passed",
        "weight 7%",
        "resume",
        "unsure 9",
        "live v1",
        "tick",
        "override",
        "pause",
        "resume",
        "fine",
        "passed",
        "live v3'",
        "tick",
        "calendar",
        "deploy v4",
        "tick",
        "passed",
        "weight 7%",
        "rollback",
        "deploy v5",
        "tick",
        "passed",
    ]
    .into_iter()
    // Until its deadline is over.
    .chain(std::iter::repeat_n("tick", 12))
    {
        now = now + std::time::Duration::from_secs(400);
        let calendar = permit(if text == "calendar" { "closed" } else { "open" });
        let text = if text == "calendar" { "passed" } else { text };
        let (next, effects) = step(&plan, state.clone(), event_in(text, &state, &calendar), now);
        for effect in &effects {
            if let Effect::Record(entry) = effect {
                let id = records.len() as u64 + 1;
                records.push(change(&next, Some(line(id, entry))));
            }
        }
        state = next;
    }
    records
}

/// A field that this version does not know is not a reason to refuse a journal.
#[test]
fn unknown_fields_are_passed_over() {
    let old = include_str!("../fixtures/records-1.json");
    let newer = old.replace("\"moves\":", "\"mood\":\"fine\",\"moves\":");
    assert_ne!(old, newer);
    assert_eq!(record::read(newer.as_bytes()).unwrap(), record::read(old.as_bytes()).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The seventh promise of `releases.md` §4.
    #[test]
    fn replaying_the_journal_gives_the_state_that_was_there(moves in moves()) {
        let disk = MemoryDisk::default();
        let (mut store, _) = Store::on(Box::new(disk.clone())).unwrap();
        store.compact_bytes_min = 20_000;
        let mut last = None;
        walk(&moves, |_, before, event, after, effects, _| {
            if before != after || matches!(event, Event::Loaded(_)) {
                let entry = effects.iter().find_map(|it| match it {
                    Effect::Record(entry) => Some(entry),
                    _ => None,
                });
                let line = entry.map(|it| line(1, it));
                store.append(&[change(after, line)]).unwrap();
                last = Some(after.clone());
            }
        });
        assert_eq!(only_state(&reopened(&disk).unwrap()), last);
    }
}
