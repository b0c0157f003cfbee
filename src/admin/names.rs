//! By which name a request came, and from which page.
//!
//! A web page anywhere can have a browser on this machine, or in this network, send requests here, and can
//! make its own name stand for our address (DNS rebinding). What the browser says about it is believed: it
//! says it whatever the page wants.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::paths::{PAGE, Path};
use super::reply::Problem;

/// What this server is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnNames<'a> {
    /// The address that the connection came to.
    pub(super) address: SocketAddr,
    /// Names of hosts, in lower case.
    pub(super) names: &'a [Box<str>],
    /// Whether the connection is TLS.
    pub(super) secure: bool,
}

impl OwnNames<'_> {
    /// Refuses requests for other names, and those that pages of others make.
    pub(super) fn admit(&self, request: &Parts, path: &Path) -> Result<(), Problem> {
        let host = self.host(request).ok_or_else(|| {
            let detail = "`Host` is not a name of this server: use its address or `localhost`, or have the \
                name written under `names` of `admin`";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_name", detail)
        })?;
        let foreign = |detail: &str| Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail);
        if !request.headers.get_all(ORIGIN).iter().all(|it| self.is_own_page(it, &host)) {
            return Err(foreign("`Origin` is another site"));
        }
        let links = path.template == PAGE && !request.headers.contains_key(ORIGIN);
        if !is_from_here(&request.headers, links) {
            return Err(foreign("`Sec-Fetch-Site` says that another site asks"));
        }
        Ok(())
    }

    /// The name that the request is for, if it is ours however it is said.
    fn host(&self, request: &Parts) -> Option<Authority> {
        let mut hosts = request.headers.get_all(HOST).iter();
        let written: Option<Authority> = hosts.next().and_then(|it| it.to_str().ok()?.parse().ok());
        let all = [request.uri.authority().cloned(), written];
        if hosts.next().is_some() || !all.iter().flatten().all(|it| self.is_own(it)) {
            return None;
        }
        all.into_iter().flatten().next()
    }

    /// Whether an authority means this server. The port is free: a forwarded one is legitimate, and says
    /// nothing about who asks.
    fn is_own(&self, authority: &Authority) -> bool {
        let bare = bare(authority);
        let loopback = |it: IpAddr| it.to_canonical().is_loopback() || it == self.address.ip();
        !authority.as_str().contains('@')
            && (self.is_named(bare)
                || bare.parse::<IpAddr>().map_or(bare.eq_ignore_ascii_case("localhost"), loopback))
    }

    fn is_named(&self, host: &str) -> bool {
        self.names.iter().any(|it| it.eq_ignore_ascii_case(host))
    }

    /// Whether a page comes from where its request goes to, or from a name that the file gives us: something
    /// in front may have changed the other. Another port of this machine is another site.
    fn is_own_page(&self, origin: &HeaderValue, host: &Authority) -> bool {
        let Some((scheme, authority)) = origin.to_str().ok().and_then(|it| it.split_once("://")) else {
            return false;
        };
        // Something in front may speak TLS for us; nothing in front takes it away.
        let scheme_fits = scheme == "https" || (scheme == "http" && !self.secure);
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let same = authority.as_str().eq_ignore_ascii_case(host.as_str());
        scheme_fits && self.is_own(&authority) && (same || self.is_named(bare(&authority)))
    }
}

fn bare(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host)
}

