//! Clients that mean no good, or that are not let in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::secured;
use crate::support::outside;
use crate::support::size;
use crate::support::tls::{Ca, Hello, Pair, Secure, put};
use crate::support::wait::PATIENCE;
use crate::support::{Gate, Setup, Upstream, until};

/// A client hello as rustls makes it, without its record.
fn hello_bytes() -> Vec<u8> {
    let (ca, mut bytes) = (Ca::new("x"), Vec::new());
    let hello = Hello::to("shop.test", &ca);
    let mut tls = hello.begin();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

fn raw(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What the gate says until it closes.
fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        all.extend_from_slice(&chunk[..count]);
    }
    all
}

fn failures(gate: &Gate, reason: &str) -> f64 {
    gate.metric("tidegate_tls_handshake_errors_total", &[("reason", reason)])
}

#[test]
fn what_is_not_tls_is_refused() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let hello = hello_bytes();
    let with_body = |body: &[u8]| {
        let mut all = vec![1, 0, (body.len() >> 8) as u8, body.len() as u8];
        all.extend_from_slice(body);
        let mut record = vec![22, 3, 1, (all.len() >> 8) as u8, all.len() as u8];
        record.extend_from_slice(&all);
        record
    };
    // SSLv3 and TLS 1.0 clients: a hello of that version, without the extension that offers newer ones.
    let old = |minor: u8| {
        let mut body = vec![3, minor];
        body.extend([7; 32]);
        body.extend([0, 0, 4, 0, 0x2f, 0, 0x05, 1, 0]);
        with_body(&body)
    };
    // A suite that only 1.2 has, and one for export, in CBC.
    let mut weak = vec![3, 3];
    weak.extend([7; 32]);
    weak.extend([0, 0, 4, 0, 0x2f, 0, 0x08, 1, 0]);
    for (what, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n".to_vec()),
        ("SSLv3", old(0)),
        ("TLS 1.0", old(1)),
        ("TLS 1.1", old(2)),
        ("CBC and export", with_body(&weak)),
        ("an empty record of content", vec![23, 3, 3, 0, 0]),
        ("an alert flood", [21, 3, 3, 0, 2, 1, 90].repeat(2000)),
        ("a close in the middle", [&hello[..40], &[21, 3, 3, 0, 2, 1, 0]].concat()),
        ("a record too long", [&[22, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat()),
        ("zeros", vec![0; 100_000]),
    ] {
        let mut stream = raw(gate.address());
        // It may be cut off before everything is sent.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let said = read_all(&stream);
        assert!(said.len() < 1000 && !said.windows(4).any(|it| it == b"HTTP"), "{what}: {said:?}");
    }
    assert_eq!(Hello::to("shop.test", &ca).connect(gate.address()).get("/").status, 200);
    assert!(!gate.log().contains("panic"), "{}", gate.log());
}

/// A hello with these extensions, in records of the largest size.
fn hello_with(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let two = |it: usize| u16::try_from(it).expect("two bytes").to_be_bytes();
    let all: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, body)| [&kind.to_be_bytes()[..], &two(body.len()), body].concat())
        .collect();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session, three suites, no compression.
    body.extend([0, 0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2b, 1, 0]);
    body.extend([&two(all.len())[..], &all].concat());
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    in_records(&[&[1], &length[1..], &body].concat())
}

fn in_records(message: &[u8]) -> Vec<u8> {
    let one = |it: &[u8]| [&[22, 3, 1][..], &u16::try_from(it.len()).unwrap().to_be_bytes(), it].concat();
    message.chunks(16_000).flat_map(one).collect()
}

