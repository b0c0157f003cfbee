//! `tls` of a listener.

use super::super::code::Code;
use super::super::fields::{self, Fields, Shape};
use super::super::node::{Node, Value};
use super::super::problem::{Problems, Report};
use super::super::yaml::shown;
use super::authority::client_auth;
use super::certificate::identity;
use super::credentials::Credentials;
use super::{Identity, ListenerTls, TlsVersion, UnknownName};
use crate::routing::Redirect;

pub(in super::super) const LISTENER_TLS: Shape = Shape {
    name: "ListenerTls",
    what: "`tls` of a listener",
    keys: &["certs", "client_ca", "client_crl", "http2", "min", "unknown_name"],
};

pub(in super::super) const CERTIFICATE: Shape =
    Shape { name: "Certificate", what: "a certificate with its key", keys: &["cert", "key"] };

const EXAMPLE: &str = "for example certs: [{cert: shop.pem, key: shop.key}]";

/// How a listener speaks TLS.
pub(in super::super) fn listener(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<ListenerTls> {
    let fields = Fields::of(node, node.at, &LISTENER_TLS, problems)?;
    let certs = fields.required("certs", EXAMPLE, problems);
    let identities = certs.and_then(|it| identities(&it.value, credentials, problems));
    let (mut min, mut unknown_name) = (TlsVersion::default(), UnknownName::default());
    fields.set("min", &mut min, problems, |node, problems| {
        fields::choice(node, &[("1.2", TlsVersion::V12), ("1.3", TlsVersion::V13)], problems)
    });
    fields.set("unknown_name", &mut unknown_name, problems, |node, problems| {
        let choices = [("default", UnknownName::Default), ("refuse", UnknownName::Refuse)];
        fields::choice(node, &choices, problems)
    });
    let mut http2 = true;
    fields.set("http2", &mut http2, problems, fields::boolean);
    let (ca, crl) = (fields.get("client_ca"), fields.entry("client_crl"));
    let clients = match (ca, crl) {
        (Some(ca), crl) => Some(client_auth(ca, crl.map(|it| &it.value), credentials, problems)?),
        (None, Some(crl)) => {
            let message = "`client_crl` takes back what `client_ca` allows, and there is none";
            problems.push(Report::error(Code::Tls, crl.key.at, message));
            return None;
        }
        (None, None) => None,
    };
    Some(ListenerTls { identities: identities?, unknown_name, min, clients, http2 })
}

/// One certificate or a list of them.
fn identities(
    node: &Node,
    credentials: &mut Credentials<'_>,
    problems: &mut Problems,
) -> Option<Vec<Identity>> {
    if let Value::Map(_) = &node.value {
        return written(node, credentials, problems).map(|it| vec![it]);
    }
    let items = fields::items(node, "certificates are a list: [{cert: shop.pem, key: shop.key}]", problems)?;
    if items.is_empty() {
        let report = Report::error(Code::Tls, node.at, "TLS needs at least one certificate");
        problems.push(report.help(EXAMPLE));
        return None;
    }
    let found: Vec<_> = items.into_iter().map(|it| written(it, credentials, problems)).collect();
    found.into_iter().collect()
}

fn written(node: &Node, credentials: &mut Credentials<'_>, problems: &mut Problems) -> Option<Identity> {
    let fields = Fields::of(node, node.at, &CERTIFICATE, problems)?;
    let cert = fields.required("cert", "the file of the certificate and of those that issued it", problems);
    let key = fields.required("key", "the file of its private key", problems);
    identity(&cert?.value, &key?.value, credentials, problems)
}

/// `https` or `https:8443`.
pub(in super::super) fn redirect(node: &Node, problems: &mut Problems) -> Option<Redirect> {
    let written = fields::text(node, problems)?;
    let port = written.strip_prefix("https").and_then(|it| match it {
        "" => Some(HTTPS_PORT),
        it => it.strip_prefix(':')?.parse().ok().filter(|it| *it != 0),
    });
    if port.is_none() {
        let message = format!("a listener cannot redirect to `{}`", shown(written));
        problems.push(Report::error(Code::Value, node.at, message).help("https, or with a port https:8443"));
    }
    // The method and the body go along, which a 301 does not promise.
    Some(Redirect { scheme: Some("https".into()), host: None, port: Some(port?), path: None, status: 308 })
}

/// Where browsers go when a URL has no port.
const HTTPS_PORT: u16 = 443;
