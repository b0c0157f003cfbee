//! Opening a connection to an endpoint.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use crate::routing::{EndpointHost, EndpointSpec};

use super::super::admission;
use super::super::stream::Stream;
use super::super::tls::{self, Broken};
use super::names::Names;
use super::site::Site;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The other side said no, or cannot be reached.
    #[error("failed to connect to {endpoint}")]
    Failed {
        /// Where to.
        endpoint: EndpointSpec,
        /// What the kernel or the resolver said.
        source: io::Error,
    },
    /// The other side was reached and is not to be trusted, or speaks no TLS.
    #[error("failed to speak TLS with {endpoint}")]
    Tls {
        /// Where to.
        endpoint: EndpointSpec,
        /// What is wrong.
        source: io::Error,
    },
    /// This process has no file descriptor left for it, which is not the endpoint's fault.
    #[error("no file descriptor is left for {endpoint}")]
    NoDescriptor {
        /// Where to.
        endpoint: EndpointSpec,
        /// What the kernel said.
        source: io::Error,
    },
    /// Every local port that could reach it is taken, which is not the endpoint's fault either.
    #[error("no local port is left for {endpoint}")]
    NoPort {
        /// Where to.
        endpoint: EndpointSpec,
        /// What the kernel said.
        source: io::Error,
    },
    /// As many connections are open as may be.
    #[error("no further connection may be opened")]
    Full,
    /// Nobody answered in time.
    #[error("no connection to {endpoint} within {within:?}")]
    TimedOut {
        /// Where to.
        endpoint: EndpointSpec,
        /// The limit.
        within: Duration,
    },
}

/// Opens a connection within `limit`, on which `first` is sent ahead of everything else.
pub async fn connect(
    site: &Site,
    first: &[u8],
    limit: Duration,
    names: &Names,
    now_ms: u64,
) -> Result<Stream, ConnectError> {
    let spec = &site.spec;
    // Whether somebody is there, so that what goes wrong from then on is about TLS.
    let reached = Cell::new(false);
    let failed = |source: io::Error| {
        let endpoint = spec.clone();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE) => ConnectError::NoDescriptor { endpoint, source },
            Some(Errno::ADDRNOTAVAIL) => ConnectError::NoPort { endpoint, source },
            _ if reached.get() => ConnectError::Tls { endpoint, source },
            _ => ConnectError::Failed { endpoint, source },
        }
    };
    let opening = async {
        let address = match (&spec.host, site.address) {
            // Looked up by its path each time, so that one that was deleted and made again is found.
            (EndpointHost::Unix(path), _) => {
                let mut stream = connect_unix(path).await?;
                admission::leave_some(&stream)?;
                stream.write_all(first).await?;
                return Ok(Stream::Unix(stream));
            }
            (EndpointHost::Address(address), _) => *address,
            (EndpointHost::Name(_), Some(address)) => address,
            (EndpointHost::Name(name), None) => names.address(name, spec.port).await?,
        };
        let mut tcp = TcpStream::connect(SocketAddr::new(address, spec.port)).await?;
        admission::leave_some(&tcp)?;
        if !first.is_empty() {
            tcp.set_nodelay(true)?;
            tcp.write_all(first).await?;
        }
        reached.set(spec.tls.is_some());
        let stream = secured(tcp, spec, now_ms).await?;
        stream.set_nodelay()?;
        Ok(stream)
    };
    match tokio::time::timeout(limit, opening).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(ConnectError::TimedOut { endpoint: spec.clone(), within: limit }),
    }
}

/// Waits until there is room in the queue of the other side, as a TCP connection does by itself. The kernel tells
/// nobody when there is, so this looks again and again, and less often the longer it takes.
async fn connect_unix(path: &str) -> io::Result<UnixStream> {
    let mut pause = PAUSE_MIN;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// How long to wait for room in a queue at first: what a server needs that is only behind for a moment.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// How long later on, so that a thousand who wait cost little.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Makes sure who is at the other end, if that was asked for.
async fn secured(tcp: TcpStream, spec: &EndpointSpec, now_ms: u64) -> io::Result<Stream> {
    let Some(rules) = &spec.tls else { return Ok(Stream::Tcp(tcp)) };
    tcp.set_nodelay(true)?;
    match tls::connect(rules, tcp).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(broken) => {
            if let Broken::Tls(error) = &broken
                && rules.may_complain(now_ms)
            {
                tracing::warn!(endpoint = %spec, %error, "no TLS with an endpoint");
            }
            Err(broken.into())
        }
    }
}
