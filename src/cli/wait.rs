//! Waiting for a release to come to its end, for pipelines.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::admin::wire::{ServiceWire, StatusWire};
use crate::model::Timestamp;
use crate::runtime::Clock;

use super::client::Client;
use super::terminal::Terminal;
use super::{Failure, Outcome, command, exit, printable, tree};

/// How a service stands, for somebody who waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// What is wanted has all traffic, and its watch is over.
    Done,
    /// It will not get there by itself.
    Ended(u8),
    /// It may get there; the code is for when time is up.
    Going(u8),
}

/// Waits until the service, or every service, is where it is wanted, or will not get there.
pub async fn wait(
    client: &Client,
    service: Option<&str>,
    timeout: Option<Duration>,
    terminal: &mut Terminal,
) -> Outcome {
    wait_for(client, service, None, timeout, terminal).await
}

/// The same for a version of it. Without one the version that is wanted at first is meant; it is over, too, when
/// somebody wants another one.
pub async fn wait_for(
    client: &Client,
    service: Option<&str>,
    version: Option<&str>,
    timeout: Option<Duration>,
    terminal: &mut Terminal,
) -> Outcome {
    let clock = Clock::system();
    let deadline = timeout.map(|it| clock.now() + it);
    let mut told: Vec<(String, String)> = Vec::new();
    let mut meant = Meant::new(service.zip(version));
    let mut after = None;
    loop {
        let left = deadline.map(|it| it.since(clock.now()));
        let status = match look(client, after, left).await {
            // The first time nobody has answered yet, so there is nothing that could come back.
            Err(failure) if failure.code == exit::UNREACHABLE && after.is_some() => {
                again(client, failure, &clock, deadline).await?
            }
            looked => looked?,
        };
        after = Some(status.revision);
        // A server that has only begun to start knows of no service yet.
        let starting = status.generation == 0;
        let services = if starting { Vec::new() } else { chosen(&status, service)? };
        let standings: Vec<Standing> = services.iter().map(|it| standing(it, meant.version(it))).collect();
        tell(&services, &mut told, terminal);
        if let Some(code) = verdict(&standings).filter(|_| !starting) {
            return report(&services, code, terminal);
        }
        if left.is_some_and(|it| it.is_zero()) {
            return report(&services, code_at_timeout(&standings), terminal);
        }
    }
}

/// The versions that are waited for, by service.
struct Meant(BTreeMap<String, String>);

impl Meant {
    fn new(named: Option<(&str, &str)>) -> Self {
        Self(named.map(|(service, version)| (service.to_owned(), version.to_owned())).into_iter().collect())
    }

    /// The version of this service: the one that was named, else what is wanted when it is first seen.
    fn version(&mut self, it: &ServiceWire) -> &str {
        self.0.entry(it.name.clone()).or_insert_with(|| it.wanted.clone())
    }
}

/// The newest status: at once the first time, afterwards when it has changed or time is up.
async fn look(client: &Client, after: Option<u64>, left: Option<Duration>) -> Result<StatusWire, Failure> {
    let Some(after) = after else { return client.get("/api/v1/status").await };
    // Rounded up, so that the last look does not spin through the last second.
    let seconds = left.map_or(POLL_SECONDS, |it| (it.as_secs() + 1).min(POLL_SECONDS));
    client.get(&format!("/api/v1/status?after={after}&timeout={seconds}")).await
}

/// The status of a server that is back after the connection to it was lost: a restart in the middle of
/// a release is no end of it.
async fn again(
    client: &Client,
    lost: Failure,
    clock: &Clock,
    deadline: Option<Timestamp>,
) -> Result<StatusWire, Failure> {
    let patience = clock.now() + RESTART_MAX;
    let deadline = deadline.map_or(patience, |it| it.min(patience));
    while clock.now() < deadline {
        tokio::time::sleep(RETRY_EVERY).await;
        if let Ok(status) = client.get::<StatusWire>("/api/v1/status").await {
            return Ok(status);
        }
    }
    Err(lost)
}

fn chosen<'a>(status: &'a StatusWire, name: Option<&str>) -> Result<Vec<&'a ServiceWire>, Failure> {
    let Some(name) = name else { return Ok(status.services.iter().collect()) };
    command::service_path(name)?;
    match status.services.iter().find(|it| it.name == name) {
        Some(it) => Ok(vec![it]),
        None => Err(super::status::unknown_service(name, &status.services)),
    }
}

fn standing(it: &ServiceWire, version: &str) -> Standing {
    if version != it.wanted {
        return Standing::Ended(exit::OVERTAKEN);
    }
    let barred = it.quarantined.iter().any(|withdrawn| withdrawn.version == it.wanted);
    let there = it.stable == it.wanted;
    match it.state.as_str() {
        // How the release before ended says nothing about this one, and a name in quarantine may be that of
        // another definition.
        "LIVE" | "ROLLED BACK" if it.awaited => Standing::Going(exit::IN_PROGRESS),
        "LIVE" | "ROLLED BACK" if there => Standing::Done,
        "ROLLED BACK" => Standing::Ended(exit::ROLLED_BACK),
        "LIVE" if barred => Standing::Ended(exit::ROLLED_BACK),
        // Only a person can end these.
        "PAUSED" | "APPROVAL" => Standing::Ended(exit::HELD),
        // Traffic or time can end this.
        "HELD" => Standing::Going(exit::HELD),
        _ => Standing::Going(exit::IN_PROGRESS),
    }
}

