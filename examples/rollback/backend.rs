//! The two versions: they answer 200, fail now and then by themselves, and go wrong when told to.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// How a version goes wrong, on top of its usual rate of errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// This share of the answers is 500, drawn anew for each request.
    Errors(f64),
    /// The connection is reset instead of answered.
    Reset,
    /// The request is read and never answered.
    Hang,
}

/// One version of the service.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    name: &'static str,
    base_errors: f64,
    fault: Cell<Fault>,
    first: Cell<Option<Instant>>,
    last: Cell<Option<Instant>>,
    seen: Notify,
    random: RefCell<StdRng>,
}

impl Backend {
    pub(crate) async fn start(name: &'static str, base_errors: f64) -> std::io::Result<Rc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let backend = Rc::new(Self {
            address: listener.local_addr()?,
            name,
            base_errors,
            fault: Cell::new(Fault::None),
            first: Cell::new(None),
            last: Cell::new(None),
            seen: Notify::new(),
            random: RefCell::new(crate::fresh_random()),
        });
        let accepting = Rc::clone(&backend);
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let backend = Rc::clone(&accepting);
                // The proxy may drop a connection at any time; there is nothing to do about it here.
                spawn_local(async move { backend.serve(stream).await.ok() });
            }
        });
        Ok(backend)
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.set(fault);
    }

    /// Forgets all requests so far.
    pub(crate) fn forget(&self) {
        self.first.set(None);
        self.last.set(None);
    }

    /// When the first request since [`Self::forget`] came, waiting for it if need be.
    pub(crate) async fn first_request(&self, patience: Duration) -> Option<Instant> {
        let seen = async {
            loop {
                if let Some(at) = self.first.get() {
                    return at;
                }
                self.seen.notified().await;
            }
        };
        tokio::time::timeout(patience, seen).await.ok()
    }

    /// How long after `onset` the last request came.
    pub(crate) fn last_request_since(&self, onset: Instant) -> Duration {
        self.last.get().map_or(Duration::ZERO, |last| last.saturating_duration_since(onset))
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 16 * 1024];
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
            while let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
                buffer.copy_within(end + 4..filled, 0);
                filled -= end + 4;
                self.note_request();
                match self.fault.get() {
                    Fault::Reset => return SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
                    // Until the proxy gives up and closes.
                    Fault::Hang => return stream.read(&mut buffer).await.map(drop),
                    Fault::Errors(share) => self.answer(&mut stream, share).await?,
                    Fault::None => self.answer(&mut stream, self.base_errors).await?,
                }
            }
        }
    }

    fn note_request(&self) {
        let now = Instant::now();
        self.last.set(Some(now));
        if self.first.get().is_none() {
            self.first.set(Some(now));
            self.seen.notify_one();
        }
    }

    async fn answer(&self, stream: &mut TcpStream, failing: f64) -> std::io::Result<()> {
        let failed = self.random.borrow_mut().random_bool(failing);
        let status = if failed { "500 Internal Server Error" } else { "200 OK" };
        let answer =
            format!("HTTP/1.1 {status}\r\nx-version: {}\r\ncontent-length: 3\r\n\r\nok\n", self.name);
        stream.write_all(answer.as_bytes()).await
    }
}
