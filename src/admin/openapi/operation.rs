//! Everything that can be asked for.

use schemars::generate::SchemaGenerator;

use super::super::wire::{
    CheckReply, CommandAsk, CommandDone, ConfigAsk, ConfigState, DiffReply, EventsPage, ExplainAsk,
    ExplainReply, FreezeAsk, HistoryPage, NothingAsk, ReloadReply, ServiceWire, ServicesPage, StatusWire,
    UpgradeReply,
};
use super::Make;

/// A method on a path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// The body of a POST.
    pub(super) asks: Make,
    /// Those of its members that mean something here; `None` is all.
    pub(super) members: Option<&'static [&'static str]>,
    /// What may stand in the query, and headers of its own.
    pub(super) query: &'static [&'static str],
    pub(super) answer: Answer,
    /// What the answer is, in a sentence.
    pub(super) answered: &'static str,
    /// Whether it has a tag.
    pub(super) tagged: bool,
    /// Whether something changes.
    pub(super) changes: bool,
    /// Codes of problems beside those of every path.
    pub(super) codes: &'static [&'static str],
}

/// What comes back when all is well.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Json(Make),
    /// Texts of these types.
    Texts(&'static [&'static str]),
}

const NOTHING: Make = SchemaGenerator::subschema_for::<NothingAsk>;

const PLAIN: Operation = Operation {
    method: "get",
    path: "/livez",
    id: "livez",
    tag: "process",
    summary: "Whether the process runs.",
    asks: NOTHING,
    members: None,
    query: &[],
    answer: Answer::Texts(&["text/plain"]),
    answered: "It does.",
    tagged: false,
    changes: false,
    codes: &[],
};

const READ: Operation = Operation { tagged: true, tag: "status", ..PLAIN };

const COMMAND: Operation = Operation {
    method: "post",
    tag: "releases",
    asks: SchemaGenerator::subschema_for::<CommandAsk>,
    answer: Answer::Json(SchemaGenerator::subschema_for::<CommandDone>),
    answered: "It was carried out, or was so already.",
    changes: true,
    codes: &[
        "unknown_service",
        "file_decides",
        "wrong_state",
        "quarantined",
        "no_target",
        "not_permitted",
        "not_ready",
        "busy",
        "not_durable",
        "stopping",
    ],
    ..PLAIN
};

