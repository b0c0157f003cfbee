//! The doctor's book: who is to be asked, when, and what follows from the answers. Decides with the time
//! and the chance that it is given and waits for nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::Timestamp;
use crate::routing::{Care, Checkup};

use super::health::{Board, Health, Word};
use super::site::Place;

/// Everybody who is looked after.
pub(super) struct Ward {
    patients: BTreeMap<Place, Patient>,
    /// Questions under way.
    asked: usize,
    /// Numbers tell answers apart from those to questions that nobody asks any more.
    number: u64,
    /// When the success rates are looked at next.
    next_rates: Timestamp,
}

struct Patient {
    health: Arc<Health>,
    checkup: Option<Arc<Checkup>>,
    care: Care,
    /// When to ask next, unless a question is under way.
    next: Timestamp,
    running: Option<u64>,
    /// Whether the first question was asked: the ones after it are spread.
    is_spread: bool,
    passes: u32,
    fails: u32,
    ejected_until: Option<Timestamp>,
    /// How long it was left out last, and since when it is back.
    ejected_for: Duration,
    returned: Timestamp,
    warming_since: Option<Timestamp>,
    /// Answers and bad ones at the end of each of the last seconds.
    rates: VecDeque<(u64, u64)>,
}

/// A question that is to be asked now.
#[derive(Debug)]
pub(super) struct Ask {
    pub place: Place,
    pub number: u64,
    pub checkup: Arc<Checkup>,
}

/// Somebody who is to be looked after.
pub(super) struct Arrival {
    pub place: Place,
    pub checkup: Option<Arc<Checkup>>,
    pub care: Care,
}

impl Ward {
    pub fn new() -> Self {
        Self { patients: BTreeMap::new(), asked: 0, number: 0, next_rates: Timestamp(0) }
    }

    /// These and no others. Who is known keeps what is known of it.
    pub fn admit(&mut self, arrivals: Vec<Arrival>, board: &Board, now: Timestamp) {
        let mut before = std::mem::take(&mut self.patients);
        for it in arrivals {
            let mut patient = before
                .remove(&it.place)
                .unwrap_or_else(|| Patient::new(board.health(&it.place, it.checkup.is_some()), now));
            if patient.checkup != it.checkup {
                self.asked -= usize::from(patient.running.take().is_some());
                (patient.next, patient.passes, patient.fails) = (now, 0, 0);
                if it.checkup.is_none() {
                    patient.health.pass();
                    patient.health.say_why("");
                }
                patient.checkup = it.checkup;
            }
            patient.care = it.care;
            patient.health.judge_by(&it.care.eject);
            self.patients.insert(it.place, patient);
        }
        let gone = before.values().filter(|it| it.running.is_some()).count();
        self.asked -= gone;
        board.retain(|it| self.patients.contains_key(it));
    }

    /// Nobody answers any more to what was asked.
    pub fn forget_questions(&mut self, now: Timestamp) {
        for it in self.patients.values_mut().filter(|it| it.running.is_some()) {
            (it.running, it.next) = (None, now);
        }
        self.asked = 0;
    }

    /// Does what is due. Returns whom to ask, and when to come again.
    pub fn round(&mut self, now: Timestamp) -> (Vec<Ask>, Timestamp) {
        self.measure_rates(now);
        self.hear_accusations(now);
        let mut next = now + IDLE;
        if self.patients.values().any(|it| it.care.eject.success_percent > 0) {
            next = next.min(self.next_rates);
        }
        let mut returned = Vec::new();
        for (place, it) in &mut self.patients {
            if it.ejected_until.is_some_and(|until| until <= now) {
                (it.ejected_until, it.returned) = (None, now);
                it.health.restore();
                it.rates.clear();
                tracing::info!(endpoint = %place.site, version = %place.version, "gets requests again");
                returned.push(place.clone());
            }
        }
        returned.iter().for_each(|it| self.warm_up(it, now));
        for it in self.patients.values_mut() {
            next = it.ejected_until.map_or(next, |until| next.min(until));
            if it.keep_warming(now) {
                next = next.min(now + WARM_EVERY);
            }
        }
        let asks = self.due(now, &mut next);
        (asks, next)
    }

    /// Whom to ask now. Those who would be too many at a time stay due.
    fn due(&mut self, now: Timestamp, next: &mut Timestamp) -> Vec<Ask> {
        let mut asks = Vec::new();
        for (place, it) in &mut self.patients {
            let Some(checkup) = it.checkup.as_ref().filter(|_| it.running.is_none()) else { continue };
            if now < it.next {
                *next = (*next).min(it.next);
            } else if self.asked < ASKED_MAX {
                self.asked += 1;
                self.number += 1;
                it.running = Some(self.number);
                asks.push(Ask { place: place.clone(), number: self.number, checkup: Arc::clone(checkup) });
            }
        }
        asks
    }

