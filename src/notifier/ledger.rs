//! What became of notifications: few enough lines to be read at night, and one at least for every event's end.
//!
//! Each notification ends in one line: delivered, failed (given up or refused for good) or dropped. Of attempts
//! that are made again only the first of a stretch has a line: a target that is away for an hour makes one, and
//! not one for each attempt of each event. The stretch ends with the next delivery, whose line says how long it
//! was.
//!
//! These lines are kept here and not in the journal. The journal is what a rollback is written to; what a stranger's
//! server answers must neither make it grow, nor push decisions out of it, nor be a reason for it to fail. So each
//! target has a bounded number of lines of its own, numbered by themselves, and no event: nobody is ever notified
//! of a notification.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{ServiceName, TargetName, Timestamp, VersionName};
use crate::release::{News, What};

use super::Told;

/// A line: what became of telling a target of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Rises with each, of any target and across restarts. It is no number of an event.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who was to be told.
    pub target: TargetName,
    /// Of which event.
    pub event: u64,
    /// The service that it is about.
    pub service: ServiceName,
    /// The version that it is about.
    pub version: VersionName,
    /// What had happened.
    pub what: What,
    /// What became of it.
    pub told: Told,
    /// How often it was tried; 0: never.
    pub attempts: u32,
    /// How long after the event this was.
    pub after: Duration,
    /// Why it was not taken.
    pub problem: Option<String>,
    /// When it is tried again.
    pub next: Option<Timestamp>,
    /// How long the target had taken nothing before it took this.
    pub recovered: Option<Duration>,
}

/// What has come of a notification just now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Came {
    pub attempts: u32,
    pub problem: Option<String>,
    pub next: Option<Timestamp>,
}

/// The lines of all targets.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<TargetName, Account>,
    newest: u64,
}

/// Those of one.
#[derive(Debug, Default)]
struct Account {
    lines: VecDeque<Notification>,
    /// Since when it has taken nothing.
    failing: Option<Timestamp>,
}

impl Ledger {
    /// Lines that were kept by an earlier process, oldest first.
    pub fn of(lines: Vec<Notification>) -> Self {
        let mut it = Self::default();
        for line in lines {
            it.newest = it.newest.max(line.id);
            let account = it.accounts.entry(line.target.clone()).or_default();
            account.reckon(line.told, line.at);
            account.push(line);
        }
        it
    }

    /// Notes what has come of telling a target. Returns whether that is worth a line.
    pub fn note(&mut self, target: &TargetName, news: &News, told: Told, came: Came, now: Timestamp) -> bool {
        let account = self.accounts.entry(target.clone()).or_default();
        let before = account.reckon(told, now);
        if told == Told::Retried && before.is_some() {
            return false;
        }
        self.make_room();
        let account = self.accounts.entry(target.clone()).or_default();
        // A clock that was set back between two processes must not make a number come twice; that numbers are
        // moments otherwise lets them rise even if this was forgotten.
        self.newest = now.0.max(self.newest + 1);
        account.push(Notification {
            id: self.newest,
            at: now,
            target: target.clone(),
            event: news.id,
            service: news.service.clone(),
            version: news.version.clone(),
            what: news.what,
            told,
            attempts: came.attempts,
            after: now.since(news.at),
            problem: came.problem,
            next: came.next,
            recovered: before.filter(|_| told == Told::Delivered).map(|it| now.since(it)),
        });
        true
    }

    /// The lines that came after this one, oldest first, and no more than so many.
    pub fn since(&self, id: u64, most: usize) -> Vec<Notification> {
        let mut found = Vec::new();
        if self.newest > id {
            for account in self.accounts.values() {
                let from = account.lines.partition_point(|it| it.id <= id);
                found.extend(account.lines.range(from..).take(most));
            }
            found.sort_by_key(|it| it.id);
            found.truncate(most);
        }
        found.into_iter().cloned().collect()
    }

    /// The lines about events that are `meant`, oldest first.
    pub fn about(&self, meant: impl Fn(u64) -> bool) -> Vec<Notification> {
        let all = self.accounts.values().flat_map(|it| &it.lines);
        let mut found: Vec<_> = all.filter(|it| meant(it.event)).cloned().collect();
        found.sort_by_key(|it| it.id);
        found
    }

