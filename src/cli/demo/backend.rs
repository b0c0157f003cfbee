//! The versions of the demonstration: small HTTP/1.1 servers on a thread of their own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

use crate::model::Timestamp;
use crate::runtime::{Clock, spawn_thread};

/// All versions of all services, each with an address of its own.
pub(super) struct Backends {
    every: Vec<Arc<Backend>>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// One version.
pub(super) struct Backend {
    name: &'static str,
    address: SocketAddr,
    clock: Clock,
    fails: AtomicBool,
    /// When it first answered with an error; 0 is never.
    first_error_us: AtomicU64,
    /// How often it did.
    errors: AtomicU64,
    /// When its newest request came; 0 is never.
    last_request_us: AtomicU64,
}

impl Backends {
    /// Starts one backend for each name, on a port that the kernel chooses.
    pub(super) fn start(names: &[&'static str], clock: &Clock) -> io::Result<Self> {
        let mut listeners = Vec::with_capacity(names.len());
        let mut every = Vec::with_capacity(names.len());
        for &name in names {
            let listener = listen()?;
            every.push(Arc::new(Backend {
                name,
                address: listener.local_addr()?,
                clock: clock.clone(),
                fails: AtomicBool::new(false),
                first_error_us: AtomicU64::new(0),
                errors: AtomicU64::new(0),
                last_request_us: AtomicU64::new(0),
            }));
            listeners.push(listener);
        }
        let (stop, stopped) = oneshot::channel();
        let serving = every.clone();
        let thread = spawn_thread("demo-backends", None, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            LocalSet::new().block_on(&runtime, async {
                for (backend, listener) in serving.into_iter().zip(listeners) {
                    spawn_local(backend.accept(TcpListener::from_std(listener)?));
                }
                // An error is the other end being dropped: the same news.
                let _ = stopped.await;
                Ok(())
            })
        })?;
        Ok(Self { every, stop: Some(stop), thread: Some(thread) })
    }

    /// The backend with that name.
    pub(super) fn get(&self, name: &str) -> Option<&Backend> {
        self.every.iter().find(|it| it.name == name).map(Arc::as_ref)
    }

    /// Names and addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        self.every.iter().map(|it| (it.name, it.address))
    }
}

impl Drop for Backends {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // What it might have failed at was reported by the requests it did not answer.
            let _ = thread.join();
        }
    }
}

impl Backend {
    /// From now on every answer is a 500.
    pub(super) fn fail(&self) {
        self.fails.store(true, Ordering::Release);
    }

    /// When the first 500 was answered.
    pub(super) fn first_error(&self) -> Option<Timestamp> {
        Some(self.first_error_us.load(Ordering::Acquire)).filter(|it| *it > 0).map(Timestamp)
    }

    /// How many 500s were answered.
    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Acquire)
    }

    /// When the newest request came.
    pub(super) fn last_request(&self) -> Option<Timestamp> {
        Some(self.last_request_us.load(Ordering::Acquire)).filter(|it| *it > 0).map(Timestamp)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let backend = Arc::clone(&self);
            // The proxy drops connections as it likes; there is nothing to do about it here.
            spawn_local(async move { backend.serve(stream).await.ok() });
        }
    }

    /// Answers one request after the other. They have no bodies, so the end of the head is the end.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; HEAD_MAX];
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
                let answer = self.answer();
                stream.write_all(answer.as_bytes()).await?;
            }
        }
    }

    fn answer(&self) -> String {
        let now = self.clock.now().0;
        self.last_request_us.store(now, Ordering::Release);
        let name = self.name;
        let (status, body) = if self.fails.load(Ordering::Acquire) {
            // The first one counts; later ones leave it.
            let _ = self.first_error_us.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
            self.errors.fetch_add(1, Ordering::AcqRel);
            ("500 Internal Server Error", format!("{name} is broken\n"))
        } else {
            ("200 OK", format!("hello from {name}\n"))
        };
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\nx-version: {name}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

fn listen() -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A flip brings all connections at once, and a version that has not come round to accept them must not
/// look broken: beyond this many, connects wait for a second and then fail.
const BACKLOG: i32 = 1024;

/// Longest request head that is understood; the proxy's own limit is as large. A longer one reads as the
/// end of the connection.
const HEAD_MAX: usize = 32 * 1024;
