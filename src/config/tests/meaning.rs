//! What the keys mean in the domain.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::message::HeaderEdit;
use crate::model::Weight;
use crate::routing::{RequestFacts, StickyBy, Target, VersionIndex};

use super::super::{Config, MemoryFiles, load};
use super::{BLUE_GREEN, good, load_text};

/// A file with one service that says this too.
fn service(more: &str) -> Config {
    good(&format!(
        "listen: 8080\nservices:\n  shop:\n    live: a\n    versions: {{a: http://h1, b: http://h2}}\n    {more}\n"
    ))
}

#[test]
fn listeners() {
    let config = good(
        "
listen:
  a: 8080
  b: '[::1]:8081'
  c: {port: 8082, bind: 127.0.0.1, trust: 10.0.0.0/8, limits: {body_rate: off, connections: 10}, merge_slashes: true}
services: {shop: {live: v1, versions: {v1: http://h}}}
",
    );
    let addresses: Vec<String> = config.listeners.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(addresses, ["0.0.0.0:8080", "[::1]:8081", "127.0.0.1:8082"]);
    let c = &config.listeners[2];
    assert!(c.trust[0].contains(IpAddr::from([10, 1, 2, 3])));
    assert_eq!((c.limits.body_rate, c.limits.connections, c.merge_slashes), (0, Some(10), true));
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9900");
}

#[test]
fn json_in_every_layout() {
    let json = r#"{"listen":8080,"services":{"shop":{"live":"blue","versions":{"blue":"http:\/\/10.0.1.10:3000","green":"http://10.0.2.10:3000"}}}}"#;
    let expected = format!("{:?}", good(BLUE_GREEN).services);
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let spaces = serde_json::to_string_pretty(&value).unwrap();
    let tabs = spaces.replace("  ", "\t");
    for text in [json.to_string(), spaces, tabs] {
        assert_eq!(format!("{:?}", good(&text).services), expected, "{text}");
    }
}

#[test]
fn guards_and_their_defaults() {
    let guard = |more: &str| service(more).services[0].plan.guard.clone();
    let errors = |more: &str| {
        let it = guard(more).errors.expect("on");
        (it.ceiling, it.tolerance.absolute, it.tolerance.relative)
    };
    assert_eq!(errors(""), (None, 0.001, 0.1));
    assert_eq!(errors("rollout: {guard: {errors: 1%}}"), (Some(0.01), 0.001, 0.1));
    assert_eq!(errors("rollout: {guard: {errors: +0.5pp}}"), (None, 0.005, 0.0));
    assert_eq!(errors("rollout: {guard: {errors: +20%}}"), (None, 0.0, 0.2));
    assert_eq!(errors("rollout: {guard: {errors: [2%, +0.5pp]}}"), (Some(0.02), 0.005, 0.0));
    assert_eq!(guard("rollout: {guard: off}").errors, None);
    assert_eq!(guard("rollout: {guard: {false_rollback: 1%}}").false_rollback, 0.01);

    let text = format!(
        "{BLUE_GREEN}    rollout: {{guard: {{false_rollback: 1%}}}}\ndefaults: {{guard: {{errors: 3%, error_status: 4xx}}}}\n"
    );
    let config = good(&text);
    let guard = &config.services[0].plan.guard;
    assert_eq!((guard.errors.unwrap().ceiling, guard.false_rollback), (Some(0.03), 0.01));
    assert!(config.services[0].spec.error_status.counts(404));

    let key = |it: &str| {
        service(&format!("rollout: {{guard: {{client_key: {it}}}}}")).services[0].spec.client_key.clone()
    };
    assert_eq!(service("").services[0].spec.client_key, StickyBy::Address);
    assert_eq!(key("address"), StickyBy::Address);
    assert_eq!(key("{header: X-User}"), StickyBy::Header("x-user".into()));
    assert_eq!(key("{cookie: Session}"), StickyBy::Cookie("Session".into()));
}

#[test]
fn steps() {
    let config = service("rollout: {steps: [0.25% for 90s, {weight: 50%, for: 5m, requests: 7}], watch: 1h}");
    let plan = &config.services[0].plan;
    let steps: Vec<_> =
        plan.steps.iter().map(|it| (it.weight.basis_points(), it.soak.as_secs(), it.requests)).collect();
    assert_eq!(steps, [(25, 90, 100), (5_000, 300, 7)]);
    assert_eq!(plan.watch.time, Duration::from_secs(3600));
}

#[test]
fn pins_split_and_sticky() {
    let config = service(
        "split: {b: 20%}\n    sticky: {by: header, name: X-User}\n    pin: [{when: {header: {X-Group: beta}}, to: b}]",
    );
    let service = &config.services[0];
    assert_eq!(service.split, [(VersionIndex(1), Weight::from_basis_points(2_000).unwrap())]);
    assert_eq!(service.spec.sticky, Some(StickyBy::Header("x-user".into())));
    assert_eq!(service.spec.pins[0].when[0].name, "x-group");
    assert_eq!(service.spec.pins[0].to, VersionIndex(1));
}

#[test]
fn limits_and_timeouts_start_from_the_defaults() {
    let text = format!(
        "{BLUE_GREEN}    timeouts: {{request: 5s}}\n    limits: {{body: off}}\ndefaults: {{timeouts: {{connect: 1s, request: 9s}}, limits: {{body: 1MiB}}}}\n"
    );
    let spec = good(&text).services[0].spec.clone();
    assert_eq!(spec.timeouts.connect, Duration::from_secs(1));
    assert_eq!(spec.timeouts.request, Some(Duration::from_secs(5)));
    assert_eq!(spec.limits.body, None);
}

#[test]
fn fingerprints_are_those_of_the_endpoints() {
    let of = |versions: &str| {
        let text = format!("listen: 8080\nservices: {{shop: {{live: x, versions: {{x: {versions}}}}}}}\n");
        good(&text).services[0].spec.versions[0].fingerprint
    };
    assert_eq!(of("[http://h1, http://h2]"), of("{endpoints: [http://H2:80/, http://h1]}"));
    assert_ne!(of("http://h1"), of("http://h2"));
}

#[test]
fn includes_and_what_to_watch() {
    let service = |host: &str| {
        format!("services: {{{host}: {{hosts: {host}.example.com, live: v, versions: {{v: http://h}}}}}}\n")
    };
    let files = MemoryFiles::new()
        .with("/etc/t/main.yaml", "listen: 80\ninclude: [conf.d/*.yaml, more/x.yaml]\nstate: ../state\n")
        .with("/etc/t/conf.d/b.yaml", service("b"))
        .with("/etc/t/conf.d/a.yaml", service("a"))
        .with("/etc/t/conf.d/.a.yaml.swp", "rubbish: [")
        .with("/etc/t/more/x.yaml", service("x"));
    let loaded = load(Path::new("/etc/t/main.yaml"), &files);
    assert_eq!(loaded.problems.counts(), (0, 0), "{}", loaded.problems.render_human(false));
    let config = loaded.config.unwrap();
    let names: Vec<&str> = config.services.iter().map(|it| it.spec.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "x"]);
    assert_eq!(config.state, Some(PathBuf::from("/etc/t/../state")));
    let read: Vec<&str> = loaded.read.iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(
        read,
        [
            "/etc/t",
            "/etc/t/conf.d",
            "/etc/t/conf.d/a.yaml",
            "/etc/t/conf.d/b.yaml",
            "/etc/t/main.yaml",
            "/etc/t/more",
            "/etc/t/more/x.yaml",
        ]
    );

    let again = load(Path::new("/etc/t/main.yaml"), &files);
    assert_eq!(again.digest, loaded.digest);
    let changed = files.with("/etc/t/more/x.yaml", service("y"));
    assert_ne!(load(Path::new("/etc/t/main.yaml"), &changed).digest, loaded.digest);
}

#[test]
fn hosts_and_routes() {
    let config = good(
        "
listen: 8080
services:
  shop: {hosts: [shop.example.com, '*.shop.example.com'], live: v, versions: {v: http://h1}}
  rest: {live: v, versions: {v: http://h2}}
  api: {live: v, versions: {v: http://h3}}
routes:
- {match: {path: /api/}, to: api}
- {match: {host: www.example.com}, redirect: {host: shop.example.com}}
",
    );
    let to = |host: &str, path: &str| {
        let facts = RequestFacts { host, path, method: "GET", query: None, header: &|_, _| {} };
        match &config.matcher.find(&facts).expect("something catches all").target {
            Target::Service(index) => config.services[index.0].spec.name.to_string(),
            Target::Redirect(it) => format!("{} {}", it.status, it.host.clone().unwrap_or_default()),
        }
    };
    assert_eq!(to("shop.example.com", "/"), "shop");
    assert_eq!(to("a.shop.example.com", "/x"), "shop");
    assert_eq!(to("shop.example.com", "/api"), "shop");
    assert_eq!(to("other", "/api/x"), "api");
    assert_eq!(to("other", "/apix"), "rest");
    assert_eq!(to("www.example.com", "/"), "302 shop.example.com");
}

#[test]
fn a_route_may_take_a_whole_service() {
    let config =
        good(&format!("{BLUE_GREEN}routes:\n- {{to: shop, set_headers: {{request: {{x-a: b}}}}}}\n"));
    let facts = RequestFacts { host: "h", path: "/", method: "GET", query: None, header: &|_, _| {} };
    assert_eq!(config.matcher.find(&facts).unwrap().request_headers.len(), 1);
}

#[test]
fn header_edits_in_their_order() {
    let text = format!(
        "{BLUE_GREEN}routes:\n- to: shop\n  add_headers: {{request: {{X-C: c}}}}\n  set_headers: {{request: {{Host: shop.internal:81}}}}\n  remove_headers: {{request: [X-A]}}\n"
    );
    let config = good(&text);
    let facts = RequestFacts { host: "h", path: "/", method: "GET", query: None, header: &|_, _| {} };
    let edits = &config.matcher.find(&facts).unwrap().request_headers;
    let (remove, set, add) = (HeaderEdit::Remove("x-a".into()), ("host", "shop.internal:81"), ("x-c", "c"));
    assert_eq!(
        edits[..],
        [remove, HeaderEdit::Set(set.0.into(), set.1.into()), HeaderEdit::Add(add.0.into(), add.1.into())]
    );
}

#[test]
fn versions_keep_their_spelling() {
    let config =
        good("listen: 80\nservices: {shop: {live: 1.10, versions: {1.10: http://h, on: http://i}}}\n");
    let names: Vec<&str> = config.services[0].spec.versions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["1.10", "on"]);
}

#[test]
fn a_warning_does_not_stop_loading() {
    let loaded = load_text(format!("{BLUE_GREEN}    split: {{green: 20%}}\n"));
    assert_eq!(loaded.problems.counts(), (0, 1));
    assert!(loaded.config.is_some());
}

/// The testers' host leads to their service, whether it has hosts or catches all.
#[test]
fn previews() {
    for hosts in ["", "hosts: shop.example.com"] {
        let more = format!("{{preview: {{host: Next.example.com, header: {{x-preview: b}}}}}}\n    {hosts}");
        let config = service(&format!("rollout: {more}"));
        let preview = config.services[0].spec.preview.clone().expect("a preview");
        assert_eq!(preview.host.as_deref(), Some("next.example.com"));
        assert_eq!(preview.headers[0].name, "x-preview");
        let facts = RequestFacts {
            host: "next.example.com",
            path: "/any",
            method: "GET",
            query: None,
            header: &|_, _| {},
        };
        assert!(config.matcher.find(&facts).is_some(), "{hosts}");
    }
    assert!(service("rollout: {watch: 1m}").services[0].spec.preview.is_none());
}
