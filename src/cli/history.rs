//! `tidegate history`: the decisions about a service and what they rested on, newest first.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::admin::wire::{EventWire, EvidenceWire, HistoryPage, TallyWire};

use super::arguments::Global;
use super::client::{Client, block_on};
use super::events;
use super::terminal::{Paint, Terminal};
use super::text::{grouped, percent, points};
use super::{Outcome, command, exit, live, tree};

/// Arguments of `history`.
#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// The service
    #[arg(add = ArgValueCandidates::new(live::services))]
    pub service: String,
    /// Most decisions
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: u64,
    /// Everything that is kept
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

/// Prints the history of a service, page by page.
pub fn history(global: &Global, args: &HistoryArgs, terminal: &mut Terminal) -> Outcome {
    let path = format!("{}/history", command::service_path(&args.service)?);
    let wanted = if args.all { u64::MAX } else { args.limit };
    block_on(async {
        let client = Client::find(global, terminal).await?;
        let mut whole = HistoryPage::default();
        let mut cursor = String::new();
        while (whole.events.len() as u64) < wanted {
            let limit = (wanted - whole.events.len() as u64).min(PAGE);
            let page: HistoryPage = client.get(&format!("{path}?limit={limit}{cursor}")).await?;
            whole.events.extend(page.events);
            whole.next = page.next;
            match &whole.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        if terminal.json {
            let text = serde_json::to_string(&whole).expect("wire types have string keys and finite depth");
            terminal.print_line(&text)?;
            return Ok(exit::DONE);
        }
        for it in &whole.events {
            terminal.print(&shown(it, terminal.paint))?;
        }
        if whole.next.is_some() {
            terminal.note("there is more: --all");
        }
        terminal.next(&[format!("tidegate status {}", args.service)]);
        Ok(exit::DONE)
    })
}

/// A decision as a small tree.
fn shown(it: &EventWire, paint: Paint) -> String {
    let (at, what, moved) = (events::at(it), events::what(it, paint), events::moved(it));
    let mut text = format!("{at}  #{}  {what}  {} {moved}\n", it.id, it.version);
    let mut branches = vec![format!("by {}, configuration {}", tree::actor(it), it.generation)];
    branches.extend(it.evidence.as_ref().filter(|it| it.canary.requests > 0).map(evidence));
    branches.push(it.text.clone());
    let last = branches.len() - 1;
    for (at, branch) in branches.iter().enumerate() {
        // What a check printed has lines of its own.
        let (fork, bar) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        for (number, line) in branch.lines().enumerate() {
            text.push_str(if number == 0 { fork } else { bar });
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// `canary 10 of 63 (15.87%) failed, stable 1 of 570 (0.18%): +15.69pp [+8.1, +25.2], limit +0.10pp`
fn evidence(it: &EvidenceWire) -> String {
    let mut text = format!("canary {} failed, stable {}", lane(it.canary), lane(it.stable));
    if let Some(difference) = it.difference {
        text.push_str(&format!(": {}pp", points(difference)));
        if let (Some(low), Some(high)) = (it.low, it.high) {
            text.push_str(&format!(" [{}, {}]", points(low), points(high)));
        }
    }
    if let Some(limit) = it.limit {
        text.push_str(&format!(", limit {}pp", points(limit)));
    }
    text
}

fn lane(it: TallyWire) -> String {
    let text = format!("{} of {}", grouped(it.bad), grouped(it.requests));
    match it.requests {
        0 => text,
        requests => format!("{text} ({})", percent(100.0 * it.bad as f64 / requests as f64)),
    }
}

/// Decisions asked for at a time.
const PAGE: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script::advanced;

    #[test]
    fn a_decision_says_who_why_and_on_what() {
        let event = EventWire {
            text: "a check failed\nit printed two lines".into(),
            evidence: Some(EvidenceWire {
                canary: TallyWire { requests: 63, bad: 10 },
                stable: TallyWire { requests: 570, bad: 1 },
                difference: Some(0.1569),
                low: Some(0.081),
                high: Some(0.252),
                limit: Some(0.001),
            }),
            ..EventWire::from(&advanced(7))
        };
        let text = shown(&event, Paint::default());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("#7  advanced"), "{text}");
        assert_eq!(
            lines[2],
            "├─ canary 10 of 63 (15.87%) failed, stable 1 of 570 (0.18%): +15.69pp [+8.10, +25.20], \
             limit +0.10pp"
        );
        assert_eq!(lines[3..], ["└─ a check failed", "   it printed two lines"]);
    }
}
