//! Steady traffic, every answer counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::Client;

/// Clients that send one request after the other until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Tally>>,
}

/// Answers by what they were: `200 body`, or what went wrong.
#[derive(Clone, Debug, Default)]
pub struct Tally(pub BTreeMap<String, u64>);

impl Tally {
    /// How many answers began like this.
    pub fn count(&self, prefix: &str) -> u64 {
        self.0.iter().filter(|it| it.0.starts_with(prefix)).map(|it| it.1).sum()
    }

    /// How many requests there were.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Fails unless every answer began like this.
    #[track_caller]
    pub fn assert_all(&self, prefix: &str) {
        assert_eq!(self.count(prefix), self.total(), "answers other than {prefix}: {:?}", self.0);
        assert!(self.total() > 0, "no request at all");
    }
}

impl Load {
    /// Starts `clients` connections that send GETs with `pause` between them.
    pub fn start(to: SocketAddr, clients: usize, pause: Duration) -> Self {
        Self::start_with(to, clients, pause, ALIVE)
    }

    /// The same with a fresh connection for each request.
    pub fn start_fresh(to: SocketAddr, clients: usize, pause: Duration) -> Self {
        Self::start_with(to, clients, pause, ONCE)
    }

    fn start_with(to: SocketAddr, clients: usize, pause: Duration, request: &'static str) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients).map(|_| {
            let (stop, sent) = (stop.clone(), sent.clone());
            thread::spawn(move || send(to, pause, request, &stop, &sent))
        });
        Self { clients: clients.collect(), stop, sent }
    }

    /// Requests answered so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Ends the traffic and says how it went.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Tally::default();
        for client in self.clients {
            for (answer, count) in client.join().expect("a client does not panic").0 {
                *all.0.entry(answer).or_default() += count;
            }
        }
        all
    }
}

const ALIVE: &str = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";
const ONCE: &str = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";

/// A client. It obeys `Connection: close`, so that every failure it counts is a real one.
fn send(to: SocketAddr, pause: Duration, request: &str, stop: &AtomicBool, sent: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    let mut open = None;
    while !stop.load(Ordering::SeqCst) {
        let connected = open.take().map_or_else(|| Client::try_connect(to), Ok);
        let Ok(mut client) = connected else {
            *tally.0.entry("no connection".to_owned()).or_default() += 1;
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        let answer = match client.offer(request) {
            Err(error) => format!("send: {error}"),
            Ok(()) => match client.try_response("GET") {
                Err(broken) => format!("{broken:?}"),
                Ok(response) => {
                    let answer = format!("{} {}", response.status, response.text());
                    if !response.closes() {
                        open = Some(client);
                    }
                    answer
                }
            },
        };
        *tally.0.entry(answer).or_default() += 1;
        sent.fetch_add(1, Ordering::SeqCst);
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }
    tally
}
