//! What is forwarded parses to the same request.
#![no_main]

use codecs::h1::{ForwardedInfo, HeadScanner, RequestLimits, RequestWriting, parse_request, write_request};
use codecs::message::{Refusal, RequestHead, Target, TargetRules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&knob, bytes)) = input.split_first() else { return };
    let rules = TargetRules { merge_slashes: knob & 1 != 0, ..TargetRules::default() };
    let trusted_peer = knob & 2 != 0;
    let limits = RequestLimits::default();
    let whole = HeadScanner::new().scan(bytes, &limits);
    let mut scanner = HeadScanner::new();
    let cut = usize::from(knob) * bytes.len() / 256;
    match scanner.scan(&bytes[..cut], &limits) {
        Ok(None) => assert_eq!(scanner.scan(bytes, &limits), whole),
        decided => assert_eq!(decided, whole),
    }
    let Ok(Some(len)) = whole else { return };
    let Ok((head, target)) = read(&bytes[..len], &limits, &rules) else { return };
    if head.is_for_proxy() || head.host.whole.is_empty() {
        // Answered here, or sent on under the endpoint's name, which the client never said.
        return;
    }
    let once = forward(&head, &bytes[..len], &target, trusted_peer);
    assert_eq!(HeadScanner::new().scan(&once, &limits.widened()), Ok(Some(once.len())));
    let (again, normalised) = read(&once, &limits.widened(), &rules).expect("what we write we also read");
    assert_eq!(again.method.of(&once), head.method.of(bytes));
    assert_eq!((again.kind, again.framing), (head.kind, head.framing));
    assert_eq!((normalised.path(), normalised.host()), (target.path(), target.host()));
    assert_eq!(again.query.map(|it| it.of(&once)), head.query.map(|it| it.of(bytes)));
    assert_eq!(again.upgrade.map(|it| it.of(&once)), head.upgrade.map(|it| it.of(bytes)));
    assert_eq!(again.expect_continue, head.expect_continue);
    if !trusted_peer && again.max_forwards.is_none() {
        let twice = forward(&again, &once, &normalised, trusted_peer);
        let (third, _) = read(&twice, &limits.widened(), &rules).expect("and once more");
        assert_eq!(sorted(&third, &twice), sorted(&again, &once));
    }
});

trait Widened {
    fn widened(self) -> Self;
}

impl Widened for RequestLimits {
    /// We add lines of our own, so that what is written may exceed what we would accept.
    fn widened(self) -> Self {
        Self { head: self.head * 4, headers: self.headers + 10, ..self }
    }
}

fn sorted(head: &RequestHead, buf: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut lines: Vec<_> = head
        .lines
        .iter()
        .map(|it| (it.name.of(buf).to_ascii_lowercase(), it.value.of(buf).to_vec()))
        .collect();
    lines.sort();
    lines
}

fn read(buf: &[u8], limits: &RequestLimits, rules: &TargetRules) -> Result<(RequestHead, Target), Refusal> {
    let (mut head, mut target) = (RequestHead::default(), Target::default());
    parse_request(buf, limits, &mut head)?;
    target.resolve(&head, buf, rules)?;
    Ok((head, target))
}

fn forward(head: &RequestHead, buf: &[u8], target: &Target, trusted_peer: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let how = RequestWriting {
        path: target.forwarded(buf),
        framing: head.framing,
        edits: &[],
        forwarded: ForwardedInfo { peer: "192.0.2.7", proto: "http", by: None, trusted_peer },
        own: &[],
        fallback_host: "unused.test",
        upgrade: true,
        expect: head.expect_continue,
        te_trailers: head.te_trailers,
        close: false,
    };
    write_request(head, buf, &how, &mut out);
    out
}
