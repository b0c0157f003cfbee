//! The backend of the benches: fixed answers, as cheap as they can be made.
//!
//! One thread, two addresses, standing for the two versions of a service. The path chooses the body:
//! `/` has 128 bytes, `/64k` 64 KiB and `/1m` 1 MiB; the header `x-version` names the address (`a` or
//! `b`). Requests have no body and are not checked: only the end of their head is looked for. A third
//! address, if there is one, speaks HTTP/2 and answers every call as a unary gRPC method would.
//!
//! `backend ADDRESS_A ADDRESS_B [ADDRESS_GRPC]`.

use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Longest request head that is understood; a longer one closes the connection.
const HEAD_MAX: usize = 16 * 1024;

fn main() -> std::io::Result<()> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    let (a, b, grpc) = match &addresses[..] {
        [a, b] => (a, b, None),
        [a, b, grpc] => (a, b, Some(grpc)),
        _ => panic!("usage: backend ADDRESS_A ADDRESS_B [ADDRESS_GRPC]"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let calls = async {
            match grpc {
                Some(grpc) => listen_grpc(grpc).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(listen(a, Answers::of("a")), listen(b, Answers::of("b")), calls)?;
        Ok(())
    })
}

/// Whole answers, head and body, ready to be written.
struct Answers {
    small: Vec<u8>,
    middle: Vec<u8>,
    large: Vec<u8>,
}

impl Answers {
    fn of(version: &str) -> Rc<Self> {
        let answer = |size: usize| {
            let mut bytes = format!(
                "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: text/plain\r\n\
                 x-version: {version}\r\ncontent-length: {size}\r\n\r\n"
            )
            .into_bytes();
            bytes.resize(bytes.len() + size, b'x');
            bytes
        };
        Rc::new(Self { small: answer(128), middle: answer(64 << 10), large: answer(1 << 20) })
    }

    fn to(&self, head: &[u8]) -> &[u8] {
        match head.split(|&byte| byte == b' ').nth(1) {
            Some(b"/64k") => &self.middle,
            Some(b"/1m") => &self.large,
            _ => &self.small,
        }
    }
}

async fn listen(address: &str, answers: Rc<Answers>) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let answers = Rc::clone(&answers);
        // A client that goes away in the middle is not worth a word here.
        tokio::task::spawn_local(async move { serve(stream, &answers).await.ok() });
    }
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; HEAD_MAX];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        while let Some(end) = end_of_head(&buffer[..filled]) {
            stream.write_all(answers.to(&buffer[..end])).await?;
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

async fn listen_grpc(address: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A proxy that goes away is not worth a word here.
        tokio::task::spawn_local(async move { serve_grpc(stream).await.ok() });
    }
}

async fn serve_grpc(stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(1024)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    while let Some(arrived) = connection.accept().await {
        let (call, respond) = arrived?;
        tokio::task::spawn_local(async move { answer_call(call.into_body(), respond).await.ok() });
    }
    Ok(())
}

/// Takes the whole message, sends one of 16 bytes and `grpc-status: 0`.
async fn answer_call(mut message: h2::RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    while let Some(piece) = message.data().await {
        let length = piece?.len();
        message.flow_control().release_capacity(length)?;
    }
    let head = http::Response::builder().header("content-type", "application/grpc").body(());
    let mut stream = respond.send_response(head.expect("a plain head"), false)?;
    stream.send_data(Bytes::from_static(b"\0\0\0\0\x10xxxxxxxxxxxxxxxx"), false)?;
    let status = http::HeaderValue::from_static("0");
    stream.send_trailers([(http::HeaderName::from_static("grpc-status"), status)].into_iter().collect())
}
