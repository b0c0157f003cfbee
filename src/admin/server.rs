//! Accepts, bounds and serves connections.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::AdminSpec;
use crate::runtime::{Clock, ShutdownWatch};
use crate::telemetry::Registry;

use super::access::Keys;
use super::connection;
use super::control::{Control, Notify, Reload, Upgrade};
use super::door::Door;
use super::doors::{self, Doorman, Entry, GivenDoors, GivenSocket};
use super::once::Once;
use super::places::Places;
use super::socket::{OwnSocket, SocketError};
use super::stream::Streams;
use super::token::TokenError;

/// A server that has its sockets and its token and is ready to [`run`](Self::run).
#[derive(Debug)]
pub struct Server {
    tcp: Option<std::net::TcpListener>,
    address: Option<SocketAddr>,
    socket: Option<OwnSocket>,
    doorman: Doorman,
}

/// The parts of the house that answers are made of.
pub struct Parts {
    /// The controller.
    pub control: Arc<dyn Control>,
    /// Loads the configuration again.
    pub reload: Arc<dyn Reload>,
    /// Tells others what happens to releases.
    pub notify: Arc<dyn Notify>,
    /// Hands over to a new process.
    pub upgrade: Arc<dyn Upgrade>,
    /// What is counted.
    pub registry: Arc<Registry>,
    /// Whether the process is coming to its end.
    pub shutdown: ShutdownWatch,
    /// What time it is.
    pub clock: Clock,
    /// The number of this process, if nobody in it may come in through the Unix socket: a service whose endpoint
    /// is that socket would hand it to everybody.
    pub shut_out: Option<u32>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The TCP address is taken or not ours.
    #[error("failed to listen on {address} for admin requests")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Anybody could reach it.
    #[error("admin requests are not answered on {0}: others can reach it, and there is no TLS or no token")]
    Public(SocketAddr),
    /// The socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The token cannot be read or made.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// What every request may use.
pub(super) struct House {
    pub(super) control: Arc<dyn Control>,
    pub(super) reload: Arc<dyn Reload>,
    pub(super) notify: Arc<dyn Notify>,
    pub(super) upgrade: Arc<dyn Upgrade>,
    pub(super) registry: Arc<Registry>,
    pub(super) shutdown: ShutdownWatch,
    pub(super) clock: Clock,
    pub(super) streams: Streams,
    pub(super) keys: Keys,
    pub(super) once: Once,
    shut_out: Option<u32>,
}

impl Server {
    /// Takes the sockets: the TCP address that `spec` names, and `socket` for the Unix socket. With TCP and
    /// without any token in `spec`, the one in the state directory is read, or made there. What is given is
    /// open already.
    pub fn bind(
        spec: &AdminSpec,
        socket: Option<&Path>,
        state: &Path,
        given: GivenDoors,
    ) -> Result<Self, BindError> {
        let fit = spec.access.is_fit_for_the_public();
        let tcp = match given.tcp {
            Some(it) => Some(adopted(it, fit)?),
            None => spec.listen.map(|it| listen(it, fit)).transpose()?,
        };
        let address = tcp.as_ref().and_then(|it| it.local_addr().ok());
        let doorman = Doorman::new(&spec.access, tcp.as_ref().map(|_| state))?;
        let socket = match given.socket {
            Some(it) => Some(OwnSocket::adopt(it.listener, &it.path, Arc::clone(&doorman.ours))?),
            None => socket.map(|it| OwnSocket::bind(it, Arc::clone(&doorman.ours))).transpose()?,
        };
        Ok(Self { tcp, address, socket, doorman })
    }

    /// Says who is let in.
    pub fn doorman(&self) -> Doorman {
        self.doorman.clone()
    }

    /// Both doors once more, for a process that takes over.
    pub fn copies(&self) -> io::Result<GivenDoors> {
        let tcp = self.tcp.as_ref().map(std::net::TcpListener::try_clone).transpose()?;
        let socket = self.socket.as_ref().and_then(|it| {
            let path = it.path().to_owned();
            Some(it.copy()?.map(|listener| GivenSocket { listener, path, ours: true }))
        });
        Ok(GivenDoors { tcp, socket: socket.transpose()? })
    }

