//! What came of it, as numbers, and what it must have been.

use schemars::JsonSchema;
use serde::Serialize;

/// Everything that was measured. Printed as one line of JSON; fields are only ever added.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(in crate::cli) struct Report {
    /// Whether everything went as it must.
    pub(super) ok: bool,
    /// What did not.
    pub(super) problems: Vec<String>,
    /// Where chance began.
    pub(super) seed: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// Requests a second that users sent.
    pub(super) rate: u32,
    /// Totals.
    pub(super) requests: Requests,
    /// The first act.
    pub(super) canary: Option<Canary>,
    /// The second act.
    pub(super) rollback: Option<Rollback>,
    /// The third act.
    pub(super) flip: Option<Flip>,
}

/// Every request of every act.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Requests {
    /// Sent.
    pub(super) sent: u64,
    /// Ended with an answer, be it an error.
    pub(super) answered: u64,
    /// Ended with an error, or without an answer.
    pub(super) failed: u64,
    /// Those of them that the broken version did not write.
    pub(super) failed_elsewhere: u64,
    /// What the proxy, or the lack of an answer, said of those.
    pub(super) reasons: Vec<String>,
    /// Sent late, because the machine was busy with something else.
    pub(super) late: u64,
}

/// A version that is good, and gets there.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Canary {
    /// From saving the file until the version was stable.
    pub(super) seconds: f64,
    /// Shares that the version had, in percent.
    pub(super) steps_percent: Vec<f64>,
    /// The version that is stable afterwards.
    pub(super) stable: String,
    /// Requests that ended meanwhile.
    pub(super) requests: u64,
    /// Those of them that the new version answered.
    pub(super) by_canary: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
}

/// A version that goes bad.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Rollback {
    /// Share of the version when it went bad, in percent.
    pub(super) weight_percent: f64,
    /// From its first bad answer until its weight was 0.
    pub(super) ms_to_weight_zero: f64,
    /// From its first bad answer until the last request that reached it.
    pub(super) ms_to_last_request: f64,
    /// Bad answers that it gave. The stable version's were passed on instead.
    pub(super) answers_failed: u64,
    /// Users who got an error.
    pub(super) failed: u64,
    /// Users who got a good answer between the first bad answer and weight 0.
    pub(super) served_meanwhile: u64,
    /// Its share afterwards, in percent.
    pub(super) weight_after_percent: f64,
    /// Requests that it got later than that.
    pub(super) requests_after: u64,
    /// The version that is stable afterwards.
    pub(super) stable: String,
    /// Why, in the controller's words.
    pub(super) why: String,
}

/// A flip by editing one word.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub(super) struct Flip {
    /// From saving the file until every new request went to the other version.
    pub(super) ms_from_save: f64,
    /// Requests that ended in this act.
    pub(super) requests: u64,
    /// Those of them that the old version answered.
    pub(super) by_old: u64,
    /// Those of them that the new version answered.
    pub(super) by_new: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
    /// Requests that were sent after the flip and reached the old version.
    pub(super) strays: u64,
}

impl Report {
    /// Holds everything against what it must be.
    pub(super) fn check(&mut self) {
        let mut wrong = std::mem::take(&mut self.problems);
        let mut hold = |right: bool, what: &str| {
            if !right {
                wrong.push(what.to_owned());
            }
        };
        let all = &self.requests;
        hold(all.sent == all.answered, "requests were left without an answer");
        hold(all.failed_elsewhere == 0, "requests failed that the broken version had no part in");
        if let Some(it) = &self.canary {
            hold(it.stable == "v2", "v2 was not promoted");
            hold(it.steps_percent == [10.0, 50.0, 100.0], "v2 did not go through its steps");
            hold(it.failed == 0, "requests failed while v2 was released");
            hold(it.by_canary > 0, "v2 got no requests");
        }
        if let Some(it) = &self.rollback {
            hold(it.stable == "v2" && it.weight_after_percent == 0.0, "v3 was not rolled back");
            hold(it.requests_after == 0, "v3 got requests after its weight was 0");
            hold(it.answers_failed > 0, "nobody noticed that v3 was broken");
            // The bench has the goal (20) and a quiet machine; here anything may go on besides.
            let busy = all.late * 100 > all.sent;
            let limit = if busy { FAILED_MAX_BUSY } else { FAILED_MAX };
            hold(it.answers_failed <= limit, "v3 was rolled back too late");
            hold(it.failed == 0 || busy, "users saw that v3 was broken");
        }
        if let Some(it) = &self.flip {
            hold(it.failed == 0, "requests failed during the flip");
            hold(it.strays == 0, "requests reached blue after the flip");
            hold(it.by_old > 0 && it.by_new > 0, "the flip had no traffic");
        }
        let played = self.canary.is_some() && self.rollback.is_some() && self.flip.is_some();
        self.ok = wrong.is_empty() && played;
        self.problems = wrong;
    }
}

/// Bad answers that a broken version may give: what its tenth of the traffic is in half a second.
const FAILED_MAX: u64 = 50;

/// The same, when so many requests were late that the machine must have been busy.
const FAILED_MAX_BUSY: u64 = 400;
