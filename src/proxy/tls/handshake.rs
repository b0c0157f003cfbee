//! Beginning a TLS connection, and saying why one did not come about.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::routing::EndpointTls;
use crate::telemetry::HandshakeFailure;

use super::super::deadline::Deadline;
use super::acceptor::Acceptor;
use super::names::Authority;
use super::session::Session;
use super::stream::{Broken, TlsStream};
use super::turns::Turns;

/// How long a client has to read why its handshake failed. Closing at once could reset the connection
/// before the alert is read.
const ALERT_TIME: Duration = Duration::from_secs(1);

/// What is read and thrown away meanwhile.
const ALERT_BYTES: usize = 64 * 1024;

/// Has a client shake hands before `deadline`, when it is its turn.
pub async fn accept(
    acceptor: &Acceptor,
    tcp: TcpStream,
    deadline: &Deadline,
    turns: &Turns,
) -> Result<(TlsStream, Option<Authority>), HandshakeFailure> {
    let begun = acceptor.begin().and_then(|it| TlsStream::new(tcp, Session::Server(it)));
    let mut stream = begun.map_err(|error| failure_of(&error))?;
    let mut asked = None;
    let done = {
        let mut shaking = pin!(shake(&mut stream, acceptor, turns, &mut asked));
        poll_fn(|cx| match shaking.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => deadline.poll(cx).map(|()| None),
        })
        .await
    };
    match done {
        Some(Ok(())) => Ok((stream, asked)),
        None => Err(HandshakeFailure::Timeout),
        Some(Err(Broken::Io(error))) => {
            tracing::debug!(%error, "a client left in the middle of its handshake");
            Err(HandshakeFailure::Closed)
        }
        Some(Err(Broken::Tls(error))) => {
            tracing::debug!(%error, "a handshake failed");
            deadline.set(ALERT_TIME);
            part(stream, deadline).await;
            Err(failure_of(&error))
        }
    }
}

/// Answers the hello in its turn; the rest is little work, and done at once.
async fn shake(
    stream: &mut TlsStream,
    acceptor: &Acceptor,
    turns: &Turns,
    asked: &mut Option<Authority>,
) -> Result<(), Broken> {
    while !stream.is_answered() {
        // Who has not said anything yet waits for nobody, and has nobody wait.
        poll_fn(|cx| stream.tcp().poll_read_ready(cx)).await.map_err(Broken::Io)?;
        turns.wait().await;
        let turn = poll_fn(|cx| {
            let polled = turns.take(|| stream.poll_handshake(cx));
            // At once: the next hello that is read here is another client's.
            *asked = acceptor.certificates.take_asked().or(asked.take());
            Poll::Ready(polled)
        });
        if let Poll::Ready(done) = turn.await {
            return done;
        }
    }
    poll_fn(|cx| stream.poll_handshake(cx)).await
}

/// Calls an endpoint over TLS.
pub async fn connect(tls: &EndpointTls, tcp: TcpStream) -> Result<TlsStream, Broken> {
    let begun = UnbufferedClientConnection::new(Arc::clone(&tls.client), tls.server_name.clone());
    let begun = begun.and_then(|it| TlsStream::new(tcp, Session::Client(it)));
    let mut stream = begun.map_err(Broken::Tls)?;
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

/// Ends a connection so that its last words are read.
async fn part(mut stream: TlsStream, deadline: &Deadline) {
    let mut left = ALERT_BYTES;
    poll_fn(|cx| {
        if deadline.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Poll::Ready(Ok(())) = stream.poll_drain(cx) else { return Poll::Pending };
        // A socket that is closed already says so when it is read.
        let _ = Pin::new(stream.tcp_mut()).poll_shutdown(cx);
        let mut bytes = [0; 2048];
        loop {
            let mut read = ReadBuf::new(&mut bytes);
            match Pin::new(stream.tcp_mut()).poll_read(cx, &mut read) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) if read.filled().is_empty() => return Poll::Ready(()),
                Poll::Ready(Ok(())) => left = left.saturating_sub(read.filled().len()),
            }
            if left == 0 {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

fn failure_of(error: &Error) -> HandshakeFailure {
    match error {
        Error::NoCertificatesPresented => HandshakeFailure::CertificateMissing,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => HandshakeFailure::Certificate,
        Error::NoApplicationProtocol => HandshakeFailure::Protocol,
        Error::PeerIncompatible(_) => HandshakeFailure::Incompatible,
        Error::AlertReceived(_) => HandshakeFailure::Alert,
        error if super::session::is_unknown_name(error) => HandshakeFailure::Name,
        _ => HandshakeFailure::Malformed,
    }
}
