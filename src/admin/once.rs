//! Requests that are sent again and must not act again.
//!
//! Whoever sends a change with `Idempotency-Key` may send it again when the answer got lost: the same key with
//! the same request gets the same answer, and the change is made once. What was begun is finished although
//! nobody waits for it any more, so that an answer that got lost can still be had.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::Timestamp;

use super::reply::{Problem, Reply};

/// Answers that can be had again.
#[derive(Debug, Default)]
pub(super) struct Once {
    keys: Mutex<Keys>,
    under_way: Mutex<JoinSet<()>>,
}

/// All keys, oldest first.
#[derive(Debug, Default)]
struct Keys(VecDeque<Entry>);

/// A key, and what became of it.
#[derive(Debug)]
struct Entry {
    by: String,
    key: String,
    asked: u128,
    at: Timestamp,
    answer: Answered,
}

type Answered = watch::Receiver<Option<Arc<Kept>>>;

/// An answer.
#[derive(Clone, Debug)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// The key of a request, and what it asks for.
#[derive(Debug)]
pub(super) struct Ticket {
    by: String,
    key: String,
    asked: u128,
}

impl Ticket {
    /// What `Idempotency-Key` says; `None` without one. Keys of different people are different.
    pub(super) fn of(by: &str, head: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let mut keys = head.headers.get_all(KEY).iter();
        let Some(key) = keys.next() else { return Ok(None) };
        let text = key.to_str().ok().map(|it| it.trim());
        // As a structured field it has quotes.
        let text = text.map(|it| it.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(it));
        let fits = text.filter(|it| !it.is_empty() && it.len() <= KEY_BYTES_MAX && keys.next().is_none());
        let Some(key) = fits else {
            let detail = format!("`Idempotency-Key` is one text of at most {KEY_BYTES_MAX} characters");
            return Err(Problem::bad_request(detail));
        };
        let mut asked = format!("{} {}\n", head.method, head.uri).into_bytes();
        for it in head.headers.get_all(http::header::IF_MATCH) {
            asked.extend_from_slice(it.as_bytes());
        }
        asked.push(b'\n');
        asked.extend_from_slice(body);
        Ok(Some(Self { by: by.to_owned(), key: key.to_owned(), asked: xxh3_128(&asked) }))
    }
}

impl Once {
    /// Does it, unless that was done already under the same key; the answer is the same.
    pub(super) async fn answer(
        &self,
        ticket: Option<Ticket>,
        now: Timestamp,
        act: impl Future<Output = Reply> + Send + 'static,
    ) -> Result<Reply, Problem> {
        let (first, mut answer) = self.enter(ticket.as_ref(), now, act)?;
        let kept = answer.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        let Some(kept) = kept else {
            self.forget(ticket.as_ref(), &answer);
            let detail = "it is not known what became of this: look at the status before you ask again";
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail));
        };
        if kept.says_come_again() {
            self.forget(ticket.as_ref(), &answer);
        }
        Ok(kept.reply(!first))
    }

    /// The answer that is known or on its way; otherwise begins, which is what `true` says.
    fn enter(
        &self,
        ticket: Option<&Ticket>,
        now: Timestamp,
        act: impl Future<Output = Reply> + Send + 'static,
    ) -> Result<(bool, Answered), Problem> {
        let Some(ticket) = ticket else { return Ok((true, self.begin(act))) };
        // Looked up and noted in one go, so that two at the same time cannot both be the first.
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = keys.find(ticket, now)? {
            return Ok((false, answer));
        }
        let answer = self.begin(act);
        let (by, key) = (ticket.by.clone(), ticket.key.clone());
        keys.remember(Entry { by, key, asked: ticket.asked, at: now, answer: answer.clone() });
        Ok((true, answer))
    }

    /// Goes on although nobody may wait for it any more.
    fn begin(&self, act: impl Future<Output = Reply> + Send + 'static) -> Answered {
        let (told, answer) = watch::channel(None);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move {
            let kept = kept(act.await).await;
            told.send_replace(Some(Arc::new(kept)));
        });
        answer
    }

    /// Takes this answer away, and no newer one.
    fn forget(&self, ticket: Option<&Ticket>, answer: &Answered) {
        let Some(ticket) = ticket else { return };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.0.retain(|it| !(it.is_of(ticket) && it.answer.same_channel(answer)));
    }
}

