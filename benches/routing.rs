//! What routing costs a request: `cargo bench --bench routing`.
//!
//! Each lookup takes the next of 64 requests spread over the whole list of routes, so that neither the
//! branch predictor nor the nearest cache line knows the answer beforehand.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::model::{Salt, Weight};
use tidegate::routing::{
    HostPattern, Matcher, PathCondition, RequestFacts, Route, RouteMatch, ServiceIndex, Split, Target,
    VersionIndex,
};

fn finding(c: &mut Criterion) {
    let mut group = c.benchmark_group("routing/find");
    for kind in [Kind::Exact, Kind::Prefix, Kind::Host, Kind::Regex, Kind::Mix, Kind::Miss] {
        for count in [1, 100, 10_000] {
            let matcher = Matcher::build(routes(kind, count)).expect("the routes have no problem");
            let requests: Vec<(String, String)> =
                (0..64).map(|it| kind.request(it * 157 % count.max(1), count)).collect();
            let mut turn = 0;
            group.bench_function(BenchmarkId::new(kind.name(), count), |b| {
                b.iter(|| {
                    turn = (turn + 1) % requests.len();
                    let (host, path) = &requests[turn];
                    let found = find(&matcher, host, path);
                    assert_eq!(found.is_some(), kind != Kind::Miss);
                    found
                });
            });
        }
    }
    group.finish();
}

fn building(c: &mut Criterion) {
    let mut group = c.benchmark_group("routing/build");
    group.sample_size(10);
    for kind in [Kind::Prefix, Kind::Mix] {
        let routes = routes(kind, 10_000);
        group.bench_function(BenchmarkId::new(kind.name(), 10_000), |b| {
            b.iter_batched(|| routes.clone(), Matcher::build, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn splitting(c: &mut Criterion) {
    let weight = Weight::from_basis_points(1_000).expect("at most 100%");
    let split = Split::new(&[(VersionIndex(1), weight)], VersionIndex(0), Salt::of("shop", 1));
    let split = split.expect("the weights are at most 100%");
    let mut bits = 0_u64;
    c.bench_function("routing/split/drawn", |b| {
        b.iter(|| {
            bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
            split.drawn(black_box(bits))
        });
    });
    c.bench_function("routing/split/keyed by 16 bytes", |b| {
        b.iter(|| {
            bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
            split.keyed(black_box(&(u128::from(bits) << 32).to_be_bytes()))
        });
    });
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// One host, as many exact paths as routes.
    Exact,
    /// One host, prefixes three elements deep, the request two elements longer.
    Prefix,
    /// As many hosts as routes.
    Host,
    /// One host, as many regular expressions as routes.
    Regex,
    /// A hundred hosts with a quarter of each of exact, prefix, regular expression and wildcard host.
    Mix,
    /// The routes of `Mix`; no route matches.
    Miss,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Host => "host",
            Self::Regex => "regex",
            Self::Mix => "mix",
            Self::Miss => "miss",
        }
    }

    fn route(self, at: usize) -> (HostPattern, PathCondition) {
        let one_host = HostPattern::Exact("shop.test".to_owned());
        match (self, at % 4) {
            (Self::Exact, _) => (one_host, PathCondition::Exact(format!("/catalogue/item/{at}"))),
            (Self::Prefix, _) => (one_host, PathCondition::Prefix(format!("/api/{}/{at}", at % 50))),
            (Self::Host, _) => {
                (HostPattern::Exact(format!("host-{at}.test")), PathCondition::Prefix("/".to_owned()))
            }
            (Self::Regex, _) => (one_host, PathCondition::Regex(format!("^/tenant-{at}/[0-9]+$"))),
            (Self::Mix | Self::Miss, 0) => (shared_host(at), Self::Exact.route(at).1),
            (Self::Mix | Self::Miss, 1) => (shared_host(at), Self::Prefix.route(at).1),
            (Self::Mix | Self::Miss, 2) => (shared_host(at), Self::Regex.route(at).1),
            (Self::Mix | Self::Miss, _) => {
                (HostPattern::Wildcard(format!("zone-{at}.test")), PathCondition::Prefix("/".to_owned()))
            }
        }
    }

    fn request(self, at: usize, count: usize) -> (String, String) {
        let at = at.min(count - 1);
        if self == Self::Miss {
            return (format!("host-{}.test", at % 100), "/api/nothing/here/at/all".to_owned());
        }
        let (host, path) = self.route(at);
        let host = match host {
            HostPattern::Exact(host) => host,
            HostPattern::Wildcard(suffix) => format!("www.{suffix}"),
            HostPattern::Any => "any.test".to_owned(),
        };
        let path = match path {
            PathCondition::Exact(path) => path,
            PathCondition::Prefix(path) => format!("{}/users/7", path.trim_end_matches('/')),
            PathCondition::Regex(_) => format!("/tenant-{at}/4711"),
        };
        (host, path)
    }
}

fn shared_host(at: usize) -> HostPattern {
    HostPattern::Exact(format!("host-{}.test", at % 100))
}

fn routes(kind: Kind, count: usize) -> Vec<(RouteMatch, Route)> {
    let route = |at| {
        let (host, path) = kind.route(at);
        let (methods, headers, query) = (Vec::new(), Vec::new(), Vec::new());
        let asked = RouteMatch { hosts: vec![host], path, methods, headers, query };
        let target = Target::Service(ServiceIndex(at));
        let route = Route {
            label: "".into(),
            server_timing: false,
            target,
            rate: None,
            fault: None,
            rewrite: None,
            request_headers: [].into(),
            response_headers: [].into(),
        };
        (asked, route)
    };
    (0..count).map(route).collect()
}

fn find<'m>(matcher: &'m Matcher, host: &str, path: &str) -> Option<&'m Route> {
    let header = |_: &str, _: &mut dyn FnMut(&[u8])| {};
    let (method, query) = ("GET", None);
    matcher.find(black_box(&RequestFacts { host, path, method, query, header: &header }))
}

criterion_group!(benches, finding, building, splitting);
criterion_main!(benches);
