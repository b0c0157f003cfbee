//! nginx: `upstream` and `split_clients` become versions and shares, `server` and `location` hosts and routes.
//!
//! `nginx -T` prints a whole configuration as one file; parts of one are read as well, in any order.

mod directive;
mod location;
mod server;
mod upstream;

use super::draft::Draft;
use super::remark::Remarks;
use super::{Source, Unreadable};

use directive::Directive;
use server::Settings;
use upstream::Upstreams;

pub(super) use location::{is_framing, is_token};

/// Reads all files, then puts the servers together: what they name may be in another file.
pub(super) fn read(
    sources: &[Source<'_>],
    draft: &mut Draft,
    remarks: &mut Remarks,
) -> Result<(), Unreadable> {
    let mut top = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        top.extend(directive::parse(index, source)?);
    }
    let mut http: Vec<&Directive> = Vec::new();
    for it in &top {
        match it.name.as_str() {
            "http" => http.extend(it.children.iter().flatten()),
            "stream" | "mail" => remarks.refused(it.at, &it.shown(), "only HTTP is taken over"),
            "events"
            | "worker_processes"
            | "user"
            | "pid"
            | "error_log"
            | "load_module"
            | "daemon"
            | "worker_rlimit_nofile"
            | "pcre_jit"
            | "worker_cpu_affinity" => {
                remarks.needless(
                    it.at,
                    &it.shown(),
                    "workers are as many as cores, and the service manager does the rest",
                );
            }
            _ => http.push(it),
        }
    }
    let mut upstreams = Upstreams::default();
    for it in &http {
        match it.name.as_str() {
            "upstream" => upstreams.take_upstream(it, remarks),
            "split_clients" => upstreams.take_split(it, remarks),
            _ => {}
        }
    }
    let mut settings = Settings::default();
    for it in &http {
        match it.name.as_str() {
            "upstream" | "split_clients" | "server" => {}
            _ if settings.take(it, remarks) => {}
            "include" => {
                let why = "name that file too, or give all of them at once as `nginx -T` prints them";
                remarks.refused(it.at, &it.shown(), why);
            }
            "map" | "geo" => {
                remarks.refused(it.at, &it.shown(), "there are no variables: routes match headers and paths")
            }
            "types"
            | "default_type"
            | "sendfile"
            | "tcp_nopush"
            | "tcp_nodelay"
            | "server_tokens"
            | "log_format"
            | "types_hash_max_size"
            | "server_names_hash_bucket_size"
            | "variables_hash_bucket_size" => {
                remarks.needless(it.at, &it.shown(), "nothing here depends on it");
            }
            "access_log" => {
                remarks.refused(it.at, &it.shown(), "see `access_log`, which has JSON and `combined`")
            }
            _ => remarks.refused(it.at, &it.shown(), "nothing here does that"),
        }
    }
    for it in http.iter().filter(|it| it.name == "server") {
        server::take(it, &settings, &mut upstreams, draft, remarks);
    }
    upstreams.remark_unused(remarks);
    server::settle_redirects(draft);
    Ok(())
}
