//! What a reload would change, in words and consequences.
//!
//! Two configurations are compared as they are meant, so that nothing is missed; what differs is shown as
//! it is written. What a spelling changes and the meaning does not is no difference.

mod service;
mod settings;

use super::domain::{Config, ListenerSpec};
use super::written::Written;

use settings::settings;

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What happens to it.
    pub kind: ChangeKind,
    /// What it is about: `service shop`, `listener http`, `routes`, or a key of the file.
    pub subject: String,
    /// What is different.
    pub what: String,
    /// What comes of it.
    pub consequence: String,
}

/// What happens to the subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It is another.
    Changed,
    /// A reload with this is refused.
    Refused,
}

/// How things stand, as far as consequences depend on it.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Open connections of each listener.
    pub connections: Vec<(String, u64)>,
    /// Each service.
    pub services: Vec<Standing>,
}

/// How a service stands.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Its name.
    pub service: String,
    /// The version that has proven itself.
    pub stable: String,
    /// The version that is being released, if one is.
    pub canary: Option<String>,
    /// Versions that may not be tried again.
    pub quarantined: Vec<String>,
}

/// Everything that differs, services first.
pub fn differences(old: &Config, new: &Config, now: &Situation) -> Vec<Change> {
    let mut found = Vec::new();
    for it in &new.services {
        let before = old.services.iter().find(|old| old.spec.name == it.spec.name);
        service::compare((before, old), (it, new), now, &mut found);
    }
    for it in &old.services {
        if !new.services.iter().any(|new| new.spec.name == it.spec.name) {
            let subject = format!("service {}", it.spec.name);
            let consequence = "its requests go to whoever else takes them, or get 404; a release of it ends";
            found.push(Change::new(ChangeKind::Removed, subject, "is no longer in the file", consequence));
        }
    }
    listeners(old, new, now, &mut found);
    routes(old, new, &mut found);
    rest(old, new, &mut found);
    found
}

impl Change {
    pub(super) fn new(
        kind: ChangeKind,
        subject: impl Into<String>,
        what: impl Into<String>,
        consequence: impl Into<String>,
    ) -> Self {
        Self { kind, subject: subject.into(), what: what.into(), consequence: consequence.into() }
    }
}

impl ChangeKind {
    /// The word used on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Refused => "refused",
        }
    }
}

fn listeners(old: &Config, new: &Config, now: &Situation, found: &mut Vec<Change>) {
    let subject = |it: &ListenerSpec| format!("listener {}", it.name);
    for it in &new.listeners {
        match old.listeners.iter().find(|old| old.name == it.name) {
            None => {
                let what = format!("listens on {}", it.address);
                let consequence = "accepts connections once everything else is ready";
                found.push(Change::new(ChangeKind::Added, subject(it), what, consequence));
            }
            Some(before) if before == it => {}
            Some(before) => listener((before, old), (it, new), now, found),
        }
    }
    for it in &old.listeners {
        if !new.listeners.iter().any(|new| new.name == it.name) {
            let what = format!("stops listening on {}", it.address);
            found.push(Change::new(ChangeKind::Removed, subject(it), what, draining(it, now)));
        }
    }
}

fn listener(
    (before, old): (&ListenerSpec, &Config),
    (after, new): (&ListenerSpec, &Config),
    now: &Situation,
    found: &mut Vec<Change>,
) {
    let subject = format!("listener {}", after.name);
    let mut push = |what: String, consequence: String| {
        found.push(Change::new(ChangeKind::Changed, subject.clone(), what, consequence));
    };
    if before.address != after.address {
        let what = format!("listens on {} instead of {}", after.address, before.address);
        push(what, draining(before, now));
    }
    let (one, other) = (written_listener(old, before), written_listener(new, after));
    let mut lines = settings(&one, &other);
    lines.retain(|it| !it.starts_with("port") && !it.starts_with("bind"));
    for line in &lines {
        let tls = line.starts_with("tls");
        push(line.clone(), if tls { "from the next handshake on" } else { "for new connections" }.into());
    }
    if lines.is_empty() && before.address == after.address {
        push(
            "its files were renewed (certificates, keys, authorities)".into(),
            "from the next handshake on".into(),
        );
    }
}

