//! A name server that answers what it is told, over UDP and TCP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a name server says about every name.
#[derive(Clone, Debug)]
pub enum Says {
    /// These addresses, for so many seconds.
    Addresses(Vec<Ipv4Addr>, u32),
    /// The same, and an address for a name that nobody asked for.
    Spoofed(Vec<Ipv4Addr>, Ipv4Addr),
    /// The name exists and has no address.
    Nothing,
    /// An error code: 3 is NXDOMAIN, 2 is SERVFAIL.
    Code(u8),
    /// No answer at all.
    Silence,
}

/// A name server on a port of the kernel's choice.
pub struct NameServer {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    /// Starts one.
    pub fn start(says: Says) -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")) {
                break (tcp, udp);
            }
        };
        let it = Self {
            address: udp.local_addr().expect("bound"),
            says: Arc::new(Mutex::new(says)),
            asked: Arc::default(),
        };
        let (says, asked) = (it.says.clone(), it.asked.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok((count, from)) = udp.recv_from(&mut bytes) {
                asked.fetch_add(1, Ordering::SeqCst);
                let says = says.lock().unwrap().clone();
                if let Some(answer) = answer(&bytes[..count], &says, 1200) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let says = it.says.clone();
        thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let says = says.lock().unwrap().clone();
                thread::spawn(move || {
                    let mut length = [0; 2];
                    while stream.read_exact(&mut length).is_ok() {
                        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
                        if stream.read_exact(&mut bytes).is_err() {
                            return;
                        }
                        let Some(answer) = answer(&bytes, &says, usize::from(u16::MAX)) else { return };
                        let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                        if stream.write_all(&framed).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        it
    }

    /// Changes what it says.
    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Questions over UDP so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(question: &[u8], says: &Says, most: usize) -> Option<Vec<u8>> {
    let name_end = 12 + question.get(12..)?.iter().position(|it| *it == 0)? + 1;
    let asked = question.get(12..name_end + 4)?;
    let is_a = question.get(name_end..name_end + 2)? == [0, 1];
    let record = |name: &[u8], address: &Ipv4Addr, ttl: u32| {
        [name, &[0, 1, 0, 1], &ttl.to_be_bytes(), &[0, 4], &address.octets()].concat()
    };
    let own: &[u8] = &[0xC0, 12];
    let (code, records): (u8, Vec<Vec<u8>>) = match says {
        Says::Silence => return None,
        Says::Code(code) => (*code, Vec::new()),
        Says::Addresses(all, ttl) if is_a => (0, all.iter().map(|it| record(own, it, *ttl)).collect()),
        Says::Spoofed(all, other) if is_a => {
            let mut records: Vec<_> = all.iter().map(|it| record(own, it, 0)).collect();
            records.push(record(b"\x05other\x04test\0", other, 0));
            (0, records)
        }
        Says::Nothing | Says::Addresses(..) | Says::Spoofed(..) => (0, Vec::new()),
    };
    let whole: usize = records.iter().map(Vec::len).sum();
    let is_cut = 12 + asked.len() + whole > most;
    let count = if is_cut { 0 } else { records.len() as u16 };
    let mut out = question[..2].to_vec();
    out.extend_from_slice(&[0x81 | if is_cut { 2 } else { 0 }, 0x80 | code, 0, 1]);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(asked);
    if !is_cut {
        out.extend_from_slice(&records.concat());
    }
    Some(out)
}
