//! The three acts. Each edits the file, as a person would, waits for what comes of it, and counts.

use super::super::text::{grouped, percent};
use super::report::{Canary, Flip, Report, Rollback};
use super::stage::Stage;
use crate::controller::What;
use crate::model::{Timestamp, Weight};

/// Plays all acts. What is missing in the report was not reached.
pub(super) async fn play(stage: &mut Stage<'_>, report: &mut Report) -> Result<(), String> {
    report.canary = Some(canary(stage).await?);
    report.rollback = Some(rollback(stage).await?);
    report.flip = Some(flip(stage).await?);
    Ok(())
}

/// A good version is released step by step.
async fn canary(stage: &mut Stage<'_>) -> Result<Canary, String> {
    stage.tell.title("1  Canary: v2 is good, and gets there by itself");
    stage.wait(stage.pace.lead).await;
    stage.edit("live: v1", "live: v2")?;
    let is_over = |it: &Stage<'_>| {
        let service = it.service("shop")?;
        let over = service.stable.as_str() == "v2" || service.word == "ROLLED BACK";
        over.then_some(service)
    };
    let service = stage.until("v2 is released", is_over).await?;
    let (began, end) = (stage.began(), stage.now());
    stage.wait(stage.pace.lead).await;
    stage.settle().await?;
    let raised = stage.events().into_iter().filter(|it| it.to > it.from);
    let steps_percent = raised.map(|it| it.to.ratio() * 100.0).collect();
    let ledger = stage.ledger();
    let result = Canary {
        seconds: seconds(end, began),
        steps_percent,
        stable: service.stable.to_string(),
        requests: ledger.count(|it| it.at >= began && it.at < end),
        by_canary: ledger.count(|it| it.at >= began && it.at < end && it.is_by("v2")),
        failed: ledger.count(|it| it.at >= began && it.failed()),
    };
    let text = format!(
        "promoted in {:.1} s: {} requests answered, {} of them by v2, {} failed",
        result.seconds,
        grouped(result.requests),
        grouped(result.by_canary),
        result.failed
    );
    stage.tell.proof(&text);
    Ok(result)
}

/// A version that goes bad while it has a tenth of the traffic.
async fn rollback(stage: &mut Stage<'_>) -> Result<Rollback, String> {
    stage.tell.title("2  Rollback: v3 is fine at first, then each of its answers is a 500");
    stage.wait(stage.pace.lead).await;
    let v3 = stage.backends.get("v3").ok_or("there is no v3")?;
    stage.edit("live: v2", "live: v3")?;
    let has_weight = |it: &Stage<'_>| Some(it.weight("shop", "v3")).filter(|it| *it > Weight::NONE);
    stage.until("v3 gets traffic", has_weight).await?;
    stage.wait(stage.pace.onset).await;
    let weight = stage.weight("shop", "v3");
    v3.fail();
    stage.news("v3 breaks");
    let is_out = |it: &Stage<'_>| (it.weight("shop", "v3") == Weight::NONE).then(|| it.now());
    let zero = stage.until("v3 is rolled back", is_out).await?;
    stage.wait(stage.pace.after).await;
    stage.settle().await?;
    let first = v3.first_error().ok_or("v3 was out before it failed")?;
    let last = v3.last_request().unwrap_or(first);
    let service = stage.service("shop").ok_or("the service is gone")?;
    let why = stage.events().into_iter().rev().find(|it| it.what == What::RolledBack);
    let (ledger, began) = (stage.ledger(), stage.began());
    let result = Rollback {
        weight_percent: weight.ratio() * 100.0,
        ms_to_weight_zero: seconds(zero, first) * 1e3,
        ms_to_last_request: seconds(last, first) * 1e3,
        answers_failed: v3.errors(),
        failed: ledger.count(|it| it.at >= began && it.failed()),
        served_meanwhile: ledger.count(|it| it.at >= first && it.at <= zero && !it.failed()),
        weight_after_percent: stage.weight("shop", "v3").ratio() * 100.0,
        requests_after: ledger.count(|it| it.sent > zero && it.is_by("v3")),
        stable: service.stable.to_string(),
        why: why.map(|it| it.text).unwrap_or_default(),
    };
    let text = format!(
        "rolled back: {:.0} ms and {} bad answers until weight 0; {} users got an error",
        result.ms_to_weight_zero, result.answers_failed, result.failed
    );
    stage.tell.proof(&text);
    let rest = percent(100.0 - result.weight_after_percent);
    let text = format!(
        "     v2 answered instead; {} good answers meanwhile. {} has {rest}, v3 is in quarantine",
        result.served_meanwhile, result.stable
    );
    stage.tell.line(&text);
    Ok(result)
}

/// Another service, without a rollout: one word in the file is a flip.
async fn flip(stage: &mut Stage<'_>) -> Result<Flip, String> {
    stage.tell.title("3  Blue/green: the service `blog` has no rollout, so a changed `live` is a flip");
    stage.load.ask_elsewhere(true);
    let start = stage.now();
    stage.wait(stage.pace.lead).await;
    stage.answered_by("blue", start).await?;
    stage.edit("live: blue", "live: green")?;
    let is_flipped = |it: &Stage<'_>| (it.weight("blog", "green") == Weight::ALL).then(|| it.now());
    let flipped = stage.until("green is live", is_flipped).await?;
    stage.wait(stage.pace.after).await;
    stage.answered_by("green", flipped).await?;
    stage.settle().await?;
    let (ledger, saved) = (stage.ledger(), stage.began());
    let result = Flip {
        ms_from_save: seconds(flipped, saved) * 1e3,
        requests: ledger.count(|it| it.sent >= start),
        by_old: ledger.count(|it| it.sent >= start && it.is_by("blue")),
        by_new: ledger.count(|it| it.sent >= start && it.is_by("green")),
        failed: ledger.count(|it| it.sent >= start && it.failed()),
        strays: ledger.count(|it| it.sent > flipped && it.is_by("blue")),
    };
    let text = format!(
        "flipped {:.0} ms after the file was saved: {} requests, {} to blue, then {} to green, {} failed",
        result.ms_from_save,
        grouped(result.requests),
        grouped(result.by_old),
        grouped(result.by_new),
        result.failed
    );
    stage.tell.proof(&text);
    Ok(result)
}

fn seconds(to: Timestamp, from: Timestamp) -> f64 {
    to.since(from).as_secs_f64()
}
