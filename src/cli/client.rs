//! Talks to the admin interface of a server.

use std::io;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::admin::Token;
use crate::admin::wire::ProblemWire;
use crate::config::closest;

use super::answerer;
use super::arguments::Global;
use super::exit;
use super::failure::Failure;
use super::locate::{self, Place};
use super::printable;
use super::secure::Secure;
use super::terminal::Terminal;

/// A server that answered.
#[derive(Debug)]
pub struct Client {
    place: Place,
    /// Whether who names the place may be believed about it.
    vouched: bool,
    token: Option<Token>,
    /// For a place with TLS.
    secure: Option<Secure>,
    /// Whether answers are printed as they came, and not for people.
    exact: bool,
}

/// Runs what a verb has to ask, on this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = built.map_err(|it| Failure::of(exit::FAILED, &it))?;
    runtime.block_on(work)
}

impl Client {
    /// Finds the server that is meant.
    pub async fn find(global: &Global, terminal: &mut Terminal) -> Result<Self, Failure> {
        let found = locate::places(global)?;
        if let Some(remark) = &found.remark {
            terminal.note(&format!("note: {remark}"));
        }
        let mut tried = Vec::new();
        let needs_tls = found.places.iter().any(|it| matches!(it, Place::Tls { .. }));
        let secure = needs_tls.then(|| Secure::of(global)).transpose()?;
        for place in found.places {
            match connect(&place, found.vouched, secure.as_ref()).await {
                Ok(_) => {
                    if global.verbose > 0 {
                        terminal.note(&format!("server: {place}"));
                    }
                    let vouched = found.vouched;
                    return Ok(Self { place, vouched, token: found.token, secure, exact: terminal.json });
                }
                Err(error) => {
                    if let Some(stranger) = answerer::stranger(&error) {
                        // Somebody put it there to be taken for the server: nobody else is asked instead.
                        let failure = Failure::new(exit::UNREACHABLE, stranger.to_string());
                        return Err(failure.hint(
                            "run this as that user if theirs is meant, or use its address: --server https://…",
                        ));
                    }
                    tried.push((place, error));
                }
            }
        }
        let failure = nobody_there(&tried);
        // What could not be read may have named another place.
        Err(if found.unreadable { Failure { code: exit::CONFIG, ..failure } } else { failure })
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.parse(&self.get_text(path).await?)
    }

    /// Reads something, as it came.
    pub async fn get_text(&self, path: &str) -> Result<String, Failure> {
        self.exchange(&Method::GET, path, String::new()).await
    }

    /// Changes something; returns the answer as it came.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<String, Failure> {
        let body = serde_json::to_string(body).expect("wire types have string keys and finite depth");
        self.exchange(&Method::POST, path, body).await
    }

    /// Reads an answer: with `--json` as it is, else so that its texts can be shown.
    pub fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, Failure> {
        let read = if self.exact { serde_json::from_str(text) } else { shown(text) };
        read.map_err(|error| {
            let message = format!("{} answers in a way that is not understood: {error}", self.place);
            Failure::new(exit::FAILED, message).hint("are server and client of the same version?")
        })
    }

    /// What stands open is asked for without a token: the one that is at hand may be another server's.
    async fn exchange(&self, method: &Method, path: &str, body: String) -> Result<String, Failure> {
        let token = self.token.as_ref().filter(|_| !matches!(self.place, Place::Socket(_)));
        if let (Some(token), &Method::GET) = (token, method) {
            let (status, text) = self.ask(method, path, String::new(), None).await?;
            if status != StatusCode::UNAUTHORIZED {
                return self.told((status, text), path);
            }
            return self.told(self.ask(method, path, body, Some(token)).await?, path);
        }
        self.told(self.ask(method, path, body, token).await?, path)
    }

    fn told(&self, (status, text): (StatusCode, String), path: &str) -> Result<String, Failure> {
        if status.is_success() { Ok(text) } else { Err(refusal(status, &text, path)) }
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: String,
        token: Option<&Token>,
    ) -> Result<(StatusCode, String), Failure> {
        let lost = |error: &dyn std::error::Error| {
            Failure::new(exit::UNREACHABLE, format!("the connection to {} failed: {error}", self.place))
        };
        let stream =
            connect(&self.place, self.vouched, self.secure.as_ref()).await.map_err(|it| lost(&it))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|it| lost(&it))?;
        let asked = async {
            let request = self.request(method, path, body, token);
            let answer = sender.send_request(request).await.map_err(|it| lost(&it))?;
            let status = answer.status();
            if answer.body().size_hint().lower() > ANSWER_BYTES_MAX as u64 {
                return Err(self.too_long());
            }
            let whole = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let whole = whole.map_err(|it| match it.is::<LengthLimitError>() {
                true => self.too_long(),
                false => lost(it.as_ref()),
            })?;
            Ok((status, whole.to_bytes()))
        };
        let (mut asked, mut connection) = (std::pin::pin!(asked), std::pin::pin!(connection));
        // The connection has to be driven; when it ends first, the answer may be there all the same.
        let answered = tokio::select! {
            biased;
            answered = &mut asked => answered,
            _ = &mut connection => asked.await,
        };
        let (status, bytes) = answered?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn too_long(&self) -> Failure {
        let most = ANSWER_BYTES_MAX >> 20;
        let failure = Failure::new(exit::FAILED, format!("{} answers with more than {most} MiB", self.place));
        failure.hint("no answer of tidegate is as long: is that its admin interface?")
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: String,
        token: Option<&Token>,
    ) -> Request<Full<Bytes>> {
        let host = match &self.place {
            Place::Socket(_) => "localhost",
            Place::Tcp(authority) | Place::Tls { authority, .. } => authority,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("tidegate-cli/", env!("CARGO_PKG_VERSION")));
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        request.body(Full::new(Bytes::from(body))).expect("paths are made of checked names and numbers")
    }
}

