//! What would become of a request, on the wire.

use serde::{Deserialize, Serialize};

/// A request to be explained.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainAsk {
    /// Its method.
    pub method: String,
    /// `http://shop.example.com/cart`; the listener is the one with that port, if there is one.
    pub url: String,
    /// Its header lines, each as `name: value`.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Whom it comes from; needed where the address of the client decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What would become of a request, and why.
#[derive(schemars::JsonSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ExplainReply {
    /// The request as routes are compared with it: `GET shop.example.com/cart`.
    pub request: String,
    /// The configuration it was asked of; 0 is a file that nobody runs.
    pub generation: u64,
    /// The listener it would come to: `http (0.0.0.0:8080)`.
    pub listener: Option<String>,
    /// The status that we answer ourselves; `None` when a version answers.
    pub status: Option<u16>,
    /// Why we answer ourselves, and how.
    pub answer: Option<String>,
    /// The route that wins.
    pub route: Option<RouteWire>,
    /// Routes that match and lose, by precedence.
    #[serde(default)]
    pub lost: Vec<RouteWire>,
    /// If no route matches: those that miss least.
    #[serde(default)]
    pub nearest: Vec<RouteWire>,
    /// The service.
    pub service: Option<String>,
    /// The version; `None` where chance decides.
    pub version: Option<String>,
    /// Why that version.
    pub why: Option<String>,
    /// `stable` or `canary`.
    pub lane: Option<String>,
    /// Whether the request is held for or against the version.
    #[serde(default)]
    pub judged: bool,
    /// The point of the caller among the 10 000, where that decides.
    pub bucket: Option<u16>,
    /// Every version with a share.
    #[serde(default)]
    pub shares: Vec<ShareWire>,
    /// Where it can be sent.
    #[serde(default)]
    pub endpoints: Vec<EndpointChoice>,
    /// How one of them is chosen.
    pub balance: Option<String>,
    /// What else one should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A route and what became of it.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RouteWire {
    /// What people call it.
    pub route: String,
    /// Where it leads.
    pub to: String,
    /// By what it wins or loses, or what it misses.
    pub why: String,
}

/// A version and its share.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ShareWire {
    /// The version.
    pub version: String,
    /// Its share.
    pub weight_percent: f64,
}

/// An endpoint that a request can be sent to.
#[derive(schemars::JsonSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct EndpointChoice {
    /// Its version.
    pub version: String,
    /// Where it is.
    pub endpoint: String,
    /// `up`, `warming`, `waiting`, `down` or `ejected`; `None` if nobody looks.
    pub state: Option<String>,
}