impl Keys {
    /// What became of it, if it is known; a key that stood for something else is refused.
    fn find(&mut self, ticket: &Ticket, now: Timestamp) -> Result<Option<Answered>, Problem> {
        while self.0.front().is_some_and(|it| now.since(it.at) >= KEPT_FOR && it.is_done()) {
            self.0.pop_front();
        }
        let Some(entry) = self.0.iter().find(|it| it.is_of(ticket)) else { return Ok(None) };
        if entry.asked != ticket.asked {
            let detail = "this `Idempotency-Key` came with another request before: use a new one";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail));
        }
        Ok(Some(entry.answer.clone()))
    }

    fn remember(&mut self, entry: Entry) {
        let own = self.0.iter().filter(|it| it.by == entry.by).count();
        // Somebody who uses many keys loses their own oldest, and nobody else's.
        if own >= KEYS_EACH_MAX
            && let Some(at) = self.0.iter().position(|it| it.by == entry.by && it.is_done())
        {
            self.0.remove(at);
        }
        while self.0.len() >= KEYS_MAX || self.0.iter().map(Entry::bytes).sum::<usize>() > BYTES_MAX {
            // What is under way is bounded by the connections.
            let Some(at) = self.0.iter().position(Entry::is_done) else { break };
            self.0.remove(at);
        }
        self.0.push_back(entry);
    }
}

impl Entry {
    fn is_of(&self, ticket: &Ticket) -> bool {
        self.key == ticket.key && self.by == ticket.by
    }

    fn is_done(&self) -> bool {
        self.answer.borrow().is_some() || self.answer.has_changed().is_err()
    }

    fn bytes(&self) -> usize {
        self.answer.borrow().as_ref().map_or(0, |it| it.body.len())
    }
}

