//! The rule of the two layers: an unchanged file never undoes what a person did; a changed field in the file
//! always wins. Every combination of what people do, what becomes of the file, and a restart between.

use proptest::prelude::*;

use super::super::drift;
use super::walk::{moves, walk};
use super::*;

/// v1 is stable, and the file says v2, which is at 5 %.
const BEFORE: &str = "1m live v2";

const PEOPLE: [(&str, &str); 8] = [
    ("nothing", ""),
    ("weight", "; 2m weight 7%"),
    ("pause", "; 2m pause"),
    ("rollback", "; 2m rollback"),
    ("deploy", "; 2m deploy v4"),
    ("deploy, weight", "; 2m deploy v4; 3m weight 7%"),
    ("deploy, stable", "; 2m deploy v4; 3m full; 4m full"),
    ("deploy, rollback", "; 2m deploy v4; 3m rollback"),
];

const FILES: [(&str, &str); 7] = [
    ("the same", "live v2 of v1 v2 v3"),
    ("back", "live v1 of v1 v2 v3"),
    ("another", "live v3 of v1 v2 v3"),
    ("redefined", "live v2' of v1 v2' v3"),
    ("names v4", "live v2 of v1 v2 v3 v4"),
    ("names another v4", "live v2 of v1 v2 v3 v4'"),
    ("wants v4", "live v4 of v1 v2 v3 v4"),
];

/// What is wanted, who has how much, what people see, and in which fields it drifted.
fn row(state: &State) -> String {
    let shares = match &state.shares().canary {
        Some((canary, weight)) => format!("{} + {canary} {weight}", state.stable),
        None => format!("{} only", state.stable),
    };
    let drifts = drift(&plan(CANARY), state);
    let fields: Vec<&str> = drifts.iter().map(|it| it.field.as_str()).collect();
    let fields = if fields.is_empty() { "-".to_owned() } else { fields.join(" ") };
    format!("{} | {shares} | {} | {fields}", state.wanted, state.word())
}

#[test]
fn every_file_after_everything_that_people_do() {
    let mut table = String::new();
    for (person, did) in PEOPLE {
        for (file, load) in FILES {
            let (state, _) = play(CANARY, &format!("{BEFORE}{did}; 6m {load}"));
            table.push_str(&format!("{person} | {file} | {}\n", row(&state)));
            // A process that starts knows no more than the journal, and that is enough.
            let (again, _) = play(CANARY, &format!("{BEFORE}{did}; 6m restart; 6m {load}"));
            assert_eq!(row(&again), row(&state), "{person}, {file}: restarted");
            // The file is what it is now, so the next load of it changes nothing.
            let (twice, log) = play(CANARY, &format!("{BEFORE}{did}; 6m {load}; 6m {load}"));
            assert_eq!(twice, state, "{person}, {file}: twice, {log:?}");
        }
    }
    assert_eq!(table, EXPECTED, "\n{table}");
}

const EXPECTED: &str = "\
nothing | the same | v2 | v1 + v2 5% | CANARY | -
nothing | back | v1 | v1 only | ROLLED BACK | -
nothing | another | v3 | v1 + v3 5% | CANARY | -
nothing | redefined | v2 | v1 + v2 5% | CANARY | -
nothing | names v4 | v2 | v1 + v2 5% | CANARY | -
nothing | names another v4 | v2 | v1 + v2 5% | CANARY | -
nothing | wants v4 | v4 | v1 + v4 5% | CANARY | -
weight | the same | v2 | v1 + v2 7% | PAUSED | rollout.steps
weight | back | v1 | v1 only | ROLLED BACK | -
weight | another | v3 | v1 + v3 5% | CANARY | -
weight | redefined | v2 | v1 + v2 5% | CANARY | -
weight | names v4 | v2 | v1 + v2 7% | PAUSED | rollout.steps
weight | names another v4 | v2 | v1 + v2 7% | PAUSED | rollout.steps
weight | wants v4 | v4 | v1 + v4 5% | CANARY | -
pause | the same | v2 | v1 + v2 5% | PAUSED | -
pause | back | v1 | v1 only | ROLLED BACK | -
pause | another | v3 | v1 + v3 5% | CANARY | -
pause | redefined | v2 | v1 + v2 5% | CANARY | -
pause | names v4 | v2 | v1 + v2 5% | PAUSED | -
pause | names another v4 | v2 | v1 + v2 5% | PAUSED | -
pause | wants v4 | v4 | v1 + v4 5% | CANARY | -
rollback | the same | v2 | v1 only | ROLLED BACK | live
rollback | back | v1 | v1 only | LIVE | -
rollback | another | v3 | v1 + v3 5% | CANARY | -
rollback | redefined | v2 | v1 + v2 5% | CANARY | -
rollback | names v4 | v2 | v1 only | ROLLED BACK | live
rollback | names another v4 | v2 | v1 only | ROLLED BACK | live
rollback | wants v4 | v4 | v1 + v4 5% | CANARY | -
deploy | the same | v4 | v1 + v4 5% | CANARY | live versions.v4
deploy | back | v1 | v1 only | ROLLED BACK | -
deploy | another | v3 | v1 + v3 5% | CANARY | -
deploy | redefined | v4 | v1 + v4 5% | CANARY | live versions.v4
deploy | names v4 | v4 | v1 + v4 5% | CANARY | live
deploy | names another v4 | v4 | v1 + v4 5% | CANARY | live
deploy | wants v4 | v4 | v1 + v4 5% | CANARY | -
deploy, weight | the same | v4 | v1 + v4 7% | PAUSED | live versions.v4 rollout.steps
deploy, weight | back | v1 | v1 only | ROLLED BACK | -
deploy, weight | another | v3 | v1 + v3 5% | CANARY | -
deploy, weight | redefined | v4 | v1 + v4 7% | PAUSED | live versions.v4 rollout.steps
deploy, weight | names v4 | v4 | v1 + v4 7% | PAUSED | live rollout.steps
deploy, weight | names another v4 | v4 | v1 + v4 5% | CANARY | live
deploy, weight | wants v4 | v4 | v1 + v4 7% | PAUSED | rollout.steps
deploy, stable | the same | v4 | v4 only | LIVE | live versions.v4
deploy, stable | back | v1 | v4 + v1 5% | CANARY | versions.v4
deploy, stable | another | v3 | v4 + v3 5% | CANARY | versions.v4
deploy, stable | redefined | v4 | v4 only | LIVE | live versions.v4
deploy, stable | names v4 | v4 | v4 only | LIVE | live
deploy, stable | names another v4 | v4 | v4 only | LIVE | live
deploy, stable | wants v4 | v4 | v4 only | LIVE | -
deploy, rollback | the same | v4 | v1 only | ROLLED BACK | live
deploy, rollback | back | v1 | v1 only | LIVE | -
deploy, rollback | another | v3 | v1 + v3 5% | CANARY | -
deploy, rollback | redefined | v4 | v1 only | ROLLED BACK | live
deploy, rollback | names v4 | v4 | v1 only | ROLLED BACK | live
deploy, rollback | names another v4 | v4 | v1 + v4 5% | CANARY | live
deploy, rollback | wants v4 | v4 | v1 only | ROLLED BACK | live
";

