//! One request over the internet: to an address that was checked, over TLS that was verified, without redirects
//! and without a proxy, within five seconds, and with no more of the answer than fits 64 KiB.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822::DateTimeParser;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::config::{NotifyHost, NotifySpec};
use crate::model::Timestamp;

use super::resolve::{Resolve, addresses};

/// What is asked.
pub(super) struct Call<'a> {
    pub method: Method,
    /// Path and query.
    pub path: &'a str,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub status: u16,
    /// How long the other side wants to be left alone.
    pub after: Option<Duration>,
    /// Whether it says that one has called too often.
    pub exhausted: bool,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

impl Reply {
    /// For people. Of the answer itself nothing is repeated: it could be anything, even what was sent.
    pub fn described(&self) -> String {
        match self.status {
            300..400 => format!("answered {}; redirects are not followed", self.status),
            _ => format!("answered {}", self.status),
        }
    }
}

/// Asks once. An error is why there was no answer.
pub(super) async fn call(
    spec: &NotifySpec,
    names: &dyn Resolve,
    it: Call<'_>,
    now: Timestamp,
) -> Result<Reply, String> {
    let end = Instant::now() + CALL_WITHIN;
    let asked = async {
        let found = addresses(spec, names).await?;
        let tcp = connect(&found, spec.url().port).await?;
        match (&spec.tls, spec.url().secure) {
            (None, false) => talk(tcp, spec, it, now, end).await,
            (Some(tls), true) => {
                let name = match &spec.url().host {
                    NotifyHost::Address(it) => ServerName::from(*it),
                    NotifyHost::Name(it) => ServerName::try_from(it.clone())
                        .map_err(|_| "no certificate has such a name".to_owned())?,
                };
                let connector = TlsConnector::from(Arc::clone(&tls.0));
                let stream = connector.connect(name, tcp).await.map_err(|it| format!("no TLS: {it}"))?;
                talk(stream, spec, it, now, end).await
            }
            // What was to be secret is never sent in another way.
            (None, true) | (Some(_), false) => Err("it cannot be called as the file says".into()),
        }
    };
    timeout_at(end, asked).await.unwrap_or_else(|_| Err(format!("no answer within {CALL_WITHIN:?}")))
}

async fn connect(found: &[IpAddr], port: u16) -> Result<TcpStream, String> {
    let mut why = String::new();
    for (at, address) in found.iter().enumerate() {
        // One that does not answer leaves time for the others.
        let within = if at + 1 == found.len() { CALL_WITHIN } else { CONNECT_WITHIN };
        match timeout(within, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = format!("cannot connect: {error}"),
            Err(_) => why = "cannot connect: nobody answers".into(),
        }
    }
    Err(why)
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    spec: &NotifySpec,
    it: Call<'_>,
    now: Timestamp,
    end: Instant,
) -> Result<Reply, String> {
    let mut client = http1::Builder::new();
    client.max_buf_size(HEAD_BYTES_MAX);
    let client = client.handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await;
    let (mut sender, connection) = client.map_err(|it| described(&it))?;
    let mut request = Request::builder()
        .method(it.method)
        .uri(it.path)
        .header(HOST, spec.url().authority.as_str())
        .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    for (name, value) in it.headers {
        request = request.header(name, value);
    }
    // The path may be a secret, and what is wrong with it could quote it.
    let request =
        request.body(Full::new(Bytes::from(it.body))).map_err(|_| "its URL cannot be called".to_owned())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|it| described(&it))?;
        let (head, mut rest) = response.into_parts();
        let mut body = Vec::new();
        // The status is what counts. A body that is slow, large or broken is cut.
        while body.len() < BODY_BYTES_MAX
            && let Ok(Some(Ok(frame))) = timeout_at(end - LAST_WORDS, rest.frame()).await
        {
            let Some(data) = frame.data_ref() else { continue };
            body.extend_from_slice(&data[..data.len().min(BODY_BYTES_MAX - body.len())]);
        }
        let (after, exhausted) = (after(&head.headers, now), is_exhausted(&head.headers));
        Ok(Reply { status: head.status.as_u16(), after, exhausted, body })
    };
    // The connection moves only while it is driven. Its end is seen by who asked, after the last byte.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        biased;
        reply = asked => reply,
        () = driven => Err("no answer".into()),
    }
}

