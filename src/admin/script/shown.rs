//! The status that a scripted house begins with.

use std::time::Duration;

use crate::controller::{GuardStatus, LaneStatus, ServiceStatus, Status, StepStatus};
use crate::model::{Generation, Tally, Timestamp, Weight};

use super::advanced;

/// `shop` on its way from v1 to v2, and `blog`, where nothing happens.
pub(crate) fn canary() -> Status {
    Status {
        revision: 5,
        at: Timestamp(1_700_000_000_000_000),
        generation: Generation(17),
        source: "tidegate.yaml".into(),
        services: vec![shop(), blog()],
        ..Status::default()
    }
}

fn shop() -> ServiceStatus {
    let step = |percent: u32, minutes: u64, done, now| StepStatus {
        weight: weight(percent),
        soak: Duration::from_secs(60 * minutes),
        requests: 100,
        done,
        now,
    };
    ServiceStatus {
        name: "shop".parse().unwrap(),
        word: "CANARY",
        stable: "v1".parse().unwrap(),
        canary: Some("v2".parse().unwrap()),
        previous: None,
        wanted: "v2".parse().unwrap(),
        filed: "v2".parse().unwrap(),
        in_sync: false,
        awaited: false,
        drift: Vec::new(),
        deployed: Vec::new(),
        weight: weight(25),
        step: Some((3, 4)),
        left: Some(Duration::from_secs(432)),
        held: None,
        requests_missing: None,
        release: 4,
        mark: 12,
        why: "v2 is being tried at 25%".into(),
        lanes: vec![
            lane("v1", 75, 40_120, 84, 1_383.0, (12_000, 184_000)),
            lane("v2", 25, 12_904, 31, 459.0, (12_000, 190_000)),
        ],
        guards: vec![GuardStatus {
            name: "errors",
            canary: Tally { requests: 12_904, bad: 31 },
            stable: Tally { requests: 40_120, bad: 84 },
            difference: Some(0.0003),
            interval: Some((-0.0006, 0.0012)),
            canary_interval: Some((0.0015, 0.0033)),
            limit: Some(0.005),
            allowed: "+0.5pp".into(),
            slow_us: None,
            evidence: 0.12,
            proof: 0.0,
            text: "no worse than v1".into(),
        }],
        steps: vec![
            step(1, 5, true, false),
            step(5, 5, true, false),
            step(25, 20, false, true),
            step(50, 10, false, false),
        ],
        quarantined: Vec::new(),
        last: Some(advanced(8)),
    }
}

fn blog() -> ServiceStatus {
    ServiceStatus {
        name: "blog".parse().unwrap(),
        word: "LIVE",
        stable: "blue".parse().unwrap(),
        canary: None,
        wanted: "blue".parse().unwrap(),
        filed: "blue".parse().unwrap(),
        in_sync: true,
        drift: Vec::new(),
        deployed: Vec::new(),
        weight: Weight::NONE,
        step: None,
        left: None,
        release: 0,
        mark: 1,
        why: "blue is live".into(),
        lanes: vec![lane("blue", 100, 10, 0, 0.5, (3_000, 9_000)), lane("green", 0, 0, 0, 0.0, (0, 0))],
        guards: Vec::new(),
        steps: Vec::new(),
        last: None,
        ..shop()
    }
}

fn lane(version: &str, percent: u32, requests: u64, bad: u64, per_second: f64, us: (u64, u64)) -> LaneStatus {
    LaneStatus {
        version: version.parse().unwrap(),
        weight: weight(percent),
        seen: Tally { requests, bad },
        per_second,
        latency_us_p50: (requests > 0).then_some(us.0),
        latency_us_p99: (requests > 0).then_some(us.1),
        endpoints: Vec::new(),
    }
}

pub(super) fn weight(percent: u32) -> Weight {
    Weight::from_basis_points(percent * 100).unwrap()
}