/// Field by field: of each of the three, and what comes of it.
#[test]
fn a_field_is_merged_without_looking_at_the_others() {
    let deployed = |it: &str| Deployed {
        version: version(it),
        definition: format!("http://{it}.example"),
        by: person(),
        at: Timestamp(7),
    };
    for (filed, wanted, added, live, versions, lost, expected) in [
        // Nobody did anything.
        ("v1", "v1", "", "v1", "v1 v2", "", "v1 of v1 v2"),
        ("v1", "v1", "", "v2", "v1 v2", "", "v2 of v1 v2"),
        ("v1", "v1", "", "v1'", "v1' v2", "", "v1' of v1' v2"),
        // A person wants v4.
        ("v1", "v4", "v4", "v1", "v1 v2", "", "v4 of v1 v2 v4"),
        ("v1", "v4", "v4", "v2", "v1 v2", "", "v2 of v1 v2 v4"),
        ("v1", "v4", "v4", "v1'", "v1' v2", "", "v4 of v1' v2 v4"),
        // The file learns of v4: its definition counts, and its `live` only if that changed.
        ("v1", "v4", "v4", "v1", "v1 v4", "", "v4 of v1 v4"),
        ("v1", "v4", "v4", "v1", "v1 v4'", "", "v4' of v1 v4'"),
        ("v1", "v4", "v4", "v4", "v1 v4", "", "v4 of v1 v4"),
        ("v1", "v4", "v4", "v4'", "v1 v4'", "", "v4' of v1 v4'"),
        // v4 has become stable since, and the file wants v2.
        ("v2", "v2", "v4", "v2", "v1 v2", "", "v2 of v1 v2 v4"),
        // What v4 rests on is gone.
        ("v1", "v4", "v4", "v1", "v1 v2", "v4", "v1 of v1 v2"),
        ("v1", "v5", "v4 v5", "v1", "v1 v2", "v4", "v5 of v1 v2 v5"),
    ] {
        let (mut state, _) = adopt(version(filed), person(), Timestamp(0));
        state.wanted = version(wanted);
        state.deployed = added.split_whitespace().map(deployed).collect();
        let all = |text: &str| text.split_whitespace().map(version).collect::<Vec<_>>();
        let now = Loaded { live: version(live), versions: all(versions), lost: all(lost), by: person() };
        let (wants, of) = expected.split_once(" of ").unwrap();
        let merged = merge(&state, &now);
        let row = format!("{filed} {wanted} {added} + {live} of {versions}");
        assert_eq!((merged.wanted, merged.versions), (version(wants), all(of)), "{row}");
        assert!(
            merged.deployed.iter().all(|it| !now.versions.iter().any(|v| v.name == it.version.name)),
            "{row}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever a walk has come, the file as it was loaded last moves nothing, and another `live` is wanted.
    #[test]
    fn the_same_file_undoes_nothing_and_another_one_wins(moves in moves()) {
        let mut last: Option<Loaded> = None;
        walk(&moves, |plan, _, event, after, _, now| {
            match event {
                Event::Loaded(it) => last = Some(it.clone()),
                // A service that comes back is met anew.
                Event::Removed => last = None,
                _ => {}
            }
            let Some(last) = &last else { return };
            let (same, _) = step(plan, after.clone(), Event::Loaded(last.clone()), now);
            assert_eq!(same.wanted, after.wanted);
            assert_eq!(same.shares(), after.shares());
            assert_eq!((&same.quarantine, &same.deployed), (&after.quarantine, &after.deployed));
            let paused = |it: &State| it.candidate().is_some_and(|it| matches!(it.stance, Stance::Paused { .. }));
            assert_eq!(paused(&same), paused(after));
            for other in &last.versions {
                let changed = Loaded { live: other.clone(), ..last.clone() };
                let (next, _) = step(plan, after.clone(), Event::Loaded(changed), now);
                if other.name != after.filed.name {
                    assert_eq!(&next.wanted, other);
                }
            }
        });
    }
}
