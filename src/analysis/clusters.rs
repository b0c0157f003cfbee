//! How much responses share their fate, estimated on stable traffic: needed once callers are pinned to a
//! lane, where one unlucky caller fails many times.

use crate::model::Tally;

/// Design effect: how many responses share one fate, at least one. `slots` are short stretches of time,
/// each split by client shard; a rate that moves for everybody cancels out.
pub fn design_effect(slots: &[Vec<Tally>]) -> f64 {
    let (mut seen, mut expected) = (0.0, 0.0);
    for slot in slots {
        let total = slot.iter().fold(Tally::default(), |sum, it| sum.plus(*it));
        let Some(rate) = total.rate() else { continue };
        for part in slot {
            let n = part.requests as f64;
            let excess = part.bad as f64 - n * rate;
            seen += excess * excess;
            expected += n * rate * (1.0 - rate) * (1.0 - n / total.requests as f64);
        }
    }
    if expected > 0.0 { (seen / expected).max(1.0) } else { 1.0 }
}

/// Standard deviation of the shards' true rates around the common one, given the design effect: what an
/// A/A comparison of pinned callers would show.
pub fn client_spread(shards: &[Tally], dispersion: f64) -> f64 {
    let total = shards.iter().fold(Tally::default(), |sum, it| sum.plus(*it));
    let Some(rate) = total.rate() else { return 0.0 };
    let (mut variance, mut counted) = (0.0, 0.0);
    for (part, own) in shards.iter().filter_map(|it| it.rate().map(|own| (it, own))) {
        counted += 1.0;
        variance += (own - rate).powi(2) - rate * (1.0 - rate) * dispersion / part.requests as f64;
    }
    if counted > 1.0 { (variance / (counted - 1.0)).max(0.0).sqrt() } else { 0.0 }
}
