//! The history of a service, newest first, one page after the other.

use http::StatusCode;

use crate::controller::Event;

use super::ask::Query;
use super::reply::{Problem, Reply, json};
use super::server::House;
use super::wire::{EventWire, HistoryPage};

/// A page of the decisions about a service. `cursor` is what the page before gave as `next`: it stands
/// for a decision, so that what happens meanwhile moves nothing.
pub(super) fn page(house: &House, service: &str, query: Option<&str>) -> Result<Reply, Problem> {
    let status = house.control.status();
    let query = Query::parse(query, &["limit", "cursor"])?;
    let limit = query.number("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is from 1 to {LIMIT_MAX}")));
    }
    let before = query.text("cursor").map(read_cursor).transpose()?.unwrap_or(u64::MAX);
    let events = house.control.events(0);
    // What was taken out of the file keeps its history as long as there is some.
    if status.service(service).is_none() && !events.iter().any(|it| it.service.as_str() == service) {
        let known: Vec<_> = status.services.iter().map(|it| it.name.to_string()).collect();
        let name: String = service.chars().take(100).collect();
        let problem = Problem::new(StatusCode::NOT_FOUND, "unknown_service", format!("no service `{name}`"));
        return Err(problem.with("known", known));
    }
    Ok(json(&cut(events, service, before, usize::try_from(limit).unwrap_or(usize::MAX))))
}

fn cut(mut events: Vec<Event>, service: &str, before: u64, limit: usize) -> HistoryPage {
    events.retain(|it| it.service.as_str() == service && it.id < before);
    let rest = events.len().saturating_sub(limit);
    let page: Vec<EventWire> = events[rest..].iter().rev().map(Into::into).collect();
    let next = page.last().filter(|_| rest > 0).map(|it| write_cursor(it.id));
    HistoryPage { events: page, next }
}

/// What a cursor looks like is our own business; the letter leaves room for other kinds.
fn write_cursor(before: u64) -> String {
    format!("b{before:x}")
}

fn read_cursor(text: &str) -> Result<u64, Problem> {
    let number = text.strip_prefix('b').and_then(|it| u64::from_str_radix(it, 16).ok());
    number.ok_or_else(|| Problem::bad_request("`cursor` is what the page before gave as `next`"))
}

const LIMIT_DEFAULT: u64 = 100;
/// No more are kept.
const LIMIT_MAX: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script::advanced;

    fn ids(page: &HistoryPage) -> Vec<u64> {
        page.events.iter().map(|it| it.id).collect()
    }

    #[test]
    fn pages_follow_each_other_whatever_happens_meanwhile() {
        let first = cut((1..=5).map(advanced).collect(), "shop", u64::MAX, 2);
        assert_eq!(ids(&first), [5, 4]);
        let before = read_cursor(&first.next.unwrap()).unwrap();
        let second = cut((1..=9).map(advanced).collect(), "shop", before, 2);
        assert_eq!(ids(&second), [3, 2]);
        let before = read_cursor(&second.next.unwrap()).unwrap();
        let third = cut((1..=9).map(advanced).collect(), "shop", before, 2);
        assert_eq!((ids(&third), third.next), (vec![1], None));
        assert_eq!(ids(&cut((1..=5).map(advanced).collect(), "blog", u64::MAX, 9)), [0; 0]);
    }

    #[test]
    fn cursors_of_others_are_refused() {
        for text in ["", "5", "b", "bx", "b-1", "b10000000000000000", "c5"] {
            assert!(read_cursor(text).is_err(), "{text}");
        }
        for number in [0, 42, u64::MAX] {
            assert_eq!(read_cursor(&write_cursor(number)).unwrap(), number);
        }
    }
}
