//! A search for broken promises: random plans, traffic, verdicts, commands, reloads, freezes, clock steps
//! and crashes against the pure machine, with the journal's records between a crash and a restart.
//!
//! `TIDEGATE_SEED=17` plays one seed and prints what happened.

mod plans;
mod rules;

use std::time::Duration;

use crate::model::{Seeded, Timestamp};
use crate::release::tests::{event_in, permit, version};
use crate::release::{
    Actor, Effect, Event, Loaded, Mark, Outcome, Permit, Plan, State, Version, adopt, objection, step,
};

use super::*;
use rules::Model;

const SEEDS: u64 = 10_000;
const MOVES: u64 = 48;

#[test]
fn no_seed_breaks_a_promise() {
    let replayed = std::env::var("TIDEGATE_SEED").ok().and_then(|it| it.parse::<u64>().ok());
    let seeds = replayed.map_or(0..SEEDS, |it| it..it + 1);
    let mut reached = [0u32; 10];
    for seed in seeds {
        let mut search = Search::of(seed);
        let result = search.run();
        if replayed.is_some() {
            println!("{}", search.told.join("\n"));
        }
        if let Err(broken) = result {
            let from = search.told.len().saturating_sub(12);
            let tail = search.told[from..].join("\n");
            panic!("seed {seed}: {broken}\n{:?}\n{tail}\nreplay with TIDEGATE_SEED={seed}", search.plan);
        }
        reached.iter_mut().zip(search.reached).for_each(|(all, it)| *all += it);
    }
    // A search that never gets anywhere would find nothing.
    assert!(replayed.is_some() || reached.iter().all(|it| *it > 100), "{WORDS:?} reached {reached:?} times");
}

const WORDS: [&str; 10] = [
    "LIVE",
    "VERIFYING",
    "CANARY",
    "APPROVAL",
    "PAUSED",
    "HELD",
    "WATCHING",
    "ROLLED BACK",
    "completed",
    "deployed",
];

/// What happens next.
pub(super) struct Chance(Seeded);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// One service and everything that happens to it.
struct Search {
    chance: Chance,
    plan: Plan,
    permit: Permit,
    now: Timestamp,
    state: State,
    /// What the file says.
    live: Version,
    /// States as the journal has them, and how many of them no crash can take.
    journal: Vec<State>,
    safe: usize,
    model: Model,
    told: Vec<String>,
    reached: [u32; 10],
    /// The next load brings another plan.
    edited: bool,
}