/// An answer whose texts can be shown.
fn shown<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut answer = serde_json::from_str(text)?;
    printable::answer(&mut answer);
    serde_json::from_value(answer)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(place: &Place, vouched: bool, secure: Option<&Secure>) -> io::Result<Box<dyn Stream>> {
    Ok(match place {
        Place::Socket(path) => Box::new(answerer::connect(path, vouched).await?),
        Place::Tcp(authority) => Box::new(TcpStream::connect(authority.as_str()).await?),
        Place::Tls { authority, name } => {
            let stream = TcpStream::connect(authority.as_str()).await?;
            let secure = secure.ok_or_else(|| io::Error::other("nobody has said whom to believe"))?;
            Box::new(secure.connect(name, stream).await?)
        }
    })
}

/// Nobody answered. A place that exists and does not let us in says more than those that do not exist.
fn nobody_there(tried: &[(Place, io::Error)]) -> Failure {
    let denied = tried.iter().find(|it| it.1.kind() == io::ErrorKind::PermissionDenied);
    if let Some((place, _)) = denied {
        let failure = Failure::new(exit::UNREACHABLE, format!("you may not use {place}"));
        return failure.hint("run this as the user or in the group of the server");
    }
    if let Some((place, error)) = tried.iter().find(|it| it.1.kind() == io::ErrorKind::InvalidData) {
        // What TLS says of a certificate that it does not believe.
        let failure = Failure::new(exit::UNREACHABLE, format!("{place} is not believed: {error}"));
        return failure.hint("name the authority of its certificate: --ca FILE, or TIDEGATE_CA");
    }
    let list: Vec<String> = tried.iter().map(|(place, error)| format!("  {place}: {error}")).collect();
    let failure = Failure::new(exit::UNREACHABLE, format!("no server answers\n{}", list.join("\n")));
    failure.hint("start one with `tidegate run -c FILE`, or name it with -c FILE or --server URL")
}

/// A refusal of the server, with the exit code that scripts expect.
fn refusal(status: StatusCode, text: &str, path: &str) -> Failure {
    let problem: ProblemWire = shown(text).unwrap_or_default();
    let message =
        if problem.detail.is_empty() { format!("the server answers {status}") } else { problem.detail };
    let code = match (status, problem.code.as_str()) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST, _)
        | (_, "locked_out") => exit::UNREACHABLE,
        (StatusCode::PRECONDITION_FAILED, _) | (_, "busy") => exit::OVERTAKEN,
        (_, "quarantined") => exit::ROLLED_BACK,
        (_, "invalid_configuration") => exit::CONFIG,
        (StatusCode::BAD_REQUEST, _) => exit::USAGE,
        _ => exit::FAILED,
    };
    let failure = Failure::new(code, message);
    match (problem.code.as_str(), problem.report) {
        ("unknown_service", _) => {
            // The name is the fifth part of `/api/v1/services/NAME/promote?after=1`.
            let path = path.split('?').next().unwrap_or_default();
            let written = path.split('/').nth(4).unwrap_or_default();
            match closest(written, problem.known.iter().map(String::as_str)) {
                Some(name) => failure.hint(format!("did you mean `{name}`?")),
                None if problem.known.is_empty() => failure,
                None => failure.hint(format!("there are: {}", problem.known.join(", "))),
            }
        }
        ("token_needed" | "role_needed", _) => {
            let role = problem.role.unwrap_or_else(|| "admin".into());
            failure.hint(format!(
                "set TIDEGATE_TOKEN to a token of the role `{role}`, or use the Unix socket: \
                 --server unix:/run/tidegate/admin.sock"
            ))
        }
        ("file_decides", _) => failure.hint("change the file: what is `live` there is released"),
        ("foreign_name", _) => failure.hint("name it by its address, or write its name under admin.names"),
        ("stale", _) => failure.hint("look again: tidegate status"),
        (_, Some(report)) => failure.report(report),
        _ => failure,
    }
}

/// Longest answer that is read. The status of a thousand services, or all events that are kept with what checks have
/// printed, is some megabytes; more is no answer of this program, and would fill the memory of whoever asks.
const ANSWER_BYTES_MAX: usize = 64 << 20;
