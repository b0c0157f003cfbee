//! The dashboard as a browser gets it. What it shows and does is tested in one: `tests/dashboard/`.

use crate::support::{Client, Gate, Response, Setup, Upstream};

fn ask(gate: &Gate, path: &str, more: &str) -> Response {
    let admin = gate.admin_address();
    let text = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{more}\r\n");
    Client::connect(admin).send(text).response()
}

#[test]
fn the_page_and_its_parts_come_with_a_policy() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    let page = ask(&gate, "/", "");
    assert_eq!(page.status, 200);
    for part in ["dashboard/theme.js", "dashboard/style.css", "dashboard/app.js"] {
        assert!(page.text().contains(&format!("\"{part}\"")), "the page loads {part}");
        assert_eq!(ask(&gate, &format!("/{part}"), "").status, 200, "{part}");
    }
    for path in ["/", "/dashboard/app.js"] {
        let reply = ask(&gate, path, "");
        let header = |name: &str| reply.header(name).unwrap_or_default().to_owned();
        let policy = header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.split(';').any(|it| it.trim() == rule), "{path}: {rule} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(header(name), value, "{path}: {name}");
        }
        assert!(header("permissions-policy").contains("camera=()"));
        let again = ask(&gate, path, &format!("If-None-Match: {}\r\n", header("etag")));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
}

#[test]
fn nothing_else_has_a_name_there() {
    let upstream = Upstream::answering("fine");
    let gate = Setup::to(&upstream).start();
    for path in [
        "/dashboard",
        "/dashboard/",
        "/dashboard/../livez",
        "/dashboard/..%2froute.rs",
        "/dashboard/%2e%2e/app.js",
        "/dashboard//app.js",
        "/dashboard/app.js/",
        "/dashboard/APP.js",
        "/dashboard/secret.js",
        "//",
    ] {
        assert_eq!(ask(&gate, path, "").status, 404, "{path}");
    }
    let admin = gate.admin_address();
    let text = "GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n";
    assert_eq!(Client::connect(admin).send(text).response().status, 421, "a foreign name");
    // A data listener asks its backend, whatever the path is.
    for path in ["/", "/dashboard/app.js"] {
        assert_eq!(gate.get(path).text(), "fine", "{path}");
    }
}