fn written_listener(config: &Config, it: &ListenerSpec) -> Written {
    let listen = config.written.get("listen");
    listen.and_then(|all| all.get(it.name.as_str())).cloned().unwrap_or_default()
}

fn draining(it: &ListenerSpec, now: &Situation) -> String {
    let open = now.connections.iter().find(|known| known.0 == it.name.as_str()).map(|it| it.1);
    match open {
        Some(0) => "nobody is connected there".into(),
        Some(1) => "1 open connection gets to drain".into(),
        Some(open) => format!("{open} open connections get to drain"),
        None => "open connections get to drain".into(),
    }
}

fn routes(old: &Config, new: &Config, found: &mut Vec<Change>) {
    let lines = |config: &Config| match config.written.get("routes") {
        Some(Written::List(items)) => items.iter().map(Written::one_line).collect(),
        _ => Vec::new(),
    };
    let (before, after): (Vec<String>, Vec<String>) = (lines(old), lines(new));
    let added = || after.iter().filter(|it| !before.contains(it));
    let removed = || before.iter().filter(|it| !after.contains(it));
    for it in added() {
        let consequence = "what it matches goes there from the next request on";
        found.push(Change::new(ChangeKind::Added, "routes", it, consequence));
    }
    for it in removed() {
        let consequence = "what it took goes to the next route that matches, or gets 404";
        found.push(Change::new(ChangeKind::Removed, "routes", it, consequence));
    }
    if before != after && added().next().is_none() && removed().next().is_none() {
        let consequence = "among equals the earlier one wins";
        found.push(Change::new(ChangeKind::Changed, "routes", "stand in another order", consequence));
    }
}

/// What is no service, listener or route.
fn rest(old: &Config, new: &Config, found: &mut Vec<Change>) {
    let fixed = [
        ("workers", old.workers != new.workers),
        ("state", old.state != new.state),
        ("admin", (old.admin.listen, &old.admin.socket) != (new.admin.listen, &new.admin.socket)),
    ];
    let doors = |it: &String| it.starts_with("admin.listen") || it.starts_with("admin.socket");
    for (key, _) in fixed.into_iter().filter(|it| it.1) {
        let mut lines = settings(&only(&old.written, key), &only(&new.written, key));
        lines.retain(|it| key != "admin" || doors(it) || it.starts_with("admin:"));
        let what = lines.join(", ");
        let consequence = "cannot be changed by a reload: restart tidegate, or put the old value back";
        found.push(Change::new(ChangeKind::Refused, key, what, consequence));
    }
    if old.admin.access != new.admin.access {
        access(old, new, found);
    }
    let elsewhere = ["workers", "state", "admin", "listen", "services", "routes"];
    let mut keys: Vec<&str> = Vec::new();
    for line in old.written.lines().iter().chain(new.written.lines()) {
        if !keys.contains(&line.key.as_str()) && !elsewhere.contains(&line.key.as_str()) {
            keys.push(&line.key);
        }
    }
    for key in keys {
        let consequence = match key {
            "defaults" => "for every service that does not say otherwise",
            "access_log" => "from the next line on",
            "dns" => "from the next look-up on",
            "notify" => "from the next notification on",
            _ => "from the next request on",
        };
        for line in settings(&only(&old.written, key), &only(&new.written, key)) {
            found.push(Change::new(ChangeKind::Changed, key, line, consequence));
        }
    }
}

/// Who may do what at the admin address.
fn access(old: &Config, new: &Config, found: &mut Vec<Change>) {
    let mut lines = settings(&only(&old.written, "admin"), &only(&new.written, "admin"));
    lines.retain(|it| !it.starts_with("admin.listen") && !it.starts_with("admin.socket"));
    if lines.is_empty() {
        lines.push("what it refers to was renewed (tokens, certificates)".into());
    }
    for line in lines {
        let tls = line.starts_with("admin.tls");
        let consequence = if tls { "from the next connection on" } else { "from the next request on" };
        found.push(Change::new(ChangeKind::Changed, "admin", line, consequence));
    }
}

/// The file with this key alone.
fn only(file: &Written, key: &str) -> Written {
    Written::Map(file.lines().iter().filter(|it| it.key == key).cloned().collect())
}

#[cfg(test)]
mod tests;