/// `Retry-After`: seconds, or a moment.
fn after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let moment = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp(u64::try_from(moment.as_microsecond()).ok()?).since(now))
}

/// As GitHub says that no calls are left.
fn is_exhausted(headers: &HeaderMap) -> bool {
    headers.get("x-ratelimit-remaining").is_some_and(|it| it == "0")
}

fn described(error: &hyper::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// For everything: the name, the connection, the handshake, the question and the answer.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(5);
/// For a connection, if there are further addresses.
const CONNECT_WITHIN: Duration = Duration::from_millis(1500);
/// A body that does not end is cut before the call as a whole counts as unanswered.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Most of a body that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::sync::Mutex;

    use super::super::resolve::Found;
    use super::*;
    use crate::config::{MemoryFiles, load};

    /// Names that lead elsewhere each time.
    #[derive(Default)]
    struct Scripted(Mutex<Vec<&'static str>>);

    impl Resolve for Scripted {
        fn look_up<'a>(&'a self, _name: &'a str) -> Found<'a> {
            let answer = self.0.lock().unwrap().remove(0);
            let found = answer.split(' ').filter(|it| !it.is_empty()).map(|it| it.parse().unwrap()).collect();
            Box::pin(std::future::ready(Ok(found)))
        }
    }

    fn spec(url: &str, local: &str) -> NotifySpec {
        let text = format!(
            "{{listen: 1, services: {{a: {{live: v, versions: {{v: http://h}}}}}}, \
             notify: [{{webhook: '{url}', plain: allow, local: {local}}}]}}"
        );
        let loaded = load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", text));
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false))).notify.remove(0)
    }

    fn block_on<T>(it: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(it)
    }

    fn post(spec: &NotifySpec, names: &Scripted) -> Result<Reply, String> {
        let it = Call { method: Method::POST, path: "/x", headers: Vec::new(), body: b"{}".to_vec() };
        block_on(call(spec, names, it, Timestamp(0)))
    }

    #[test]
    fn a_name_leads_nowhere_near() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://ci.example.com:{}/", listener.local_addr().unwrap().port());
        for near in ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1 fd00::1"] {
            let error = post(&spec(&url, "refuse"), &Scripted(Mutex::new(vec![near]))).unwrap_err();
            assert!(error.contains("local: allow"), "{near}: {error}");
        }
        assert!(listener.accept().is_err(), "nobody has called");
        let found = |answer| block_on(addresses(&spec(&url, "refuse"), &Scripted(Mutex::new(vec![answer]))));
        assert_eq!(found("127.0.0.1 8.8.8.8").unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
        assert!(found("").unwrap_err().contains("no address"));
        let many = "8.8.8.1 8.8.8.2 8.8.8.3 8.8.8.4 8.8.8.5";
        assert_eq!(found(many).unwrap().len(), 4);
    }

    #[test]
    fn a_name_is_looked_up_once_for_a_call_and_that_is_where_it_goes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://ci.example.com:{}/", listener.local_addr().unwrap().port());
        #[expect(clippy::disallowed_methods, reason = "a server of the test")]
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let count = stream.read(&mut asked).unwrap();
            stream.write_all(b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nhi").unwrap();
            String::from_utf8_lossy(&asked[..count]).into_owned()
        });
        // Were it looked up once more, it would lead to nobody.
        let names = Scripted(Mutex::new(vec!["127.0.0.1", "127.0.0.99"]));
        let reply = post(&spec(&url, "allow"), &names).unwrap();
        let expected =
            Reply { status: 503, after: Some(Duration::from_secs(7)), exhausted: false, body: b"hi".into() };
        assert_eq!(reply, expected);
        assert_eq!(names.0.lock().unwrap().len(), 1);
        let asked = served.join().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("post /x http/1.1\r\nhost: ci.example.com:"), "{asked}");
    }

    #[test]
    fn how_long_to_wait() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            after(&headers, Timestamp(784_111_770_000_000)).map(|it| it.as_secs())
        };
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(after(text), expected, "{text}");
        }
    }
}
