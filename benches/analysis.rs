//! One tick of the judge: what deciding inside the proxy costs.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate::analysis::{GuardPolicy, History, Judge, StepEvidence};
use tidegate::model::{CLIENT_SHARDS, Observation, Tally};

fn tick(c: &mut Criterion) {
    let history = History { responses: 100_000.0, bad: 100.0 };
    for (name, each) in [("every shard busy", 1), ("some shards busy", 4)] {
        let mut seen = Observation::default();
        for shard in (0..CLIENT_SHARDS).step_by(each) {
            seen.canary.shards[shard] = Tally { requests: 3, bad: 0 };
            seen.stable.shards[shard] = Tally { requests: 27, bad: u64::from(shard == 4) };
        }
        let (mut judge, mut elapsed) = (Judge::new(&GuardPolicy::default(), history), Duration::ZERO);
        let step = StepEvidence { canary: Tally { requests: 1_000, bad: 1 }, requests: 100 };
        c.bench_function(&format!("judge tick, {name}"), |bencher| {
            bencher.iter(|| {
                elapsed += Duration::from_millis(50);
                judge.observe(elapsed, black_box(&seen), true);
                black_box(judge.verdict(&step))
            });
        });
    }
}

criterion_group!(benches, tick);
criterion_main!(benches);
