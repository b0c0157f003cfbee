//! What a scraper gets, in the dialect that it likes best.

use std::sync::Arc;

use http::header::{ACCEPT, HeaderValue, VARY};
use http::{HeaderMap, StatusCode};

use crate::telemetry::Dialect;

use super::reply::{Problem, Reply, whole};
use super::server::House;

/// Rendered on a thread of its own: it reads every cell and `/proc`, and whoever shares our thread (the
/// controller) should not wait for that.
pub(super) async fn metrics(house: &House, headers: &HeaderMap) -> Result<Reply, Problem> {
    let registry = Arc::clone(&house.registry);
    let dialect = wanted(headers);
    let rendered = tokio::task::spawn_blocking(move || registry.render_as(dialect)).await;
    let text = rendered.map_err(|it| {
        let detail = format!("the metrics cannot be rendered: {it}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    })?;
    let mut reply = whole(StatusCode::OK, content_type(dialect), text);
    reply.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(reply)
}

fn content_type(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        Dialect::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    }
}

/// OpenMetrics for whoever likes it better than plain text; a browser and `curl` get text.
fn wanted(headers: &HeaderMap) -> Dialect {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
    let (mut open, mut text, mut other) = (0, 0, 0);
    for offer in accepted.flat_map(|it| it.split(',')) {
        let mut parts = offer.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut version) = (1_000, None);
        for (name, value) in parts.filter_map(|it| it.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = thousandths(value.trim()),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        match kind.as_str() {
            "application/openmetrics-text" if version.is_none_or(|it| it.starts_with("1.")) => {
                open = open.max(quality);
            }
            "text/plain" | "text/*" => text = text.max(quality),
            "*/*" => other = other.max(quality),
            _ => {}
        }
    }
    if open > text.max(other) { Dialect::OpenMetrics } else { Dialect::Prometheus }
}

fn thousandths(quality: &str) -> u32 {
    let known = quality.parse::<f64>().ok().filter(|it| (0.0..=1.0).contains(it));
    // What is written wrongly is not wanted much.
    known.map_or(0, |it| (it * 1_000.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_what_it_likes_best() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.1";
        for (accept, dialect) in [
            (prometheus_2, Dialect::OpenMetrics),
            (prometheus_3, Dialect::OpenMetrics),
            ("application/openmetrics-text", Dialect::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", Dialect::OpenMetrics),
            ("application/openmetrics-text; version=0.0.1", Dialect::Prometheus),
            ("application/openmetrics-text; q=0", Dialect::Prometheus),
            ("application/openmetrics-text; q=nonsense", Dialect::Prometheus),
            ("text/plain, application/openmetrics-text; q=0.5", Dialect::Prometheus),
            ("*/*", Dialect::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Dialect::Prometheus),
            ("", Dialect::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wanted(&headers), dialect, "{accept}");
        }
        assert_eq!(wanted(&HeaderMap::new()), Dialect::Prometheus);
    }
}
