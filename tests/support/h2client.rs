//! A client that speaks HTTP/2 by the book, with all that a test wants to see of an answer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};

use super::wait::PATIENCE;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Interim statuses.
    pub interim: Vec<u16>,
    /// Status.
    pub status: u16,
    /// Fields of the head.
    pub headers: HeaderMap,
    /// Content.
    pub body: Vec<u8>,
    /// Fields behind the content.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The only value of a field.
    #[track_caller]
    pub fn only(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name} in {:?}", self.headers);
        values[0].to_str().expect("text")
    }
}

/// `GET target` of `shop.test`.
pub fn get(target: &str) -> Request<()> {
    Request::get(format!("http://shop.test{target}")).body(()).expect("a request")
}

/// `POST target` to `shop.test`.
pub fn post(target: &str) -> Request<()> {
    Request::post(format!("http://shop.test{target}")).body(()).expect("a request")
}

/// Sends a request, with content if there is any, and reads the whole answer.
pub fn ask(to: SocketAddr, request: Request<()>, content: &[&[u8]]) -> Result<Answer, String> {
    ask_all(to, vec![(request, content.iter().map(|it| it.to_vec()).collect())]).remove(0)
}

/// The same with several requests at once on one connection.
pub fn ask_all(to: SocketAddr, requests: Vec<(Request<()>, Vec<Vec<u8>>)>) -> Vec<Result<Answer, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let count = requests.len();
    runtime.block_on(async move {
        let all = tokio::time::timeout(PATIENCE, async move {
            let stream = tokio::net::TcpStream::connect(to).await.expect("connect");
            let (sender, connection) = match h2::client::handshake(stream).await {
                Ok(it) => it,
                Err(error) => return (0..count).map(|_| Err(error.to_string())).collect(),
            };
            tokio::spawn(connection);
            let tasks: Vec<_> = requests
                .into_iter()
                .map(|(request, content)| {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        exchange(sender, request, content).await.map_err(|error| error.to_string())
                    })
                })
                .collect();
            drop(sender);
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.expect("no panic"));
            }
            answers
        });
        all.await.expect("answers in time")
    })
}

async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    request: Request<()>,
    content: Vec<Vec<u8>>,
) -> Result<Answer, h2::Error> {
    let mut sender = sender.ready().await?;
    let (mut response, mut body) = sender.send_request(request, content.is_empty())?;
    let parts = content.len();
    for (index, part) in content.into_iter().enumerate() {
        let mut part = Bytes::from(part);
        loop {
            body.reserve_capacity(part.len());
            let room = match body.capacity() {
                0 if !part.is_empty() => match std::future::poll_fn(|cx| body.poll_capacity(cx)).await {
                    Some(room) => room?,
                    None => break,
                },
                room => room,
            };
            let piece = part.split_to(room.min(part.len()));
            let last = part.is_empty() && index + 1 == parts;
            body.send_data(piece, last)?;
            if part.is_empty() {
                break;
            }
        }
        // Each part in a frame of its own.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut answer = Answer::default();
    let response = std::future::poll_fn(|cx| {
        use std::task::Poll;
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
            answer.interim.push(interim.status().as_u16());
        }
        std::pin::Pin::new(&mut response).poll(cx)
    })
    .await?;
    answer.status = response.status().as_u16();
    let (head, mut body) = response.into_parts();
    answer.headers = head.headers;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.body.extend_from_slice(&data);
    }
    answer.trailers = body.trailers().await?;
    Ok(answer)
}
