//! The backend of the benches: fixed answers, as cheap as they can be made.
//!
//! One thread, two addresses, standing for the two versions of a service. The path chooses the body:
//! `/` has 128 bytes, `/64k` 64 KiB and `/1m` 1 MiB; the header `x-version` names the address (`a` or
//! `b`). Requests have no body and are not checked: only the end of their head is looked for.
//!
//! `backend ADDRESS_A ADDRESS_B`.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Longest request head that is understood; a longer one closes the connection.
const HEAD_MAX: usize = 16 * 1024;

fn main() -> std::io::Result<()> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    let [a, b] = &addresses[..] else { panic!("usage: backend ADDRESS_A ADDRESS_B") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        tokio::try_join!(listen(a, Answers::of("a")), listen(b, Answers::of("b")))?;
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
