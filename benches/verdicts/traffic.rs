//! Simulated traffic: Poisson arrivals and a coin for each request, in ticks. Replays from its seed.

use tidegate::model::{CLIENT_SHARDS, Observation, Seeded, Tally};

/// An hour of a service and its canary.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// Requests a second.
    pub rate: f64,
    /// Seconds of a tick.
    tick: f64,
    /// When the canary becomes bad, if it does.
    pub onset: f64,
    /// The canary's share at a time.
    weight: fn(f64) -> f64,
    /// Failures of stable, as a share, at a time.
    stable: fn(f64) -> f64,
    /// The canary's on top, by seconds since the onset.
    more: fn(f64) -> f64,
    /// Whether clients loop: one in ten seconds fails 100 times within a second, on whichever lane.
    loops: bool,
}

const USUAL: Scenario = Scenario {
    name: "",
    rate: 1_000.0,
    tick: 0.1,
    onset: 0.0,
    weight: |_| 0.1,
    stable: |_| 0.001,
    more: |_| 0.0,
    loops: false,
};
/// A tick of a second changes nothing where a block takes ten.
const SPARSE: Scenario = Scenario { rate: 1.0, tick: 1.0, stable: |_| 0.01, ..USUAL };
const ONE: Scenario = Scenario { stable: |_| 0.01, ..USUAL };
const LATE: Scenario = Scenario { onset: 600.0, ..USUAL };

pub const HEALTHY: [Scenario; 10] = [
    Scenario { name: "0.1 % errors", ..USUAL },
    Scenario { name: "0.8 %", stable: |_| 0.008, ..USUAL },
    Scenario { name: "1 %", ..ONE },
    Scenario {
        name: "both bad: 5 min at 50 %",
        stable: |at| during(at, 1_200.0, 300.0, 0.5, 0.001),
        ..USUAL
    },
    Scenario { name: "both bad: steady 5 %", stable: |_| 0.05, ..USUAL },
    Scenario {
        name: "both: 2 s of 30 % every 30 s",
        stable: |at| during(at % 30.0, 10.0, 2.0, 0.3, 0.001),
        ..USUAL
    },
    Scenario {
        name: "weight 5-25-50 %, shared 3 min of 5 % in the last step",
        weight: |at| [0.05, 0.25, 0.5][((at / 1_200.0) as usize).min(2)],
        stable: |at| during(at, 2_900.0, 180.0, 0.05, 0.001),
        ..USUAL
    },
    Scenario { name: "looping clients, per-request split", loops: true, ..USUAL },
    Scenario { name: "1 rps, 0.1 %", stable: |_| 0.001, ..SPARSE },
    Scenario { name: "1 rps, 1 %", ..SPARSE },
];

pub const BAD: [Scenario; 17] = [
    Scenario { name: "base 0.1 %, +0.5 pp", more: |_| 0.005, ..USUAL },
    Scenario { name: "base 0.1 %, +1 pp", more: |_| 0.01, ..USUAL },
    Scenario { name: "base 0.1 %, +5 pp", more: |_| 0.05, ..USUAL },
    Scenario { name: "base 0.1 %, +50 pp", more: |_| 0.5, ..USUAL },
    Scenario { name: "dead (100 %)", more: |_| 1.0, ..USUAL },
    Scenario { name: "base 1 %, +0.5 pp", more: |_| 0.005, ..ONE },
    Scenario { name: "base 1 %, +1 pp", more: |_| 0.01, ..ONE },
    Scenario { name: "base 1 %, +5 pp", more: |_| 0.05, ..ONE },
    Scenario { name: "base 1 %, +50 pp", more: |_| 0.5, ..ONE },
    Scenario { name: "base 1 %, dead", more: |_| 1.0, ..ONE },
    Scenario { name: "+1 pp starting at 10 min (0.1 %)", more: |_| 0.01, ..LATE },
    Scenario { name: "+5 pp starting at 10 min", more: |_| 0.05, ..LATE },
    Scenario { name: "dead from 10 min on", more: |_| 1.0, ..LATE },
    Scenario { name: "leak from 10 min, +0.1 pp per minute", more: |since| since / 60_000.0, ..LATE },
    Scenario { name: "1 rps, base 1 %, +5 pp", more: |_| 0.05, ..SPARSE },
    Scenario { name: "1 rps, +50 pp", more: |_| 0.5, ..SPARSE },
    Scenario { name: "1 rps, dead", more: |_| 1.0, ..SPARSE },
];

fn during(at: f64, from: f64, seconds: f64, inside: f64, outside: f64) -> f64 {
    if (from..from + seconds).contains(&at) { inside } else { outside }
}

impl Scenario {
    /// What is remembered of stable from before the release.
    pub fn stable_before(&self) -> f64 {
        (self.stable)(0.0)
    }

    fn bad(&self, at: f64, canary: bool) -> f64 {
        let more = if canary && at >= self.onset { (self.more)(at - self.onset) } else { 0.0 };
        f64::min((self.stable)(at) + more, 1.0)
    }
}

/// One tick.
pub struct Tick {
    /// Its end, in seconds.
    pub at: f64,
    pub seen: Observation,
}

/// The ticks of an hour.
pub struct Traffic<'a> {
    scenario: &'a Scenario,
    chance: Seeded,
    tick: u64,
    arrival: f64,
    /// When the next client begins to loop, and its shard.
    looping: (f64, usize),
}

impl<'a> Traffic<'a> {
    pub fn of(scenario: &'a Scenario, seed: u64) -> Self {
        // Mixed, because streams that begin a step of the generator apart are the same stream.
        let mut chance = Seeded::new(Seeded::new(seed).next());
        let arrival = chance.gap(scenario.rate);
        let looping = (if scenario.loops { chance.gap(0.1) } else { f64::INFINITY }, 0);
        Self { scenario, chance, tick: 0, arrival, looping }
    }
}

impl Iterator for Traffic<'_> {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        self.tick += 1;
        let at = self.tick as f64 * self.scenario.tick;
        if at > HOUR {
            return None;
        }
        let (mut seen, weight) = (Observation::default(), (self.scenario.weight)(at));
        while self.arrival < at {
            let canary = self.chance.unit() < weight;
            let draw = self.chance.next();
            let bad = share_of(draw) < self.scenario.bad(self.arrival, canary);
            count(&mut seen, canary, draw as usize % CLIENT_SHARDS, bad);
            self.arrival += self.chance.gap(self.scenario.rate);
        }
        let (begins, shard) = self.looping;
        if begins < at {
            for _ in 0..(LOOP_RATE * self.scenario.tick) as u64 {
                let canary = self.chance.unit() < weight;
                count(&mut seen, canary, shard, true);
            }
            if begins + LOOP_SECONDS < at {
                let next = self.chance.next() as usize % CLIENT_SHARDS;
                self.looping = (at + self.chance.gap(0.1), next);
            }
        }
        Some(Tick { at, seen })
    }
}

fn count(seen: &mut Observation, canary: bool, shard: usize, bad: bool) {
    let lane = if canary { &mut seen.canary } else { &mut seen.stable };
    lane.shards[shard] = lane.shards[shard].plus(Tally { requests: 1, bad: u64::from(bad) });
}

/// The upper bits as a number from 0 to 1.
fn share_of(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

const HOUR: f64 = 3_600.0;
const LOOP_RATE: f64 = 100.0;
const LOOP_SECONDS: f64 = 1.0;
