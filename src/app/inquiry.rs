//! Questions that the admin interface has about what serves.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admin::wire::{ExplainAsk, ExplainReply};
use crate::admin::{Answering, Definition, Inquire};
use crate::config::{Account, Addition, Config, Files, Loaded, NoAccount, Template, addition, define, load};
use crate::model::Timestamp;

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
            Some(text) => load(&path, &Instead { path: &path, text }),
        });
        Box::pin(async { reading.await.map_err(|it| format!("reading the configuration failed: {it}")) })
    }
}

/// The disk, with another text in the place of one file.
#[derive(Debug)]
pub struct Instead<'a> {
    /// The file.
    pub path: &'a Path,
    /// What is read in its place.
    pub text: String,
}

impl Files for Instead<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.path { Ok(self.text.clone().into_bytes()) } else { Disk.read(path) }
    }

    fn read_secret(&self, path: &Path) -> io::Result<Vec<u8>> {
        Disk.read_secret(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        Disk.variable(name)
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        Disk.authorities()
    }

    fn account(&self, user: &str, group: Option<&str>) -> Result<Account, NoAccount> {
        Disk.account(user, group)
    }

    fn now(&self) -> Timestamp {
        Disk.now()
    }

    fn list(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(pattern)
    }
}