pub(super) const OPERATIONS: &[Operation] = &[
    PLAIN,
    Operation {
        path: "/readyz",
        id: "readyz",
        summary: "Whether a configuration serves and the process is not coming to its end.",
        answered: "It is ready.",
        ..PLAIN
    },
    Operation {
        path: "/metrics",
        id: "metrics",
        summary: "All metrics, for Prometheus.",
        answer: Answer::Texts(&["text/plain", "application/openmetrics-text"]),
        answered: "The metrics, in the dialect that `Accept` likes best.",
        ..PLAIN
    },
    Operation {
        path: "/",
        id: "page",
        summary: "The dashboard.",
        answer: Answer::Texts(&["text/html"]),
        answered: "A page that reads the rest of this interface.",
        ..PLAIN
    },
    Operation {
        path: "/dashboard/{file}",
        id: "page_file",
        summary: "What the dashboard is made of.",
        answer: Answer::Texts(&["text/javascript", "text/css", "image/svg+xml"]),
        answered: "A part of the page.",
        ..PLAIN
    },
    Operation {
        path: "/api/openapi.json",
        id: "openapi",
        tag: "process",
        summary: "This document.",
        answer: Answer::Json(SchemaGenerator::subschema_for::<serde_json::Map<String, serde_json::Value>>),
        answered: "The document.",
        ..READ
    },
    Operation {
        path: "/api/v1/status",
        id: "status",
        summary: "Everything as it is.",
        query: &["after", "timeout"],
        answer: Answer::Json(SchemaGenerator::subschema_for::<StatusWire>),
        answered: "The status.",
        ..READ
    },
    Operation {
        path: "/api/v1/services",
        id: "services",
        summary: "All services.",
        query: &["after", "timeout"],
        answer: Answer::Json(SchemaGenerator::subschema_for::<ServicesPage>),
        answered: "The services, in the order of the file.",
        ..READ
    },
    Operation {
        path: "/api/v1/services/{name}",
        id: "service",
        summary: "One service.",
        query: &["after", "timeout"],
        answer: Answer::Json(SchemaGenerator::subschema_for::<ServiceWire>),
        answered: "The service.",
        codes: &["unknown_service"],
        ..READ
    },
    Operation {
        path: "/api/v1/services/{name}/history",
        id: "history",
        summary: "The decisions about a service and what they rested on, newest first.",
        query: &["limit", "cursor"],
        answer: Answer::Json(SchemaGenerator::subschema_for::<HistoryPage>),
        answered: "A page of the history.",
        codes: &["unknown_service"],
        ..READ
    },
    Operation {
        path: "/api/v1/events",
        id: "events",
        summary: "The decisions about all services, oldest first; without a place, the newest of them.",
        query: &["since", "limit", "cursor", "service", "wait", "notified"],
        answer: Answer::Json(SchemaGenerator::subschema_for::<EventsPage>),
        answered: "A page of events.",
        ..READ
    },
    Operation {
        path: "/api/v1/events/stream",
        id: "stream",
        summary: "The status, and then what changes of it and what is decided, as it happens: events `snapshot`, \
                  `status`, `decision` and `notification`.",
        query: &["since", "Last-Event-ID", "notified"],
        answer: Answer::Texts(&["text/event-stream"]),
        answered: "Server-sent events, until the reader leaves, the process ends or an hour has passed.",
        tagged: false,
        codes: &["stopping", "too_many_streams"],
        ..READ
    },
    Operation {
        path: "/api/v1/services/{name}/promote",
        id: "promote",
        summary: "Takes a release past its gate or to its next step; with `full`, to the end.",
        members: Some(&["full", "to", "reason", "override", "step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/services/{name}/pause",
        id: "pause",
        summary: "Holds a release where it is. Guards stay armed.",
        members: Some(&["for", "reason", "step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/services/{name}/resume",
        id: "resume",
        summary: "Lets a release go on by itself.",
        members: Some(&["step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/services/{name}/rollback",
        id: "rollback",
        summary: "Takes all traffic back, at once.",
        members: Some(&["to", "reason", "step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/services/{name}/weight",
        id: "weight",
        summary: "Gives the version that is being tried a share by hand. Nothing advances until `resume`.",
        members: Some(&["weight", "version", "reason", "step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/services/{name}/retry",
        id: "retry",
        summary: "Lets a version that was rolled back be tried once more.",
        members: Some(&["step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/services/{name}/deploy",
        id: "deploy",
        summary: "Adds a version that the file does not have, and makes it the one to be released.",
        members: Some(&["version", "endpoints", "reason", "step"]),
        ..COMMAND
    },
    Operation {
        path: "/api/v1/freeze",
        id: "freeze",
        summary: "Nothing advances anywhere. Rollbacks do.",
        asks: SchemaGenerator::subschema_for::<FreezeAsk>,
        codes: &["stopping"],
        ..COMMAND
    },
    Operation {
        path: "/api/v1/unfreeze",
        id: "unfreeze",
        summary: "Ends a freeze.",
        asks: NOTHING,
        codes: &["stopping"],
        ..COMMAND
    },
    Operation {
        path: "/api/v1/config",
        id: "config",
        tag: "configuration",
        summary: "What serves, as one file without secrets.",
        query: &["effective"],
        answer: Answer::Json(SchemaGenerator::subschema_for::<ConfigState>),
        answered: "What serves, and what was refused last.",
        ..READ
    },
    Operation {
        path: "/api/v1/config/check",
        id: "check",
        tag: "configuration",
        summary: "All problems of the files as they are now, or as if a text stood in the main one.",
        asks: SchemaGenerator::subschema_for::<ConfigAsk>,
        answer: Answer::Json(SchemaGenerator::subschema_for::<CheckReply>),
        answered: "What was found. Nothing has changed.",
        changes: false,
        codes: &["internal"],
        ..COMMAND
    },
    Operation {
        path: "/api/v1/config/diff",
        id: "diff",
        tag: "configuration",
        summary: "What a reload would change, and what comes of it.",
        asks: SchemaGenerator::subschema_for::<ConfigAsk>,
        answer: Answer::Json(SchemaGenerator::subschema_for::<DiffReply>),
        answered: "Every difference. Nothing has changed.",
        changes: false,
        codes: &["invalid_configuration", "wrong_state", "internal"],
        ..COMMAND
    },
    Operation {
        path: "/api/v1/config/reload",
        id: "reload",
        tag: "configuration",
        summary: "Loads the files again, all or nothing.",
        asks: NOTHING,
        answer: Answer::Json(SchemaGenerator::subschema_for::<ReloadReply>),
        answered: "The new configuration serves.",
        codes: &["invalid_configuration"],
        ..COMMAND
    },
    Operation {
        path: "/api/v1/explain",
        id: "explain",
        tag: "configuration",
        summary: "What would become of a request, and why.",
        asks: SchemaGenerator::subschema_for::<ExplainAsk>,
        answer: Answer::Json(SchemaGenerator::subschema_for::<ExplainReply>),
        answered: "The listener, the route, the service and the version.",
        changes: false,
        codes: &[],
        ..COMMAND
    },
    Operation {
        path: "/api/v1/upgrade",
        id: "upgrade",
        tag: "process",
        summary: "Hands over to a new process.",
        asks: NOTHING,
        answer: Answer::Json(SchemaGenerator::subschema_for::<UpgradeReply>),
        answered: "Another process serves.",
        codes: &["not_handed_over"],
        ..COMMAND
    },
];
