//! Files that nobody would write, made ours. Those that people do write are in `imports`.

use proptest::prelude::*;
use tidegate::import::{Format, Source, read};

use super::imports::problems_of;

#[test]
fn several_files_are_read_as_one_and_remarks_name_theirs() {
    let servers =
        Source { name: "a.conf", text: "server { listen 80; location / { proxy_pass http://$lane; } }" };
    let shares = Source {
        name: "b.conf",
        text: "upstream x { server 10.0.0.1; }\nupstream y { server 10.0.0.2; }\nsplit_clients $remote_addr $lane {\n 5% y;\n * x;\n}\nfoo;",
    };
    let imported = read(Format::Nginx, &[servers, shares]).unwrap();
    let file = imported.file.expect("a service").yaml();
    let versions = "      y: http://10.0.0.2\n      x: http://10.0.0.1\n    split:\n      y: 5%\n    sticky:\n      by: address\n";
    assert_eq!(file, format!("listen: 80\nservices:\n  lane:\n    live: x\n    versions:\n{versions}"));
    let places: Vec<_> = imported.remarks.iter().map(|it| (it.file, it.line, it.what.as_str())).collect();
    assert_eq!(places, [(1, 7, "foo")]);
}

#[test]
fn nothing_to_take_over_is_no_file() {
    for (format, text) in [
        (Format::Nginx, "events {}"),
        (Format::HaProxy, "global\n daemon"),
        (Format::Kubernetes, "kind: ConfigMap"),
        (Format::Kubernetes, ""),
        (Format::Nginx, ""),
    ] {
        let imported = read(format, &[Source { name: "f", text }]).unwrap();
        assert!(imported.file.is_none(), "{text}");
    }
}

/// Pieces of all grammars, so that random texts get past the scanner.
const PIECES: &[&str] = &[
    "upstream a { server 10.0.0.1:80; server b; }\n",
    "split_clients $request_id $x { 50% a; * b; }\n",
    "server {\n",
    "listen 80;\n",
    "listen 443 ssl;\n",
    "server_name a.b *.c .d _;\n",
    "}\n",
    "{\n",
    ";\n",
    "location / { proxy_pass http://a; }\n",
    "location / { proxy_pass http://a/z; }\n",
    "location = /e { proxy_pass http://$x/y; }\n",
    "location ~ x { proxy_pass http://a/y; return 302 /z; }\n",
    "location /r { return 307 https://h:81/p; }\n",
    "location /x/ { proxy_pass http://$x/y; }\n",
    "location ~ ^/[0-9]+ { proxy_pass https://10.1.1.1; add_header A \"b c\" always; }\n",
    "return 301 https://$host$request_uri;\n",
    "proxy_set_header X-A \"\";\n",
    "proxy_read_timeout 5;\n",
    "frontend f\n",
    "backend a\n",
    "listen l\n",
    " bind :80,:81\n",
    " bind *:443 ssl crt /x.pem\n",
    " server s1 10.0.0.1:80 weight 10 check\n",
    " server s2 h weight 90\n",
    " acl p path_beg /x /y/\n",
    " acl h hdr(host) -i A.b c.d\n",
    " use_backend a if p h\n",
    " use_backend a if p or h\n",
    " default_backend a\n",
    " option httpchk GET /z\n",
    " timeout server 5s\n",
    " cookie C insert\n",
    "defaults\n",
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  hostnames: [a.b]\n  rules:\n",
    "  - matches: [{path: {type: PathPrefix, value: /x}}]\n    backendRefs: [{name: a, port: 80, weight: 1}, {name: b, weight: 3}]\n",
    "  - backendRefs: [{name: a}]\n    filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]\n",
    "  - matches: [{path: {type: Exact, value: /e}}, {path: {value: /p}, method: GET}]\n    filters: [{type: URLRewrite, urlRewrite: {hostname: h.i, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]\n    backendRefs: [{name: a, weight: 0}]\n",
    "  - matches: [{path: {type: RegularExpression, value: '['}}]\n    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /q}}}]\n",
    "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: q}\nspec: {strategy: {canary: {steps: [{setWeight: 5}, {pause: {}}, {setWeight: 4}, {setWeight: 40}, {pause: {duration: 1h}}]}}}\n",
    "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {name: z}\nspec: {analysis: {stepWeight: 7, maxWeight: 60, metrics: [{name: request-success-rate, thresholdRange: {min: 99.5}}]}}\n",
    "---\n",
    "- ",
    "a: &a [*a]\n",
    "\"",
    "'",
    "#\n",
    "\\",
    "é",
    "null\n",
];

const ROUTE: &str =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  rules:\n";
const SHARES: &str =
    "upstream a { server 10.0.0.1:80; server b; }\nsplit_clients $request_id $x { 50% a; * b; }\n";

/// Whether a piece may stand in a sound file at the place where [`whatever_is_made_is_valid`] puts it.
fn is_of(format: Format, piece: &str) -> bool {
    match format {
        Format::Kubernetes => piece.starts_with("  - "),
        Format::Nginx => piece.ends_with(";\n") && piece.len() > 3 || piece.starts_with("location"),
        Format::HaProxy => piece.starts_with(' ') && !piece.starts_with("  "),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Whatever stands in a file: no panic, and what is made of it is a file of ours.
    #[test]
    fn whatever_is_made_is_valid(
        format in prop::sample::select(vec![Format::Nginx, Format::HaProxy, Format::Kubernetes]),
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..25),
                whole in any::<bool>(),
        noise in "\\PC{0,6}",
    ) {
        // Half of them are sound, of one grammar, and differ in what they say.
        let own: Vec<&str> = pieces.iter().copied().filter(|it| is_of(format, it)).collect();
        let text = match (whole, format) {
            (true, Format::Kubernetes) => format!("{ROUTE}{}", own.concat()),
            (true, Format::Nginx) => format!("{SHARES}server {{\n{}}}\n", own.concat()),
            (true, Format::HaProxy) => format!("backend b\n{}backend a\n server s 10.0.0.1:80 check\n", own.concat()),
            (false, _) => pieces.concat() + &noise,
        };
        if let Ok(imported) = read(format, &[Source { name: "f", text: &text }]) {
            prop_assert_eq!(problems_of(&imported), Vec::<String>::new(), "{}", text);
        }
    }
}
