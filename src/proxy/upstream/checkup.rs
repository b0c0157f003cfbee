//! One question to one endpoint: HTTP, TCP or gRPC. Anything but the answer that is wanted, within the
//! time that is given, is a failure; what was wrong is told in one short line.

mod grpc;
mod http;
mod http2;

use std::time::Duration;

use tokio::time::timeout;

use crate::routing::{Checkup, CheckupKind, Protocol, ProxyProtocol};

use super::super::stream::Stream;
use super::connect::connect;
use super::names::Names;
use super::site::Site;

/// Asks once.
pub(super) async fn ask(site: &Site, checkup: &Checkup, names: &Names) -> Result<(), String> {
    let limit = checkup.timeout;
    let asked = async {
        let stream = open(site, limit, names).await?;
        match &checkup.kind {
            CheckupKind::Tcp => Ok(()),
            CheckupKind::Http { path, host, status, body } => {
                let authority = host.clone().unwrap_or_else(|| site.spec.authority());
                let body = body.as_deref();
                match site.spec.protocol {
                    Protocol::Http1 => http::ask(stream, &authority, path, status, body).await,
                    Protocol::Http2 => http2::ask(stream, &authority, path, status, body).await,
                }
            }
            CheckupKind::Grpc { service } => grpc::ask(stream, &site.spec.authority(), service).await,
        }
    };
    timeout(limit, asked).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

/// What was asked over this connection. It moves only while it is driven, and its end is seen by who asked,
/// after the last byte.
async fn over(
    connection: impl Future<Output = impl Sized>,
    asked: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        answer = asked => answer,
        () = driven => Err("no answer".into()),
    }
}

async fn open(site: &Site, limit: Duration, names: &Names) -> Result<Stream, String> {
    let first = site.spec.proxy_protocol.map_or(&b""[..], ProxyProtocol::own);
    connect(site, first, limit, names, 0).await.map_err(|error| {
        use std::error::Error;
        match error.source() {
            Some(source) => format!("cannot connect: {source}"),
            None => error.to_string(),
        }
    })
}
