//! Finding the server that runs a file, and the file when none is named.

use std::env;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::admin::Token;
use crate::app::{Disk, admin_socket, state_directory};
use crate::config::{self, AdminAccess, Doors, Files, SecretSource};
use crate::runtime::{own_user, user_name};

use super::arguments::Global;
use super::exit;
use super::failure::Failure;

/// Where a server may answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// A Unix socket.
    Socket(PathBuf),
    /// `host:port`, without TLS.
    Tcp(String),
    /// The same with TLS.
    Tls {
        /// `host:port`.
        authority: String,
        /// The name that its certificate must have.
        name: String,
    },
}

/// Places to try, in order, and the token for those that need one.
#[derive(Debug)]
pub struct Places {
    /// The first that answers is the server.
    pub places: Vec<Place>,
    /// From `$TIDEGATE_TOKEN`; else the one that the file names, or that is in the state directory, if it may be
    /// read.
    pub token: Option<Token>,
    /// Whether the places were named by who asks, or by a file that is theirs or root's.
    pub vouched: bool,
    /// Whether the file that is meant cannot be read.
    pub unreadable: bool,
    /// What should be said about the search.
    pub remark: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(authority) => write!(f, "http://{authority}"),
            Self::Tls { authority, .. } => write!(f, "https://{authority}"),
        }
    }
}

/// The configuration file that is meant: the named one, the one here, or the system's.
pub fn config_file(global: &Global) -> Option<PathBuf> {
    if let Some(named) = &global.config {
        return Some(named.clone());
    }
    [FILE_HERE, FILE_OF_SYSTEM].map(PathBuf::from).into_iter().find(|it| it.exists())
}

/// Where the server may answer that is meant.
pub fn places(global: &Global) -> Result<Places, Failure> {
    let url = global.server.clone().or_else(|| env::var("TIDEGATE_URL").ok().filter(|it| !it.is_empty()));
    let file = config_file(global);
    if let Some(named) = global.config.as_deref().filter(|it| !it.exists()) {
        let message = format!("there is no configuration file `{}`", named.display());
        return Err(Failure::new(exit::CONFIG, message));
    }
    let loaded = file.as_deref().map(|it| config::load(it, &Disk));
    let unreadable = loaded.as_ref().is_some_and(|it| it.doors.is_none());
    let doors = loaded.and_then(|it| it.doors);
    let named = doors.as_ref().and_then(|it| it.state.as_deref());
    let state = state_directory(named, doors.as_ref().is_some_and(|it| it.own_account));
    let given = env::var("TIDEGATE_TOKEN").ok().filter(|it| !it.is_empty());
    let token = match given.as_deref().map(Token::parse) {
        Some(Ok(token)) => Some(token),
        Some(Err(why)) => return Err(Failure::new(exit::USAGE, format!("TIDEGATE_TOKEN: {why}"))),
        None => own_token(doors.as_ref(), &state),
    };
    let foreign = file.as_deref().filter(|_| global.config.is_none()).and_then(stranger);
    let file = file.unwrap_or_default();
    let file = file.display();
    let remark =
        unreadable.then(|| format!("`{file}` is invalid; looking for its server in the usual places"));
    match url {
        Some(url) => {
            let place = parse_url(&url)?;
            // A token that was found here is good for a server here, and nobody else's to read.
            let token = token.filter(|_| given.is_some() || !place.is_elsewhere());
            Ok(Places { places: vec![place], token, vouched: true, unreadable: false, remark: None })
        }
        None => {
            let places = usual(doors.as_ref(), &state);
            let Some(owner) = foreign else {
                return Ok(Places { places, token, vouched: true, unreadable, remark });
            };
            let remark = remark.unwrap_or_else(|| {
                format!(
                    "`{file}` here belongs to {owner}: no token is sent where it leads; -c {file} means it"
                )
            });
            Ok(Places { places, token: None, vouched: false, unreadable, remark: Some(remark) })
        }
    }
}

/// Whose the file is that lies where we happen to be, if it is somebody else's: it may lead to a server of theirs.
fn stranger(file: &Path) -> Option<String> {
    let owner = std::fs::metadata(file).ok().filter(|_| file == Path::new(FILE_HERE))?.uid();
    (owner != 0 && owner != own_user()).then(|| user_name(owner))
}

/// The places of a file's server; without a file, those of a server that uses all defaults. A server
/// that systemd started has directories that our own environment knows nothing of.
fn usual(doors: Option<&Doors>, state: &Path) -> Vec<Place> {
    let socket = doors.and_then(|it| it.admin.socket.as_deref());
    let mut places = vec![Place::Socket(admin_socket(socket, state))];
    if socket.is_none() {
        places.push(Place::Socket(state.join("admin.sock")));
        if doors.is_none_or(|it| it.state.is_none()) {
            places.extend(SYSTEM_SOCKETS.map(|it| Place::Socket(it.into())));
        }
    }
    let admin = doors.map(|it| it.admin.clone()).unwrap_or_default();
    places.extend(admin.listen.map(|it| by_address(it, &admin.access)));
    let mut distinct: Vec<Place> = Vec::new();
    for place in places {
        if !distinct.contains(&place) {
            distinct.push(place);
        }
    }
    distinct
}

