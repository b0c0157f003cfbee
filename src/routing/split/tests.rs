//! Shares, exact on the whole line and observed over a million requests; who moves when they change.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Fingerprint, Seeded, ServiceName, VersionName};
use crate::routing::{
    Balance, ErrorStatus, HeaderCondition, HeaderLookup, Pin, Preview, Service, ServiceLimits, ServiceSpec,
    StickyBy, TextCondition, Timeouts, VersionSpec,
};

proptest! {
    #[test]
    fn every_version_owns_exactly_its_weight(weights in weights(), salt: u64) {
        let split = split(&weights, salt);
        let mut counts = vec![0; weights.len() + 1];
        for point in 0..10_000 {
            counts[split.drawn(bits_at(point)).0] += 1;
        }
        let sum: u32 = counts.iter().sum();
        prop_assert_eq!(sum, 10_000);
        for (version, count) in counts.into_iter().enumerate() {
            prop_assert_eq!(u32::from(split.weight(VersionIndex(version)).basis_points()), count);
            prop_assert!(version == weights.len() || weights[version] == count);
        }
    }

    #[test]
    fn none_gets_nothing_and_all_gets_everything(bits: u64, unit: Vec<u8>, salt: u64) {
        for (weight, version) in [(0, VersionIndex(1)), (10_000, VersionIndex(0))] {
            let split = split(&[weight], salt);
            prop_assert_eq!(split.drawn(bits), version);
            prop_assert_eq!(split.keyed(&unit), version);
            prop_assert!(!split.is_shared());
        }
        prop_assert_eq!(Split::all(VersionIndex(3)).keyed(&unit), VersionIndex(3));
    }

    /// A higher weight adds units to the canary and takes none away, so a rollback moves only those
    /// who were on the canary.
    #[test]
    fn raising_only_adds(low in 0u32..=10_000, high in 0u32..=10_000, unit: Vec<u8>, bits: u64, salt: u64) {
        let (low, high) = (split(&[low.min(high)], salt), split(&[low.max(high)], salt));
        let canary = VersionIndex(0);
        prop_assert!(low.keyed(&unit) != canary || high.keyed(&unit) == canary);
        prop_assert!(low.drawn(bits) != canary || high.drawn(bits) == canary);
    }

    #[test]
    fn more_than_all_and_naming_a_version_twice_are_refused(weights in weights(), over in 1u32..=10_000) {
        let mut arms = arms(&weights);
        let sum: u32 = weights.iter().sum();
        let too_much = Weight::from_basis_points((10_000 - sum + over).min(10_000)).expect("at most 100%");
        if sum > 0 {
            arms.push((VersionIndex(90), too_much));
            prop_assert_eq!(Split::new(&arms, VersionIndex(99), Salt::default()), None);
            arms.pop();
        }
        arms.push(arms[0]);
        arms.last_mut().expect("just added").1 = Weight::NONE;
        prop_assert_eq!(Split::new(&arms, VersionIndex(99), Salt::default()), None);
        prop_assert_eq!(Split::new(&arms[..1], VersionIndex(0), Salt::default()), None);
    }
}

/// Observed shares lie within four standard deviations: by chance that fails once in 16 000 tries, and
/// the seed is fixed.
#[test]
fn observed_shares_follow_the_weights() {
    for weights in [&[100][..], &[10], &[3_300, 3_300], &[1]] {
        let split = split(weights, SEED);
        let mut chance = Seeded::new(SEED);
        check_shares(&split, weights, "drawn", |_| split.drawn(chance.next()));
        check_shares(&split, weights, "keyed", |it| split.keyed(format!("user-{it}").as_bytes()));
        check_shares(&split, weights, "keyed by number", |it| split.keyed(&it.to_le_bytes()));
    }
}

#[track_caller]
fn check_shares(split: &Split, weights: &[u32], how: &str, mut choose: impl FnMut(u64) -> VersionIndex) {
    let mut counts = vec![0u32; weights.len() + 1];
    for request in 0..REQUESTS {
        counts[choose(request).0] += 1;
    }
    for (version, count) in counts.into_iter().enumerate() {
        let share = split.weight(VersionIndex(version)).ratio();
        let expected = REQUESTS as f64 * share;
        let deviation = (expected * (1.0 - share)).sqrt();
        let off = (f64::from(count) - expected) / deviation;
        assert!(off.abs() <= 4.0, "{how}, {weights:?}, version {version}: {count}, {off:.1} deviations off");
    }
}

/// With another salt a unit's place is a fresh draw: of the first tenth, a tenth is first again.
#[test]
fn another_salt_chooses_other_units() {
    let canary = |release: u64| split(&[1_000], Salt::of("shop", release).0);
    let (before, after) = (canary(1), canary(2));
    let units: Vec<String> = (0..100_000).map(|it| format!("user-{it}")).collect();
    let on_canary = |split: &Split, unit: &String| split.keyed(unit.as_bytes()) == VersionIndex(0);
    let first: Vec<&String> = units.iter().filter(|it| on_canary(&before, it)).collect();
    let again = first.iter().filter(|it| on_canary(&after, it)).count();
    let share = again as f64 / first.len() as f64;
    assert!((0.08..0.12).contains(&share), "{again} of {} are first again", first.len());
}

