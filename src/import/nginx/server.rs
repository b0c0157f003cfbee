//! `server`: where it listens, which hosts it has, and what its locations inherit.

use super::super::draft::{Draft, Route, is_host};
use super::super::remark::{At, Remarks};
use super::super::units;
use super::directive::Directive;
use super::location;
use super::upstream::Upstreams;

/// What applies to everything below.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub connect: Option<String>,
    pub read: Option<String>,
    pub body: Option<String>,
    /// Headers for the upstream. Those of an inner block stand in place of all outer ones.
    pub request_headers: Vec<(At, String, String)>,
    /// Headers for the client, the same.
    pub response_headers: Vec<(At, String, String)>,
    pub hidden_headers: Vec<(At, String)>,
}

impl Settings {
    /// Takes a directive that may stand in any block. False: it is none of them.
    pub fn take(&mut self, it: &Directive, remarks: &mut Remarks) -> bool {
        let time = |remarks: &mut Remarks| {
            let made = it.word().and_then(units::nginx_time);
            if made.is_none() {
                remarks.refused(it.at, &it.shown(), "this is no time that can be taken over");
            }
            made
        };
        match it.name.as_str() {
            "proxy_connect_timeout" => self.connect = time(remarks).or(self.connect.take()),
            "proxy_read_timeout" => self.read = time(remarks).or(self.read.take()),
            "client_max_body_size" => match it.word() {
                Some("0") => self.body = Some("off".into()),
                Some(size) => self.body = units::nginx_size(size).or(self.body.take()),
                None => remarks.refused(it.at, &it.shown(), "this is no size"),
            },
            "proxy_set_header" | "add_header" | "proxy_hide_header" => self.take_header(it, remarks),
            "proxy_http_version"
            | "proxy_redirect"
            | "proxy_buffering"
            | "proxy_request_buffering"
            | "proxy_buffers"
            | "proxy_buffer_size"
            | "proxy_busy_buffers_size"
            | "proxy_send_timeout"
            | "client_body_buffer_size"
            | "keepalive_timeout"
            | "keepalive_requests"
            | "send_timeout"
            | "client_header_timeout"
            | "client_body_timeout"
            | "reset_timedout_connection"
            | "proxy_socket_keepalive"
            | "http2"
            | "ssl_protocols"
            | "ssl_ciphers"
            | "ssl_prefer_server_ciphers"
            | "ssl_session_cache"
            | "ssl_session_timeout"
            | "ssl_session_tickets" => {
                let why = "bodies are streamed, connections kept and both protocols spoken anyway; `timeouts`, \
                           `limits` and `tls` have the numbers";
                remarks.needless(it.at, &it.shown(), why);
            }
            "proxy_next_upstream" | "proxy_next_upstream_tries" | "proxy_next_upstream_timeout" => {
                remarks.differs(it.at, &it.shown(), "see `retry`, which is on where it does no harm");
            }
            _ => return false,
        }
        true
    }

    /// What an inner block starts from.
    pub fn inner(&self, block: &[Directive]) -> Self {
        let mut it = self.clone();
        let has = |name: &str| block.iter().any(|it| it.name == name);
        if has("proxy_set_header") {
            it.request_headers.clear();
        }
        if has("add_header") {
            it.response_headers.clear();
        }
        it
    }

    fn take_header(&mut self, it: &Directive, remarks: &mut Remarks) {
        match (it.name.as_str(), it.words.as_slice()) {
            ("proxy_set_header", [name, value]) => {
                self.request_headers.push((it.at, name.clone(), value.clone()));
            }
            ("add_header", [name, value, rest @ ..]) => {
                if rest.is_empty() {
                    remarks.differs(it.at, &it.shown(), "it is added whatever the status is");
                }
                self.response_headers.push((it.at, name.clone(), value.clone()));
            }
            ("proxy_hide_header", [name]) => self.hidden_headers.push((it.at, name.clone())),
            _ => remarks.refused(it.at, &it.shown(), "a header has a name and a value"),
        }
    }
}

