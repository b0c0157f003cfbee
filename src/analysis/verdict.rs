//! What the guards say, with the numbers that explain it.

use std::fmt;

use super::policy::Quantile;
use crate::model::Tally;

/// What the evidence says now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// A promise is broken: roll back.
    Worse(Breach),
    /// Seen enough, and nothing speaks against the canary: the step may end when its time is over.
    Fine,
    /// It is proven that the canary is hardly worse: the step may end now.
    Proven,
    /// Neither can be said: hold.
    Unsure(Doubt),
}

/// Why a release is rolled back. Counts are from the beginning of the release unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Breach {
    /// The canary fails more often than stable under the same conditions.
    Relative {
        /// What the canary did.
        canary: Tally,
        /// What stable did.
        stable: Tally,
        /// The difference that would have been tolerated, as a share.
        tolerance: f64,
    },
    /// The canary fails more often than the ceiling allows.
    Absolute {
        /// What the canary did (since stable lost its traffic, if it has).
        canary: Tally,
        /// What stable did, if it had traffic; it did better.
        stable: Option<Tally>,
        /// The ceiling, as a share.
        limit: f64,
    },
    /// The canary is slower than stable under the same conditions.
    Slower {
        /// The quantile that is promised.
        quantile: Quantile,
        /// Canary requests, and those that passed its limit.
        canary: Tally,
        /// Stable's, by its own limit.
        stable: Tally,
        /// The canary's limit, latest, in microseconds.
        limit_us: u64,
        /// Stable's limit, latest: its own recent quantile.
        stable_us: u64,
    },
    /// The canary is slower than the ceiling allows.
    TooSlow {
        /// The quantile that is promised.
        quantile: Quantile,
        /// Canary requests, and slow ones (since stable lost its traffic, if it has).
        canary: Tally,
        /// What stable did, if it had traffic; it did better.
        stable: Option<Tally>,
        /// The ceiling in microseconds.
        limit_us: u64,
    },
    /// The release has cost as many failed responses as it may.
    Spent {
        /// Failed responses of the canary.
        failures: u64,
        /// How many there may be.
        budget: u64,
    },
    /// The canary failed many times in a row.
    Breaker {
        /// Failures without one success.
        failures: u64,
        /// What stable did meanwhile, if it had traffic.
        stable: Option<Tally>,
    },
}

/// Why neither can be said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// The step has not seen its minimum of canary responses.
    TooFew {
        /// The minimum.
        needed: u64,
        /// Seen in this step.
        seen: u64,
    },
    /// The evidence is more than half way to a rollback.
    Leaning {
        /// Share of the way, 0.5 to 1.
        evidence: f64,
    },
    /// Both versions fail alike; something that they share is down.
    SharedCause {
        /// The canary's recent failure rate.
        canary: f64,
        /// Stable's recent failure rate.
        stable: f64,
    },
    /// Stable has traffic but does not answer, so there is nothing to compare with.
    NoComparator,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse(breach) => write!(f, "worse: {breach}"),
            Self::Fine => f.write_str("fine"),
            Self::Proven => f.write_str("fine: proven to be hardly worse"),
            Self::Unsure(doubt) => write!(f, "unsure: {doubt}"),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Relative { canary, stable, tolerance } => write!(
                f,
                "canary failed {}, stable {}; more than {} worse",
                Failed(canary),
                Failed(stable),
                Points(tolerance)
            ),
            Self::Absolute { canary, stable: Some(stable), limit } => write!(
                f,
                "canary failed {}, above the limit of {}, while stable failed {}",
                Failed(canary),
                Percent(limit),
                Failed(stable)
            ),
            Self::Absolute { canary, stable: None, limit } => {
                write!(f, "canary failed {}, above the limit of {}", Failed(canary), Percent(limit))
            }
            Self::Slower { quantile, canary, stable, limit_us, stable_us } => write!(
                f,
                "canary {} is slower: {} took more than {}, stable {} more than {}",
                quantile.as_str(),
                Failed(canary),
                Span(limit_us),
                Failed(stable),
                Span(stable_us)
            ),
            Self::TooSlow { quantile, canary, stable, limit_us } => {
                let (name, allowed) = (quantile.as_str(), Percent(quantile.rest()));
                write!(f, "canary {name} is above {}: {} took longer, ", Span(limit_us), Failed(canary))?;
                write!(f, "{allowed} may")?;
                stable.map_or(Ok(()), |_| f.write_str("; stable is faster"))
            }
            Self::Spent { failures, budget } => {
                write!(f, "canary failed {failures} times, and one release may cost {budget}")
            }
            Self::Breaker { failures, stable: Some(stable) } => {
                write!(f, "canary failed {failures} times in a row, while stable failed {}", Failed(stable))
            }
            Self::Breaker { failures, stable: None } => {
                write!(f, "canary failed {failures} times in a row")
            }
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooFew { needed, seen } => {
                let missing = needed.saturating_sub(seen);
                write!(f, "{missing} more canary responses needed ({seen} of {needed} judged)")
            }
            Self::Leaning { evidence } => {
                write!(f, "evidence against the canary is {:.0}% of a rollback", evidence * 100.0)
            }
            Self::SharedCause { canary, stable } => write!(
                f,
                "both versions fail alike (canary {}, stable {}): a shared cause",
                Percent(canary),
                Percent(stable)
            ),
            Self::NoComparator => f.write_str("stable does not answer, so there is nothing to compare with"),
        }
    }
}