/// The way to an address of this machine.
fn by_address(listen: SocketAddr, access: &AdminAccess) -> Place {
    let here = match listen.ip() {
        IpAddr::V4(it) if it.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(it) if it.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        it => it,
    };
    let authority = SocketAddr::new(here, listen.port()).to_string();
    if access.tls.is_none() {
        return Place::Tcp(authority);
    }
    let name = access.names.first().map_or_else(|| here.to_string(), ToString::to_string);
    Place::Tls { authority, name }
}

/// The token that may do everything, if it may be read.
fn own_token(doors: Option<&Doors>, state: &Path) -> Option<Token> {
    let tokens = doors.map_or(&[][..], |it| &it.admin.access.tokens);
    if tokens.is_empty() {
        return Token::load(state).ok();
    }
    let text = match &tokens.iter().find(|it| it.is_everybodys())?.source {
        SecretSource::File(path) => String::from_utf8(Disk.read_secret(path).ok()?).ok()?,
        SecretSource::Variable(name) => env::var(name).ok()?,
    };
    Token::parse(text.trim_end_matches(['\n', '\r'])).ok()
}

impl Place {
    /// Whether it is not this machine, as far as its name tells.
    fn is_elsewhere(&self) -> bool {
        let authority = match self {
            Self::Socket(_) => return false,
            Self::Tcp(authority) | Self::Tls { authority, .. } => authority,
        };
        let host = authority.rsplit_once(':').map_or(authority.as_str(), |it| it.0);
        let host = host.trim_matches(['[', ']']);
        host != "localhost" && !host.parse().is_ok_and(|it: IpAddr| it.to_canonical().is_loopback())
    }
}

fn parse_url(url: &str) -> Result<Place, Failure> {
    if let Some(path) = url.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(Place::Socket(path.into()));
    }
    let (secure, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, Some(rest)),
        None => (false, url.strip_prefix("http://")),
    };
    let authority = rest.map(|it| it.trim_end_matches('/'));
    let authority = authority.filter(|it| !it.is_empty() && !it.contains(['/', '@', '?', '#']));
    match authority.and_then(|it| it.parse::<http::uri::Authority>().ok()) {
        Some(it) if secure => {
            let port = it.port_u16().unwrap_or(HTTPS_PORT);
            let name = it.host().trim_matches(['[', ']']).to_owned();
            Ok(Place::Tls { authority: format!("{}:{port}", it.host()), name })
        }
        Some(it) if it.port_u16().is_some() => Ok(Place::Tcp(it.as_str().to_owned())),
        _ => {
            let failure = Failure::new(exit::USAGE, format!("`{url}` is no address of a server"));
            Err(failure.hint(
                "use https://ops.example.com:9900, http://127.0.0.1:9900 or unix:/run/tidegate/admin.sock",
            ))
        }
    }
}

/// Where `https` is without a port.
const HTTPS_PORT: u16 = 443;
const FILE_HERE: &str = "tidegate.yaml";
const FILE_OF_SYSTEM: &str = "/etc/tidegate/tidegate.yaml";
/// What our systemd unit makes of `RuntimeDirectory=` and `StateDirectory=`.
const SYSTEM_SOCKETS: [&str; 2] = ["/run/tidegate/admin.sock", "/var/lib/tidegate/admin.sock"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        for (url, place) in [
            ("http://127.0.0.1:9900", Some("http://127.0.0.1:9900")),
            ("http://localhost:9900/", Some("http://localhost:9900")),
            ("http://[::1]:9900", Some("http://[::1]:9900")),
            ("unix:/run/a.sock", Some("unix:/run/a.sock")),
            ("unix:///run/a.sock", Some("unix:/run/a.sock")),
            ("127.0.0.1:9900", None),
            ("https://ops.example.com:9900", Some("https://ops.example.com:9900")),
            ("https://ops.example.com/", Some("https://ops.example.com:443")),
            ("https://[::1]:9900", Some("https://[::1]:9900")),
            ("https://me@ops.example.com", None),
            ("ftp://127.0.0.1:9900", None),
            ("http://127.0.0.1", None),
            ("http://a:1/x", None),
            ("http://", None),
        ] {
            assert_eq!(parse_url(url).ok().map(|it| it.to_string()).as_deref(), place, "{url}");
        }
    }

    #[test]
    fn what_is_found_here_stays_here() {
        for (url, elsewhere) in [
            ("unix:/run/a.sock", false),
            ("http://127.0.0.1:9900", false),
            ("http://[::1]:9900", false),
            ("https://localhost:9900", false),
            ("http://10.0.0.1:9900", true),
            ("https://localhost.evil.test", true),
        ] {
            assert_eq!(parse_url(url).unwrap().is_elsewhere(), elsewhere, "{url}");
        }
    }

    #[test]
    fn a_file_with_a_state_directory_is_looked_for_nowhere_else() {
        let text = "{listen: 1, state: st, admin: {listen: 127.0.0.1:9}, services: {a: {live: b, versions: {b: http://127.0.0.1:2}}}}";
        let files = config::MemoryFiles::new().with("/etc/tg.yaml", text);
        let loaded = config::load(Path::new("/etc/tg.yaml"), &files);
        let doors = loaded.doors.unwrap_or_else(|| panic!("{}", loaded.problems.render_human(false)));
        let places = usual(Some(&doors), doors.state.as_deref().unwrap());
        let shown: Vec<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(shown.last().unwrap(), "http://127.0.0.1:9");
        assert!(shown.iter().any(|it| it == "unix:/etc/st/admin.sock"), "{shown:?}");
        assert!(!shown.iter().any(|it| it.contains("/var/lib")), "{shown:?}");
    }
}