/// Puts one server into the draft.
pub(super) fn take(
    server: &Directive,
    outer: &Settings,
    upstreams: &mut Upstreams,
    draft: &mut Draft,
    remarks: &mut Remarks,
) {
    let block = server.children.as_deref().unwrap_or_default();
    let mut settings = outer.inner(block);
    let (mut hosts, mut ports, mut certs, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut redirects = false;
    for it in block {
        match it.name.as_str() {
            "listen" => take_listen(it, draft, &mut ports, remarks),
            "server_name" => take_names(it, &mut hosts, remarks),
            "ssl_certificate" => certs.extend(it.word().map(str::to_owned)),
            "ssl_certificate_key" => keys.extend(it.word().map(str::to_owned)),
            "ssl_client_certificate" | "ssl_verify_client" => {
                remarks.refused(it.at, &it.shown(), "see `client_ca` of a listener's `tls`");
            }
            "return" => redirects = is_to_tls(it),
            _ => {}
        }
    }
    if ports.is_empty() {
        draft.listener(80, None);
        ports.push(80);
    }
    for port in &ports {
        let listener = draft.listener(*port, None);
        for pair in certs.iter().cloned().zip(keys.iter().cloned()) {
            if listener.tls && !listener.certs.contains(&pair) {
                listener.certs.push(pair);
            }
        }
        if redirects {
            listener.redirect_to_tls = true;
        } else if block.iter().any(|it| it.name == "location") {
            listener.serves = true;
        }
    }
    for it in block {
        match it.name.as_str() {
            "listen"
            | "server_name"
            | "ssl_certificate"
            | "ssl_certificate_key"
            | "ssl_client_certificate"
            | "ssl_verify_client"
            | "location" => {}
            "return" if redirects => {}
            "return" => {
                let mut route = Route { at: it.at, hosts: hosts.clone(), ..Route::default() };
                if location::take_return(it, &mut route, remarks) {
                    draft.routes.push(route);
                }
            }
            _ if settings.take(it, remarks) => {}
            "access_log" | "error_log" => {
                remarks.refused(it.at, &it.shown(), "see `access_log`, which has JSON and `combined`");
            }
            "root" | "index" | "try_files" | "autoindex" => {
                remarks.refused(it.at, &it.shown(), "no files are served: name a server that does");
            }
            "rewrite" | "if" | "set" => {
                remarks.refused(
                    it.at,
                    &it.shown(),
                    "there is no script: see `routes`, with `rewrite` and `redirect`",
                );
            }
            _ => remarks.refused(it.at, &it.shown(), "nothing here does that"),
        }
    }
    for it in block.iter().filter(|it| it.name == "location") {
        location::take(it, &hosts, &settings, upstreams, draft, remarks);
    }
}

fn take_listen(it: &Directive, draft: &mut Draft, ports: &mut Vec<u16>, remarks: &mut Remarks) {
    let Some((address, options)) = it.words.split_first() else {
        return remarks.refused(it.at, &it.shown(), "it has no address");
    };
    let (bind, port) = match address.rsplit_once(':') {
        Some((host, port)) => (Some(host.trim_matches(['[', ']'])), port.parse().ok()),
        None if address.bytes().all(|it| it.is_ascii_digit()) => (None, address.parse().ok()),
        None => (Some(address.as_str()), Some(80)),
    };
    let bind = bind.filter(|it| *it != "*" && *it != "0.0.0.0").map(str::to_owned);
    let address_fits = bind.as_ref().is_none_or(|it| it.parse::<std::net::IpAddr>().is_ok());
    let Some(port) = port.filter(|it| *it > 0 && address_fits) else {
        return remarks.refused(it.at, &it.shown(), "a listener has an IP address and a port");
    };
    if draft.listeners.iter().any(|it| it.port == port && it.bind != bind) {
        // Most often the same port for IPv6: `listen [::]:80;` beside `listen 80;`.
        remarks.differs(it.at, &it.shown(), "one listener has one address: it keeps the first");
    }
    let listener = draft.listener(port, bind);
    for option in options {
        match option.as_str() {
            "ssl" => listener.tls = true,
            "http2" | "default_server" | "reuseport" | "deferred" => {}
            "proxy_protocol" => {
                remarks.refused(
                    it.at,
                    option,
                    "`proxy_protocol: true` needs `trust`, the networks that are believed",
                );
            }
            "quic" => remarks.refused(it.at, option, "there is no HTTP/3"),
            _ => remarks.refused(it.at, option, "a listener has no such option"),
        }
    }
    ports.push(port);
}

fn take_names(it: &Directive, hosts: &mut Vec<String>, remarks: &mut Remarks) {
    for host in &it.words {
        let host = host.to_ascii_lowercase();
        // `.example.com` is both the name and everything below it.
        if let Some(bare) = host.strip_prefix('.').filter(|it| is_host(it)) {
            hosts.extend([bare.to_owned(), format!("*.{bare}")]);
        } else if host == "_" || host.is_empty() {
            // Names that match nothing: whatever no other server takes.
        } else if is_host(&host) {
            hosts.push(host);
        } else {
            remarks.refused(it.at, &host, "a host is a name, or `*.` and a name");
        }
    }
}

/// `return 301 https://$host$request_uri;`
fn is_to_tls(it: &Directive) -> bool {
    let to = match it.words.as_slice() {
        [status, to] if matches!(status.as_str(), "301" | "302" | "307" | "308") => to,
        [to] => to,
        _ => return false,
    };
    matches!(
        to.as_str(),
        "https://$host$request_uri" | "https://$server_name$request_uri" | "https://$http_host$request_uri"
    )
}

/// A listener that does both leads nobody elsewhere: what it serves, it serves.
pub(super) fn settle_redirects(draft: &mut Draft) {
    for listener in &mut draft.listeners {
        listener.redirect_to_tls &= !listener.serves;
    }
}
