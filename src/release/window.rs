//! Release windows: `Mon-Thu 09:00-16:00 Europe/Zurich`.
//!
//! Hours are local hours of the zone, daylight saving time included; a window that ends before it begins
//! ends on the next day. Zones come from data in the binary, so that an answer depends on no machine.
//!
//! Not here: clocks. The caller says what time it is.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::model::Timestamp;

use super::permit::Permit;

/// Days and hours in which a release may advance.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// From Monday to Sunday.
    days: [bool; 7],
    from: Time,
    /// `None`: midnight at the end of the day.
    to: Option<Time>,
    zone: TimeZone,
    written: String,
}

impl Window {
    /// Whether a release may advance at this moment, and if not, when it may.
    pub fn permits(&self, now: Timestamp) -> Permit {
        let Some(instant) =
            i64::try_from(now.0).ok().and_then(|it| jiff::Timestamp::from_microsecond(it).ok())
        else {
            return Permit::Closed { opens_at: None };
        };
        let today = self.zone.to_datetime(instant).date();
        let Ok(yesterday) = today.yesterday() else { return Permit::Closed { opens_at: None } };
        let mut openings = yesterday.series(1.day()).take(DAYS_AHEAD).filter_map(|it| self.on(it));
        // The first that has not ended yet: it is open, or the next to open.
        match openings.find(|(_, end)| instant < *end) {
            Some((start, _)) if start <= instant => Permit::Open,
            Some((start, _)) => {
                let opens_at = u64::try_from(start.as_microsecond()).ok().map(Timestamp);
                Permit::Closed { opens_at }
            }
            None => Permit::Closed { opens_at: None },
        }
    }

    /// When it opens and ends if it begins on this day.
    fn on(&self, day: Date) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
        if !self.days[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())] {
            return None;
        }
        let (end_day, end) = match self.to {
            Some(to) if to > self.from => (day, to),
            Some(to) => (day.tomorrow().ok()?, to),
            None => (day.tomorrow().ok()?, Time::midnight()),
        };
        let at = |day: Date, time| self.zone.to_timestamp(day.to_datetime(time)).ok();
        let (start, end) = (at(day, self.from)?, at(end_day, end)?);
        // Hours that the clocks skip that night are no window.
        (start < end).then_some((start, end))
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let words: Vec<&str> = written.split_whitespace().collect();
        let (days, hours, zone) = match words[..] {
            [days, hours, zone] => (parse_days(days)?, hours, zone),
            [hours, zone] if hours.contains(':') => ([true; 7], hours, zone),
            _ => return Err(format!("a window is days, hours and a time zone: {EXAMPLE}")),
        };
        let (from, to) =
            hours.split_once('-').ok_or_else(|| format!("hours are 09:00-16:00, not {hours}"))?;
        let from = parse_time(from)?;
        let to = if to == "24:00" { None } else { Some(parse_time(to)?) };
        if to == Some(from) {
            return Err(format!("from {from} to {from} is no time at all; a whole day is 00:00-24:00"));
        }
        let zone = TimeZoneDatabase::bundled()
            .get(zone)
            .map_err(|_| format!("there is no time zone `{zone}`; for example Europe/Zurich or UTC"))?;
        Ok(Self { days, from, to, zone, written: words.join(" ") })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// `Mon-Thu`, `Sat,Sun`, `Fri-Mon` or a mixture.
