//! Objects of Kubernetes, by their kind. `Service` objects, where they are given too, say which port answers.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::foreign::{self, Node};
use super::remark::{At, Remarks};
use super::{Source, Unreadable, argo, flagger, httproute};

/// Ports of services by their name.
#[derive(Debug, Default)]
pub(super) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// The URL of a service. Names are those of the cluster, which is said once for each.
    pub fn url(&self, name: &str, port: Option<u64>, at: At, remarks: &mut Remarks) -> String {
        let port = port.and_then(|it| u16::try_from(it).ok()).filter(|it| *it > 0);
        let known = port.or_else(|| self.0.get(name).copied());
        let why = match known {
            Some(_) => "it is a name within the cluster: put addresses there that this machine reaches",
            None => {
                "it is a name within the cluster, and nothing says the port: put addresses there that this machine reaches"
            }
        };
        remarks.differs(at, name, why);
        // A name of Kubernetes is one of hosts; whatever else stands there must not become a broken file.
        let host = super::draft::name(name).to_ascii_lowercase().replace('_', "-");
        format!("http://{host}:{}", known.unwrap_or(80))
    }
}

/// Reads all files.
pub(super) fn read(
    sources: &[Source<'_>],
    draft: &mut Draft,
    remarks: &mut Remarks,
) -> Result<(), Unreadable> {
    let mut documents: Vec<Node> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        for document in foreign::documents(index, source)? {
            // `kubectl get -o yaml` prints a list of objects as one.
            match document.get("items") {
                Some(items) if document.text_at(&["kind"]).is_some_and(|it| it.ends_with("List")) => {
                    documents.extend(items.items().iter().cloned());
                }
                _ => documents.push(document),
            }
        }
    }
    let mut ports = Ports::default();
    for it in documents.iter().filter(|it| it.text_at(&["kind"]) == Some("Service")) {
        let name = it.text_at(&["metadata", "name"]);
        let port = it.at(&["spec", "ports"]).and_then(|it| it.items().first()?.get("port")?.number());
        if let (Some(name), Some(port)) =
            (name, port.and_then(|it| u16::try_from(it).ok()).filter(|it| *it > 0))
        {
            ports.0.insert(name.to_owned(), port);
        }
    }
    for it in &documents {
        let group = it.text_at(&["apiVersion"]).and_then(|it| it.split_once('/')).map_or("", |it| it.0);
        let kind = it.text_at(&["kind"]).unwrap_or_default();
        match (group, kind) {
            ("gateway.networking.k8s.io", "HTTPRoute") => httproute::take(it, &ports, draft, remarks),
            ("argoproj.io", "Rollout") => argo::take(it, &ports, draft, remarks),
            ("flagger.app", "Canary") => flagger::take(it, &ports, draft, remarks),
            ("", "Service") => {}
            ("argoproj.io", "AnalysisTemplate" | "ClusterAnalysisTemplate")
            | ("flagger.app", "MetricTemplate") => {
                let why = "answers are counted here; a number of a Prometheus can hold a release (`queries` of `guard`)";
                remarks.refused(it.at, &shown(it), why);
            }
            ("networking.istio.io", "Gateway")
            | ("gateway.networking.k8s.io", "Gateway" | "GatewayClass") => {
                remarks.refused(it.at, &shown(it), "see `listen`");
            }
            ("networking.istio.io", _) => {
                remarks.refused(
                    it.at,
                    &shown(it),
                    "it is what a mesh needs; the routes are those of an HTTPRoute",
                );
            }
            _ => remarks.refused(it.at, &shown(it), "only HTTPRoute, Rollout, Canary and Service are read"),
        }
    }
    Ok(())
}

fn shown(it: &Node) -> String {
    let part = |keys: &[&str]| it.text_at(keys).unwrap_or("?").to_owned();
    format!("{} {}", part(&["kind"]), part(&["metadata", "name"]))
}

/// A remark for each line of a map that is none of these.
pub(super) fn others(of: &Node, known: &[&str], why: &str, remarks: &mut Remarks) {
    for (at, key, _) in of.entries().iter().filter(|it| !known.contains(&it.1.as_str())) {
        remarks.refused(*at, key, why);
    }
}
