//! What people want: of one service, or that nothing advances anywhere.

use crate::config::Authority;
use crate::model::Timestamp;
use crate::release::{Actor, Command, Event as Input, RefusalCode, What};
use crate::store::{Freeze, Record};

use super::super::desk::Desk;
use super::super::fit;
use super::super::handle::{Asked, Configure};
use super::super::journal::Job;
use super::super::outbox::{Purpose, Reply, answer, refuse};
use super::{Core, world};

impl Core {
    /// A person wants something.
    pub fn command(&mut self, it: Asked, reply: Reply, now: Timestamp) -> Vec<Job> {
        let Some(desk) = self.desks.get(&it.service).filter(|it| it.present) else {
            let reason = format!("there is no service `{}`", it.service);
            refuse(Some(reply), RefusalCode::UnknownService, reason);
            return Vec::new();
        };
        if it.expected_step.is_some_and(|step| step != desk.state.moves) {
            let reason = format!("the release has moved on: {} is {} now", it.service, desk.state.word());
            refuse(Some(reply), RefusalCode::Stale, reason);
            return Vec::new();
        }
        if let Some((code, reason)) = refused_by_file(self.loaded.as_deref(), desk, &it) {
            refuse(Some(reply), code, reason);
            return Vec::new();
        }
        if let Some(addition) = &it.addition {
            let desks = &self.desks;
            self.house
                .additions
                .keep(|service, version| desks.get(service).is_none_or(|it| it.uses(version)));
            self.house.additions.learn([addition]);
        }
        let Some(desk) = self.desks.get_mut(&it.service) else { return Vec::new() };
        let mut world = world(&mut self.out, &self.house, &self.calendar, now);
        let permit = desk.permit(&world);
        desk.feed(Input::Commanded(it.command, it.by, permit), Some(reply), &mut world);
        self.fit();
        self.look(&it.service, now);
        self.settle(now)
    }

    /// A person stops everything from advancing, or ends that.
    pub fn freeze(&mut self, it: Result<Freeze, Actor>, reply: Reply, now: Timestamp) -> Vec<Job> {
        let text = match (&it, &self.calendar.freeze) {
            (Ok(it), Some(old)) if *it == *old => {
                answer(Some(reply), "frozen already", false, true);
                return Vec::new();
            }
            (Err(_), None) => {
                answer(Some(reply), "nothing is frozen", false, true);
                return Vec::new();
            }
            (Ok(it), _) => {
                let until = it.until.map_or("until `unfreeze`".into(), |it| format!("until {it}"));
                let why = it.reason.as_ref().map_or(String::new(), |it| format!(" ({it})"));
                format!("frozen by {} {until}{why}: nothing advances, rollbacks go on", it.by)
            }
            (Err(by), Some(_)) => format!("unfrozen by {by}: releases go on"),
        };
        tracing::info!("{text}");
        let (what, by) = match &it {
            Ok(it) => (What::Frozen, it.by.clone()),
            Err(by) => (What::Unfrozen, by.clone()),
        };
        self.calendar.freeze = it.ok();
        let mut records = vec![Record::Freeze(self.calendar.freeze.clone())];
        let mut world = world(&mut self.out, &self.house, &self.calendar, now);
        let desks = self.desks.values_mut().filter(|it| it.present);
        records.extend(desks.map(|it| Record::Line(Box::new(it.hears_of(what, &by, &text, &mut world)))));
        self.out.write(None, records, Purpose::Change(Some((reply, text))), now);
        let jobs = self.settle(now);
        self.report(now);
        jobs
    }
}

/// What the file has against a command: it alone decides, or it names what is to be deployed.
fn refused_by_file(loaded: Option<&Configure>, desk: &Desk, asked: &Asked) -> Option<(RefusalCode, String)> {
    let config = &loaded?.config;
    let stops = matches!(asked.command, Command::Pause { .. } | Command::Resume | Command::Rollback { .. });
    if config.authority == Authority::Git && !stops {
        let text = format!(
            "`authority: git`: only the file changes what is released, and `{}` is not in it; `pause`, `resume`, \
             `rollback`, `freeze` and `unfreeze` are free to all",
            asked.command.verb()
        );
        return Some((RefusalCode::FileDecides, text));
    }
    let Command::Deploy { version, .. } = &asked.command else { return None };
    let service = config.services.iter().find(|it| it.spec.name == asked.service)?;
    let filed = service.spec.versions.iter().map(fit::version).find(|it| it.name == version.name)?;
    // Asking again for what the file has taken over meanwhile is answered by the machine: it is so already.
    let text = if filed != *version {
        format!("the file has a version {version} with other endpoints: give this one another name")
    } else if desk.state.wanted != filed {
        format!("the file has {version} already: name it as `live` there")
    } else {
        return None;
    };
    Some((RefusalCode::WrongState, text))
}
