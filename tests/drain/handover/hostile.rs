//! What an enemy, a slow client or bad luck brings to a hand-over.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use super::super::support::wire::Wire;
use super::super::support::{Client, End, Setup, Unit, Upstream, until};

/// A request that has arrived in part, or only its connection, or not even a byte of it: whoever goes on is
/// answered by the old process.
#[test]
fn half_a_request_is_a_request() {
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).listener("h2c: true").workers(2);
    let mut unit = Unit::start(setup.run_with("--lame-duck 300ms --drain 20s"));
    const REQUEST: &str = "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4\r\n\r\nbody";
    let mut clients: Vec<(Client, usize)> = [0, 1, 3, 20, 40, REQUEST.len() - 4, REQUEST.len() - 1]
        .into_iter()
        .map(|len| {
            let mut client = unit.connect();
            client.send(&REQUEST[..len]);
            (client, len)
        })
        .collect();
    until("all are accepted", || (unit.metric("tidegate_listener_connections", &[]) == 7.0).then_some(()));
    unit.hand_over();
    for (client, len) in &mut clients {
        client.send(&REQUEST[*len..]);
        assert_eq!(client.response().text(), "fine", "{len} bytes before");
        assert_eq!(client.end(), End::Closed);
    }
    assert!(upstream.requests().iter().all(|it| it.body == b"body"));
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}

/// The queue is so full that the kernel turns connections away: those in it, and those that knock again, are
/// all served.
#[test]
fn a_full_queue_is_handed_over_too() {
    let most: usize =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let queue = most.min(4096);
    let files = getrlimit(Resource::Nofile);
    let wanted = Some(files.maximum.unwrap_or(u64::MAX).min(20_000));
    let raised = Rlimit { current: wanted, ..files };
    setrlimit(Resource::Nofile, raised).unwrap();
    if wanted.is_none_or(|it| it < 2 * queue as u64 + 1_000) {
        eprintln!("skipped: a process may not have as many files as the queue has places");
        return;
    }
    let upstream = Upstream::answering("fine");
    let setup = Setup::to(&upstream).workers(1).listener("timeouts: {head: 1m}");
    let mut unit = Unit::start(setup.run_with("--lame-duck 200ms --drain 60s"));
    let SocketAddr::V4(to) = unit.address() else { panic!("of version 4") };
    kill_process(unit.pid(), Signal::STOP).unwrap();
    let connect = |number: usize| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        // So many of one address are too many.
        let from = Ipv4Addr::new(127, 200, 1, (number % 20) as u8 + 1);
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        // It goes on by itself.
        let _ = socket.connect(&to.into());
        socket
    };
    // The queue holds one more than its length; the rest knocks again and again.
    let mut knocking: Vec<socket2::Socket> = (0..queue + 200).map(connect).collect();
    let mut clients: Vec<Client> = Vec::new();
    // Whoever is in begins with its request: one that keeps silent is not waited for.
    let mut let_in = |clients: &mut Vec<Client>| {
        for at in (0..knocking.len()).rev().filter(|it| knocking[*it].peer_addr().is_ok()).collect::<Vec<_>>()
        {
            let socket = knocking.swap_remove(at);
            socket.set_nonblocking(false).unwrap();
            let mut client = Client::over(Wire::new(socket.into()));
            client.send("GET / HTTP/1.1\r\n");
            clients.push(client);
        }
        knocking.len()
    };
    until("the queue is full", || {
        let_in(&mut clients);
        (clients.len() >= queue).then_some(())
    });
    unit.signal(Signal::USR2);
    kill_process(unit.pid(), Signal::CONT).unwrap();
    until("a place for everybody", || (let_in(&mut clients) == 0).then_some(()));
    unit.hear("MAINPID=");
    unit.hear("READY=1");
    for some in clients.chunks_mut(100) {
        some.iter_mut().for_each(|it| _ = it.send("Host: a\r\n\r\n"));
        for client in some {
            assert_eq!(client.try_response("GET").unwrap().text(), "fine");
        }
    }
    drop(clients);
    assert_eq!(unit.exit_status().code(), Some(0), "{}", unit.log());
}
