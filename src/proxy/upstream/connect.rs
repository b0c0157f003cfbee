//! Opening a connection to an endpoint.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use crate::routing::{EndpointHost, EndpointSpec};

use super::super::stream::Stream;
use super::super::tls::{self, Broken};

/// How long the answer of a name look-up is used. Short, because the resolver tells no lifetime.
const LOOKUP_KEPT_MS: u64 = 5_000;

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
    /// No endpoint is fit for requests.
    #[error("no endpoint passes its checkups")]
    NoneReady,
    /// Nobody answered in time.
    #[error("no connection to {endpoint} within {within:?}")]
    TimedOut {
        /// Where to.
        endpoint: EndpointSpec,
        /// The limit.
        within: Duration,
    },
}

/// The worker's memory of name look-ups: the newest answer, kept when a later look-up fails.
#[derive(Default)]
pub struct Names(RefCell<HashMap<String, (u64, Vec<IpAddr>)>>);

/// Opens a connection within `limit`, trying every address of a name in turn.
pub async fn connect(
    spec: &EndpointSpec,
    limit: Duration,
    names: &Names,
    now_ms: u64,
) -> Result<Stream, ConnectError> {
    let failed = |source| ConnectError::Failed { endpoint: spec.clone(), source };
    let opening = async {
        let stream = match &spec.host {
            EndpointHost::Address(address) => {
                let tcp = TcpStream::connect(SocketAddr::new(*address, spec.port)).await?;
                secured(tcp, spec, now_ms).await?
            }
            EndpointHost::Name(name) => {
                let tcp = connect_by_name(name, spec.port, names, now_ms).await?;
                secured(tcp, spec, now_ms).await?
            }
            // Looked up by its path each time, so that one that was deleted and made again is found.
            EndpointHost::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        };
        stream.set_nodelay()?;
        Ok(stream)
    };
    match tokio::time::timeout(limit, opening).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(ConnectError::TimedOut { endpoint: spec.clone(), within: limit }),
    }
}

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

async fn connect_by_name(name: &str, port: u16, names: &Names, now_ms: u64) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("`{name}` has no address"));
    for address in names.look_up(name, port, now_ms).await? {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Names {
    async fn look_up(&self, name: &str, port: u16, now_ms: u64) -> io::Result<Vec<IpAddr>> {
        if let Some((at_ms, addresses)) = self.0.borrow().get(name)
            && now_ms.saturating_sub(*at_ms) < LOOKUP_KEPT_MS
        {
            return Ok(addresses.clone());
        }
        match tokio::net::lookup_host((name, port)).await {
            Ok(found) => {
                let addresses: Vec<IpAddr> = found.map(|it| it.ip()).collect();
                self.0.borrow_mut().insert(name.to_owned(), (now_ms, addresses.clone()));
                Ok(addresses)
            }
            Err(error) => match self.0.borrow().get(name) {
                Some((_, addresses)) => Ok(addresses.clone()),
                None => Err(error),
            },
        }
    }
}