/// The exit code, once nothing more is to be waited for: all are done, or one has failed.
fn verdict(standings: &[Standing]) -> Option<u8> {
    let ended = standings.iter().filter_map(|it| match it {
        Standing::Ended(code) => Some(*code),
        Standing::Done | Standing::Going(_) => None,
    });
    match ended.min() {
        Some(code) => Some(code),
        None => standings.iter().all(|it| *it == Standing::Done).then_some(exit::DONE),
    }
}

fn code_at_timeout(standings: &[Standing]) -> u8 {
    let going = standings.iter().filter_map(|it| match it {
        Standing::Going(code) => Some(*code),
        Standing::Done | Standing::Ended(_) => None,
    });
    going.max().unwrap_or(exit::IN_PROGRESS)
}

/// Tells each change of state once.
fn tell(services: &[&ServiceWire], told: &mut Vec<(String, String)>, terminal: &mut Terminal) {
    for it in services {
        let now = (it.name.clone(), format!("{} {}", it.state, it.why));
        if !told.contains(&now) {
            // With `--json` the answer is as it came.
            let line = format!("{}: {} · {}", it.name, it.state, it.why);
            terminal.note(&printable::line(&line));
            told.retain(|known| known.0 != it.name);
            told.push(now);
        }
    }
}

fn report(services: &[&ServiceWire], code: u8, terminal: &mut Terminal) -> Outcome {
    for it in services {
        if terminal.json {
            let text = serde_json::to_string(it).expect("wire types have string keys and finite depth");
            terminal.print_line(&text)?;
        } else {
            terminal.print_line(&format!("{}: {} · {}", it.name, it.state, it.why))?;
        }
    }
    if let [only] = services {
        terminal.next(&tree::next_commands(only));
    }
    Ok(code)
}

/// One question to the server waits at most this long; it allows 60.
const POLL_SECONDS: u64 = 30;
/// A server that restarts drains first, by default for 35 seconds.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// Often enough to notice, seldom enough not to hurt.
const RETRY_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::script;

    /// `shop` as it is shown: state, stable, wanted, what is in quarantine, whether a release is awaited.
    fn shown(line: &str) -> ServiceWire {
        let words: Vec<&str> = line.split(" · ").collect();
        let [state, stable, wanted, quarantined, awaited] = words[..] else { panic!("{line}") };
        let status = script::canary();
        let withdrawn = |name: &str| crate::admin::wire::WithdrawnWire {
            version: name.to_owned(),
            at: String::new(),
            why: String::new(),
        };
        ServiceWire {
            state: state.to_owned(),
            stable: stable.to_owned(),
            wanted: wanted.to_owned(),
            quarantined: quarantined.split_whitespace().map(withdrawn).collect(),
            awaited: awaited == "awaited",
            ..ServiceWire::of(&status.services[0], |_| 0)
        }
    }

    #[test]
    fn a_release_is_over_when_its_own_end_is_shown() {
        let (going, back) = (Standing::Going(exit::IN_PROGRESS), Standing::Ended(exit::ROLLED_BACK));
        for (line, expected) in [
            // A reload asks for v2 while the end of the release before is still shown.
            ("ROLLED BACK · v1 · v2 ·  · awaited", going),
            // The same name with another definition: the one in quarantine is not what is wanted.
            ("ROLLED BACK · v1 · v2 · v2 · awaited", going),
            ("LIVE · v1 · v2 · v2 · awaited", going),
            ("LIVE · v1 · v2 ·  · awaited", going),
            ("ROLLED BACK · v1 · v2 · v2 · ", back),
            ("LIVE · v1 · v2 · v2 · ", back),
            // The file went back to v1: that is so.
            ("ROLLED BACK · v1 · v1 · v2 · ", Standing::Ended(exit::OVERTAKEN)),
            ("CANARY · v1 · v2 ·  · ", going),
            ("HELD · v1 · v2 ·  · awaited", Standing::Going(exit::HELD)),
            ("APPROVAL · v1 · v2 ·  · ", Standing::Ended(exit::HELD)),
            ("LIVE · v2 · v2 · v1 · ", Standing::Done),
            ("LIVE · v2 · v3 ·  · awaited", Standing::Ended(exit::OVERTAKEN)),
        ] {
            assert_eq!(standing(&shown(line), "v2"), expected, "{line}");
        }
        assert_eq!(standing(&shown("ROLLED BACK · v1 · v1 · v2 · "), "v1"), Standing::Done);
    }

    #[test]
    fn the_version_that_is_wanted_first_is_meant() {
        let mut meant = Meant::new(None);
        assert_eq!(meant.version(&shown("CANARY · v1 · v2 ·  · ")), "v2");
        assert_eq!(meant.version(&shown("CANARY · v1 · v3 ·  · ")), "v2");
        let mut named = Meant::new(Some(("shop", "v4")));
        assert_eq!(named.version(&shown("CANARY · v1 · v2 ·  · ")), "v4");
    }

    #[test]
    fn the_worst_ending_decides_and_all_must_be_done() {
        let (done, going) = (Standing::Done, Standing::Going(exit::IN_PROGRESS));
        let (held, back) = (Standing::Ended(exit::HELD), Standing::Ended(exit::ROLLED_BACK));
        for (standings, code) in [
            (vec![], Some(exit::DONE)),
            (vec![done], Some(exit::DONE)),
            (vec![done, going], None),
            (vec![going, held], Some(exit::HELD)),
            (vec![held, back, done], Some(exit::ROLLED_BACK)),
        ] {
            assert_eq!(verdict(&standings), code, "{standings:?}");
        }
        assert_eq!(code_at_timeout(&[done, going, Standing::Going(exit::HELD)]), exit::HELD);
    }
}
