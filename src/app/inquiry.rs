//! Questions that the admin interface has about what serves.

use std::sync::Arc;

use crate::admin::wire::{ExplainAsk, ExplainReply};
use crate::admin::{Answering, Definition, Inquire};
use crate::config::{Addition, Config, Loaded, Replaced, Template, addition, define, load};

use super::disk::Disk;
use super::explain::{Scene, explain};
use super::reload::Reloader;

impl Inquire for Reloader {
    fn explain(&self, asked: &ExplainAsk) -> Result<ExplainReply, String> {
        let (table, config) = (self.publisher.current(), self.serving());
        let listeners = config.as_ref().map_or(&[][..], |it| &it.listeners);
        explain(Scene { table: &table, listeners, key: Some(self.key) }, asked)
    }

    fn serving(&self) -> Option<Arc<Config>> {
        Reloader::serving(self)
    }

    fn define(&self, asked: Definition) -> Answering<'_, Result<Addition, String>> {
        let (path, config) = (self.path().to_owned(), self.serving());
        // Certificates are read where nobody waits for them.
        let reading = tokio::task::spawn_blocking(move || {
            let config = config.ok_or("no configuration serves yet")?;
            let like = asked.like_definition.as_deref().map_or(Template::Filed(&asked.like), Template::Added);
            let definition = define(&config, &asked.service, like, &asked.endpoints);
            let found = addition(&config, &path, (&asked.service, &asked.version), &definition, &Disk);
            found.map_err(|problems| {
                let said = problems.iter().map(|it| match &it.help {
                    Some(help) => format!("{}: {help}", it.message),
                    None => it.message.clone(),
                });
                said.collect::<Vec<_>>().join("; ")
            })
        });
        Box::pin(async {
            reading.await.unwrap_or_else(|it| Err(format!("reading the version failed: {it}")))
        })
    }

    fn look(&self, yaml: Option<String>) -> Answering<'_, Result<Loaded, String>> {
        let path = self.path().to_owned();
        // Files are read where nobody waits for them.
        let reading = tokio::task::spawn_blocking(move || match yaml {
            None => load(&path, &Disk),
            Some(text) => load(&path, &Replaced { path: &path, text: &text, files: &Disk }),
        });
        Box::pin(async { reading.await.map_err(|it| format!("reading the configuration failed: {it}")) })
    }
}
