//! Serves every service's `live` version (and its static split) until the controller takes over.

use std::sync::{Arc, Mutex};

use crate::admin::{Answering, Control};
use crate::config::Config;
use crate::controller::{Actor, Answer, Command, ConfigureError, Event, RefusalCode, Refused, Status};
use crate::model::{Generation, Salt, ServiceName};
use crate::routing::{Publisher, Service, Split, Table};

use super::reload::Configure;

/// Publishes what the file says.
pub struct Standin {
    /// Where tables go.
    pub publisher: Publisher,
    /// What is shown.
    pub status: Mutex<Arc<Status>>,
}

impl Configure for Standin {
    fn configure<'a>(
        &'a self,
        config: Config,
        generation: Generation,
        source: &'a str,
    ) -> Answering<'a, Result<(), ConfigureError>> {
        let services = config.services.iter().map(|it| Service {
            spec: Arc::clone(&it.spec),
            split: Split::new(&it.split, it.live, Salt::of(it.spec.name.as_str(), 0))
                .unwrap_or_else(|| Split::all(it.live)),
        });
        let services = services.collect();
        self.publisher.publish(Table { generation, matcher: Arc::clone(&config.matcher), services });
        let status = Status { generation, source: source.to_owned(), ..Status::default() };
        if let Ok(mut it) = self.status.lock() {
            *it = Arc::new(status);
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Control for Standin {
    fn status(&self) -> Arc<Status> {
        self.status.lock().map(|it| Arc::clone(&it)).unwrap_or_default()
    }

    fn changed(&self, _: u64) -> Answering<'_, Arc<Status>> {
        Box::pin(std::future::pending())
    }

    fn events(&self, _: u64) -> Vec<Event> {
        Vec::new()
    }

    fn command(
        &self,
        _: ServiceName,
        _: Command,
        _: Actor,
        _: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>> {
        let refused = Refused { reason: "not yet".into(), code: RefusalCode::Stopping };
        Box::pin(std::future::ready(Err(refused)))
    }
}