/// Row d04: however large a hello is, and whatever it holds many of, it costs little and disturbs nobody.
#[test]
fn monstrous_hellos_cost_little() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let versions = (43_u16, vec![4, 3, 4, 3, 3]);
    let with = |more: Vec<(u16, Vec<u8>)>| hello_with(&[vec![versions.clone()], more].concat());
    let names: Vec<u8> = (0..1000).flat_map(|it| format!("\x08n{it:07}").into_bytes()).collect();
    let listed = |list: &[u8]| [&u16::try_from(list.len()).unwrap().to_be_bytes()[..], list].concat();
    let mut hosts = vec![0];
    hosts.extend(listed(&[b'a'; 60_000]));
    // A message that announces 16 MiB, and goes on as long as somebody listens.
    let endless = in_records(&[&[1, 0xff, 0xff, 0xff][..], &[0; 4 << 20]].concat());
    let cases = [
        ("a thousand protocols", with(vec![(16, listed(&names))])),
        ("ten thousand extensions", with((0..10_000).map(|it| (20_000 + it, Vec::new())).collect())),
        ("the same extension a thousand times", with(vec![(10, vec![0, 2, 0, 29]); 1000])),
        ("a name of 60 KB", with(vec![(0, listed(&hosts))])),
        ("a ticket of 60 KB", with(vec![(35, vec![7; 60_000])])),
        ("key shares without an end", with(vec![(51, listed(&[0, 29, 0, 1, 9].repeat(12_000)))])),
        ("more than a message may have", endless),
    ];
    let before = gate.memory();
    for _ in 0..30 {
        for (what, bytes) in &cases {
            let mut stream = raw(gate.address());
            // It may be cut off before everything is sent.
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            assert!(read_all(&stream).len() < 1000, "{what}");
        }
    }
    let grown = gate.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    let errors = gate.metric("tidegate_tls_handshake_errors_total", &[]);
    assert_eq!(errors, 30.0 * cases.len() as f64, "each is counted");
    assert_eq!(Hello::to("shop.test", &ca).connect(gate.address()).get("/").status, 200);
}

#[test]
fn a_hello_in_records_of_one_byte_is_understood() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let hello = hello_bytes();
    let mut stream = raw(gate.address());
    for byte in &hello[5..] {
        stream.write_all(&[22, 3, 1, 0, 1, *byte]).unwrap();
    }
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[5]), (22, 2), "a server hello");
}

/// Row d05: very many handshakes that are begun and left, more than there are places. There is no place but those,
/// whoever is in is served as before, and each is ended in time.
#[test]
fn half_a_handshake_ends_in_time_and_disturbs_nobody() {
    let (count, places, time) = size::of((400, 300, 5), (12_000, 10_000, 10));
    // Both ends of each are descriptors, of two processes.
    let may = getrlimit(Resource::Nofile);
    assert!(
        may.maximum.is_none_or(|it| it > count + 500),
        "{count} connections need more descriptors: {may:?}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: may.maximum, ..may }).expect("up to what is allowed");
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "c");
    let upstream = Upstream::answering("");
    let limits = format!("limits: {{connections: 100000, connections_per_address: {places}}}");
    let gate = Setup::to(&upstream)
        .listener(format!("tls: {{certs: {certs}}}, timeouts: {{handshake: {time}s}}, {limits}"))
        .start();
    let mut served = Hello::to("shop.test", &ca).connect(gate.address());
    // The time that half of the answers take at most.
    let mut waits = |count: usize| {
        let each = (0..count).map(|_| {
            let began = Instant::now();
            assert_eq!(served.get("/").status, 200);
            began.elapsed()
        });
        let mut each: Vec<Duration> = each.collect();
        each.sort_unstable();
        each[count / 2]
    };
    waits(100);
    let before = waits(size::of(1, 1_000));
    let hello = hello_bytes();
    let begun = Instant::now();
    let mut parked: Vec<TcpStream> = Vec::new();
    for number in 0..count as usize {
        let mut stream = raw(gate.address());
        // Some say nothing, some a half, some everything but the last word.
        let _ = stream.write_all(&hello[..[0, 100, hello.len()][number % 3]]);
        parked.push(stream);
        if number % 100 == 0 {
            waits(1);
        }
    }
    let opened = begun.elapsed();
    until("the cap", || {
        let turned_away = gate.metric("tidegate_rejected_total", &[("reason", "connections_per_address")]);
        let open = gate.metric("tidegate_listener_connections", &[]);
        assert!(open <= places as f64, "{open} are in");
        // A part of it may have ended before the rest came.
        let full = !size::is_whole() || open == places as f64;
        (full && turned_away > 50.0).then_some(())
    });
    let meanwhile = waits(size::of(1, 1_000));
    eprintln!("{count} opened in {opened:?}; an answer took {before:?} before, {meanwhile:?} meanwhile");
    if size::is_whole() {
        assert!(
            meanwhile < before * 2 + Duration::from_millis(1),
            "{before:?} before, {meanwhile:?} meanwhile"
        );
    }
    until("they are gone", || {
        (failures(&gate, "timeout") + failures(&gate, "closed") >= (places - 50) as f64).then_some(())
    });
    assert!(begun.elapsed() >= Duration::from_secs(time));
    waits(1);
    drop(parked);
    assert_eq!(Hello::to("shop.test", &ca).connect(gate.address()).get("/").status, 200);
}

