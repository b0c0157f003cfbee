//! Endpoints that speak HTTP/2: one by the book, and one that sends whatever frames its script says.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::request::Parts;
use http::{HeaderMap, Request, Response};

use super::frames::Frames;

/// What a script does with one request.
pub type Served = Pin<Box<dyn Future<Output = Result<(), h2::Error>> + Send>>;

/// A server by the book. It ends with the test.
pub struct H2Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Parts>>>,
    connections: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl H2Upstream {
    /// Plays `script` for each request, on connections that take so many at once.
    pub fn start<S>(streams: u32, script: S) -> Self
    where
        S: Fn(Request<RecvStream>, SendResponse<Bytes>) -> Served + Send + Sync + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("bind");
        let address = listener.local_addr().expect("bound");
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (all, count, script) = (Arc::clone(&seen), Arc::clone(&connections), Arc::new(script));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (all, script) = (Arc::clone(&all), Arc::clone(&script));
                tokio::spawn(async move {
                    let mut builder = Builder::new();
                    builder.max_concurrent_streams(streams);
                    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let (parts, body) = request.into_parts();
                        all.lock().unwrap().push(parts.clone());
                        tokio::spawn(script(Request::from_parts(parts, body), respond));
                    }
                });
            }
        });
        Self { address, seen, connections, runtime: Some(runtime) }
    }

    /// Answers every request with its own content, and with these trailers.
    pub fn echo(trailers: &'static [(&'static str, &'static str)]) -> Self {
        Self::start(100, move |request, mut respond| {
            Box::pin(async move {
                let mut body = request.into_body();
                let head = Response::builder().header("x-echo", "1").body(()).expect("a head");
                let mut answer = respond.send_response(head, false)?;
                while let Some(data) = body.data().await {
                    let data = data?;
                    body.flow_control().release_capacity(data.len())?;
                    answer.send_data(data, false)?;
                }
                if trailers.is_empty() {
                    return answer.send_data(Bytes::new(), true);
                }
                let mut fields = HeaderMap::new();
                for (name, value) in trailers {
                    fields.append(*name, value.parse().expect("a value"));
                }
                answer.send_trailers(fields)
            })
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Heads of the requests so far.
    pub fn requests(&self) -> Vec<Parts> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for H2Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Plays `script` on each connection, which counts from 0.
pub fn scripted(script: impl Fn(usize, &mut Frames) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    let script = Arc::new(script);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let script = Arc::clone(&script);
            thread::spawn(move || {
                let mut frames = Frames::accepted(stream);
                script(number, &mut frames);
            });
        }
    });
    address
}