/// Whether it is not another site that has the browser ask. `links`: whether following a link is fine.
fn is_from_here(headers: &HeaderMap, links: bool) -> bool {
    let said = |name: HeaderName| headers.get_all(name);
    let here = said(SITE).iter().all(|it| it == "same-origin" || it == "none");
    let followed =
        said(MODE).iter().all(|it| it == "navigate") && said(DEST).iter().all(|it| it == "document");
    here || (links && followed)
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

#[cfg(test)]
mod tests {
    use super::super::paths::find;
    use super::*;

    /// `Name: value` pairs separated by `|`; answers with the code of the refusal.
    #[track_caller]
    fn admitted(secure: bool, target: &str, headers: &str) -> &'static str {
        let mut request = http::Request::builder().uri(target);
        for line in headers.split('|').filter(|it| !it.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let names = ["ops.example.com".into()];
        let own = OwnNames { address: "10.0.0.5:9900".parse().unwrap(), names: &names, secure };
        own.admit(&parts, find(parts.uri.path()).unwrap()).map_or_else(|it| it.code, |()| "ok")
    }

    #[test]
    fn only_our_own_names() {
        for (host, said) in [
            ("Host: 127.0.0.1:9900", "ok"),
            ("Host: 10.0.0.5:9900", "ok"),
            ("Host: 10.0.0.5", "ok"),
            ("Host: localhost:9900", "ok"),
            ("Host: LOCALHOST", "ok"),
            ("Host: [::1]:80", "ok"),
            ("Host: [::ffff:127.0.0.1]", "ok"),
            ("Host: 127.0.0.1:12345", "ok"),
            ("Host: ops.example.com", "ok"),
            ("Host: OPS.example.com:443", "ok"),
            ("", "foreign_name"),
            ("Host: ", "foreign_name"),
            ("Host: evil.test", "foreign_name"),
            ("Host: a.ops.example.com", "foreign_name"),
            ("Host: ops.example.com.", "foreign_name"),
            ("Host: localhost.evil.test", "foreign_name"),
            ("Host: 127.0.0.1.evil.test", "foreign_name"),
            ("Host: 10.0.0.6:9900", "foreign_name"),
            ("Host: 0.0.0.0", "foreign_name"),
            ("Host: evil@localhost", "foreign_name"),
            ("Host: localhost|Host: evil.test", "foreign_name"),
            ("Host: localhost|Host: localhost", "foreign_name"),
        ] {
            assert_eq!(admitted(false, "/livez", host), said, "{host}");
        }
        assert_eq!(admitted(false, "http://evil.test/livez", "Host: localhost"), "foreign_name");
        assert_eq!(admitted(false, "http://localhost/livez", "Host: evil.test"), "foreign_name");
        assert_eq!(admitted(false, "http://localhost/livez", "Host: localhost"), "ok");
    }

    #[test]
    fn only_our_own_pages() {
        for (headers, plain, secure) in [
            ("Host: localhost:1|Origin: http://localhost:1", "ok", "foreign_origin"),
            ("Host: localhost:1|Origin: https://localhost:1", "ok", "ok"),
            ("Host: localhost:1|Origin: http://localhost:2", "foreign_origin", "foreign_origin"),
            ("Host: localhost:1|Origin: http://localhost", "foreign_origin", "foreign_origin"),
            ("Host: 127.0.0.1:1|Origin: https://ops.example.com", "ok", "ok"),
            ("Host: localhost:1|Origin: http://evil.test", "foreign_origin", "foreign_origin"),
            ("Host: localhost:1|Origin: null", "foreign_origin", "foreign_origin"),
            ("Host: localhost:1|Origin: file://localhost:1", "foreign_origin", "foreign_origin"),
            (
                "Host: localhost:1|Origin: https://localhost:1|Origin: https://evil.test",
                "foreign_origin",
                "foreign_origin",
            ),
        ] {
            assert_eq!(admitted(false, "/metrics", headers), plain, "{headers}");
            assert_eq!(admitted(true, "/metrics", headers), secure, "{headers}");
        }
    }

    #[test]
    fn other_sites_may_link_to_the_page_and_no_more() {
        let navigation = "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document";
        for (target, headers, said) in [
            ("/metrics", "Sec-Fetch-Site: same-origin".to_owned(), "ok"),
            ("/metrics", "Sec-Fetch-Site: none".to_owned(), "ok"),
            ("/metrics", "Sec-Fetch-Site: same-site".to_owned(), "foreign_origin"),
            ("/metrics", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: no-cors".to_owned(), "foreign_origin"),
            ("/metrics", format!("Sec-Fetch-Site: cross-site|{navigation}"), "foreign_origin"),
            ("/livez", format!("Sec-Fetch-Site: cross-site|{navigation}"), "foreign_origin"),
            ("/", format!("Sec-Fetch-Site: cross-site|{navigation}"), "ok"),
            ("/", "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: no-cors".to_owned(), "foreign_origin"),
            (
                "/",
                "Sec-Fetch-Site: cross-site|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: iframe".to_owned(),
                "foreign_origin",
            ),
        ] {
            assert_eq!(admitted(false, target, &format!("Host: localhost|{headers}")), said, "{headers}");
        }
    }
}
