//! Steady traffic over HTTP/2 and TLS, by clients that keep to the book: told to go away, they let finish what is
//! under way, ask on another connection for whatever comes next, and ask a second time only for what was said
//! not to have been begun.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio_rustls::TlsConnector;

use super::load::Tally;
use super::tls::Hello;

/// Clients that ask one thing after the other until they are stopped.
pub struct Streams {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    to: SocketAddr,
    hello: Hello,
    stop: AtomicBool,
    sent: AtomicU64,
    opened: AtomicU64,
    resumed: AtomicU64,
    tally: Mutex<Tally>,
}

/// How it went.
#[derive(Debug)]
pub struct Course {
    /// Every answer.
    pub tally: Tally,
    /// Connections that were opened.
    pub opened: u64,
    /// How many of them resumed a session.
    pub resumed: u64,
}

impl Streams {
    /// Starts so many connections with so many requests at once on each.
    pub fn start(to: SocketAddr, hello: &Hello, connections: usize, at_once: usize) -> Self {
        let shared = Arc::new(Shared {
            to,
            hello: hello.clone().offering(&["h2"]),
            stop: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            tally: Mutex::default(),
        });
        let of = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let clients: Vec<_> =
                    (0..connections).map(|_| tokio::spawn(Arc::clone(&of).connect(at_once))).collect();
                for client in clients {
                    client.await.expect("a client does not panic");
                }
            });
        });
        Self { shared, thread }
    }

    /// Requests answered so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Ends the traffic and says how it went.
    pub fn stop(self) -> Course {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("clients do not panic");
        Course {
            tally: self.shared.tally.lock().unwrap().clone(),
            opened: self.shared.opened.load(Ordering::SeqCst),
            resumed: self.shared.resumed.load(Ordering::SeqCst),
        }
    }
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn note(&self, came: String) {
        *self.tally.lock().unwrap().0.entry(came).or_default() += 1;
    }

    async fn connect(self: Arc<Self>, at_once: usize) {
        while self.goes_on() {
            let sender = match self.open().await {
                Ok(it) => it,
                Err(error) => {
                    self.note(format!("no connection: {error}"));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let askers: Vec<_> =
                (0..at_once).map(|_| tokio::spawn(Arc::clone(&self).ask_on(sender.clone()))).collect();
            drop(sender);
            for asker in askers {
                asker.await.expect("a client does not panic");
            }
        }
    }

    async fn open(self: &Arc<Self>) -> Result<SendRequest<Bytes>, String> {
        let text = |error: std::io::Error| error.to_string();
        let tcp = tokio::net::TcpStream::connect(self.to).await.map_err(text)?;
        tcp.set_nodelay(true).map_err(text)?;
        let connector = TlsConnector::from(self.hello.config());
        let stream = connector.connect(self.hello.name(), tcp).await.map_err(text)?;
        self.opened.fetch_add(1, Ordering::SeqCst);
        let resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        self.resumed.fetch_add(u64::from(resumed), Ordering::SeqCst);
        let (sender, connection) = h2::client::handshake(stream).await.map_err(|it| it.to_string())?;
        // What becomes of it shows in what becomes of requests.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Asks until there is enough, or the connection takes nothing more.
    async fn ask_on(self: Arc<Self>, mut sender: SendRequest<Bytes>) {
        while self.goes_on() {
            match sender.ready().await {
                Ok(ready) => sender = ready,
                // Nothing was sent.
                Err(_) => return,
            }
            match ask(&mut sender).await {
                Ok(answer) => {
                    self.note(answer);
                    self.sent.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) if was_not_begun(&error) => return,
                Err(error) => self.note(format!("no answer: {error}")),
            }
        }
    }
}

async fn ask(sender: &mut SendRequest<Bytes>) -> Result<String, h2::Error> {
    let request = Request::get("https://shop.test/").body(()).expect("a request");
    let (response, _) = sender.send_request(request, true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut content = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        content.extend_from_slice(&data);
    }
    Ok(format!("{} {}", head.status.as_u16(), String::from_utf8_lossy(&content)))
}

/// RFC 9113 section 8.7: above the last stream that counts, or refused.
fn was_not_begun(error: &h2::Error) -> bool {
    let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (gone || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}
