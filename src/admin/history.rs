//! The history of a service, newest first, one page after the other.

use http::StatusCode;

use crate::controller::News;

use super::ask::Query;
use super::cursor::{self, Cursor};
use super::reply::{Problem, Reply};
use super::server::House;
use super::tag::{self, State};
use super::wire::{EventWire, HistoryPage};

/// A page of the decisions about a service. `cursor` is what the page before gave as `next`: it stands
/// for a decision, so that what happens meanwhile moves nothing.
pub(super) fn page(house: &House, service: &str, query: Option<&str>) -> Result<Reply, Problem> {
    let status = house.control.status();
    let query = Query::parse(query, &["limit", "cursor"])?;
    let limit = cursor::limit(&query)?;
    let before = match query.text("cursor").map(Cursor::read).transpose()? {
        None => u64::MAX,
        Some(Cursor::Before(id)) => id,
        Some(Cursor::After(_)) => {
            return Err(Problem::bad_request("`cursor` is what a page of a history gave as `next`"));
        }
    };
    let events = house.control.events(0);
    // What was taken out of the file keeps its history as long as there is some.
    if status.service(service).is_none() && !events.iter().any(|it| it.service.as_str() == service) {
        let known: Vec<_> = status.services.iter().map(|it| it.name.to_string()).collect();
        let name: String = service.chars().take(100).collect();
        let problem = Problem::new(StatusCode::NOT_FOUND, "unknown_service", format!("no service `{name}`"));
        return Err(problem.with("known", known));
    }
    let newest = events.iter().rfind(|it| it.service.as_str() == service).map_or(0, |it| it.id);
    let mut page = cut(events, service, before, limit);
    EventWire::join(&mut page.events, |meant| house.notify.about(meant));
    Ok(tag::json(&State::events(newest), &page))
}

fn cut(mut events: Vec<News>, service: &str, before: u64, limit: usize) -> HistoryPage {
    events.retain(|it| it.service.as_str() == service && it.id < before);
    let rest = events.len().saturating_sub(limit);
    let page: Vec<EventWire> = events[rest..].iter().rev().map(Into::into).collect();
    let next = page.last().filter(|_| rest > 0).map(|it| Cursor::Before(it.id).text());
    HistoryPage { events: page, next }
}

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
        let read = |page: HistoryPage| match Cursor::read(&page.next.unwrap()).unwrap() {
            Cursor::Before(id) => id,
            other => panic!("{other:?}"),
        };
        let before = read(first);
        let second = cut((1..=9).map(advanced).collect(), "shop", before, 2);
        assert_eq!(ids(&second), [3, 2]);
        let before = read(second);
        let third = cut((1..=9).map(advanced).collect(), "shop", before, 2);
        assert_eq!((ids(&third), third.next), (vec![1], None));
        assert_eq!(ids(&cut((1..=5).map(advanced).collect(), "blog", u64::MAX, 9)), [0; 0]);
    }
}