    /// Number of the newest line; 0 without any.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// When there are too many lines in all, the target that has most of them loses one.
    fn make_room(&mut self) {
        while self.len() >= LINES_IN_ALL_MAX
            && let Some(account) = self.accounts.values_mut().max_by_key(|it| it.lines.len())
        {
            account.lines.pop_front();
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.accounts.values().map(|it| it.lines.len()).sum()
    }

    /// Forgets all other targets.
    pub fn keep_only(&mut self, targets: &[&TargetName]) {
        self.accounts.retain(|it, _| targets.contains(&it));
    }
}

impl Account {
    /// Keeps count of stretches in which nothing is taken. Returns since when one had been going on.
    fn reckon(&mut self, told: Told, now: Timestamp) -> Option<Timestamp> {
        let before = self.failing;
        self.failing = match told {
            Told::Delivered => None,
            Told::Retried | Told::Failed => before.or(Some(now)),
            // Nobody was called.
            Told::Dropped => before,
        };
        before
    }

    fn push(&mut self, line: Notification) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

impl Notification {
    /// One sentence for people, whose subject is the target.
    pub fn text(&self) -> String {
        let event = format!("{} {} {} (#{})", self.service, self.version, words(self.what), self.event);
        let why = self.problem.as_deref().unwrap_or("it is not known why");
        match (self.told, self.attempts) {
            (Told::Delivered, attempts) => {
                let mut text = format!("was told of {event}");
                if attempts > 1 {
                    text.push_str(&format!(
                        " after {attempts} attempts, {} after it happened",
                        span(self.after)
                    ));
                }
                if let Some(recovered) = self.recovered {
                    text.push_str(&format!("; it had taken nothing for {}", span(recovered)));
                }
                text
            }
            (Told::Retried, _) => match self.next {
                Some(next) => format!("did not take {event}: {why}; next attempt {}", time_of_day(next)),
                None => format!("did not take {event}: {why}"),
            },
            (Told::Failed, 0) => format!("is not told of {event}: {why}"),
            (Told::Failed, 1) => format!("is not told of {event}, given up after 1 attempt: {why}"),
            (Told::Failed, attempts) => {
                format!("is not told of {event}, given up after {attempts} attempts: {why}")
            }
            (Told::Dropped, _) => format!("is not told of {event}, dropped: {why}"),
        }
    }
}

fn words(what: What) -> String {
    what.as_str().replace('_', " ")
}

/// `0.4 s`, `12 min`, `3 h 5 min`.
fn span(it: Duration) -> String {
    let minutes = it.as_secs() / 60;
    match minutes {
        0 => format!("{:.1} s", it.as_secs_f64()),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// `09:31:04Z`.
fn time_of_day(at: Timestamp) -> String {
    let whole = at.to_string();
    match whole.split_once('T').and_then(|(_, time)| time.get(..8)) {
        Some(time) => format!("{time}Z"),
        None => whole,
    }
}

/// Lines kept for each target: as many as events are kept, so that what became of telling one is found for about
/// as long as the event itself. A quarter of a kilobyte each: half a megabyte for a target that is told much.
const LINES_MAX: usize = 2_000;
/// Lines kept in all: ten targets that are told much, or fifty that are told what most are. Whoever asks for all of
/// them gets some megabytes, and holds up nobody for long.
const LINES_IN_ALL_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::news::tests::rollback;

    const AT: Timestamp = Timestamp(1_767_225_600_125_000);

    fn ci() -> TargetName {
        "ci".parse().unwrap()
    }

    /// Plays `script`, `SECOND TARGET EVENT WORD [ATTEMPTS [PROBLEM]]`, and compares the lines that come of it.
    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        let mut ledger = Ledger::default();
        for step in script.split(", ") {
            play(&mut ledger, step);
        }
        let lines: Vec<String> = ledger.since(0, usize::MAX).iter().map(shown).collect();
        assert_eq!(lines, expected, "{script}");
    }

    fn play(ledger: &mut Ledger, step: &str) -> bool {
        let mut words = step.split(' ');
        let now = AT + Duration::from_secs(words.next().unwrap().parse().unwrap());
        let target = words.next().unwrap().parse().unwrap();
        let news = rollback(words.next().unwrap().parse().unwrap());
        let told = Told::EVERY.into_iter().find(|it| it.as_str() == words.clone().next().unwrap()).unwrap();
        words.next();
        let attempts = words.next().map_or(0, |it| it.parse().unwrap());
        let problem = words.next().map(str::to_owned);
        let next = (told == Told::Retried).then_some(now + Duration::from_secs(2));
        ledger.note(&target, &news, told, Came { attempts, problem, next }, now)
    }

    fn shown(it: &Notification) -> String {
        format!("{} {} {}", it.at.since(AT).as_secs(), it.target, it.text())
    }

    #[test]
    fn what_works_is_one_line_for_each() {
        check(
            "1 ci 7 delivered 1, 2 ops 7 delivered 1, 3 ci 8 delivered 1",
            &[
                "1 ci was told of shop v42 rolled back (#7)",
                "2 ops was told of shop v42 rolled back (#7)",
                "3 ci was told of shop v42 rolled back (#8)",
            ],
        );
    }

    #[test]
    fn attempts_of_one_stretch_are_one_line_and_its_end_is_told() {
        check(
            "1 ci 7 retried 1 503, 3 ci 7 retried 2 503, 7 ci 7 delivered 3, 8 ci 8 delivered 1",
            &[
                "1 ci did not take shop v42 rolled back (#7): 503; next attempt 00:00:03Z",
                "7 ci was told of shop v42 rolled back (#7) after 3 attempts, 7.0 s after it happened; it had taken \
                 nothing for 6.0 s",
                "8 ci was told of shop v42 rolled back (#8)",
            ],
        );
        // Another stretch has a line of its own.
        check(
            "1 ci 7 retried 1 a, 2 ci 7 delivered 2, 3 ci 8 retried 1 b, 4 ci 8 delivered 2",
            &[
                "1 ci did not take shop v42 rolled back (#7): a; next attempt 00:00:03Z",
                "2 ci was told of shop v42 rolled back (#7) after 2 attempts, 2.0 s after it happened; it had taken \
                 nothing for 1.0 s",
                "3 ci did not take shop v42 rolled back (#8): b; next attempt 00:00:05Z",
                "4 ci was told of shop v42 rolled back (#8) after 2 attempts, 4.0 s after it happened; it had taken \
                 nothing for 1.0 s",
            ],
        );
    }

    #[test]
    fn who_is_away_for_hours_makes_one_line_and_one_for_each_end() {
        check(
            "1 ci 7 retried 1 503, 2 ci 7 retried 2 503, 3601 ci 7 failed 17 503, 3602 ci 8 retried 1 down, \
             7202 ci 8 failed 16 down, 7203 ci 9 dropped, 7300 ci 10 delivered 1",
            &[
                "1 ci did not take shop v42 rolled back (#7): 503; next attempt 00:00:03Z",
                "3601 ci is not told of shop v42 rolled back (#7), given up after 17 attempts: 503",
                "7202 ci is not told of shop v42 rolled back (#8), given up after 16 attempts: down",
                "7203 ci is not told of shop v42 rolled back (#9), dropped: it is not known why",
                "7300 ci was told of shop v42 rolled back (#10); it had taken nothing for 2 h 1 min",
            ],
        );
    }

    #[test]
    fn one_target_says_nothing_about_another() {
        check(
            "1 ci 7 retried 1 a, 2 ops 7 retried 1 b, 3 ops 7 delivered 2, 4 ci 7 retried 2 a, 5 ci 7 failed 3 a",
            &[
                "1 ci did not take shop v42 rolled back (#7): a; next attempt 00:00:03Z",
                "2 ops did not take shop v42 rolled back (#7): b; next attempt 00:00:04Z",
                "3 ops was told of shop v42 rolled back (#7) after 2 attempts, 3.0 s after it happened; it had taken \
                 nothing for 1.0 s",
                "5 ci is not told of shop v42 rolled back (#7), given up after 3 attempts: a",
            ],
        );
    }

    #[test]
    fn a_refusal_begins_a_stretch_and_what_was_never_tried_does_not() {
        check(
            "1 ci 7 failed 1 404, 2 ci 8 failed 0 gone, 3 ci 9 delivered 1",
            &[
                "1 ci is not told of shop v42 rolled back (#7), given up after 1 attempt: 404",
                "2 ci is not told of shop v42 rolled back (#8): gone",
                "3 ci was told of shop v42 rolled back (#9); it had taken nothing for 2.0 s",
            ],
        );
        check(
            "1 ci 7 dropped 0 old, 2 ci 8 delivered 1",
            &[
                "1 ci is not told of shop v42 rolled back (#7), dropped: old",
                "2 ci was told of shop v42 rolled back (#8)",
            ],
        );
    }

    #[test]
    fn each_target_keeps_its_newest_lines() {
        let mut ledger = Ledger::default();
        assert!(play(&mut ledger, "0 ops 1 delivered 1"));
        for event in 0..LINES_MAX + 10 {
            play(&mut ledger, &format!("{event} ci {event} failed 1 404"));
        }
        assert_eq!(ledger.len(), LINES_MAX + 1);
        assert_eq!(ledger.about(|it| it == 1).len(), 1, "what another one was told is not pushed out");
        assert_eq!(ledger.since(0, usize::MAX)[1].event, 10);
        ledger.keep_only(&[&ci()]);
        assert_eq!(ledger.len(), LINES_MAX);
    }

    #[test]
    fn when_there_are_too_many_in_all_whoever_has_most_loses_some() {
        let mut ledger = Ledger::default();
        assert!(play(&mut ledger, "0 quiet 1 delivered 1"));
        for event in 0..LINES_MAX + 10 {
            for target in 0..12 {
                play(&mut ledger, &format!("{event} t{target} {event} failed 1 404"));
            }
        }
        assert_eq!(ledger.len(), LINES_IN_ALL_MAX);
        assert_eq!(ledger.about(|it| it == 1).len(), 1, "the one line of another is still there");
        let least = ledger.accounts.values().filter(|it| it.lines.len() > 1).map(|it| it.lines.len()).min();
        assert!(least >= Some(LINES_IN_ALL_MAX / 12 - 2), "{least:?}");
    }

    #[test]
    fn numbers_rise_whatever_the_clock_does_and_lines_are_found_by_them() {
        let mut ledger = Ledger::default();
        for step in ["9 ci 1 delivered 1", "9 ops 1 delivered 1", "3 ci 2 delivered 1", "20 ci 3 delivered 1"]
        {
            play(&mut ledger, step);
        }
        let all = ledger.since(0, usize::MAX);
        assert!(all.windows(2).all(|it| it[0].id < it[1].id));
        assert_eq!(all.last().unwrap().id, ledger.newest());
        for (at, line) in all.iter().enumerate() {
            assert_eq!(ledger.since(line.id, usize::MAX), all[at + 1..]);
        }
        assert_eq!(ledger.since(0, 3), all[..3]);
        assert_eq!(ledger.since(all[0].id, 2), all[1..3]);
        assert_eq!(ledger.about(|it| it == 1), all[..2]);
        assert_eq!((ledger.since(u64::MAX, 9), Ledger::default().newest()), (Vec::new(), 0));
    }

    #[test]
    fn an_earlier_process_is_gone_on_from() {
        let mut ledger = Ledger::default();
        play(&mut ledger, "1 ci 7 retried 1 503");
        let mut again = Ledger::of(ledger.since(0, usize::MAX));
        assert_eq!(again.since(0, usize::MAX), ledger.since(0, usize::MAX));
        assert!(!play(&mut again, "5 ci 7 retried 1 503"), "the stretch goes on");
        assert!(play(&mut again, "9 ci 7 delivered 2"));
        assert_eq!(again.since(ledger.newest(), 9)[0].recovered, Some(Duration::from_secs(8)));
    }

    #[test]
    fn spans() {
        for (ms, expected) in
            [(0, "0.0 s"), (420, "0.4 s"), (59_900, "59.9 s"), (60_000, "1 min"), (3_660_000, "1 h 1 min")]
        {
            assert_eq!(span(Duration::from_millis(ms)), expected);
        }
    }
}
