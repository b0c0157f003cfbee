//! Configuration texts: one listener, one service, and what a test adds.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::gate::Gate;
use super::upstream::{Shared, Upstream};
use super::wait::within;

/// A configuration in the making. Parts are YAML as a user would write it.
#[derive(Clone, Debug)]
pub struct Setup {
    listener: Vec<String>,
    listeners: Vec<String>,
    live: String,
    versions: Vec<(String, String)>,
    service: Vec<String>,
    services: Vec<String>,
    top: Vec<String>,
    admin: Vec<String>,
    workers: usize,
    first: Option<Arc<Shared>>,
    arguments: Vec<String>,
}

/// Where a gate listens and keeps its files.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Address of every listener.
    pub ip: IpAddr,
    /// Port of the listener `http`.
    pub http: u16,
    /// Port of the admin listener.
    pub admin: u16,
    /// Directory of the admin socket and the state.
    pub dir: &'a Path,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listener: Vec::new(),
            listeners: Vec::new(),
            live: "v1".to_owned(),
            versions: Vec::new(),
            service: Vec::new(),
            services: Vec::new(),
            top: Vec::new(),
            admin: Vec::new(),
            workers: 1,
            first: None,
            arguments: Vec::new(),
        }
    }
}

impl Setup {
    /// One service `shop` whose live version `v1` is this upstream.
    pub fn to(upstream: &Upstream) -> Self {
        let setup = Self::default().version("v1", &[upstream.address()]);
        Self { first: Some(upstream.shared()), ..setup }
    }

    /// Adds a version of `shop`, or redefines it.
    pub fn version(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let endpoints: Vec<String> = endpoints.iter().map(|it| format!("\"http://{it}\"")).collect();
        self.version_as(name, format!("[{}]", endpoints.join(", ")))
    }

    /// Adds a version of `shop` as a user would write it, or redefines it.
    pub fn version_as(mut self, name: &str, written: impl Display) -> Self {
        let written = written.to_string();
        match self.versions.iter_mut().find(|it| it.0 == name) {
            Some(version) => version.1 = written,
            None => self.versions.push((name.to_owned(), written)),
        }
        self
    }

    /// Takes a version of `shop` away.
    pub fn without(mut self, name: &str) -> Self {
        self.versions.retain(|it| it.0 != name);
        self
    }

    /// What should be live.
    pub fn live(mut self, name: &str) -> Self {
        name.clone_into(&mut self.live);
        self
    }

    /// Adds to the listener `http`: `timeouts: {head: 1s}`.
    pub fn listener(mut self, part: impl Display) -> Self {
        self.listener.push(part.to_string());
        self
    }

    /// Adds a listener: `second: {port: 1234}`.
    pub fn add_listener(mut self, line: impl Display) -> Self {
        self.listeners.push(line.to_string());
        self
    }

    /// Takes every listener away that was added.
    pub fn only_http(mut self) -> Self {
        self.listeners.clear();
        self
    }

    /// Adds a line to the service `shop`: `timeouts: {head: 1s}`. A line with the same key is replaced.
    pub fn service(mut self, line: impl Display) -> Self {
        let line = line.to_string();
        let key = line.split(':').next().unwrap_or_default().to_owned() + ":";
        self.service.retain(|it| !it.starts_with(&key));
        self.service.push(line);
        self
    }

    /// Adds another service: `other: {live: a, versions: {a: …}}`.
    pub fn add_service(mut self, line: impl Display) -> Self {
        self.services.push(line.to_string());
        self
    }

    /// Adds a line to the file itself: `routes: [...]`. A line with the same key is replaced.
    pub fn top(mut self, line: impl Display) -> Self {
        let line = line.to_string();
        let key = line.split(':').next().unwrap_or_default().to_owned() + ":";
        self.top.retain(|it| !it.starts_with(&key));
        self.top.push(line);
        self
    }

    /// Adds to `admin`: `anonymous: off`. A part with the same key is replaced.
    pub fn admin(mut self, part: impl Display) -> Self {
        let part = part.to_string();
        let key = part.split(':').next().unwrap_or_default().to_owned() + ":";
        self.admin.retain(|it| !it.starts_with(&key));
        self.admin.push(part);
        self
    }

    /// How many workers serve.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Adds arguments of the command line: `--no-watch`.
    pub fn run_with(mut self, arguments: &str) -> Self {
        self.arguments.extend(arguments.split(' ').map(str::to_owned));
        self
    }

    /// Arguments of the command line.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Starts a gate with it.
    #[track_caller]
    pub fn start(self) -> Gate {
        Gate::start(self)
    }

    /// Waits until each worker has the connection that it opens ahead of the first request. Scripts
    /// count connections, so it matters which is the first.
    pub fn wait_for_first_connections(&self) {
        if let Some(first) = &self.first {
            within(Duration::from_secs(1), || (first.connections() >= self.workers).then_some(()));
        }
    }

    /// The file.
    pub fn text(&self, at: &Place<'_>) -> String {
        let Place { ip, http, admin, dir } = at;
        let dir = dir.display();
        let mut listener = vec![format!("port: {http}, bind: {ip}")];
        listener.extend(self.listener.iter().cloned());
        let mut text = format!("listen:\n  http: {{{}}}\n", listener.join(", "));
        for line in &self.listeners {
            text += &format!("  {line}\n");
        }
        let mut doors = vec![format!("listen: \"{ip}:{admin}\", socket: {dir}/admin.sock")];
        doors.extend(self.admin.iter().cloned());
        text += &format!("admin: {{{}}}\n", doors.join(", "));
        text += &format!("state: {dir}/state\nworkers: {}\nservices:\n  shop:\n", self.workers);
        text += &format!("    live: {}\n", self.live);
        if !self.versions.is_empty() {
            text += "    versions:\n";
        }
        for (name, written) in &self.versions {
            text += &format!("      {name}: {written}\n");
        }
        for line in &self.service {
            text += &format!("    {line}\n");
        }
        for line in &self.services {
            text += &format!("  {line}\n");
        }
        for line in &self.top {
            text += &format!("{line}\n");
        }
        text
    }
}
