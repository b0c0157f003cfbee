//! The floor of the peers bench: a TCP relay that understands nothing.
//!
//! One thread. Every accepted connection gets one upstream connection, and whatever arrives on either
//! side is written to the other: two reads and two writes for a small request and its answer, which is
//! the least that any proxy can do. Upstreams are taken nine to one in turn, by connection.
//!
//! `relay LISTEN UPSTREAM_90 UPSTREAM_10`, three addresses.

#![expect(clippy::disallowed_methods, reason = "a bench tool is its own composition root")]

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What one read may bring; more than the 64 KiB body, so that size is not what is measured.
const BUFFER: usize = 128 * 1024;

thread_local! {
    /// One buffer for everybody: a connection keeps nothing while it waits.
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

fn main() -> std::io::Result<()> {
    let addresses: Vec<SocketAddr> = std::env::args()
        .skip(1)
        .map(|it| it.parse().expect("usage: relay LISTEN UPSTREAM_90 UPSTREAM_10"))
        .collect();
    let [listen, most, few] = addresses[..] else { panic!("usage: relay LISTEN UPSTREAM_90 UPSTREAM_10") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        for turn in 0_u64.. {
            let (client, _) = listener.accept().await?;
            let upstream = if turn % 10 == 9 { few } else { most };
            // An error of either side ends the connection, as it would end both connections of a proxy.
            tokio::spawn(async move { relay(client, upstream).await.ok() });
        }
        Ok(())
    })
}

async fn relay(mut client: TcpStream, upstream: SocketAddr) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_client, mut to_client) = client.split();
    let (from_upstream, mut to_upstream) = upstream.split();
    tokio::try_join!(copy(from_client, &mut to_upstream), copy(from_upstream, &mut to_client))?;
    Ok(())
}

async fn copy(from: ReadHalf<'_>, to: &mut WriteHalf<'_>) -> std::io::Result<()> {
    loop {
        from.readable().await?;
        let Some(left) = SHARED.with_borrow_mut(|buffer| pass(&from, to, buffer))? else {
            return to.shutdown().await;
        };
        to.write_all(&left).await?;
    }
}

/// One read and one write. What the other side did not take at once is handed back; `None` is the end.
fn pass(from: &ReadHalf<'_>, to: &WriteHalf<'_>, buffer: &mut [u8]) -> std::io::Result<Option<Vec<u8>>> {
    let read = match from.try_read(buffer) {
        Ok(0) => return Ok(None),
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(Vec::new())),
        Err(error) => return Err(error),
    };
    let written = match to.try_write(&buffer[..read]) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    Ok(Some(buffer[written..read].to_vec()))
}
