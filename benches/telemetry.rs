//! What telemetry costs a request: `cargo bench --bench telemetry`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::model::ClientShard;
use tidegate::telemetry::{Ended, Registry};

fn recording(c: &mut Criterion) {
    let registry = Registry::new(2);
    let service = "shop".parse().expect("a name");
    let series = registry.version(&service, &"v1".parse().expect("a name"));
    let shards: Vec<_> = (0..64u32).map(|client| ClientShard::of(&client.to_be_bytes())).collect();
    let mut turn = 0_u64;
    c.bench_function("telemetry/record one request", |b| {
        b.iter(|| {
            turn += 1;
            let cells = series.worker(0);
            cells.begun();
            cells.attempt();
            cells.ended(black_box(&Ended {
                status: Some(if turn.is_multiple_of(100) { 503 } else { 200 }),
                judged: Some(shards[(turn % 64) as usize]),
                bad: turn.is_multiple_of(100),
                // Spread over the buckets, so that their cache lines are not always the same.
                total_us: turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 46,
                queued_us: 0,
                upstream_us: Some(turn.wrapping_mul(0xc2b2_ae3d_27d4_eb4f) >> 46),
                request_bytes: 120,
                response_bytes: 2_048,
            }));
        });
    });
}

fn reading(c: &mut Criterion) {
    let registry = Registry::new(8);
    let service = "shop".parse().expect("a name");
    for version in ["v1", "v2"] {
        registry.version(&service, &version.parse().expect("a name"));
    }
    let version = "v2".parse().expect("a name");
    c.bench_function("telemetry/tally of 8 workers", |b| {
        b.iter(|| registry.tally(black_box(&service), black_box(&version)));
    });
    c.bench_function("telemetry/scrape of 2 versions", |b| b.iter(|| registry.render()));
}

criterion_group!(benches, recording, reading);
criterion_main!(benches);
