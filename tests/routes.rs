//! Which service answers, and what a route changes on the way there and back.

mod support;

use support::{Gate, Setup, Upstream};

/// Services that answer with their names.
struct House {
    gate: Gate,
    upstreams: Vec<(&'static str, Upstream)>,
}

const NAMES: [&str; 4] = ["api", "login", "beta", "static"];

fn house(listener: &str, routes: &str) -> House {
    let shop = Upstream::answering("shop");
    let mut setup = Setup::to(&shop);
    if !listener.is_empty() {
        setup = setup.listener(listener);
    }
    let mut upstreams = vec![("shop", shop)];
    for name in NAMES {
        let upstream = Upstream::answering(name);
        let address = upstream.address();
        setup = setup.add_service(format!(
            "{name}: {{hosts: [{name}.test], live: a, versions: {{a: \"http://{address}\"}}}}"
        ));
        upstreams.push((name, upstream));
    }
    House { gate: setup.top(format!("routes:\n{routes}")).start(), upstreams }
}

impl House {
    /// Who answers a request with this line and these header lines.
    #[track_caller]
    fn answers(&self, line: &str, headers: &str) -> String {
        let answer = self.gate.answer_to(format!("{line} HTTP/1.1\r\n{headers}\r\n"));
        if answer.status == 200 { answer.text() } else { answer.status.to_string() }
    }

