//! Random plans: every strategy and every gate.

use std::time::Duration;

use crate::model::Weight;
use crate::release::{Check, CheckKind, NoTraffic, OnBreach, Plan, Promote, Step, Watching};

use super::Chance;

pub(super) fn random(chance: &mut Chance) -> Plan {
    let mut weights: Vec<u64> = (0..chance.below(4)).map(|_| 1 + chance.below(98)).collect();
    weights.sort_unstable();
    weights.dedup();
    let steps = weights.into_iter().map(|weight| Step {
        weight: percent(weight),
        soak: Duration::from_secs(30 + chance.below(600)),
        requests: 100,
        checks: if chance.one_in(5) { vec![check()] } else { Vec::new() },
        approval: chance.one_in(5),
    });
    Plan {
        steps: steps.collect(),
        promote: if chance.one_in(4) { Promote::Manual } else { Promote::Auto },
        verify: if chance.one_in(3) { vec![check()] } else { Vec::new() },
        watch: Watching {
            time: Duration::from_secs(60 + chance.below(600)),
            holdback: percent(if chance.one_in(3) { 2 } else { 0 }),
        },
        keep_previous: chance.one_in(3).then(|| Duration::from_secs(chance.below(7_200))),
        deadline: chance.one_in(3).then(|| Duration::from_secs(600 + chance.below(7_200))),
        on_breach: [OnBreach::Rollback, OnBreach::Rollback, OnBreach::Pause, OnBreach::Notify]
            [chance.below(4) as usize],
        no_traffic: [NoTraffic::Hold, NoTraffic::Hold, NoTraffic::Promote, NoTraffic::Rollback]
            [chance.below(4) as usize],
        ..Plan::default()
    }
}

fn percent(number: u64) -> Weight {
    Weight::from_basis_points(number as u32 * 100).unwrap()
}

fn check() -> Check {
    let what = CheckKind::Run { argv: vec!["./smoke.sh".into()] };
    Check { name: "smoke".into(), what, timeout: Duration::from_secs(60) }
}
