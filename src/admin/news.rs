//! The news of all services, from a place on or back to one, and what became of telling others of them.

use http::request::Parts;

use crate::controller::News;

use super::ask::Query;
use super::cursor::{self, Cursor};
use super::places;
use super::reply::{Problem, Reply};
use super::server::House;
use super::tag::{self, State};
use super::wire::{EventWire, EventsPage};

/// Events after `since`, or the newest; with `wait`, the answer waits for the first of them. `cursor` goes on
/// where another page ended, in its direction. Beside them is what became of telling of them; with `notified`, what
/// became of any notification since, which is waited for as well.
pub(super) async fn page(house: &House, head: &Parts) -> Result<Reply, Problem> {
    let query = Query::parse(head.uri.query(), &["since", "limit", "service", "wait", "cursor", "notified"])?;
    let place = match (query.number("since")?, query.text("cursor")) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("either `since` or `cursor`")),
        (Some(id), None) => Cursor::After(id),
        (None, Some(text)) => Cursor::read(text)?,
        (None, None) => Cursor::Before(u64::MAX),
    };
    let asked = Asked {
        service: query.text("service"),
        place,
        limit: cursor::limit(&query)?,
        notified: query.number("notified")?,
    };
    let mut page = asked.look(house);
    if let Some(wait) = query.wait("wait")?.filter(|_| asked.is_empty(&page)) {
        page = places::wait(head, wait, asked.first(house)).await.unwrap_or(page);
    }
    Ok(tag::json(&State::events(page.last), &page))
}

/// What somebody wants to know.
struct Asked<'a> {
    service: Option<&'a str>,
    place: Cursor,
    limit: usize,
    /// The newest line about notifications that is known.
    notified: Option<u64>,
}

impl Asked<'_> {
    /// What there is now.
    fn look(&self, house: &House) -> EventsPage {
        // Before the look: what is noted meanwhile comes with the next one, and never twice.
        let newest = *house.notify.newest().borrow();
        let since = if let Cursor::After(id) = self.place { id } else { 0 };
        let mut found = house.control.events(since);
        found.retain(|it| self.concerns(it.service.as_str()) && self.place.holds(it.id));
        let mut page = cut(&found, self.place, self.limit);
        EventWire::join(&mut page.events, |meant| {
            let mut found = house.notify.about(meant);
            found.retain(|it| it.id <= newest);
            found
        });
        page.notified = Some(newest);
        if let Some(known) = self.notified {
            page.notifications = house.notify.notifications(known, usize::MAX);
            page.notifications.retain(|it| it.id <= newest && self.concerns(&it.service));
            if page.notifications.len() > self.limit {
                page.notifications.truncate(self.limit);
                page.notified = page.notifications.last().map(|it| it.id);
            }
        }
        page
    }

    /// Whether there is nothing that was waited for.
    fn is_empty(&self, page: &EventsPage) -> bool {
        page.events.is_empty() && page.notifications.is_empty()
    }

    fn concerns(&self, service: &str) -> bool {
        self.service.is_none_or(|name| name == service)
    }

    /// Waits until there is something.
    async fn first(&self, house: &House) -> EventsPage {
        loop {
            // Both are read before the look, so that nothing falls between them.
            let revision = house.control.status().revision;
            let mut newest = house.notify.newest();
            let page = self.look(house);
            if !self.is_empty(&page) {
                return page;
            }
            tokio::select! {
                status = house.control.changed(revision) => if status.revision <= revision {
                    // The controller has ended, and nothing more will happen.
                    return page;
                },
                Ok(()) = newest.changed(), if self.notified.is_some() => {}
            }
        }
    }
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
        ..EventsPage::default()
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