/// `10 of 63 (15.9%)`
struct Failed(Tally);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { requests, bad } = self.0;
        write!(f, "{bad} of {requests}")?;
        self.0.rate().map_or(Ok(()), |rate| write!(f, " ({})", Percent(rate)))
    }
}

/// Microseconds as people say them: `800ms`, `1.5s`, `0.35ms`.
pub(super) struct Span(pub(super) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us < 1_000_000 => write!(f, "{}ms", digits(us as f64 / 1e3)),
            us => write!(f, "{}s", digits(us as f64 / 1e6)),
        }
    }
}

/// A share as a percentage with the digits that matter: `100%`, `15.9%`, `0.12%`.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", digits(self.0 * 100.0))
    }
}

/// A difference of shares in percentage points: `0.1pp`.
struct Points(f64);

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}pp", digits(self.0 * 100.0))
    }
}

fn digits(value: f64) -> String {
    let text = if value < 1.0 { format!("{value:.2}") } else { format!("{value:.1}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_plain_line_each() {
        let canary = Tally { requests: 63, bad: 10 };
        let stable = Tally { requests: 570, bad: 1 };
        for (verdict, text) in [
            (
                Verdict::Worse(Breach::Relative { canary, stable, tolerance: 0.001 }),
                "worse: canary failed 10 of 63 (15.9%), stable 1 of 570 (0.18%); more than 0.1pp worse",
            ),
            (
                Verdict::Worse(Breach::Absolute { canary, stable: None, limit: 0.02 }),
                "worse: canary failed 10 of 63 (15.9%), above the limit of 2%",
            ),
            (
                Verdict::Worse(Breach::Absolute { canary, stable: Some(stable), limit: 0.02 }),
                "worse: canary failed 10 of 63 (15.9%), above the limit of 2%, while stable failed 1 of 570 \
                 (0.18%)",
            ),
            (
                Verdict::Worse(Breach::Breaker { failures: 20, stable: None }),
                "worse: canary failed 20 times in a row",
            ),
            (
                Verdict::Unsure(Doubt::TooFew { needed: 100, seen: 62 }),
                "unsure: 38 more canary responses needed (62 of 100 judged)",
            ),
            (
                Verdict::Unsure(Doubt::Leaning { evidence: 0.83 }),
                "unsure: evidence against the canary is 83% of a rollback",
            ),
            (
                Verdict::Unsure(Doubt::SharedCause { canary: 0.5, stable: 0.481 }),
                "unsure: both versions fail alike (canary 50%, stable 48.1%): a shared cause",
            ),
            (
                Verdict::Worse(Breach::Slower {
                    quantile: Quantile::P95,
                    canary,
                    stable,
                    limit_us: 18_200,
                    stable_us: 12_000,
                }),
                "worse: canary p95 is slower: 10 of 63 (15.9%) took more than 18.2ms, stable 1 of 570 (0.18%) more \
                 than 12ms",
            ),
            (
                Verdict::Worse(Breach::TooSlow {
                    quantile: Quantile::P99,
                    canary,
                    stable: None,
                    limit_us: 1_500_000,
                }),
                "worse: canary p99 is above 1.5s: 10 of 63 (15.9%) took longer, 1% may",
            ),
            (
                Verdict::Worse(Breach::Spent { failures: 200, budget: 200 }),
                "worse: canary failed 200 times, and one release may cost 200",
            ),
            (Verdict::Proven, "fine: proven to be hardly worse"),
            (Verdict::Fine, "fine"),
        ] {
            assert_eq!(verdict.to_string(), text);
        }
        assert_eq!(Percent(0.0).to_string(), "0%");
        assert_eq!(Percent(1.0).to_string(), "100%");
    }
}
