//! Servers behind the gate: each connection is played by a script and every byte is recorded.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::gate::own_ip;
use super::message::{Head, Request, latin1};
use super::wait::{PATIENCE, until};
use super::wire::{Broken, End, Seen, Wire};

/// A server that does what its script says.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What an upstream has seen.
#[derive(Debug, Default)]
pub struct Shared {
    stopped: AtomicBool,
    connections: Mutex<Vec<Arc<Mutex<Seen>>>>,
    streams: Mutex<HashMap<usize, TcpStream>>,
    requests: Mutex<Vec<Request>>,
    busy: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Shared {
    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }
}

impl Upstream {
    /// Listens on a port of the kernel's choice and plays `script` on each connection.
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// Listens on a given address, to come back where another one stopped.
    pub fn start_on(address: SocketAddr, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = until("upstream address free", || TcpListener::bind(address).ok());
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared::default());
        let (script, own) = (Arc::new(script), shared.clone());
        thread::spawn(move || accept(&listener, &own, &script));
        Self { address, shared }
    }

    /// Answers every request 200 with this body, for as long as the gate keeps the connection.
    pub fn answering(body: &'static str) -> Self {
        Self::start(move |peer| peer.serve("200 OK", body))
    }

    /// Answers every request with this status and body.
    pub fn with_status(status: &'static str, body: &'static str) -> Self {
        Self::start(move |peer| peer.serve(status, body))
    }

    /// Answers every request 200 with this body, as fast as it comes, and keeps no record of it.
    pub fn quick(body: &'static str) -> Self {
        Self::start(move |peer| peer.rush(body))
    }

    /// Answers every request with its target.
    pub fn echoing() -> Self {
        Self::start(|peer| {
            while let Some(request) = peer.request() {
                let target = request.target().to_owned();
                peer.answer("200 OK", &target);
            }
        })
    }

    /// Answers every request, `/slow` not before the latch is open.
    pub fn slow_behind(latch: &Latch) -> Self {
        let latch = latch.clone();
        Self::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.target() == "/slow" {
                    latch.pass();
                }
                peer.answer("200 OK", "fine");
            }
        })
    }

    /// Answers every request with exactly these bytes, and keeps the connection.
    pub fn raw(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |peer| {
            while peer.request().is_some() {
                peer.send(&answer);
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen, for who outlives it.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Every complete request so far, in order of completion.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many complete requests there were.
    pub fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// The one request there was.
    #[track_caller]
    pub fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests upstream: {requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// The last complete request.
    #[track_caller]
    pub fn last_request(&self) -> Request {
        self.requests().pop().expect("a request reached the upstream")
    }

    /// Raw bytes of each connection, one `char` per byte, in order of accepting.
    pub fn raw_bytes(&self) -> Vec<String> {
        let connections = self.shared.connections.lock().unwrap();
        connections.iter().map(|it| latin1(&it.lock().unwrap().bytes)).collect()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// How connection `number` ended, as far as its script has noticed.
    pub fn end_of(&self, number: usize) -> Option<End> {
        let connections = self.shared.connections.lock().unwrap();
        connections.get(number).and_then(|it| it.lock().unwrap().end.clone())
    }

    /// Bytes that connection `number` received.
    pub fn received(&self, number: usize) -> u64 {
        let connections = self.shared.connections.lock().unwrap();
        connections.get(number).map_or(0, |it| it.lock().unwrap().total)
    }

    /// Connections whose script has not ended.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::SeqCst)
    }

    /// Refuses connections from now on; existing ones go on.
    pub fn stop_listening(&self) {
        if !self.shared.stopped.swap(true, Ordering::SeqCst) {
            // Wakes the accepting thread, which then drops the listener.
            let _ = TcpStream::connect(self.address);
            until("upstream refuses", || TcpStream::connect(self.address).err());
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(100));
        for stream in self.shared.streams.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let faults = self.shared.faults.lock().unwrap();
        assert!(faults.is_empty() || thread::panicking(), "the gate sent malformed requests: {faults:?}");
    }
}

fn accept<S>(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<S>)
where
    S: Fn(&mut Peer) + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let wire = Wire::new(stream);
        let number = {
            let mut connections = shared.connections.lock().unwrap();
            connections.push(wire.seen());
            connections.len() - 1
        };
        if let Ok(stream) = wire.stream().try_clone() {
            shared.streams.lock().unwrap().insert(number, stream);
        }
        let (script, shared) = (script.clone(), shared.clone());
        shared.busy.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let mut peer = Peer { number, wire: Some(wire), shared };
            script(&mut peer);
            peer.close();
            peer.shared.busy.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// The upstream's end of one connection. When the script returns, the connection is closed.
pub struct Peer {
    /// Counts connections from 0.
    pub number: usize,
    wire: Option<Wire>,
    shared: Arc<Shared>,
}

impl Peer {
    /// Shakes hands over TLS; whether that came about. What is read from then on is what was sealed.
    pub fn secure(&mut self, config: &Arc<rustls::ServerConfig>) -> bool {
        let stream = self.wire.as_ref().and_then(|it| it.stream().try_clone().ok());
        let Some(mut stream) = stream else { return false };
        let mut tls = rustls::ServerConnection::new(config.clone()).expect("a configuration");
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        self.wire = Some(Wire::secure(stream, tls.into()));
        true
    }

    /// Reads a whole request; `None` when the gate has no more.
    pub fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        self.rest_of(head)
    }

    /// Reads a request's head only.
    pub fn head(&mut self) -> Option<Head> {
        let head = self.wire.as_mut()?.head();
        self.expect_sound(head)
    }

    /// Whatever a client sends, what the gate sends is well-formed, or broken off.
    fn expect_sound<T>(&self, got: Result<T, Broken>) -> Option<T> {
        match got {
            Ok(it) => Some(it),
            Err(Broken::Malformed(fault)) => {
                self.shared.faults.lock().unwrap().push(fault);
                None
            }
            Err(_) => None,
        }
    }

    /// Reads the body that belongs to `head`, and records the request.
    pub fn rest_of(&mut self, head: Head) -> Option<Request> {
        let wire = self.wire.as_mut()?;
        let (codings, lengths) = (head.all("transfer-encoding"), head.all("content-length"));
        let got = match (codings.as_slice(), lengths.as_slice()) {
            (["chunked"], []) => wire.chunked(),
            ([], [length]) => match length.parse() {
                Ok(length) => wire.exactly(length).map(|body| (body, Vec::new())),
                Err(_) => Err(Broken::Malformed(format!("length {length:?}"))),
            },
            ([], []) => Ok((Vec::new(), Vec::new())),
            other => Err(Broken::Malformed(format!("framing {other:?}"))),
        };
        let (body, trailers) = self.expect_sound(got)?;
        let request = Request { head, body, trailers };
        self.shared.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// Records a request whose body the script reads by itself.
    pub fn note(&self, head: &Head) {
        let request = Request { head: head.clone(), ..Request::default() };
        self.shared.requests.lock().unwrap().push(request);
    }

    /// Sends; whether it could.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.as_mut().is_some_and(|it| it.try_send(bytes.as_ref()).is_ok())
    }

    /// Sends a whole response with a length.
    pub fn answer(&mut self, status: &str, body: &str) -> bool {
        let length = body.len();
        self.send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    /// Answers every request alike.
    pub fn serve(&mut self, status: &str, body: &str) {
        while let Some(request) = self.request() {
            let body = if request.method() == "HEAD" { "" } else { body };
            if !self.answer(status, body) {
                return;
            }
        }
    }

    /// Answers every request alike; they have no content.
    pub fn rush(&mut self, body: &str) {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let Ok(mut stream) = self.wire().stream().try_clone() else { return };
        let (mut buffer, mut held) = ([0; 16 * 1024], 0);
        while let Ok(count @ 1..) = stream.read(&mut buffer[held..]) {
            held += count;
            let ends: Vec<usize> = memchr::memmem::find_iter(&buffer[..held], b"\r\n\r\n").collect();
            if let Some(last) = ends.last() {
                buffer.copy_within(last + 4..held, 0);
                held -= last + 4;
            }
            if stream.write_all(answer.repeat(ends.len()).as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Reads and records until the gate ends the connection, and says how it did.
    pub fn hold(&mut self) -> End {
        loop {
            match self.wire.as_mut().map(Wire::fill) {
                Some(Ok(())) => {}
                Some(Err(Broken::Ended(_))) | None => return End::Closed,
                Some(Err(Broken::Reset)) => return End::Reset,
                Some(Err(Broken::Silent | Broken::Malformed(_))) => return End::Open,
            }
        }
    }

    /// Announces the end of what this side sends.
    pub fn finish(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.finish();
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(&mut self) {
        self.forget();
        if let Some(wire) = self.wire.take() {
            wire.reset();
        }
    }

    /// Ends the connection.
    pub fn close(&mut self) {
        self.forget();
        self.wire = None;
    }

    /// The second handle must go too, or the connection would stay open.
    fn forget(&self) {
        self.shared.streams.lock().unwrap().remove(&self.number);
    }

    /// The connection itself.
    pub fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("not closed by this script")
    }
}

/// An address where connections are neither accepted nor refused: its queue is full.
pub struct BlackHole {
    address: SocketAddr,
    listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens one.
    pub fn open() -> Self {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
        listener.listen(0).expect("listen");
        let address = listener.local_addr().expect("bound").as_socket().expect("an IP socket");
        let mut queued = Vec::new();
        loop {
            match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
                Ok(stream) => queued.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => panic!("filling the queue: {error}"),
            }
        }
        Self { address, listener, _queued: queued }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Is one no longer: whoever still wants to connect can be accepted, behind those who filled the queue.
    pub fn into_listener(self) -> TcpListener {
        self.listener.into()
    }
}

/// A loopback address where nobody listens: connections are refused.
pub fn refusing() -> SocketAddr {
    let listener = TcpListener::bind((own_ip(), 0)).expect("bind");
    listener.local_addr().expect("bound")
}

/// A latch that scripts wait at until the test opens it.
#[derive(Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl Latch {
    /// Lets everybody pass from now on.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open; whether that happened in time.
    pub fn pass(&self) -> bool {
        let closed = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(closed, PATIENCE, |open| !*open).unwrap();
        *open
    }
}
