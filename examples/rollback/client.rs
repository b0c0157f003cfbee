//! A plain HTTP/1 client, and the load: a constant rate whatever the answers (an open loop).

use std::cell::{Cell, RefCell};
use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Connections that rest between requests. Each comes from an address of its own, because no single
/// client may decide a release.
const CLIENTS: usize = 256;

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A kept-alive connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as far as anybody here wants to know.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Which version wrote it; `None` is the proxy itself.
    pub(crate) version: Option<String>,
    pub(crate) body: Vec<u8>,
    closes: bool,
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr, from: Ipv4Addr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let (mut answer, length) = parse_head(&self.buffer[..end])?;
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        answer.body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Ok(answer)
    }

    async fn more(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The answer without its body, and the length of that.
fn parse_head(head: &[u8]) -> std::io::Result<(Answer, usize)> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let text = std::str::from_utf8(head).map_err(|_| wrong("head is not text"))?;
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(|| wrong("no status"))?;
    let field = |name: &str| {
        text.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned()))
    };
    let length = field("content-length").and_then(|it| it.parse().ok()).ok_or_else(|| wrong("no length"))?;
    let closes = field("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
    Ok((Answer { status, version: field("x-version"), body: Vec::new(), closes }, length))
}

/// How one request ended for its user.
#[derive(Clone, Copy)]
struct Outcome {
    at: Instant,
    failed: bool,
    /// Written by stable; everything else is the release's doing.
    by_stable: bool,
    by_proxy: bool,
}

/// What the users saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Requests that were due.
    pub(crate) sent: u64,
    pub(crate) per_second: f64,
    /// Failures since the onset that the release is to blame for.
    pub(crate) failed: u64,
    /// Those of them that the proxy reported itself: reset, time limit.
    pub(crate) failed_by_proxy: u64,
    /// The last of them, counted from the onset.
    pub(crate) last_failure: Duration,
    /// Failures before the onset that stable did not make itself.
    pub(crate) failed_before: u64,
    /// Stable's own.
    pub(crate) failed_by_stable: u64,
    /// Requests sent over 20 ms after they were due: the machine was busy with something else.
    pub(crate) late: u64,
}

impl Tally {
    /// Why these numbers say nothing about the release, if so: usual errors are one in a thousand, and
    /// ten times that before the fault is something else.
    pub(crate) fn unusable(&self) -> Option<String> {
        (self.failed_before * 100 > self.sent + 500)
            .then(|| format!("{} failures before the fault began", self.failed_before))
    }
}

/// Requests at a constant rate, until [`Load::stop`].
pub(crate) struct Load {
    shared: Rc<Shared>,
    pacer: JoinHandle<()>,
    started: Instant,
}

struct Shared {
    to: SocketAddr,
    idle: RefCell<Vec<Client>>,
    outcomes: RefCell<Vec<Outcome>>,
    opened: Cell<u32>,
    sent: Cell<u64>,
    late: Cell<u64>,
    random: RefCell<StdRng>,
}

impl Load {
    pub(crate) fn start(to: SocketAddr, per_second: u32) -> Self {
        let shared = Rc::new(Shared {
            to,
            idle: RefCell::default(),
            outcomes: RefCell::default(),
            opened: Cell::new(0),
            sent: Cell::new(0),
            late: Cell::new(0),
            random: RefCell::new(crate::fresh_random()),
        });
        let pacing = Rc::clone(&shared);
        let pacer = spawn_local(async move {
            let mut due = interval(Duration::from_secs(1) / per_second);
            // A late tick is made up for: the rate is the users', not ours.
            due.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                let at = due.tick().await;
                pacing.sent.set(pacing.sent.get() + 1);
                if at.elapsed() > Duration::from_millis(20) {
                    pacing.late.set(pacing.late.get() + 1);
                }
                let shared = Rc::clone(&pacing);
                spawn_local(async move { shared.request().await });
            }
        });
        Self { shared, pacer, started: Instant::now() }
    }

    /// Ends the load. Outcomes are counted from `onset` on.
    pub(crate) fn stop(self, onset: Instant) -> Tally {
        self.pacer.abort();
        let sent = self.shared.sent.get();
        let mut tally = Tally {
            sent,
            per_second: sent as f64 / self.started.elapsed().as_secs_f64(),
            late: self.shared.late.get(),
            ..Tally::default()
        };
        for it in self.shared.outcomes.borrow().iter().filter(|it| it.failed) {
            if it.by_stable {
                tally.failed_by_stable += 1;
            } else if it.at < onset {
                tally.failed_before += 1;
            } else {
                tally.failed += 1;
                tally.failed_by_proxy += u64::from(it.by_proxy);
                tally.last_failure = tally.last_failure.max(it.at - onset);
            }
        }
        tally
    }
}

impl Shared {
    async fn request(&self) {
        let result = timeout(PATIENCE, self.attempt()).await.unwrap_or_else(|late| Err(late.into()));
        let version = result.as_ref().ok().and_then(|answer| answer.version.as_deref());
        self.outcomes.borrow_mut().push(Outcome {
            at: Instant::now(),
            failed: !matches!(&result, Ok(answer) if answer.status < 500),
            by_stable: version == Some("v1"),
            by_proxy: version.is_none(),
        });
    }

    async fn attempt(&self) -> std::io::Result<Answer> {
        let resting = {
            let mut idle = self.idle.borrow_mut();
            let count = idle.len();
            // Any of them, so that the versions and the clients stay independent of each other.
            (count >= CLIENTS / 2).then(|| idle.swap_remove(self.random.borrow_mut().random_range(0..count)))
        };
        let mut client = match resting {
            Some(client) => client,
            None => Client::connect(self.to, self.next_address()).await?,
        };
        let answer = client.get("/").await?;
        if !answer.closes && self.idle.borrow().len() < CLIENTS {
            self.idle.borrow_mut().push(client);
        }
        Ok(answer)
    }

    /// The next of 60 000 loopback addresses.
    fn next_address(&self) -> Ipv4Addr {
        let opened = self.opened.get();
        self.opened.set(opened + 1);
        let [_, _, high, low] = (opened % 60_000 + 256).to_be_bytes();
        Ipv4Addr::new(127, 2, high, low)
    }
}
