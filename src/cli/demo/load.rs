//! The users: requests at a constant rate, whatever became of the ones before (an open loop). What they
//! were answered goes into the [`ledger`](super::ledger).

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::model::Timestamp;
use crate::runtime::{Clock, spawn_thread};

use super::ledger::{Answer, Ledger};

/// The users, until [`Load::stop`].
pub(super) struct Load {
    ledger: Arc<Ledger>,
    elsewhere: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// What users ask for.
pub(super) struct Aim {
    /// Where the proxy listens.
    pub(super) to: SocketAddr,
    /// Requests a second.
    pub(super) per_second: u32,
    /// The host that is asked for first …
    pub(super) host: &'static str,
    /// … and after [`Load::ask_elsewhere`].
    pub(super) host_elsewhere: &'static str,
}

impl Load {
    /// Starts on a thread of its own. `seed` decides which connection takes which request.
    pub(super) fn start(aim: Aim, seed: u64, clock: &Clock) -> io::Result<Self> {
        let ledger = Arc::new(Ledger::new(clock));
        let elsewhere = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = oneshot::channel();
        let (book, turned) = (Arc::clone(&ledger), Arc::clone(&elsewhere));
        let thread = spawn_thread("demo-users", None, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let random = RefCell::new(StdRng::seed_from_u64(seed));
            let users = Users { aim, ledger: book, elsewhere: turned, idle: RefCell::default(), random };
            LocalSet::new().block_on(&runtime, Rc::new(users).ask(stopped));
            Ok(())
        })?;
        Ok(Self { ledger, elsewhere, stop: Some(stop), thread: Some(thread) })
    }

    /// What came of it so far.
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// From now on the other host is asked for, or the first one again.
    pub(super) fn ask_elsewhere(&self, elsewhere: bool) {
        self.elsewhere.store(elsewhere, Ordering::Release);
    }

    /// Asks nothing more and waits for the answers that are due.
    pub(super) fn stop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // Whatever went wrong shows in the ledger.
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Users {
    aim: Aim,
    ledger: Arc<Ledger>,
    elsewhere: Arc<AtomicBool>,
    idle: RefCell<Vec<Connection>>,
    random: RefCell<StdRng>,
}

impl Users {
    async fn ask(self: Rc<Self>, mut stopped: oneshot::Receiver<()>) {
        let mut due = interval(Duration::from_secs(1) / self.aim.per_second);
        // A late tick is made up for: the rate is the users', not ours.
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        let mut opened = 0;
        loop {
            let at = tokio::select! {
                biased;
                _ = &mut stopped => break,
                at = due.tick() => at,
            };
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= UNDER_WAY_MAX {
                under_way.join_next().await;
            }
            let connection = self.take(&mut opened);
            let sent = self.ledger.leave(Instant::now().duration_since(at));
            under_way.spawn_local(Rc::clone(&self).request(connection, sent));
        }
        // Each of them ends by itself: it has its time limit.
        while under_way.join_next().await.is_some() {}
    }

    /// A connection that rests, any of them, so that users and versions stay independent of each other;
    /// or the number of a new one.
    fn take(&self, opened: &mut u32) -> Result<Connection, u32> {
        let mut idle = self.idle.borrow_mut();
        let resting = idle.len();
        if resting >= CONNECTIONS / 2 {
            return Ok(idle.swap_remove(self.random.borrow_mut().random_range(0..resting)));
        }
        *opened += 1;
        Err(*opened)
    }

    async fn request(self: Rc<Self>, connection: Result<Connection, u32>, sent: Timestamp) {
        let elsewhere = self.elsewhere.load(Ordering::Acquire);
        let host = if elsewhere { self.aim.host_elsewhere } else { self.aim.host };
        let attempt = async {
            let mut connection = match connection {
                Ok(connection) => connection,
                Err(number) => Connection::open(self.aim.to, number).await?,
            };
            let head = connection.get(host).await?;
            io::Result::Ok((connection, head))
        };
        let (status, version, error) = match timeout(PATIENCE, attempt).await {
            Ok(Ok((connection, head))) => {
                let mut idle = self.idle.borrow_mut();
                if !head.closes && idle.len() < CONNECTIONS {
                    idle.push(connection);
                }
                (Some(head.status), head.version, head.error)
            }
            Ok(Err(error)) => (None, None, Some(error.to_string())),
            Err(late) => (None, None, Some(late.to_string())),
        };
        self.ledger.enter(|at| Answer { sent, at, status, version, error });
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug, Eq, PartialEq)]
struct Head {
    status: u16,
    version: Option<String>,
    error: Option<String>,
    length: usize,
    closes: bool,
}

impl Connection {
    /// Each comes from a loopback address of its own where the system has a whole network of them: no
    /// single user decides a release, so there have to be several.
    async fn open(to: SocketAddr, number: u32) -> io::Result<Self> {
        let [_, _, high, low] = (number % 60_000 + 256).to_be_bytes();
        let own = TcpSocket::new_v4()?;
        let socket = match own.bind((Ipv4Addr::new(127, 77, high, low), 0).into()) {
            Ok(()) => own,
            Err(_) => TcpSocket::new_v4()?,
        };
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    async fn get(&mut self, host: &str) -> io::Result<Head> {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nuser-agent: tidegate-demo\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more().await?,
            }
        };
        let head = Head::parse(&self.buffer[..end])?;
        while self.buffer.len() < end + head.length {
            self.more().await?;
        }
        self.buffer.drain(..end + head.length);
        Ok(head)
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Head {
    fn parse(head: &[u8]) -> io::Result<Self> {
        let wrong = || io::Error::from(ErrorKind::InvalidData);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(head).map_err(|_| wrong())?;
        let status = response.code.ok_or_else(wrong)?;
        let field = |name: &str| {
            let found = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name));
            found.and_then(|it| std::str::from_utf8(it.value).ok())
        };
        // Neither our backends nor the proxy's own answers are chunked.
        let length = field("content-length").and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
        let closes = field("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        let word = |name| field(name).map(str::to_owned);
        Ok(Self { status, version: word("x-version"), error: word("x-tidegate-error"), length, closes })
    }
}

/// Connections that rest between requests.
const CONNECTIONS: usize = 128;

/// Requests under way at once. More of them wait and are late: each takes up to three of the files that
/// a process may open.
const UNDER_WAY_MAX: usize = 256;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let head = |text: &str| Head::parse(text.as_bytes()).ok();
        let answer = |status, version: Option<&str>, length, closes| {
            Some(Head { status, version: version.map(str::to_owned), error: None, length, closes })
        };
        assert_eq!(
            head("HTTP/1.1 200 OK\r\nX-Version: v1\r\ncontent-length: 3\r\n\r\n"),
            answer(200, Some("v1"), 3, false)
        );
        assert_eq!(
            head("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
            answer(502, None, 0, true)
        );
        assert_eq!(head("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