#[test]
fn pin_then_unit_then_draw() {
    let header = |pairs: &'static [(&'static str, &'static str)]| {
        move |name: &str, each: &mut dyn FnMut(&[u8])| {
            pairs.iter().filter(|it| it.0 == name).for_each(|it| each(it.1.as_bytes()));
        }
    };
    let (none, beta, half) =
        (header(&[]), header(&[("x-group", "beta"), ("x-b", "1")]), header(&[("x-b", "1")]));
    let sticky = service(Some(StickyBy::Address));
    let judged = |version| Assignment { version: VersionIndex(version), judged: true };
    let no_draw = || panic!("no draw is needed");

    let pinned = Assignment { version: VersionIndex(2), judged: false };
    assert_eq!(sticky.assign("shop.example", &beta, Some(b"alice"), no_draw), pinned);
    let keyed = sticky.assign("shop.example", &half, Some(b"alice"), no_draw);
    assert_eq!(keyed, judged(sticky.split.keyed(b"alice").0));
    assert_eq!(sticky.assign("shop.example", &none, None, || 0), judged(0));
    assert_eq!(sticky.assign("shop.example", &none, None, || u64::MAX), judged(1));

    let unkeyed = service(None);
    assert_eq!(unkeyed.assign("shop.example", &none, Some(b"alice"), || 0), judged(0));
    assert_eq!(unkeyed.assign("shop.example", &none, Some(b"alice"), || u64::MAX), judged(1));

    let alone = Service { split: Split::all(VersionIndex(1)), ..unkeyed };
    assert_eq!(alone.assign("shop.example", &none, None, no_draw), judged(1));
}

#[test]
fn testers_reach_what_is_previewed_and_are_never_judged() {
    let header = |pairs: &'static [(&'static str, &'static str)]| {
        move |name: &str, each: &mut dyn FnMut(&[u8])| {
            pairs.iter().filter(|it| it.0 == name).for_each(|it| each(it.1.as_bytes()));
        }
    };
    let (none, tester, other) = (
        header(&[]),
        header(&[("x-preview", "c"), ("x-group", "beta"), ("x-b", "1")]),
        header(&[("x-preview", "d")]),
    );
    let idle = Service { split: Split::all(VersionIndex(0)), ..service(None) };
    let busy = Service { preview: Some(VersionIndex(1)), ..idle.clone() };
    for (host, header, on_busy, on_idle) in [
        ("shop.example", &none as HeaderLookup<'_>, (0, true), (0, true)),
        ("shop.example", &other, (0, true), (0, true)),
        // Before any pin.
        ("shop.example", &tester, (1, false), (2, false)),
        ("new.example", &none, (1, false), (0, false)),
        ("new.example.", &none, (1, false), (0, false)),
        ("renew.example", &none, (0, true), (0, true)),
    ] {
        for (service, (version, judged)) in [(&busy, on_busy), (&idle, on_idle)] {
            let expected = Assignment { version: VersionIndex(version), judged };
            assert_eq!(service.assign(host, header, None, || 0), expected, "{host}");
        }
    }
}

/// Version 0 has half, 1 the rest; 2 can be reached by a pin only.
fn service(sticky: Option<StickyBy>) -> Service {
    let condition = |name: &str, value: TextCondition| HeaderCondition { name: name.to_owned(), value };
    let when = vec![
        condition("x-group", TextCondition::Exact("beta".to_owned())),
        condition("x-b", TextCondition::Present),
    ];
    let preview = vec![condition("x-preview", TextCondition::Exact("c".to_owned()))];
    let version = |name: &str| VersionSpec {
        name: name.parse::<VersionName>().unwrap(),
        endpoints: Vec::new(),
        fingerprint: Fingerprint::of(name.as_bytes()),
        health: None,
    };
    let spec = ServiceSpec {
        name: "shop".parse::<ServiceName>().unwrap(),
        versions: ["a", "b", "c"].map(version).into(),
        balance: Balance::default(),
        sticky,
        pins: vec![Pin { when, to: VersionIndex(2) }],
        preview: Some(Preview { host: Some("new.example".into()), headers: preview }),
        timeouts: Timeouts::default(),
        limits: ServiceLimits::default(),
        retry: Default::default(),
        care: Default::default(),
        shield: Default::default(),
        mirror: None,
        error_status: ErrorStatus::default(),
        client_key: StickyBy::default(),
        server_timing: false,
    };
    Service { spec: Arc::new(spec), split: split(&[5_000], SEED), preview: None, trial: None }
}

/// Versions 0, 1, … with these weights in basis points; the version after them has the rest.
fn split(weights: &[u32], salt: u64) -> Split {
    let rest = VersionIndex(weights.len());
    Split::new(&arms(weights), rest, Salt(salt)).expect("the weights are at most 100%")
}

fn arms(weights: &[u32]) -> Vec<(VersionIndex, Weight)> {
    let weight = |it: &u32| Weight::from_basis_points(*it).expect("at most 100%");
    weights.iter().enumerate().map(|(at, it)| (VersionIndex(at), weight(it))).collect()
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0u32..=10_000, 1..5).prop_map(|mut weights| {
        let mut left = 10_000;
        for weight in &mut weights {
            *weight = (*weight).min(left);
            left -= *weight;
        }
        weights
    })
}

/// Some bits that are drawn as this point.
fn bits_at(point: u64) -> u64 {
    // The middle of the point's stretch, clear of rounding at both ends.
    (((u128::from(point) * 2 + 1) << 63) / 10_000) as u64
}

const SEED: u64 = 20_261_123;
const REQUESTS: u64 = 1_000_000;
