//! Which certificate a client gets: by the name that it asks for and by what it can verify. And which hosts a
//! connection may then ask for: none for which another certificate would have been shown.

use std::cell::Cell;
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

/// What a client has asked for when its connection began, where that bounds what it may ask for on it.
pub struct Authority {
    certificates: Arc<Certificates>,
    /// In lower case, without a last dot.
    name: Box<str>,
}

impl Authority {
    /// Whether a request for `host`, in lower case and without port, belongs on this connection (RFC 9110
    /// section 7.4). One for a host of another certificate does not, and with `unknown_name: refuse` neither
    /// does one for a host of none: whoever asks for it openly is refused.
    pub fn covers(&self, host: &str) -> bool {
        if *self.name == *host || host.is_empty() {
            return true;
        }
        // Nobody has promised a client anything that asked for a name of none.
        let Some(shown) = self.certificates.named(&self.name) else { return true };
        match self.certificates.named(host) {
            Some(others) => shown.iter().any(|it| others.contains(it)),
            None => self.certificates.unknown_name == UnknownName::Default,
        }
    }
}

thread_local! {
    /// The name in the hello that was read last. rustls asks for a certificate by it, and does not tell it to
    /// anybody else where records are processed in memory.
    static ASKED: Cell<Option<Box<str>>> = const { Cell::new(None) };
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

    /// What the hello that was just read has asked for, if it matters later.
    pub(super) fn take_asked(self: &Arc<Self>) -> Option<Authority> {
        let name = ASKED.take()?;
        Some(Authority { certificates: Arc::clone(self), name })
    }

    /// Whether there is a host that a connection for another one must not ask for.
    fn tells_apart(&self) -> bool {
        self.keys.len() > 1 || self.unknown_name == UnknownName::Refuse
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
        if self.tells_apart() {
            ASKED.set(name.as_deref().map(|it| it.strip_suffix('.').unwrap_or(it).into()));
        }
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
