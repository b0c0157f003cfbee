//! What one request costs the codec: find the end, read, normalise, write for the other side.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate::h1::{
    Asked, BodyReader, ForwardedInfo, HeadScanner, RequestLimits, RequestWriting, ResponseLimits,
    ResponseWriting, http_date, parse_request, parse_response, write_request, write_response,
};
use tidegate::message::{Framing, RequestHead, ResponseHead, Target, TargetRules};

const SMALL: &[u8] = b"GET /api/items?page=2 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: load/1.0\r\n\
    Accept: */*\r\nAccept-Encoding: gzip\r\n\r\n";

const BROWSER: &[u8] = b"GET /shop/items/4711?ref=home HTTP/1.1\r\nHost: www.shop.test\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://www.shop.test/\r\nConnection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n\
    Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: app\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\r\n";

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/request");
    for (name, bytes) in [("small", SMALL), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let limits = RequestLimits::default();
        let (mut head, mut target, mut out) = (RequestHead::default(), Target::default(), Vec::new());
        let read = |head: &mut RequestHead| {
            let len = HeadScanner::new().scan(black_box(bytes), &limits).expect("sound").expect("whole");
            parse_request(&bytes[..len], &limits, head).expect("sound");
        };
        group.bench_function(format!("{name}/read"), |bencher| {
            bencher.iter(|| read(&mut head));
        });
        group.bench_function(format!("{name}/read and write"), |bencher| {
            bencher.iter(|| {
                read(&mut head);
                target.resolve(&head, bytes, &TargetRules::default()).expect("sound");
                out.clear();
                write_request(&head, bytes, &how(&head, target.forwarded(bytes)), &mut out);
                black_box(&out);
            });
        });
    }
}

fn how<'a>(head: &RequestHead, path: &'a str) -> RequestWriting<'a> {
    RequestWriting {
        path,
        framing: head.framing,
        edits: &[],
        forwarded: ForwardedInfo { peer: "192.0.2.7", proto: "http", by: None, trusted_peer: false },
        own: &[],
        fallback_host: "10.0.0.1:80",
        upgrade: false,
        expect: false,
        te_trailers: false,
        close: false,
    }
}

fn responses(criterion: &mut Criterion) {
    let limits = ResponseLimits::default();
    let (mut head, mut out, date) = (ResponseHead::default(), Vec::new(), http_date(0));
    criterion.bench_function("codec/response/read and write", |bencher| {
        bencher.iter(|| {
            let len =
                HeadScanner::new().scan_response(black_box(ANSWER), &limits).expect("sound").expect("whole");
            parse_response(&ANSWER[..len], &limits, Asked::default(), &mut head).expect("sound");
            out.clear();
            let how = ResponseWriting {
                framing: head.framing,
                close: false,
                client_http10: false,
                edits: &[],
                own: &[],
                date: &date,
                trailers: false,
            };
            write_response(&head, ANSWER, &how, &mut out);
            black_box(&out);
        });
    });
}

fn bodies(criterion: &mut Criterion) {
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    let body = [chunk.repeat(4), b"0\r\n\r\n".to_vec()].concat();
    let mut reader = BodyReader::new(Framing::None, Framing::None);
    let mut group = criterion.benchmark_group("codec/body");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("64 KiB in four chunks", |bencher| {
        bencher.iter(|| {
            reader.restart(Framing::Chunked, Framing::Chunked);
            black_box(reader.next(black_box(&body)).expect("sound"))
        });
    });
}

criterion_group!(benches, requests, responses, bodies);
criterion_main!(benches);