    fn upstream(&self, name: &str) -> &Upstream {
        &self.upstreams.iter().find(|it| it.0 == name).expect("a service of the house").1
    }
}

#[test]
fn hosts_lead_to_services() {
    let shop = Upstream::answering("shop");
    let (exact, wild) = (Upstream::answering("exact"), Upstream::answering("wild"));
    let gate = Setup::to(&shop)
        .add_service(format!(
            "e: {{hosts: [a.w.test], live: v, versions: {{v: \"http://{}\"}}}}",
            exact.address()
        ))
        .add_service(format!(
            "w: {{hosts: [\"*.w.test\"], live: v, versions: {{v: \"http://{}\"}}}}",
            wild.address()
        ))
        .start();
    for (host, expected) in [
        ("a.w.test", "exact"),
        ("A.W.Test", "exact"),
        ("a.w.test:8080", "exact"),
        ("b.w.test", "wild"),
        ("c.b.w.test", "wild"),
        ("w.test", "shop"),
        ("elsewhere", "shop"),
        ("[::1]", "shop"),
    ] {
        let answer = gate.answer_to(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.text(), expected, "{host}");
    }
}

#[test]
fn the_most_specific_route_wins() {
    let house = house(
        "",
        r#"
- {match: {path: /api}, to: api}
- {match: {path: /api/v2/static}, to: static}
- {match: {path: {exact: /api/login}}, to: login}
- {match: {path: {regex: "^/api/v[0-9]+/beta$"}}, to: beta}
- {match: {path: /post, method: POST}, to: login}
- {match: {path: /post, header: {x-beta: "1"}}, to: beta}
- {match: {path: /post, query: {a: b}}, to: static}
"#,
    );
    let host = "Host: shop.test\r\n";
    for (line, headers, expected) in [
        ("GET /api", host, "api"),
        ("GET /api/x", host, "api"),
        ("GET /apix", host, "shop"),
        ("GET /api/v2/static/x", host, "static"),
        ("GET /api/login", host, "login"),
        ("GET /api/login/x", host, "api"),
        ("GET /api/v7/beta", host, "beta"),
        ("GET /api/v7/beta/", host, "api"),
        ("GET /post", host, "shop"),
        ("POST /post", "Host: a\r\nContent-Length: 0\r\n", "login"),
        ("GET /post", "Host: a\r\nX-Beta: 1\r\n", "beta"),
        ("GET /post", "Host: a\r\nX-Beta: 2\r\n", "shop"),
        ("GET /post?a=b", host, "static"),
        ("GET /post?x=y&a=b", host, "static"),
        ("GET /post?a=c", host, "shop"),
        ("GET /post?a=b", "Host: a\r\nX-Beta: 1\r\n", "beta"),
        ("GET /", "Host: login.test\r\n", "login"),
    ] {
        assert_eq!(house.answers(line, headers), expected, "{line} {headers:?}");
    }
}

#[test]
fn a_route_may_rewrite_the_path_and_keeps_the_query() {
    let house = house(
        "",
        "
- {match: {path: /api}, to: api, rewrite: {prefix: /}}
- {match: {path: /old}, to: login, rewrite: {prefix: /new/place}}
- {match: {path: /any}, to: static, rewrite: {path: /index.html}}
",
    );
    for (target, service, forwarded) in [
        ("/api", "api", "/"),
        ("/api/x/y?q=/api", "api", "/x/y?q=/api"),
        ("/old/x", "login", "/new/place/x"),
        ("/old", "login", "/new/place"),
        ("/any/thing?v=1", "static", "/index.html?v=1"),
    ] {
        assert_eq!(house.gate.get(target).text(), service, "{target}");
        assert_eq!(house.upstream(service).last_request().target(), forwarded, "{target}");
    }
}

#[test]
fn a_route_may_change_headers_both_ways() {
    let upstream = Upstream::raw(
        "HTTP/1.1 200 OK\r\nServer: old\r\nX-Gone: 1\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
    );
    let gate = Setup::to(&upstream)
        .top(
            "routes:\n- {match: {path: /}, to: shop, \
             set_headers: {request: {x-set: new}, response: {server: tide}}, \
             add_headers: {request: {x-set: more}, response: {x-added: yes it is}}, \
             remove_headers: {request: [x-secret], response: x-gone}}",
        )
        .start();
    let answer = gate
        .answer_to("GET / HTTP/1.1\r\nHost: a\r\nX-Set: a\r\nx-set: b\r\nX-Secret: s\r\nX-Kept: k\r\n\r\n");
    let request = upstream.only_request();
    assert_eq!(request.head.all("x-set"), ["new", "more"]);
    assert!(!request.head.has("x-secret"), "{request:?}");
    assert_eq!(request.head.one("x-kept"), Some("k"));
    assert_eq!((answer.header("server"), answer.header("x-added")), (Some("tide"), Some("yes it is")));
    assert!(!answer.head.has("x-gone") && answer.head.has("x-kept"), "{answer:?}");
}

#[test]
fn a_route_may_send_the_client_elsewhere() {
    let house = house(
        "",
        "
- {match: {path: /secure}, redirect: {scheme: https, status: 301}}
- {match: {path: /away}, redirect: {host: other.test, port: 8443, status: 307}}
- {match: {path: /moved}, redirect: {path: /here}}
- {match: {path: /tree}, redirect: {path: {prefix: /wood}, status: 308}}
",
    );
    for (target, status, location) in [
        ("/secure/x?y=z", 301, "https://shop.test/secure/x?y=z"),
        ("/away/x", 307, "http://other.test:8443/away/x"),
        ("/moved/x?q=1", 302, "http://shop.test/here?q=1"),
        ("/tree/a/b", 308, "http://shop.test/wood/a/b"),
    ] {
        let mut client = house.gate.connect();
        let answer = client.get(target);
        let got =
            answer.header("location").map(|it| it.replace(&format!(":{}", house.gate.address().port()), ""));
        assert_eq!((answer.status, got.as_deref()), (status, Some(location)), "{target}");
        assert!(!answer.closes(), "{answer:?}");
    }
    assert_eq!(house.upstreams.iter().map(|it| it.1.count()).sum::<usize>(), 0);
}

/// What is matched is what is forwarded, whatever the policy.
#[test]
fn slashes_in_disguise_follow_the_policy() {
    let routes = "\n- {match: {path: /api}, to: api}\n";
    let keep = house("escaped_slashes: keep", routes);
    assert_eq!(keep.gate.get("/x%2fapi").text(), "shop");
    assert_eq!(keep.upstream("shop").last_request().target(), "/x%2fapi");
    assert_eq!(keep.gate.get("/api%2Fx").text(), "shop");
    assert_eq!(keep.gate.get("//api").text(), "shop");
    let reject = house("escaped_slashes: reject", routes);
    assert_eq!(reject.gate.get("/api%2fx").status, 400);
    assert_eq!(reject.gate.get("/api/x?y=%2f").text(), "api", "the query is not a path");
    let decode = house("escaped_slashes: decode", routes);
    assert_eq!(decode.gate.get("/api%2fx").text(), "api");
    assert_eq!(decode.upstream("api").last_request().target(), "/api/x");
    assert_eq!(decode.gate.get("/x%2f..%2fapi").text(), "api");
    let merge = house("merge_slashes: true", routes);
    assert_eq!(merge.gate.get("//api///x").text(), "api");
    assert_eq!(merge.upstream("api").last_request().target(), "/api/x");
}