impl Kept {
    /// Whether nothing was done, and it is worth to ask again.
    fn says_come_again(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    fn reply(&self, again: bool) -> Reply {
        let mut reply = Reply::new(Either::Left(Full::new(self.body.clone())));
        *reply.status_mut() = self.status;
        *reply.headers_mut() = self.headers.clone();
        if again {
            reply.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        reply
    }
}

async fn kept(reply: Reply) -> Kept {
    let (head, body) = reply.into_parts();
    // The answers to changes are texts that are there.
    let body = body.collect().await.map(|it| it.to_bytes()).unwrap_or_default();
    Kept { status: head.status, headers: head.headers, body }
}

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const KEY_BYTES_MAX: usize = 255;
/// How long an answer can be had again.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Most keys of all, and of one person. The oldest go first.
const KEYS_MAX: usize = 1_024;
const KEYS_EACH_MAX: usize = 256;
/// Most bytes of answers that are kept. One has a few thousand, a report of a refused file some more.
const BYTES_MAX: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::super::reply::json;
    use super::*;

    fn ticket(by: &str, key: &str, body: &str) -> Option<Ticket> {
        let head = http::Request::post("/x").header(KEY, key).body(()).unwrap().into_parts().0;
        Ticket::of(by, &head, body.as_bytes()).unwrap()
    }

    async fn text(reply: Reply) -> (u16, bool, String) {
        let (status, again) = (reply.status().as_u16(), reply.headers().contains_key(REPLAYED));
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (status, again, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Answers with how often it was done.
    fn act(done: &Arc<AtomicUsize>) -> impl Future<Output = Reply> + Send + 'static {
        let done = Arc::clone(done);
        async move { json(&(done.fetch_add(1, Ordering::SeqCst) + 1)) }
    }

    #[tokio::test]
    async fn the_same_again_is_answered_and_not_done() {
        let (once, done) = (Once::default(), Arc::new(AtomicUsize::new(0)));
        let at = |seconds: u64| Timestamp(seconds * 1_000_000);
        let ask = |by, key, body, now| once.answer(ticket(by, key, body), now, act(&done));
        assert_eq!(text(ask("a", "k", "{}", at(0)).await.unwrap()).await, (200, false, "1".into()));
        assert_eq!(text(ask("a", "k", "{}", at(1)).await.unwrap()).await, (200, true, "1".into()));
        assert_eq!(text(ask("a", "\"k\"", "{}", at(1)).await.unwrap()).await, (200, true, "1".into()));
        assert_eq!(ask("a", "k", "{ }", at(2)).await.unwrap_err().code, "key_reused");
        assert_eq!(text(ask("b", "k", "{}", at(3)).await.unwrap()).await, (200, false, "2".into()));
        let day = 24 * 3_600;
        assert_eq!(text(ask("a", "k", "{}", at(day - 1)).await.unwrap()).await, (200, true, "1".into()));
        assert_eq!(text(ask("a", "k", "{}", at(day)).await.unwrap()).await, (200, false, "3".into()));
    }

    #[tokio::test]
    async fn at_the_same_time_one_acts_and_all_are_answered() {
        let (once, done, go) = (Once::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let slow = || {
            let (done, go) = (act(&done), Arc::clone(&go));
            async move {
                go.notified().await;
                done.await
            }
        };
        let ask = || once.answer(ticket("a", "k", "{}"), Timestamp(0), slow());
        // The first goes away before it is answered; what it began is finished.
        tokio::select! {
            biased;
            _ = ask() => panic!("answered before it was done"),
            () = tokio::task::yield_now() => {}
        }
        let (second, third, ()) = tokio::join!(ask(), ask(), async { go.notify_one() });
        assert_eq!(text(second.unwrap()).await, (200, true, "1".into()));
        assert_eq!(text(third.unwrap()).await, (200, true, "1".into()));
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn who_was_told_to_come_again_may() {
        let (once, done) = (Once::default(), Arc::new(AtomicUsize::new(0)));
        let busy = async { Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "later").into_reply() };
        assert_eq!(once.answer(ticket("a", "k", ""), Timestamp(0), busy).await.unwrap().status(), 503);
        let again = once.answer(ticket("a", "k", ""), Timestamp(0), act(&done)).await.unwrap();
        assert_eq!(text(again).await, (200, false, "1".into()));
    }

    #[tokio::test]
    async fn whoever_uses_many_keys_loses_their_own() {
        let (once, done) = (Once::default(), Arc::new(AtomicUsize::new(0)));
        let ask = |by: &str, key: &str| once.answer(ticket(by, key, ""), Timestamp(0), act(&done));
        ask("quiet", "k").await.unwrap();
        for number in 0..KEYS_EACH_MAX + 10 {
            ask("busy", &format!("k{number}")).await.unwrap();
        }
        assert_eq!(once.keys.lock().unwrap().0.len(), KEYS_EACH_MAX + 1);
        assert!(text(ask("quiet", "k").await.unwrap()).await.1);
        assert!(!text(ask("busy", "k0").await.unwrap()).await.1, "the oldest is gone");
    }

    #[test]
    fn keys_are_short_texts() {
        for wrong in ["", "\"\"", &"x".repeat(256)] {
            let head = http::Request::post("/x").header(KEY, wrong).body(()).unwrap().into_parts().0;
            assert!(Ticket::of("a", &head, b"").is_err(), "{wrong}");
        }
        let twice = http::Request::post("/x").header(KEY, "a").header(KEY, "b").body(()).unwrap();
        assert!(Ticket::of("a", &twice.into_parts().0, b"").is_err());
        let none = http::Request::post("/x").body(()).unwrap();
        assert!(Ticket::of("a", &none.into_parts().0, b"").unwrap().is_none());
    }
}
