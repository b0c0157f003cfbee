//! What goes over the wire: JSON, and nothing but additions from version to version.
//!
//! Shares are percent as the file writes them, durations are seconds, times are RFC 3339. The command
//! line reads the same types, so unknown members are passed over and missing new ones have defaults.

mod command;
mod config;
mod event;
mod explain;
mod notification;
mod service;
mod status;

pub use command::{
    CommandAsk, CommandDone, ConfigState, FreezeAsk, NothingAsk, ProblemWire, ReloadReply, UpgradeReply,
};
pub use config::{ChangeWire, CheckReply, ConfigAsk, DiffReply};
pub use event::{EventWire, EventsPage, EvidenceWire, HistoryPage, TallyWire};
pub use explain::{EndpointChoice, ExplainAsk, ExplainReply, RouteWire, ShareWire};
pub use notification::NotificationWire;
pub use service::{
    ActorWire, DriftWire, EndpointWire, GuardWire, LaneWire, ServiceWire, StepNumber, StepWire, WithdrawnWire,
};
pub use status::{
    FreezeWire, JournalWire, LastCallWire, ListenerWire, RefusedConfig, ServicesPage, StatusWire, TargetWire,
};