    /// An answer has come; `chance` is from 0 to 1.
    pub fn heard(
        &mut self,
        place: &Place,
        number: u64,
        answer: &Result<(), String>,
        now: Timestamp,
        chance: f64,
    ) {
        let Some(it) = self.patients.get_mut(place).filter(|it| it.running == Some(number)) else { return };
        let Some(checkup) = it.checkup.clone() else { return };
        self.asked -= 1;
        it.running = None;
        // After the first time they are spread over the whole span, later ones only stay apart.
        let part = if it.is_spread { 0.9 + 0.2 * chance } else { 0.1 + 0.9 * chance };
        it.is_spread = true;
        it.next = now + checkup.every.mul_f64(part);
        let before = it.health.word();
        match answer {
            Ok(()) => {
                (it.passes, it.fails) = (it.passes.saturating_add(1), 0);
                it.health.say_why("");
                let is_down = matches!(before, Word::Waiting | Word::Down);
                if it.passes >= checkup.pass_after && is_down {
                    it.health.pass();
                    it.health.forget_failures();
                    tracing::info!(endpoint = %place.site, version = %place.version, "passes its checkups");
                    self.warm_up(place, now);
                }
            }
            Err(why) => {
                (it.passes, it.fails) = (0, it.fails.saturating_add(1));
                it.health.say_why(why);
                if it.fails >= checkup.fail_after && before != Word::Down {
                    it.health.fail();
                    it.warming_since = None;
                    tracing::warn!(endpoint = %place.site, version = %place.version, why, "fails its checkups");
                }
            }
        }
    }

    /// Once a second: how each endpoint has answered over the last ten.
    fn measure_rates(&mut self, now: Timestamp) {
        if now < self.next_rates {
            return;
        }
        self.next_rates = now + Duration::from_secs(1);
        for it in self.patients.values_mut().filter(|it| it.care.eject.success_percent > 0) {
            let counts = it.health.counts();
            it.rates.push_back(counts);
            if it.rates.len() > RATE_SECONDS + 1 {
                it.rates.pop_front();
            }
            let first = it.rates.front().copied().unwrap_or_default();
            let (answers, bad) = (counts.0 - first.0, counts.1 - first.1);
            let eject = &it.care.eject;
            let good = (answers - bad) * 100;
            if answers >= u64::from(eject.requests) && good < answers * u64::from(eject.success_percent) {
                it.health.accuse();
            }
        }
    }

    /// Leaves out those who were asked to be, as far as enough others are left.
    fn hear_accusations(&mut self, now: Timestamp) {
        let accused: Vec<Place> = self
            .patients
            .iter()
            .filter(|(_, it)| it.health.take_accusation() && it.ejected_until.is_none())
            .map(|(place, _)| place.clone())
            .collect();
        for place in accused {
            let allowed = self.may_eject(&place);
            let Some(it) = self.patients.get_mut(&place) else { continue };
            it.rates.clear();
            it.health.forget_failures();
            if allowed {
                let time = it.eject(now);
                tracing::warn!(endpoint = %place.site, version = %place.version, ?time, "is left out for a while");
            }
        }
    }

    fn may_eject(&self, place: &Place) -> bool {
        let (mut all, mut ejected, mut others) = (0, 0, 0);
        for (it, patient) in self.mates(place) {
            all += 1;
            ejected += usize::from(patient.ejected_until.is_some());
            others += usize::from(it != place && patient.health.is_ready());
        }
        let most = self.patients.get(place).map_or(0, |it| it.care.eject.most_percent);
        others > 0 && (ejected + 1) * 100 <= all * usize::from(most)
    }

    /// Gives a growing share to one that has come back beside others.
    fn warm_up(&mut self, place: &Place, now: Timestamp) {
        let beside = self.mates(place).any(|(it, patient)| it != place && patient.health.is_ready());
        let Some(it) = self.patients.get_mut(place) else { return };
        if beside && !it.care.slow_start.is_zero() && it.health.is_ready() {
            it.warming_since = Some(now);
            it.health.warm(WARM_FIRST_PERCENT);
        }
    }

    fn mates<'a>(&'a self, of: &'a Place) -> impl Iterator<Item = (&'a Place, &'a Patient)> {
        self.patients.iter().filter(|(it, _)| it.service == of.service && it.version == of.version)
    }
}

impl Patient {
    fn new(health: Arc<Health>, now: Timestamp) -> Self {
        Self {
            health,
            checkup: None,
            care: Care::default(),
            next: now,
            running: None,
            is_spread: false,
            passes: 0,
            fails: 0,
            ejected_until: None,
            ejected_for: Duration::ZERO,
            returned: Timestamp(0),
            warming_since: None,
            rates: VecDeque::new(),
        }
    }

    /// Each time in a row takes twice as long; who has kept well for four times as long begins anew.
    fn eject(&mut self, now: Timestamp) -> Duration {
        let base = self.care.eject.time;
        let again = now.since(self.returned) < self.ejected_for * 4;
        self.ejected_for = if again { (self.ejected_for * 2).min(EJECTED_MAX).max(base) } else { base };
        self.ejected_until = Some(now + self.ejected_for);
        self.warming_since = None;
        self.health.eject();
        self.ejected_for
    }

    /// Whether its share still grows.
    fn keep_warming(&mut self, now: Timestamp) -> bool {
        let Some(since) = self.warming_since else { return false };
        let (passed, whole) = (now.since(since).as_secs_f64(), self.care.slow_start.as_secs_f64());
        let part = if whole > 0.0 { (passed / whole).min(1.0) } else { 1.0 };
        let first = f64::from(WARM_FIRST_PERCENT);
        self.health.warm((first + (100.0 - first) * part) as u8);
        if part >= 1.0 {
            self.warming_since = None;
        }
        part < 1.0
    }
}

/// Most questions under way at a time.
const ASKED_MAX: usize = 64;
const IDLE: Duration = Duration::from_secs(60);
const RATE_SECONDS: usize = 10;
const EJECTED_MAX: Duration = Duration::from_secs(300);
const WARM_EVERY: Duration = Duration::from_millis(100);
const WARM_FIRST_PERCENT: u8 = 10;

#[cfg(test)]
mod tests;
