//! Where connections go: an endpoint, or one of the addresses behind its name.

use std::fmt;
use std::net::IpAddr;

use crate::model::{ServiceName, VersionName};
use crate::routing::{EndpointHost, EndpointSpec};

/// One place that connections can be opened to. Equal sites are interchangeable.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Site {
    /// The endpoint as the file has it.
    pub spec: EndpointSpec,
    /// Which of its addresses, if it is a name that is known to have some.
    pub address: Option<IpAddr>,
}

/// A site of a version: what health is remembered by, through every reload that still names it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The service.
    pub service: ServiceName,
    /// The version of it.
    pub version: VersionName,
    /// Where.
    pub site: Site,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spec.url())?;
        match (&self.spec.host, self.address) {
            (EndpointHost::Name(_), Some(address)) => write!(f, " ({address})"),
            _ => Ok(()),
        }
    }
}
