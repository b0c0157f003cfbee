//! Everything the journal says, in memory: what a fresh file is written from.

use std::collections::{BTreeMap, VecDeque};

use crate::model::ServiceName;
use crate::release::State;

use super::{Change, Evidence, Freeze, Line, Record, Recovered};

#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    services: BTreeMap<ServiceName, State>,
    evidence: BTreeMap<ServiceName, Evidence>,
    lines: VecDeque<Line>,
    freeze: Option<Freeze>,
}

impl Image {
    pub fn apply_all(&mut self, records: &[Record]) {
        records.iter().for_each(|it| self.apply(it));
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Change(it) => {
                let Change { service, state, line } = &**it;
                // Evidence is kept only for a release that goes on.
                if state.trial().is_none() {
                    self.evidence.remove(service);
                }
                self.services.insert(service.clone(), state.clone());
                line.iter().for_each(|it| self.remember(it));
            }
            Record::Line(it) => self.remember(it),
            Record::Evidence(it) => {
                self.evidence.insert(it.service.clone(), Evidence::clone(it));
            }
            Record::Freeze(it) => self.freeze.clone_from(it),
        }
    }

    fn remember(&mut self, line: &Line) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.clone());
    }

    /// The shortest list of records that leads to this image.
    pub fn records(&self) -> Vec<Record> {
        let change = |(service, state): (&ServiceName, &State)| {
            Record::Change(Box::new(Change { service: service.clone(), state: state.clone(), line: None }))
        };
        let mut records: Vec<Record> = self.services.iter().map(change).collect();
        records.extend(self.lines.iter().cloned().map(Box::new).map(Record::Line));
        records.extend(self.evidence.values().cloned().map(Box::new).map(Record::Evidence));
        records.extend(self.freeze.clone().map(|it| Record::Freeze(Some(it))));
        records
    }

    pub fn recovered(&self, torn: Option<usize>) -> Recovered {
        Recovered {
            services: self.services.iter().map(|(name, state)| (name.clone(), state.clone())).collect(),
            evidence: self.evidence.values().cloned().collect(),
            lines: self.lines.iter().cloned().collect(),
            freeze: self.freeze.clone(),
            torn,
        }
    }
}

/// Lines kept of the history: some weeks of a busy house, about a megabyte on disk.
const LINES_MAX: usize = 2_000;
