//! The dashboard: one page and its parts, built into the program.
//!
//! They are plain files of `dashboard/`, sent as they lie there: no build step, no other origin, nothing from
//! the disk of the server. The page knows nothing by itself; what it shows and does goes through the same
//! interface as everybody's, so it needs no permission of its own.
//!
//! What protects it from text that others wrote is a policy that only allows scripts and styles of this
//! server and no way from a string to markup; that the page keeps to it is tested in a browser.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_FRAME_OPTIONS,
};
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::reply::{Problem, Reply, dressed};

/// `GET /`.
pub(super) fn page(headers: &HeaderMap) -> Result<Reply, Problem> {
    part("index.html", headers)
}

/// `GET /dashboard/NAME`. Only what was built in has a name.
pub(super) fn part(name: &str, headers: &HeaderMap) -> Result<Reply, Problem> {
    let found = PARTS.iter().find(|it| it.name == name);
    Ok(found.ok_or_else(|| Problem::not_found("the dashboard has no such part"))?.reply(headers))
}

/// A file and how it is sent.
struct Part {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    small: Bytes,
    /// Names of the content, as it is and made smaller.
    tags: [HeaderValue; 2],
}

impl Part {
    fn of((name, plain): &(&'static str, &'static str)) -> Self {
        let kind = match name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        let hash = xxh3_64(plain.as_bytes());
        let tag = |more: &str| {
            let text = format!("\"{hash:016x}{more}\"");
            HeaderValue::try_from(text).expect("digits and letters are a header value")
        };
        let (plain, tags) = (plain.as_bytes(), [tag(""), tag("-gzip")]);
        Self { name, kind, plain, small: compressed(plain), tags }
    }

    fn reply(&self, asked: &HeaderMap) -> Reply {
        let smaller = takes_gzip(asked);
        let tag = &self.tags[usize::from(smaller)];
        let same = asked.get_all(IF_NONE_MATCH).iter().any(|it| names(it, tag));
        let bytes = match (same, smaller) {
            (true, _) => Bytes::new(),
            (false, true) => self.small.clone(),
            (false, false) => Bytes::from_static(self.plain),
        };
        let status = if same { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut reply = dressed(status, self.kind, Either::Left(Full::new(bytes)));
        let headers = reply.headers_mut();
        // Kept by a browser, and asked for again each time: an upgrade brings its own page.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(ETAG, tag.clone());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if smaller && !same {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in PROTECTION {
            headers.insert(name, HeaderValue::from_static(value));
        }
        reply
    }
}

fn compressed(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("a vector takes every byte").into()
}

/// Whether the client says that it understands gzip, and does not say that it will not have it.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let texts = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    texts.flat_map(|it| it.split(',')).any(|it| {
        let mut parts = it.split(';').map(str::trim);
        let named = parts.next().is_some_and(|it| it.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|it| matches!(it, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Whether an `If-None-Match` has this name, or takes any.
fn names(value: &HeaderValue, tag: &HeaderValue) -> bool {
    let named = |it: &str| it == "*" || it.strip_prefix("W/").unwrap_or(it).as_bytes() == tag.as_bytes();
    value.to_str().is_ok_and(|it| it.split(',').map(str::trim).any(named))
}

/// Compressed when somebody asks for the first time, which a server without visitors never does.
static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| FILES.iter().map(Part::of).collect());

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("dashboard/", $name)))),*]
    };
}

/// Everything there is.
const FILES: &[(&str, &str)] = files! {
    "index.html" "style.css" "theme.js" "app.js" "feed.js" "house.js" "words.js" "dom.js" "services.js"
    "service.js" "actions.js" "chart.js" "charts.js" "commands.js" "dialogs.js" "token.js"
};

/// What the page may do, which is little: its own scripts and styles, requests to this server, no frames around
/// it, and no way from a string to a script (trusted types without a policy).
const PROTECTION: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
         microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All that a browser loads, as it comes over the wire.
    const GZIP_BYTES_MAX: usize = 60 * 1024;

    fn asked(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn it_is_small() {
        let bytes: usize = PARTS.iter().map(|it| it.small.len()).sum();
        assert!(bytes <= GZIP_BYTES_MAX, "{bytes} bytes are more than {GZIP_BYTES_MAX}");
        assert!(PARTS.iter().all(|it| it.small.len() < it.plain.len()));
    }

    /// What lies in the folder is served, and what the files name is there.
    #[test]
    fn it_is_whole() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(there, FILES.iter().map(|it| it.0.to_owned()).collect());
        for (file, text) in FILES {
            let imports = text.split(&['\'', '"'][..]).filter_map(|it| it.strip_prefix("./"));
            let links = text.split('"').filter_map(|it| it.strip_prefix("dashboard/"));
            for name in imports.chain(links) {
                assert!(there.contains(name), "{file} names {name}");
            }
        }
    }

    /// The policy would stop all of these in a browser; here they are not even written.
    #[test]
    fn no_way_from_a_string_to_markup() {
        for (file, text) in FILES {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "DOMParser",
                "srcdoc",
                "javascript:",
                "style=",
                "onclick=",
                "<style",
                "http-equiv",
            ] {
                assert!(!text.contains(word), "{file} has {word}");
            }
            // The namespace of SVG is a name, and nothing is loaded from it.
            let addresses = text.match_indices("://").filter(|it| {
                !text[..it.0].ends_with("http") || !text[it.0..].starts_with("://www.w3.org/2000/svg")
            });
            assert_eq!(addresses.count(), 0, "{file} names an address");
        }
    }

    #[test]
    fn compressed_for_those_who_take_it() {
        for (value, taken) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("identity, xgzip", false),
        ] {
            assert_eq!(takes_gzip(&asked(&[(ACCEPT_ENCODING, value)])), taken, "{value}");
        }
        let [small, plain] = ["gzip", "identity"].map(|it| page(&asked(&[(ACCEPT_ENCODING, it)])).unwrap());
        assert_eq!(small.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(plain.headers().get(CONTENT_ENCODING), None);
        assert_ne!(small.headers()[ETAG], plain.headers()[ETAG]);
    }

    #[test]
    fn known_content_is_not_sent_again() {
        let tag = page(&HeaderMap::new()).unwrap().headers()[ETAG].clone();
        let text = tag.to_str().unwrap().to_owned();
        for (sent, status) in [
            (text.clone(), 304),
            (format!("W/{text}"), 304),
            (format!("\"other\", {text}"), 304),
            ("*".into(), 304),
            ("\"other\"".into(), 200),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, sent.parse().unwrap());
            let reply = page(&headers).unwrap();
            assert_eq!(reply.status().as_u16(), status, "{sent}");
            assert_eq!(reply.headers()[ETAG], tag);
        }
    }

    #[test]
    fn only_what_was_built_in_has_a_name() {
        for name in ["", ".", "..", "../route.rs", "index.html/", "INDEX.HTML", "%69ndex.html", "app.js\0"] {
            assert_eq!(part(name, &HeaderMap::new()).unwrap_err().status, StatusCode::NOT_FOUND, "{name}");
        }
        assert!(part("app.js", &HeaderMap::new()).is_ok());
    }
}