impl Search {
    fn of(seed: u64) -> Self {
        let mut chance = Chance(Seeded::new(seed));
        let plan = plans::random(&mut chance);
        let now = Timestamp(1_000_000_000_000);
        let (state, _) = adopt(version("v1"), Actor::file("tidegate.yaml"), now);
        Self {
            plan,
            permit: Permit::Open,
            now,
            live: version("v1"),
            journal: vec![state.clone()],
            safe: 1,
            model: Model::new(&state, now),
            state,
            chance,
            told: Vec::new(),
            reached: [0; 10],
            edited: false,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        self.load(version("v2"))?;
        for _ in 0..MOVES {
            self.now = self.now + self.pass();
            self.settle()?;
            self.happen()?;
            self.settle()?;
            rules::a_rollback_takes_everything(&self.plan, &self.state, self.now)?;
            self.count(self.state.word());
        }
        Ok(())
    }

    fn pass(&mut self) -> Duration {
        let seconds = match self.chance.below(12) {
            0 => 0,
            1..=5 => self.chance.below(60),
            6..=10 => self.chance.below(900),
            _ => self.chance.below(6 * 3_600),
        };
        Duration::from_secs(seconds)
    }

    /// Ticks until nothing more is due, which must be soon.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..8 {
            let before = self.state.clone();
            self.feed(Event::Tick(self.permit.clone()))?;
            if self.state == before {
                return Ok(());
            }
        }
        Err("ticks without end".into())
    }

    fn happen(&mut self) -> Result<(), String> {
        match self.chance.below(100) {
            0..=44 => {
                let finding = self.chance.of(&[
                    "fine",
                    "fine",
                    "fine",
                    "fine",
                    "fine",
                    "fine",
                    "proven",
                    "unsure 40",
                    "unsure 0",
                    "worse",
                ]);
                self.say(finding)
            }
            45..=56 => self.check_ends(),
            57..=76 => {
                let command = self.chance.of(&[
                    "promote",
                    "promote",
                    "promote",
                    "promote to 30%",
                    "full",
                    "override",
                    "override full",
                    "pause",
                    "pause until 90h",
                    "weight 7%",
                    "weight 40%",
                    "resume",
                    "resume",
                    "resume",
                    "rollback",
                    "rollback v1",
                    "rollback v3",
                    "retry",
                    "retry",
                    "deploy v4",
                    "deploy v4'",
                    "deploy v5",
                ]);
                self.say(command)
            }
            77..=80 => {
                let ready = self.chance.of(&[
                    "ready both",
                    "ready both",
                    "ready canary",
                    "ready stable",
                    "ready none",
                ]);
                self.say(ready)
            }
            81..=88 => {
                let live = self.chance.of(&["v1", "v2", "v2", "v2'", "v3"]);
                self.load(version(live))
            }
            89..=91 => {
                self.plan = plans::random(&mut self.chance);
                self.told.push("the plan is edited".into());
                self.edited = true;
                self.load(self.live.clone())
            }
            92..=95 => {
                let name = self.chance.of(&["open", "open", "frozen", "closed"]);
                self.permit = permit(name);
                self.told.push(format!("the calendar is {name}"));
                Ok(())
            }
            _ => self.crash(),
        }
    }

    /// News of checks: of the gate that is stood at, or of one long left.
    fn check_ends(&mut self) -> Result<(), String> {
        let Some(errand) = self.state.errand(&self.plan) else {
            let mark = Mark { release: self.state.release, moves: self.state.moves.saturating_sub(1) };
            let before = self.state.clone();
            self.feed(Event::Checked(mark, Outcome::Failed("late".into()), self.permit.clone()))?;
            return rules::ensure(self.state == before, || "late news of checks did something".into());
        };
        let outcome =
            if self.chance.one_in(6) { Outcome::Failed("no".into()) } else { Outcome::Passed(String::new()) };
        self.feed(Event::Checked(errand.mark, outcome, self.permit.clone()))
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        let event = event_in(text, &self.state, &self.permit);
        self.feed(event)
    }

    fn load(&mut self, live: Version) -> Result<(), String> {
        // The file has one definition of each name.
        let versions = ["v1", "v2", "v3"].map(version);
        let versions = versions.map(|it| if it.name == live.name { live.clone() } else { it });
        let load = Loaded {
            live: live.clone(),
            versions: versions.to_vec(),
            lost: Vec::new(),
            by: Actor::file("tidegate.yaml"),
        };
        if objection(&self.state, &load).is_some() {
            return Ok(());
        }
        self.live = live;
        self.feed(Event::Loaded(load))
    }

    /// The process dies, and with it what was not on disk; time goes by, the clock may be set; the next
    /// process reads what was written.
    fn crash(&mut self) -> Result<(), String> {
        let kept = self.safe + self.chance.below((self.journal.len() - self.safe + 1) as u64) as usize;
        self.journal.truncate(kept);
        let state = self.journal.last().ok_or("the journal is empty")?.clone();
        let payload = record::write(&[change(&state, None)]);
        let read = record::read(&payload).map_err(|it| it.to_string())?;
        rules::ensure(read == [change(&state, None)], || format!("{state:?} was read as {read:?}"))?;
        let down = match self.chance.below(4) {
            0 => Duration::from_secs(80 * 3_600),
            _ => Duration::from_secs(self.chance.below(600)),
        };
        self.told.push(format!("crash, {} records left, away for {down:?}", self.journal.len()));
        self.now = match self.chance.below(4) {
            0 => self.now - Duration::from_secs(3_600),
            1 => self.now + Duration::from_secs(10 * 365 * 86_400),
            _ => self.now + down,
        };
        self.state = state;
        self.model = Model::new(&self.state, self.now);
        self.feed(Event::Restarted { down })?;
        self.load(self.live.clone())
    }

    fn feed(&mut self, event: Event) -> Result<(), String> {
        let before = self.state.clone();
        let (after, effects) = step(&self.plan, before.clone(), event.clone(), self.now);
        if !effects.is_empty() {
            self.tell(&event, &effects);
        }
        self.model.judge(&self.plan, &before, &event, &after, &effects, self.now)?;
        let written = effects.iter().any(|it| matches!(it, Effect::Record(_) | Effect::Split(_)));
        if written || matches!(event, Event::Loaded(_)) {
            self.journal.push(after.clone());
        }
        // A raise waits for the disk, and so does the answer to a person: all before is then safe too.
        if after.weight() > before.weight() || matches!(event, Event::Commanded(..)) {
            self.safe = self.journal.len();
        }
        if let (Event::Loaded(it), false) = (&event, std::mem::take(&mut self.edited)) {
            rules::loads(&before, it, &after)?;
        }
        if after.deployed.iter().any(|it| it.version == after.stable) {
            self.count("deployed");
        }
        if after.previous.as_ref().is_some_and(|it| before.stable == it.version) {
            self.count("completed");
        }
        self.state = after;
        let newest = self.journal.last().map(rules::without_shortfall);
        rules::ensure(newest == Some(rules::without_shortfall(&self.state)), || {
            format!("the journal ends otherwise than the state after {event:?}")
        })
    }

    fn tell(&mut self, event: &Event, effects: &[Effect]) {
        let seconds = self.now.since(Timestamp(1_000_000_000_000)).as_secs();
        let texts = effects.iter().map(|it| match it {
            Effect::Record(entry) => entry.text.clone(),
            Effect::Split(shares) => format!("[{:?}]", shares.canary.as_ref().map(|it| it.1)),
            Effect::Already(text) => format!("already: {text}"),
            Effect::Refuse(it) => format!("refused: {}", it.reason),
        });
        let event = match event {
            Event::Loaded(it) => format!("live {}", it.live),
            other => format!("{other:?}"),
        };
        self.told.push(format!("{seconds}s {event}: {}", texts.collect::<Vec<_>>().join("; ")));
    }

    fn count(&mut self, word: &str) {
        if let Some(index) = WORDS.iter().position(|it| *it == word) {
            self.reached[index] += 1;
        }
    }
}