/// A gate that wants certificates of `clients`, and what else its `tls` says.
fn guarded(dir: &TempDir, ca: &Ca, clients: &Ca, upstream: &Upstream, more: &str) -> Gate {
    let certs = ca.issue(&["shop.test"]).put(dir.path(), "c");
    let authority = put(&dir.path().join("clients.pem"), clients.pem(), 0o644);
    Setup::to(upstream)
        .listener(format!("tls: {{certs: {certs}, client_ca: {}{more}}}", authority.display()))
        .start()
}

/// Whether a request gets through. With TLS 1.3 a client learns after its handshake that it is not let in.
fn gets_in(hello: &Hello, gate: &Gate) -> bool {
    let Ok(secure) = hello.try_connect(gate.address()) else { return false };
    let mut client = secure.client();
    let _ = client.offer("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    client.try_response("GET").is_ok_and(|it| it.status == 200)
}

#[test]
fn only_clients_of_the_authority_get_in() {
    let (ca, clients, dir) = (Ca::new("ca"), Ca::new("clients"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = guarded(&dir, &ca, &clients, &upstream, "");
    let good = clients.issue(&["someone"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let with = |pair: Option<&Pair>| Hello::made("shop.test", &ca, pair, &[version]);
        assert!(gets_in(&with(Some(&good)), &gate));
        assert!(!gets_in(&with(None), &gate), "without");
        assert!(!gets_in(&with(Some(&Ca::new("others").issue(&["someone"]))), &gate), "of another");
        assert!(!gets_in(&with(Some(&Ca::new("clients").issue(&["someone"]))), &gate), "of a namesake");
        assert!(!gets_in(&with(Some(&clients.issue_expired(&["someone"]))), &gate), "expired");
    }
    assert_eq!(upstream.count(), 2);
    assert_eq!((failures(&gate, "certificate_missing"), failures(&gate, "certificate")), (2.0, 6.0));
}

#[test]
fn revoked_clients_stay_out() {
    let (ca, clients, dir) = (Ca::new("ca"), Ca::new("clients"), TempDir::new().unwrap());
    let list = |text: &str| put(&dir.path().join("list.pem"), text, 0o644);
    let path = list(&clients.revocations(false, 2090));
    let upstream = Upstream::answering("");
    let mut gate = guarded(&dir, &ca, &clients, &upstream, &format!(", client_crl: {}", path.display()));
    let hello = || Hello::from(&clients.issue(&["someone"]), "shop.test", &ca);
    assert!(gets_in(&hello(), &gate));
    let mut kept = hello().connect(gate.address());
    kept.offer("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").unwrap();
    assert_eq!(kept.try_response("GET").unwrap().status, 200);
    let before = gate.generation();
    list(&clients.revocations(true, 2090));
    until("the new list", || (gate.generation() > before).then_some(()));
    assert!(!gets_in(&hello(), &gate), "revoked");
    until("the connection from before is closed", || {
        (gate.metric("tidegate_listener_connections", &[]) == 0.0).then_some(())
    });
    let _ = kept.offer("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert!(kept.try_response("GET").is_err(), "revoked on a connection from before");
    list(&clients.revocations(false, 2023));
    until("the old list", || (gate.generation() > before + 1).then_some(()));
    assert!(!gets_in(&hello(), &gate), "a list that is out of date says nothing");
    list("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n");
    until("the refusal", || gate.log().contains("is damaged").then_some(()));
    gate.kill();
}

#[test]
fn a_session_from_before_another_policy_is_not_resumed() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let upstream = Upstream::answering("");
    let gate = guarded(&dir, &ca, &old, &upstream, "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        put(&dir.path().join("clients.pem"), old.pem(), 0o644);
        let pair = old.issue(&["someone"]);
        let hello = Hello::made("shop.test", &ca, Some(&pair), &[version]);
        until("the old policy", || gets_in(&hello, &gate).then_some(()));
        let resumed = hello.try_connect(gate.address()).unwrap();
        assert!(resumed.resumed() && resumed.client().get("/").status == 200);
        let before = gate.generation();
        put(&dir.path().join("clients.pem"), new.pem(), 0o644);
        until("the new policy", || (gate.generation() > before).then_some(()));
        let again = hello.try_connect(gate.address());
        assert!(again.is_err() || again.is_ok_and(|it| !it.resumed()), "a full handshake");
        assert!(!gets_in(&hello, &gate), "the new policy counts");
        assert!(gets_in(&Hello::made("shop.test", &ca, Some(&new.issue(&["x"])), &[version]), &gate));
    }
}

#[test]
fn a_new_certificate_keeps_sessions() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let hello = Hello::to("shop.test", &ca);
    assert_eq!(hello.connect(gate.address()).get("/").status, 200);
    let before = gate.generation();
    ca.issue(&["shop.test"]).put(dir.path(), "c0");
    until("the new certificate", || (gate.generation() > before).then_some(()));
    assert!(hello.try_connect(gate.address()).unwrap().resumed());
}

#[test]
fn early_data_is_not_taken() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let hello = Hello::to("shop.test", &ca).with_early_data();
    assert_eq!(hello.connect(gate.address()).get("/").status, 200);
    // The ticket says how much early data may be sent, and none may.
    assert!(hello.begin().early_data().is_none());
}

#[test]
fn a_connection_that_is_cut_looks_cut() {
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::start(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            peer.reset();
        }
    });
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let mut client = Hello::to("shop.test", &ca).connect(gate.address());
    client.send("GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n");
    assert!(client.try_response("GET").is_err());
    // And one that is finished looks finished, which without a length only its end can say.
    let upstream =
        Upstream::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let mut client = Hello::to("shop.test", &ca).connect(gate.address());
    client.send("GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n");
    assert_eq!(client.response().text(), "abc");
}

