//! Which certificate a client gets: by the name that it asks for and by what it can verify.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::{ListenerTls, UnknownName};

/// The certificates of a listener, by name.
pub struct Certificates {
    keys: Vec<Arc<CertifiedKey>>,
    /// Indices into `keys`, in their order: a name may have one certificate for each kind of key.
    by_name: HashMap<Box<str>, Vec<usize>>,
    unknown_name: UnknownName,
}

impl Certificates {
    /// Those of `settings`.
    pub fn new(settings: &ListenerTls) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, identity) in settings.identities.iter().enumerate() {
            for name in &identity.names {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
        let keys = settings.identities.iter().map(|it| Arc::clone(&it.key)).collect();
        Self { keys, by_name, unknown_name: settings.unknown_name }
    }

    /// Those for `name`, which is in lower case: of its own before of a wildcard (RFC 6125 section 6.4.3:
    /// the star stands for one label, the leftmost).
    fn named(&self, name: &str) -> Option<&[usize]> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let own = self.by_name.get(name);
        let found = own.or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(format!("*.{parent}").as_str())
        });
        found.map(Vec::as_slice)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let usable = |index: &usize| self.keys[*index].key.choose_scheme(hello.signature_schemes()).is_some();
        // Of several that fit, the first that the client can verify.
        let chosen = match name.as_deref().and_then(|it| self.named(it)) {
            Some(fitting) => fitting.iter().copied().find(usable).or_else(|| fitting.first().copied()),
            None if self.unknown_name == UnknownName::Refuse => None,
            None => Some(0),
        };
        chosen.map(|it| Arc::clone(&self.keys[it]))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
