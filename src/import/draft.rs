//! What was found, in our words: listeners, services with their versions, routes.

mod route;
mod service;
mod shares;
mod words;

use crate::config::Written;

use super::remark::{At, Remarks};

pub(super) use route::{Path, Route};
use service::settle_versions;
pub(super) use service::{Service, Version};
pub(super) use shares::{Peers, by_weight, why_several};
use words::line;
pub(super) use words::{is_authority, is_host, is_path, list, map, name, quoted, text, word};

/// A file of ours in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub listeners: Vec<Listener>,
    pub services: Vec<Service>,
    pub routes: Vec<Route>,
}

/// An address that accepts connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Listener {
    pub port: u16,
    pub bind: Option<String>,
    /// Files of certificates and of their keys.
    pub certs: Vec<(String, String)>,
    pub redirect_to_tls: bool,
    /// Whether it speaks TLS; without a certificate it cannot.
    pub tls: bool,
    /// Whether something is served there.
    pub serves: bool,
}

impl Draft {
    /// A service by its name, made if there is none.
    pub fn service(&mut self, name: &str, at: At) -> &mut Service {
        let index = self.services.iter().position(|it| it.name == name).unwrap_or_else(|| {
            self.services.push(Service { name: name.into(), at, ..Service::default() });
            self.services.len() - 1
        });
        &mut self.services[index]
    }

    /// A listener by its port, made if there is none.
    pub fn listener(&mut self, port: u16, bind: Option<String>) -> &mut Listener {
        let index = self.listeners.iter().position(|it| it.port == port).unwrap_or_else(|| {
            self.listeners.push(Listener { port, bind, ..Listener::default() });
            self.listeners.len() - 1
        });
        &mut self.listeners[index]
    }

    /// The file; `None` without a service that could answer.
    pub fn written(mut self, remarks: &mut Remarks) -> Option<Written> {
        for service in &mut self.services {
            settle_versions(service, remarks);
        }
        let names: Vec<String> =
            self.services.iter().filter(|it| !it.versions.is_empty()).map(|it| it.name.clone()).collect();
        self.services.retain(|it| !it.versions.is_empty());
        self.routes.retain(|it| it.to.as_ref().is_none_or(|to| names.contains(to)));
        self.drop_shadowed(remarks);
        let led_to = |name: &str| self.routes.iter().any(|it| it.to.as_deref() == Some(name));
        // At most one may take what no other does.
        let rest = self.services.iter().filter(|it| it.hosts.is_empty() && !led_to(&it.name));
        let rest: Vec<String> = rest.map(|it| it.name.clone()).collect();
        let first =
            self.services.iter().find(|it| it.takes_rest && it.hosts.is_empty()).map(|it| it.name.clone());
        let first = first.or_else(|| rest.first().cloned());
        for service in &mut self.services {
            let one_of = rest.contains(&service.name) || (service.takes_rest && service.hosts.is_empty());
            if one_of && Some(&service.name) != first.as_ref() {
                service.hosts.push(format!("{}.invalid", service.name.replace(['_', '.'], "-")));
                let why = "nothing said which hosts are this service's, and only one service may take the rest: \
                           a host that nobody has stands in its place";
                remarks.differs(service.at, &service.name, why);
            }
        }
        let mut taken: Vec<String> = Vec::new();
        for service in &mut self.services {
            service.hosts.sort();
            service.hosts.dedup();
            let (all, at) = (service.hosts.len(), service.at);
            service.hosts.retain(|it| !taken.contains(it));
            if service.hosts.len() < all {
                remarks.refused(at, &service.name, "one of its hosts is another service's already");
            }
            if service.hosts.is_empty() && all > 0 {
                service.hosts.push(format!("{}.invalid", service.name.replace(['_', '.'], "-")));
            }
            taken.extend(service.hosts.iter().cloned());
        }
        if self.services.is_empty() {
            return None;
        }
        if self.listeners.is_empty() {
            self.listeners.push(Listener { port: 8080, ..Listener::default() });
        }
        let mut lines = vec![line("listen", listen(&self.listeners))];
        lines.push(line("services", map(self.services.iter().map(|it| (it.name.clone(), it.written())))));
        if !self.routes.is_empty() {
            lines.push(line("routes", list(self.routes.iter().map(Route::written))));
        }
        Some(Written::Map(lines))
    }

    /// What an earlier route takes already is left to that one.
    fn drop_shadowed(&mut self, remarks: &mut Remarks) {
        let mut kept: Vec<Route> = Vec::new();
        for mut route in std::mem::take(&mut self.routes) {
            let rivals: Vec<&Route> = kept.iter().filter(|it| it.is_like(&route)).collect();
            let all = route.hosts.len();
            route.hosts.retain(|host| !rivals.iter().any(|it| it.hosts.contains(host)));
            let nothing_left =
                route.hosts.is_empty() && (all > 0 || rivals.iter().any(|it| it.hosts.is_empty()));
            if route.hosts.len() < all || nothing_left {
                remarks.refused(route.at, "route", "an earlier one takes the same requests");
            }
            if !nothing_left {
                kept.push(route);
            }
        }
        self.routes = kept;
    }
}

fn listen(listeners: &[Listener]) -> Written {
    if let [Listener { port, bind: None, certs, .. }] = listeners
        && certs.is_empty()
    {
        return word(port);
    }
    let tls = listeners.iter().find(|it| !it.certs.is_empty()).map(|it| it.port);
    map(listeners.iter().map(|it| {
        let mut lines = vec![("port", word(it.port))];
        lines.extend(it.bind.as_ref().map(|it| ("bind", text(it))));
        match (it.redirect_to_tls, tls) {
            (true, Some(443)) => lines.push(("redirect", word("https"))),
            (true, Some(port)) if port != it.port => lines.push(("redirect", text(format!("https:{port}")))),
            _ => {}
        }
        if !it.certs.is_empty() {
            let pair = |(cert, key): &(String, String)| map([("cert", text(cert)), ("key", text(key))]);
            lines.push(("tls", map([("certs", list(it.certs.iter().map(pair)))])));
        }
        (
            if it.certs.is_empty() { format!("http-{}", it.port) } else { format!("https-{}", it.port) },
            map(lines),
        )
    }))
}