    /// The TCP address, with the port that the kernel chose.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The Unix socket.
    pub fn socket(&self) -> Option<PathBuf> {
        self.socket.as_ref().map(|it| it.path().to_owned())
    }

    /// Answers until the process cuts, or until this future is dropped; then the Unix socket is removed.
    /// Must be called within a tokio runtime.
    pub async fn run(mut self, parts: Parts) -> io::Result<()> {
        let mut shutdown = parts.shutdown.clone();
        let house = Arc::new(House {
            control: parts.control,
            reload: parts.reload,
            notify: parts.notify,
            upgrade: parts.upgrade,
            registry: parts.registry,
            shutdown: parts.shutdown,
            clock: parts.clock,
            streams: Streams::default(),
            keys: Keys::new(Arc::clone(&self.doorman.access)),
            once: Once::default(),
            shut_out: parts.shut_out,
        });
        let tcp = self.tcp.take().map(TcpListener::from_std).transpose()?;
        let unix = self.socket.as_mut().and_then(OwnSocket::take).map(UnixListener::from_std).transpose()?;
        tokio::select! {
            () = shutdown.cutting() => {}
            () = serve_tcp(tcp, self.address, &house, self.doorman.watch()) => {}
            () = serve_unix(unix, &house, self.doorman.watch()) => {}
        }
        Ok(())
    }
}

/// Opens the door. The file was checked already; that nobody else gets in is worth a second look.
fn listen(address: SocketAddr, fit: bool) -> Result<std::net::TcpListener, BindError> {
    if AdminSpec::is_public(address) && !fit {
        return Err(BindError::Public(address));
    }
    let listen = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|source| BindError::Tcp { address, source })
}

/// A door that somebody else opened.
fn adopted(listener: std::net::TcpListener, fit: bool) -> Result<std::net::TcpListener, BindError> {
    let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().unwrap_or(unspecified);
    if AdminSpec::is_public(address) && !fit {
        return Err(BindError::Public(address));
    }
    listener.set_nonblocking(true).map_err(|source| BindError::Tcp { address, source })?;
    Ok(listener)
}

