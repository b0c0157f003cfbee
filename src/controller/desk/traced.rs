//! What a desk tells the trace: everything that the judge and the machine were fed, and what came of it.

use crate::release::{Effect, Event as Input, State};
use crate::store::{Base, Decided, Fate, Noted};

use super::super::watch::Watch;
use super::{Desk, World};

impl Desk {
    /// Begins the trace where the present one does not go on: another release, another judge, or notes
    /// that were lost.
    pub(super) fn begin_trace(&mut self, world: &World<'_>) {
        let Some(epoch) = world.out.tracer.epoch() else { return };
        let key = Some((epoch, self.state.release));
        if self.traced == key {
            return;
        }
        self.traced = key;
        let base = Base {
            service: self.name.clone(),
            state: self.state.clone(),
            pending: self.pending.as_ref().map(|it| it.next.clone()),
            plan: self.plan.clone(),
            judge: self.watch.as_ref().map(Watch::knows),
        };
        self.note(Noted::Base(Box::new(base)), world);
    }

    /// The evidence was looked at; `fed`: and the machine hears of it.
    pub(super) fn trace_look(&self, fed: Option<&crate::release::Permit>, world: &World<'_>) {
        if let (Some(watch), Some(_)) = (&self.watch, world.out.tracer.epoch()) {
            let mut look = watch.last.clone();
            look.fed = fed.map(|it| (world.now, it.clone()));
            self.note(Noted::Look(Box::new(look)), world);
        }
    }

    /// What came of an input; nothing is said of what changed nothing. `told` is missing for a look, which
    /// has been noted.
    pub(super) fn trace_decision(
        &self,
        told: Option<Input>,
        (next, effects): (&State, &[Effect]),
        fate: Fate,
        world: &World<'_>,
    ) {
        if effects.is_empty() && *next == self.state {
            return;
        }
        if let Some(event) = told {
            self.note(Noted::Event { at: world.now, event: Box::new(event) }, world);
        }
        self.note(Noted::Decided(Decided::of(next, effects, fate)), world);
    }

    pub(super) fn note(&self, noted: Noted, world: &World<'_>) {
        let name = format!("{}-{:06}", self.name, self.state.release);
        world.out.tracer.note(name, noted);
    }
}
