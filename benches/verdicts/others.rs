//! The rules of Flagger and Argo Rollouts on the canary's success rate, after what their documentation
//! says; our own words and our own code. Neither compares with stable in these rules, and both look at the
//! last interval only.

use tidegate::model::Tally;

/// How a rule is set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As the table names it.
    pub name: &'static str,
    /// Seconds between two measurements, each of them over that time.
    interval: f64,
    /// A measurement above this share of failures fails.
    failing: f64,
    /// Failed measurements that end it.
    failures: u32,
    /// Whether the end is noticed only with the next measurement.
    late: bool,
    /// Whether a measurement without any response fails.
    silence_fails: bool,
}

pub const RULES: [Setting; 3] = [
    // `interval: 1m`, `threshold: 5`, `request-success-rate` at least 99. Failed checks are counted, never
    // forgiven; the count is looked at when the next check is due. No values are a failed check.
    Setting {
        name: "Flagger 1m/99%/5",
        interval: 60.0,
        failing: 0.01,
        failures: 5,
        late: true,
        silence_fails: true,
    },
    // `interval: 1m`, `failureLimit: 3`: the run fails when there are more failed measurements than that.
    // Without a result a measurement is an error, which is another limit (five in a row), left out here.
    Setting {
        name: "Argo 1m/99%/3",
        interval: 60.0,
        failing: 0.01,
        failures: 4,
        late: false,
        silence_fails: false,
    },
    // The first example of the documentation: `interval: 5m`, success at 0.95, `failureLimit: 3`.
    Setting {
        name: "Argo 5m/95%/3",
        interval: 300.0,
        failing: 0.05,
        failures: 4,
        late: false,
        silence_fails: false,
    },
];

/// A rule at work.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    setting: Setting,
    next: f64,
    window: Tally,
    failed: u32,
}

impl Rule {
    /// Nothing seen yet.
    pub fn start(setting: Setting) -> Self {
        Self { setting, next: setting.interval, window: Tally::default(), failed: 0 }
    }

    /// Adds what was seen until `at`; whether it rolls back now.
    pub fn observe(&mut self, at: f64, canary: Tally) -> bool {
        self.window = self.window.plus(canary);
        // Ticks are sums of tenths.
        if at + 1e-6 < self.next {
            return false;
        }
        let before = self.failed;
        let bad = self.window.rate().map_or(self.setting.silence_fails, |it| it > self.setting.failing);
        self.failed += u32::from(bad);
        (self.next, self.window) = (self.next + self.setting.interval, Tally::default());
        let counted = if self.setting.late { before } else { self.failed };
        counted >= self.setting.failures
    }
}