async fn serve_tcp(
    listener: Option<TcpListener>,
    own: Option<SocketAddr>,
    house: &Arc<House>,
    mut entries: watch::Receiver<Entry>,
) {
    let (Some(listener), Some(own)) = (listener, own) else { return std::future::pending().await };
    let mut connections = Connections::new(house);
    loop {
        doors::until(&mut entries, true).await;
        let accepted = tokio::select! {
            biased;
            () = doors::until(&mut entries, false) => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // What does not fit waits here, where it is bounded and where it is noticed. That it cannot
                // be set harms nobody.
                let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
                connections.serve_tcp(stream, peer, own).await;
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_unix(listener: Option<UnixListener>, house: &Arc<House>, mut entries: watch::Receiver<Entry>) {
    let Some(listener) = listener else { return std::future::pending().await };
    let mut connections = Connections::new(house);
    loop {
        doors::until(&mut entries, true).await;
        let accepted = tokio::select! {
            biased;
            () = doors::until(&mut entries, false) => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let peer = stream.peer_cred().ok();
                let process = peer.and_then(|it| u32::try_from(it.pid()?).ok());
                if process.is_some() && process == house.shut_out {
                    tracing::warn!(
                        "a request to a service came to the admin socket: its endpoint leads here"
                    );
                    continue;
                }
                let user = peer.map(|it| it.uid());
                connections.serve(stream, Door::Socket { user }).await;
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The connections of one door. Each door has its own limit: whoever fills the TCP side cannot keep an
/// operator from rolling back through the socket.
struct Connections<'a> {
    house: &'a Arc<House>,
    open: JoinSet<()>,
    places: Places,
}

impl<'a> Connections<'a> {
    fn new(house: &'a Arc<House>) -> Self {
        Self { house, open: JoinSet::new(), places: Places::new(CONNECTIONS_MAX) }
    }

    /// Serves one who has come, as soon as there is room. Meanwhile the kernel keeps others in its queue.
    async fn serve_tcp(&mut self, stream: TcpStream, peer: SocketAddr, own: SocketAddr) {
        // The address may be every one of this machine; a connection has come to one of them.
        let own = stream.local_addr().unwrap_or(own);
        let acceptor = self.house.keys.access.load().tls.clone();
        let door = Door::Tcp { own, peer: peer.ip(), secure: acceptor.is_some() };
        let Some(acceptor) = acceptor else { return self.serve(stream, door).await };
        let (house, place) = (Arc::clone(self.house), self.places.take().await);
        self.open.spawn(async move {
            let shaken = tokio::select! {
                shaken = acceptor.accept(stream) => shaken,
                () = place.is_needed() => return,
            };
            match shaken {
                Ok(stream) => connection::serve(stream, door, house, place).await,
                Err(error) => tracing::debug!(%peer, %error, "a handshake at the admin address failed"),
            }
        });
    }

    async fn serve<S>(&mut self, stream: S, door: Door)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        while self.open.try_join_next().is_some() {}
        let (house, place) = (Arc::clone(self.house), self.places.take().await);
        self.open.spawn(connection::serve(stream, door, house, place));
    }
}

/// Connections of one door. Operators and scrapers are few.
const CONNECTIONS_MAX: usize = 64;
/// Pause after a failed accept, when there are no file descriptors left: they come back by themselves.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What the kernel keeps for a peer that does not read: by itself it would take megabytes.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;
    use crate::admin::ReloadFailed;
    use crate::admin::script::{Running, advanced, notification, refused};
    use crate::controller::RefusalCode;

    /// Sends `METHOD path` with header lines and a body on a connection of its own; answers with the
    /// status and the body.
    async fn ask(
        stream: impl AsyncRead + AsyncWrite,
        line: &str,
        headers: &[&str],
        body: &str,
    ) -> (u16, String) {
        let mut stream = std::pin::pin!(stream);
        let mut head = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|it| head.push_str(&format!("{it}\r\n")));
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Through the socket, with what every change needs there.
    async fn by_socket(it: &Running, line: &str, body: &str) -> (u16, String) {
        let stream = UnixStream::connect(&it.socket).await.unwrap();
        ask(stream, line, &["Host: tidegate", "Content-Type: application/json"], body).await
    }

    async fn by_tcp(it: &Running, line: &str, headers: &[&str], body: &str) -> (u16, String) {
        ask(TcpStream::connect(it.address).await.unwrap(), line, headers, body).await
    }

    fn parsed(body: &str) -> Value {
        serde_json::from_str(body).unwrap_or_else(|it| panic!("{it}: {body}"))
    }

    #[tokio::test]
    async fn health_follows_the_process() {
        let mut it = Running::start();
        assert_eq!(by_socket(&it, "GET /livez", "").await.0, 200);
        assert_eq!(by_socket(&it, "GET /readyz", "").await, (200, "ready\n".into()));
        it.house.change(|status| status.generation = crate::model::Generation(0));
        assert_eq!(by_socket(&it, "GET /readyz", "").await.0, 503);
        it.house.change(|status| status.generation = crate::model::Generation(1));
        it.house.shutdown.drain();
        assert_eq!(by_socket(&it, "GET /readyz", "").await, (503, "draining\n".into()));
        assert_eq!(by_socket(&it, "GET /livez", "").await.0, 200);
        it.house.shutdown.cut();
        it.ended().await;
        assert!(!it.socket.exists(), "the socket goes with the server");
    }

    #[tokio::test]
    async fn status_is_open_and_complete() {
        let it = Running::start();
        let (code, body) = by_tcp(&it, "GET /api/v1/status", &["Host: localhost"], "").await;
        let status = parsed(&body);
        assert_eq!((code, &status["generation"]), (200, &json!(17)));
        let shop = &status["services"][0];
        assert_eq!((&shop["state"], &shop["weight_percent"]), (&json!("CANARY"), &json!(25.0)));
        assert_eq!(shop["step"], json!({"number": 3, "of": 4}));
        let (code, body) = by_tcp(&it, "GET /api/v1/services/shop", &["Host: localhost"], "").await;
        assert_eq!((code, &parsed(&body)), (200, shop));
        let (code, body) = by_tcp(&it, "GET /metrics", &["Host: localhost"], "").await;
        assert!(code == 200 && body.contains("tidegate_build_info"), "{body}");
    }

    #[tokio::test]
    async fn changes_over_tcp_need_the_token() {
        let it = Running::start();
        let (host, kind) = ("Host: localhost", "Content-Type: application/json");
        let line = "POST /api/v1/services/shop/promote";
        let (code, body) = by_tcp(&it, line, &[host, kind], "{}").await;
        assert_eq!((code, &parsed(&body)["code"]), (401, &json!("token_needed")));
        let token = format!("Authorization: Bearer {}", it.token());
        assert_eq!(by_tcp(&it, line, &[host, &token], "{}").await.0, 415);
        assert_eq!(by_tcp(&it, line, &["Host: evil.example", kind, &token], "{}").await.0, 421);
        let foreign = "Origin: http://evil.example";
        assert_eq!(by_tcp(&it, line, &[host, foreign, kind, &token], "{}").await.0, 403);
        assert!(it.house.commanded.lock().unwrap().is_empty());
        let (code, body) = by_tcp(&it, line, &[host, kind, &token], "{}").await;
        assert_eq!((code, &parsed(&body)["changed"]), (200, &json!(true)));
        assert_eq!(
            *it.house.commanded.lock().unwrap(),
            ["shop Promote { full: false, to: None, reason: None, insist: None } step None via api"]
        );
    }

    #[tokio::test]
    async fn commands_reach_the_controller_as_meant() {
        let it = Running::start();
        for (verb, body, said) in [
            (
                "promote",
                r#"{"full": true, "step": 12}"#,
                "Promote { full: true, to: None, reason: None, insist: None } step Some(12)",
            ),
            ("pause", r#"{"reason": "lunch"}"#, "Pause { until: None, reason: Some(\"lunch\") } step None"),
            (
                "weight",
                r#"{"version": "v2", "weight": "25%"}"#,
                "Weight { weight: Weight(2500), reason: None } step None",
            ),
            ("resume", "", "Resume step None"),
            ("rollback", r#"{"to": "v1"}"#, "Rollback { to: Some(\"v1\"), reason: None } step None"),
            ("retry", "{}", "Retry step None"),
        ] {
            let line = format!("POST /api/v1/services/shop/{verb}");
            assert_eq!(by_socket(&it, &line, body).await.0, 200, "{verb}");
            let commanded = it.house.commanded.lock().unwrap().pop().unwrap();
            assert_eq!(commanded, format!("shop {said} via api"));
        }
        for (verb, body) in [
            ("promote", r#"{"override": true}"#),
            ("promote", r#"{"full": true, "to": "50%"}"#),
            ("promote", r#"{"to": "v1"}"#),
            ("pause", r#"{"for": "soon"}"#),
            ("weight", r#"{"version": "v2"}"#),
            ("promote", r#"{"ful": true}"#),
            ("pause", r#"{"reason": "two\nlines"}"#),
            ("rollback", r#"{"to": "no such name"}"#),
            ("resume", "[]"),
        ] {
            let line = format!("POST /api/v1/services/shop/{verb}");
            assert_eq!(by_socket(&it, &line, body).await.0, 400, "{verb} {body}");
        }
        assert!(it.house.commanded.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn refusals_are_problems_with_the_present_state() {
        let it = Running::start();
        for (code, status) in [
            (RefusalCode::Stale, 412),
            (RefusalCode::WrongState, 409),
            (RefusalCode::Quarantined, 409),
            (RefusalCode::NotDurable, 507),
            (RefusalCode::Stopping, 503),
        ] {
            it.house.refusals.lock().unwrap().push(refused(code, "not now"));
            let (said, body) = by_socket(&it, "POST /api/v1/services/shop/promote", "{}").await;
            let problem = parsed(&body);
            assert_eq!((said, &problem["code"]), (status, &json!(code.as_str())));
            assert_eq!(problem["detail"], json!("not now"));
            assert_eq!(problem["service"]["mark"], json!(12));
        }
        let (said, body) = by_socket(&it, "POST /api/v1/services/shp/promote", "{}").await;
        assert_eq!((said, &parsed(&body)["known"]), (404, &json!(["shop", "blog"])));
    }

    #[tokio::test]
    async fn whoever_waits_is_told_of_the_change() {
        let it = Running::start();
        let changed = async {
            tokio::task::yield_now().await;
            it.house.change(|status| status.services[0].word = "ROLLED BACK");
        };
        let asked = by_socket(&it, "GET /api/v1/services/shop?after=5&timeout=30", "");
        let ((code, body), ()) = tokio::join!(asked, changed);
        assert_eq!((code, &parsed(&body)["state"]), (200, &json!("ROLLED BACK")));
        let (code, body) = by_socket(&it, "GET /api/v1/status?after=6&timeout=0", "").await;
        assert_eq!((code, &parsed(&body)["revision"]), (200, &json!(6)));
    }

    #[tokio::test]
    async fn events_are_read_from_a_place_on() {
        let it = Running::start();
        let ids = |body: &str| -> Vec<u64> {
            let events = parsed(body)["events"].as_array().unwrap().clone();
            events.iter().map(|it| it["id"].as_u64().unwrap()).collect()
        };
        for (query, expected) in [
            ("", vec![7, 8]),
            ("?limit=1", vec![8]),
            ("?since=0&limit=1", vec![7]),
            ("?since=7", vec![8]),
            ("?service=blog", vec![]),
        ] {
            let (_, body) = by_socket(&it, &format!("GET /api/v1/events{query}"), "").await;
            assert_eq!(ids(&body), expected, "{query}");
        }
        let news = async {
            tokio::task::yield_now().await;
            it.house.events.lock().unwrap().push(advanced(9));
            it.house.change(|_| {});
        };
        let asked = by_socket(&it, "GET /api/v1/events?since=8&wait=30", "");
        let ((_, body), ()) = tokio::join!(asked, news);
        assert_eq!((ids(&body), &parsed(&body)["last"]), (vec![9], &json!(9)));
    }

    #[tokio::test]
    async fn what_became_of_notifications_is_read_with_their_events_and_waited_for() {
        let it = Running::start();
        for (id, event, result) in [(100, 7, "retried"), (200, 7, "failed"), (300, 8, "delivered")] {
            it.house.notified(notification(id, event, result));
        }
        let get = |query: &str| {
            let (it, line) = (&it, format!("GET /api/v1/events{query}"));
            async move { parsed(&by_socket(it, &line, "").await.1) }
        };
        let results = |list: &Value| -> Vec<String> {
            let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().map(|it| format!("{} {}", it["id"], it["result"].as_str().unwrap())).collect()
        };
        // Those of an event stand with it.
        let page = get("").await;
        assert_eq!(results(&page["events"][0]["notifications"]), ["100 retried", "200 failed"]);
        assert_eq!(results(&page["events"][1]["notifications"]), ["300 delivered"]);
        assert_eq!((&page["notified"], page.get("notifications")), (&json!(300), None));
        let history = parsed(&by_socket(&it, "GET /api/v1/services/shop/history?limit=1", "").await.1);
        assert_eq!(results(&history["events"][0]["notifications"]), ["300 delivered"]);
        // Whoever follows gets those that came since, whatever event it was.
        let page = get("?since=8&notified=100").await;
        assert_eq!(results(&page["notifications"]), ["200 failed", "300 delivered"]);
        let page = get("?since=8&notified=100&limit=1").await;
        assert_eq!(
            (results(&page["notifications"]), &page["notified"]),
            (vec!["200 failed".into()], &json!(200))
        );
        let page = get("?since=8&notified=100&service=blog").await;
        assert_eq!((results(&page["notifications"]).len(), &page["notified"]), (0, &json!(300)));
        // And waits for the next.
        let noted = async {
            tokio::task::yield_now().await;
            it.house.notified(notification(400, 7, "dropped"));
        };
        let (page, ()) = tokio::join!(get("?since=8&notified=300&wait=30"), noted);
        assert_eq!(
            (results(&page["notifications"]), &page["notified"]),
            (vec!["400 dropped".into()], &json!(400))
        );
        // Whoever does not ask for them is not woken by them.
        let (page, ()) = tokio::join!(get("?since=8&wait=0"), async {
            it.house.notified(notification(500, 7, "dropped"));
        });
        assert_eq!((page.get("notifications"), &page["events"]), (None, &json!([])));
    }

    #[tokio::test]
    async fn a_reload_says_what_serves() {
        let it = Running::start();
        let line = "POST /api/v1/config/reload";
        let (code, body) = by_socket(&it, line, "{}").await;
        assert_eq!((code, parsed(&body)), (200, json!({"generation": 18, "changed": true})));
        let failed = ReloadFailed { report: "error[TG0203]: …".into(), problems: json!({"errors": 1}) };
        *it.house.reload_fails.lock().unwrap() = Some(failed);
        let (code, body) = by_socket(&it, line, "{}").await;
        let problem = parsed(&body);
        assert_eq!((code, &problem["problems"]["errors"]), (422, &json!(1)));
        let (_, body) = by_socket(&it, "GET /api/v1/config", "").await;
        assert_eq!(parsed(&body)["refused"]["report"], json!("error[TG0203]: …"));
    }

    #[tokio::test]
    async fn what_is_not_there_says_so() {
        let it = Running::start();
        for (line, code) in [
            ("GET /nothing", 404),
            ("GET /api/v1/services/", 404),
            ("GET /api/v1/services/nope", 404),
            ("POST /api/v1/services/shop/explode", 404),
            ("POST /livez", 405),
            ("DELETE /api/v1/services/shop", 405),
            ("GET /api/v1/services/shop/promote", 405),
            ("GET /api/v1/status?x=1", 400),
        ] {
            assert_eq!(by_socket(&it, line, "").await.0, code, "{line}");
        }
        let large = format!("{{\"reason\": \"{}\"}}", "x".repeat(1024 * 1024));
        assert_eq!(by_socket(&it, "POST /api/v1/services/shop/pause", &large).await.0, 413);
    }

    #[tokio::test]
    async fn whoever_fills_a_door_and_asks_nothing_makes_room() {
        let it = Running::start();
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX * 2 {
            idle.push(TcpStream::connect(it.address).await.unwrap());
        }
        assert_eq!(by_tcp(&it, "GET /livez", &["Host: localhost"], "").await.0, 200);
        assert_eq!(by_socket(&it, "POST /api/v1/services/shop/rollback", "{}").await.0, 200);
        // Whoever waits for news is told that there are none.
        let mut waiting = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(it.address).await.unwrap();
            let asked = b"GET /api/v1/status?after=5&timeout=60 HTTP/1.1\r\nHost: localhost\r\n\r\n";
            stream.write_all(asked).await.unwrap();
            waiting.push(stream);
        }
        assert_eq!(by_tcp(&it, "GET /livez", &["Host: localhost"], "").await.0, 200);
        let mut text = String::new();
        waiting.remove(0).read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"generation\":17"), "{text}");
        let events = b"GET /api/v1/events?since=99&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for _ in 0..CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(it.address).await.unwrap();
            stream.write_all(events).await.unwrap();
            waiting.push(stream);
        }
        assert_eq!(by_tcp(&it, "GET /livez", &["Host: localhost"], "").await.0, 200);
        assert_eq!(by_socket(&it, "POST /api/v1/services/shop/rollback", "{}").await.0, 200);
    }

    #[test]
    fn public_addresses_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0"] {
            let spec = AdminSpec { listen: Some(address.parse().unwrap()), ..AdminSpec::default() };
            let bound = Server::bind(&spec, None, directory.path(), GivenDoors::default());
            assert!(matches!(bound, Err(BindError::Public(_))), "{address}");
        }
    }
}
