//! Very many routes and conditions: what a request costs is counted, not timed.

use std::cell::Cell;

use super::{Request, build, parse_routes};

/// How often a request of these routes asks for a header, and which route it gets.
fn asked(routes: &str, request: &str) -> (usize, Option<usize>) {
    let matcher = build(parse_routes(routes).1).expect("the routes have no problem");
    let (request, count) = (Request::parse(request), Cell::new(0));
    let found = request.with_facts(|facts| {
        let header = |name: &str, each: &mut dyn FnMut(&[u8])| {
            count.set(count.get() + 1);
            (facts.header)(name, each);
        };
        matcher.position(&super::RequestFacts { header: &header, ..*facts })
    });
    (count.get(), found)
}

/// Of routes with one host and path each is asked once, and no more of it than its first condition that fails.
#[test]
fn routes_of_one_path_are_asked_once_each() {
    let count = 4_000;
    let routes: String = (0..count).map(|it| format!("r{it}: * / x-tenant:{it} x-area:eu\n")).collect();
    assert_eq!(asked(&routes, "GET h.test/ x-tenant:nobody"), (count, None));
    let last = format!("GET h.test/ x-tenant:{} x-area:eu", count - 1);
    assert_eq!(asked(&routes, &last), (count + 1, Some(count - 1)));
    assert_eq!(asked(&routes, "GET h.test/ x-tenant:0 x-area:eu"), (2, Some(0)));
}

/// Of routes elsewhere none is asked, however many there are.
#[test]
fn routes_of_other_paths_are_not_asked() {
    let routes: String = (0..4_000).map(|it| format!("r{it}: h{}.test /p{it} x-a:{it}\n", it % 50)).collect();
    assert_eq!(asked(&routes, "GET h7.test/p57/below x-a:57"), (1, Some(57)));
    assert_eq!(asked(&routes, "GET h7.test/nowhere x-a:57"), (0, None));
}

/// As many conditions as a route may have: each is asked once, and a route that asks for all of them comes first.
#[test]
fn a_route_of_very_many_conditions() {
    let all = |count: usize| (0..count).map(|it| format!(" x-{it}:{it}")).collect::<String>();
    let routes: String = (1..=100).map(|it| format!("r{it}: * /{}\n", all(it))).collect();
    assert_eq!(asked(&routes, &format!("GET h.test/{}", all(100))), (100, Some(99)));
    // The first that fails says no for its whole route.
    assert_eq!(asked(&routes, "GET h.test/ x-0:other"), (100, None));
}
