//! The news of all services, from a place on or back to one.

use crate::controller::News;

use super::ask::Query;
use super::cursor::{self, Cursor};
use super::reply::{Problem, Reply};
use super::server::House;
use super::tag::{self, State};
use super::wire::EventsPage;

/// Events after `since`, or the newest; with `wait`, the answer waits for the first of them. `cursor` goes on
/// where another page ended, in its direction.
pub(super) async fn page(house: &House, query: Option<&str>) -> Result<Reply, Problem> {
    let query = Query::parse(query, &["since", "limit", "service", "wait", "cursor"])?;
    let service = query.text("service");
    let place = match (query.number("since")?, query.text("cursor")) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("either `since` or `cursor`")),
        (Some(id), None) => Cursor::After(id),
        (None, Some(text)) => Cursor::read(text)?,
        (None, None) => Cursor::Before(u64::MAX),
    };
    let limit = cursor::limit(&query)?;
    let look = || -> Vec<News> {
        let since = if let Cursor::After(id) = place { id } else { 0 };
        let mut found = house.control.events(since);
        found.retain(|it| service.is_none_or(|name| it.service.as_str() == name) && place.holds(it.id));
        found
    };
    let mut found = look();
    if let Some(wait) = query.wait("wait")?.filter(|_| found.is_empty()) {
        found = tokio::time::timeout(wait, first_of(house, look)).await.unwrap_or_default();
    }
    let page = cut(&found, place, limit);
    Ok(tag::json(&State::events(page.last), &page))
}

/// A page of what was found at that place.
fn cut(found: &[News], place: Cursor, limit: usize) -> EventsPage {
    let rest = found.len().saturating_sub(limit);
    // Whoever names a place reads on from there; whoever does not wants the newest.
    let (events, next, nothing_new) = match place {
        Cursor::After(id) => {
            let events = &found[..found.len() - rest];
            (events, events.last().map(|it| Cursor::After(it.id)), id)
        }
        Cursor::Before(_) => {
            let events = &found[rest..];
            (events, events.first().map(|it| Cursor::Before(it.id)), 0)
        }
    };
    EventsPage {
        events: events.iter().map(Into::into).collect(),
        last: events.last().map_or(nothing_new, |it| it.id),
        next: next.filter(|_| rest > 0).map(Cursor::text),
    }
}

impl Cursor {
    fn holds(self, id: u64) -> bool {
        match self {
            Self::Before(end) => id < end,
            Self::After(start) => id > start,
        }
    }
}

async fn first_of(house: &House, look: impl Fn() -> Vec<News>) -> Vec<News> {
    loop {
        // The revision is read before the look, so that nothing falls between them.
        let revision = house.control.status().revision;
        let found = look();
        if !found.is_empty() {
            return found;
        }
        if house.control.changed(revision).await.revision <= revision {
            // The controller has ended, and nothing more will happen.
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script::advanced;

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        let events: Vec<News> = (1..=5).map(advanced).collect();
        let page = |place: Cursor| {
            let found: Vec<News> = events.iter().filter(|it| place.holds(it.id)).cloned().collect();
            let page = cut(&found, place, 2);
            let ids: Vec<u64> = page.events.iter().map(|it| it.id).collect();
            (ids, page.last, page.next.map(|it| Cursor::read(&it).unwrap()))
        };
        assert_eq!(page(Cursor::Before(u64::MAX)), (vec![4, 5], 5, Some(Cursor::Before(4))));
        assert_eq!(page(Cursor::Before(4)), (vec![2, 3], 3, Some(Cursor::Before(2))));
        assert_eq!(page(Cursor::Before(2)), (vec![1], 1, None));
        assert_eq!(page(Cursor::After(0)), (vec![1, 2], 2, Some(Cursor::After(2))));
        assert_eq!(page(Cursor::After(2)), (vec![3, 4], 4, Some(Cursor::After(4))));
        assert_eq!(page(Cursor::After(4)), (vec![5], 5, None));
        assert_eq!(page(Cursor::After(5)), (vec![], 5, None));
    }
}
