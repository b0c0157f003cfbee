//! Answers, and problems as RFC 9457 writes them.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::stream::Live;

/// What goes back.
pub(super) type Reply = Response<Body>;

/// A text that is there, or one that goes on.
pub(super) type Body = Either<Full<Bytes>, Live>;

/// The code of a problem, for whoever looks at the answer on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) &'static str);

/// Why a request was not answered as wished.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// For programs; never changes its meaning.
    pub(super) code: &'static str,
    /// One sentence for people.
    pub(super) detail: String,
    /// Members beside the standard ones.
    pub(super) more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), more: Map::new(), headers: Vec::new() }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// The path is there, the method is not.
    pub(super) fn method(allow: &'static str) -> Self {
        let detail = format!("this path answers {allow}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
            .header(ALLOW, HeaderValue::from_static(allow))
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn into_reply(self) -> Reply {
        let mut reply = whole(self.status, KIND, self.text());
        reply.headers_mut().extend(self.headers);
        reply.extensions_mut().insert(Code(self.code));
        if self.status == StatusCode::UNAUTHORIZED {
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply
    }

    /// The last answer on a connection, for where no server writes it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let (text, title) = (self.text(), self.title());
        let (status, length) = (self.status.as_u16(), text.len());
        let own = self.headers.iter().filter_map(|it| Some(format!("{}: {}\r\n", it.0, it.1.to_str().ok()?)));
        let own: String = own.collect();
        format!(
            "HTTP/1.1 {status} {title}\r\ncontent-type: {KIND}\r\ncontent-length: {length}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n{own}\r\n{text}"
        )
        .into_bytes()
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    fn text(&self) -> String {
        let mut members = Map::new();
        members.insert("type".into(), format!("urn:tidegate:problem:{}", self.code).into());
        members.insert("title".into(), self.title().into());
        members.insert("status".into(), self.status.as_u16().into());
        members.insert("code".into(), self.code.into());
        members.insert("detail".into(), self.detail.as_str().into());
        members.extend(self.more.clone());
        Value::Object(members).to_string()
    }
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Reply {
    let text = serde_json::to_string(value).expect("wire types have string keys and finite depth");
    whole(StatusCode::OK, "application/json", text)
}

/// A text of some type.
pub(super) fn whole(status: StatusCode, kind: &'static str, text: String) -> Reply {
    dressed(status, kind, Either::Left(Full::new(Bytes::from(text))))
}

/// A body of some type. Nothing here may be kept by a cache or taken for another type by a browser.
pub(super) fn dressed(status: StatusCode, kind: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// What problems are (RFC 9457).
const KIND: &str = "application/problem+json";