/// A few new keys are answered with new keys, as they must be; a flood of them ends the connection, and until then
/// nothing comes but records that can be opened.
#[test]
fn floods_of_new_keys_end_the_connection() {
    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("fine");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], "");
    let hello = Hello::to("shop.test", &ca);
    // New keys, then a request; whether it was answered before the end.
    let answered = |updates: usize| {
        let Secure { mut tls, mut tcp } = hello.try_connect(gate.address()).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut writing = tcp.try_clone().unwrap();
        for _ in 0..updates {
            tls.refresh_traffic_keys().unwrap();
            // Whoever has ended the connection takes no more.
            if tls.write_tls(&mut writing).is_err() {
                break;
            }
        }
        tls.writer().write_all(ASK).unwrap();
        let _ = tls.write_tls(&mut writing);
        loop {
            match tls.read_tls(&mut tcp) {
                Ok(1..) => {}
                Ok(0) => return false,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("after {updates} updates it neither answers nor ends: {error}"),
            }
            match tls.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() > 0 => return true,
                Ok(_) => {}
                // An alert, were there one, could only say this.
                Err(error) => {
                    let alert = rustls::AlertDescription::UnexpectedMessage;
                    assert_eq!(error, rustls::Error::AlertReceived(alert));
                    return false;
                }
            }
        }
    };
    for (updates, served) in [(0, true), (4, true), (30, true), (40, false), (10_000, false)] {
        assert_eq!(answered(updates), served, "{updates} updates");
    }
    assert_eq!(hello.connect(gate.address()).get("/").status, 200);
}

/// What an independent implementation thinks of it.
#[test]
fn openssl_agrees() {
    let Some(openssl) = outside::program("openssl") else { return };
    let (ca, dir) = (Ca::new("ca"), TempDir::new().unwrap());
    let upstream = Upstream::answering("");
    let gate = secured(&upstream, &dir, &[&ca.issue(&["shop.test"])], ", unknown_name: refuse");
    let roots = put(&dir.path().join("ca.pem"), ca.pem(), 0o644);
    let ask = |arguments: &str| {
        let to = gate.address().to_string();
        let output = std::process::Command::new(&openssl)
            .args(["s_client", "-connect", &to, "-verify_return_error", "-CAfile"])
            .arg(&roots)
            .args(arguments.split(' '))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for (arguments, expected) in [
        ("-servername shop.test -tls1_3", "Verify return code: 0 (ok)"),
        ("-servername shop.test -tls1_2", "Verify return code: 0 (ok)"),
        ("-servername shop.test -alpn h2,http/1.1", "ALPN protocol: h2"),
        ("-servername shop.test -alpn http/1.1", "ALPN protocol: http/1.1"),
        ("-servername shop.test -alpn spdy", "no application protocol"),
        ("-servername other.test", "unrecognized name"),
        ("-noservername", "unrecognized name"),
        ("-servername shop.test -tls1_1 -cipher ALL:@SECLEVEL=0", "alert"),
        ("-servername shop.test -tls1_2 -cipher AES128-SHA:@SECLEVEL=0", "alert handshake failure"),
        ("-servername shop.test -early_data /dev/null", "Verify return code: 0 (ok)"),
    ] {
        let said = ask(arguments);
        assert!(said.contains(expected), "{arguments}: {said}");
    }
}
