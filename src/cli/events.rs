//! `tidegate events`: decisions, what they rested on, and what became of telling others of them.

mod told;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::{EventWire, EventsPage, ServiceWire};
use crate::runtime::Clock;

use super::arguments::Global;
use super::client::{Client, block_on};
use super::printed::EventLineJson;
use super::terminal::{Paint, Terminal};
use super::text::{grouped, parse_span, percent};
use super::{Failure, Outcome, command, exit, live, printable, tree};

/// Arguments of `events`.
#[derive(Args, Clone, Debug)]
pub struct EventsArgs {
    /// Only this service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: Option<String>,
    /// Go on with what happens from now on, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Only what came after this event, or within this time: 42, 30m
    #[arg(long, value_name = "ID|DURATION")]
    pub since: Option<String>,
    /// What became of telling others: `problems` and their ends, `all`, or `none`. Default: `problems`; with --json
    /// each event has all of them, and --follow has lines of their own only when this is given
    #[arg(long, value_name = "WHICH")]
    pub notifications: Option<Which>,
    /// Most events to begin with
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: u64,
}

/// Which lines about notifications are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Which {
    /// What was not taken, and that it is taken again
    Problems,
    /// Every notification
    All,
    /// Decisions alone
    None,
}

/// Where to begin.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Since {
    /// With the newest.
    Newest,
    /// After this event.
    Id(u64),
    /// After this moment, in RFC 3339.
    Moment(String),
}

/// Prints events, oldest first.
pub fn events(global: &Global, args: &EventsArgs, terminal: &mut Terminal) -> Outcome {
    let since = parse_since(args.since.as_deref(), &Clock::system())?;
    let of_service = match &args.service {
        Some(name) => {
            command::service_path(name)?;
            format!("&service={name}")
        }
        None => String::new(),
    };
    block_on(async {
        let client = Client::find(global, terminal).await?;
        if let Some(name) = &args.service {
            // Of a name that nobody has nothing ever happens.
            let _: ServiceWire = client.get(&command::service_path(name)?).await?;
        }
        let limit = args.limit.clamp(1, LIMIT_MAX);
        let first = match &since {
            Since::Id(id) => format!("since={id}&limit={limit}"),
            // All that are kept; they are sorted out here.
            Since::Moment(_) => format!("limit={LIMIT_MAX}"),
            Since::Newest => format!("limit={limit}"),
        };
        let mut page: EventsPage = client.get(&format!("/api/v1/events?{first}{of_service}")).await?;
        if let Since::Moment(moment) = &since {
            // Times of one length in UTC: the later one is the greater text.
            page.events.retain(|it| it.at > *moment);
        }
        let which = args.notifications.unwrap_or(if terminal.json { Which::None } else { Which::Problems });
        let mut seen = Seen { last: page.last, notified: page.notified };
        if !terminal.json {
            page.notifications = page.events.iter_mut().flat_map(|it| it.notifications.drain(..)).collect();
        }
        print(&page, which, terminal)?;
        if !args.follow {
            if page.events.is_empty() {
                terminal.note("nothing has happened");
            }
            return Ok(exit::DONE);
        }
        loop {
            let path = format!("/api/v1/events?{}&wait=30{of_service}", seen.query());
            let mut page: EventsPage = client.get(&path).await?;
            seen.note(&page);
            for it in &mut page.events {
                // They come as lines of their own as well.
                it.notifications.clear();
            }
            print(&page, which, terminal)?;
        }
    })
}

/// How far whoever follows has got.
struct Seen {
    last: u64,
    /// `None`: a server that does not say what became of notifications.
    notified: Option<u64>,
}

impl Seen {
    fn query(&self) -> String {
        let notified = self.notified.map_or(String::new(), |it| format!("&notified={it}"));
        format!("since={}{notified}", self.last)
    }

    fn note(&mut self, page: &EventsPage) {
        self.last = page.last.max(self.last);
        self.notified = page.notified.or(self.notified);
    }
}

/// Prints events and what became of telling of them, in the order of their moments.
pub(super) fn print(page: &EventsPage, which: Which, terminal: &mut Terminal) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for it in &page.events {
        let text = match terminal.json {
            true => json(&EventLineJson::Decision(it)),
            false => line(it, terminal.paint),
        };
        lines.push((&it.at, text));
    }
    match terminal.json {
        true => lines.extend(
            told::shown(&page.notifications, which)
                .map(|it| (&it.at, json(&EventLineJson::Notification { notification: it }))),
        ),
        false => lines.extend(told::lines(&page.notifications, which, terminal.paint)),
    }
    // Times of one length in UTC: the later one is the greater text.
    lines.sort_by_key(|it| it.0);
    for (_, text) in lines {
        terminal.print_line(&text)?;
    }
    Ok(())
}

fn json(it: &EventLineJson<'_>) -> String {
    serde_json::to_string(it).expect("wire types have string keys and finite depth")
}

fn line(it: &EventWire, paint: Paint) -> String {
    let (at, what, moved) = (at(it), what(it, paint), moved(it));
    let mut text = format!(
        "{at}  #{}  {}  {what}  {} {moved}  by {}: {}",
        it.id,
        it.service,
        it.version,
        tree::actor(it),
        printable::line(&it.text)
    );
    if let Some(evidence) = it.evidence.as_ref().filter(|it| it.canary.requests > 0) {
        let (bad, all) = (grouped(evidence.canary.bad), grouped(evidence.canary.requests));
        text.push_str(&paint.dim(&format!("  ({bad} of {all} canary requests failed)")));
    }
    text
}

fn parse_since(text: Option<&str>, clock: &Clock) -> Result<Since, Failure> {
    let Some(text) = text else { return Ok(Since::Newest) };
    if let Ok(id) = text.parse() {
        return Ok(Since::Id(id));
    }
    match parse_span(text) {
        Ok(span) => Ok(Since::Moment((clock.now() - span).to_string())),
        Err(why) => {
            let failure =
                Failure::new(exit::USAGE, format!("`{text}` is neither an event nor a duration: {why}"));
            Err(failure.hint("use the number of an event, or a time such as 30m"))
        }
    }
}

/// What happened, in its colour.
pub fn what(it: &EventWire, paint: Paint) -> String {
    let text = it.what.replace('_', " ");
    match it.what.as_str() {
        "rolled_back" | "barred" => paint.red(&text),
        "completed" | "promoted" => paint.green(&text),
        _ => text,
    }
}

/// The canary's share before and after.
pub fn moved(it: &EventWire) -> String {
    match it.from_percent == it.to_percent {
        true => percent(it.to_percent),
        false => format!("{} → {}", percent(it.from_percent), percent(it.to_percent)),
    }
}

/// When, to the second: the rest is for programs.
pub fn at(it: &EventWire) -> String {
    it.at.get(..19).map_or_else(|| it.at.clone(), |at| format!("{at}Z"))
}

/// The server keeps no more.
const LIMIT_MAX: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::runtime::ManualClock;

    #[test]
    fn where_to_begin() {
        let clock = ManualClock::new(Timestamp(1_735_689_600_000_000)).clock();
        assert_eq!(parse_since(None, &clock), Ok(Since::Newest));
        assert_eq!(parse_since(Some("42"), &clock), Ok(Since::Id(42)));
        let moment = Since::Moment("2024-12-31T23:30:00.000Z".into());
        assert_eq!(parse_since(Some("30m"), &clock), Ok(moment));
        assert_eq!(parse_since(Some("yesterday"), &clock).unwrap_err().code, exit::USAGE);
    }
}