fn parse_days(written: &str) -> Result<[bool; 7], String> {
    let mut days = [false; 7];
    for part in written.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (parse_day(first)?, parse_day(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

fn parse_day(written: &str) -> Result<usize, String> {
    let found = DAYS.iter().position(|it| it.eq_ignore_ascii_case(written));
    found.ok_or_else(|| format!("there is no day `{written}`; days are {}", DAYS.join(", ")))
}

/// `09:00`, to the minute.
fn parse_time(written: &str) -> Result<Time, String> {
    let parsed = written.split_once(':').and_then(|(hour, minute)| {
        let two_digits = hour.len() == 2 && minute.len() == 2;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok().filter(|_| two_digits)
    });
    parsed.ok_or_else(|| format!("a time is 09:00, not {written}"))
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const EXAMPLE: &str = "Mon-Thu 09:00-16:00 Europe/Zurich";

/// From yesterday to a week and a day ahead: the same weekday once more, should one be skipped.
const DAYS_AHEAD: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp(u64::try_from(instant.as_microsecond()).unwrap())
    }

    #[track_caller]
    fn check(window: &str, now: &str, opens_at: Option<&str>) {
        let window: Window = window.parse().unwrap();
        let expected = opens_at.map_or(Permit::Open, |it| Permit::Closed { opens_at: Some(at(it)) });
        assert_eq!(window.permits(at(now)), expected, "{window} at {now}");
    }

    #[test]
    fn days_and_hours_of_the_zone() {
        let office = "Mon-Thu 09:00-16:00 Europe/Zurich";
        // Winter: one hour ahead of UTC. 2026-01-05 is a Monday.
        check(office, "2026-01-05T07:59:59Z", Some("2026-01-05T08:00:00Z"));
        check(office, "2026-01-05T08:00:00Z", None);
        check(office, "2026-01-05T14:59:59Z", None);
        check(office, "2026-01-05T15:00:00Z", Some("2026-01-06T08:00:00Z"));
        // From Thursday afternoon to Monday.
        check(office, "2026-01-08T15:00:00Z", Some("2026-01-12T08:00:00Z"));
        // Summer: two hours ahead, and over the weekend on which the clocks change.
        check(office, "2026-07-06T07:00:00Z", None);
        check(office, "2026-03-26T20:00:00Z", Some("2026-03-30T07:00:00Z"));
        check("09:00-16:00 UTC", "2026-01-10T10:00:00Z", None);
        check("Sat,Sun 00:00-24:00 UTC", "2026-01-11T23:59:59Z", None);
        check("Sat,Sun 00:00-24:00 UTC", "2026-01-12T00:00:00Z", Some("2026-01-17T00:00:00Z"));
        check("Fri-Mon 10:00-11:00 UTC", "2026-01-12T10:30:00Z", None);
    }

    #[test]
    fn over_midnight_and_over_skipped_hours() {
        let night = "Fri 22:00-04:00 UTC";
        check(night, "2026-01-09T23:00:00Z", None);
        check(night, "2026-01-10T03:59:59Z", None);
        check(night, "2026-01-10T04:00:00Z", Some("2026-01-16T22:00:00Z"));
        // On 2026-03-29 clocks in Zurich go from 02:00 to 03:00: half past two is half past three.
        let skipped = "Sun 02:30-05:00 Europe/Zurich";
        check(skipped, "2026-03-29T01:00:00Z", Some("2026-03-29T01:30:00Z"));
        check(skipped, "2026-03-29T02:59:00Z", None);
        // On 2026-10-25 the hour from two to three comes twice.
        let twice = "Sun 02:00-03:00 Europe/Zurich";
        check(twice, "2026-10-25T00:30:00Z", None);
        check(twice, "2026-10-25T01:30:00Z", None);
        check(twice, "2026-10-25T02:00:00Z", Some("2026-11-01T01:00:00Z"));
    }

    #[test]
    fn mistakes_are_named() {
        for (written, part) in [
            ("", "days, hours and a time zone"),
            ("Mon-Thu 09:00-16:00", "days, hours and a time zone"),
            ("Mon-Foo 09:00-16:00 UTC", "no day `Foo`"),
            ("Mon 9-16 UTC", "a time is 09:00, not 9"),
            ("Mon 09:00 UTC", "hours are 09:00-16:00, not"),
            ("Mon 09:00-25:00 UTC", "not 25:00"),
            ("Mon 09:00-09:00 UTC", "no time at all"),
            ("Mon 09:00-16:00 Europe/Atlantis", "no time zone `Europe/Atlantis`"),
        ] {
            let message = written.parse::<Window>().unwrap_err();
            assert!(message.contains(part), "{written}: {message}");
        }
    }
}
