//! A house that answers by script, behind real sockets: what the tests of this room and of the command
//! line talk to.

mod shown;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::config::{
    Addition, AdminAccess, AdminSpec, Config, Loaded, MemoryFiles, Template, addition, define, load,
};
use crate::controller::{
    Actor, Answer, Command, EvidenceLine, Freeze, News, RefusalCode, Refused, Status, Via, What,
};
use crate::model::{Generation, ServiceName, Timestamp};
use crate::release::Version;
use crate::runtime::{Clock, Shutdown};
use crate::telemetry::Registry;

use super::wire::{ExplainAsk, ExplainReply, NotificationWire, TargetWire};
use super::{
    Answering, Control, Definition, Inquire, LastFailure, Notify, Parts, Reload, ReloadDone, ReloadFailed,
    Server,
};

pub(crate) use shown::canary;
use shown::weight;

/// The house and its doors.
pub(crate) struct Scripted {
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) events: Mutex<Vec<News>>,
    pub(crate) notifications: Mutex<Vec<NotificationWire>>,
    pub(crate) notified: watch::Sender<u64>,
    /// What was commanded, as text.
    pub(crate) commanded: Mutex<Vec<String>>,
    /// What the next commands are answered, newest last; `done` when empty.
    pub(crate) refusals: Mutex<Vec<Refused>>,
    pub(crate) reload_fails: Mutex<Option<ReloadFailed>>,
    /// What else was asked of it.
    pub(crate) asked: Mutex<Vec<&'static str>>,
    pub(crate) shutdown: Shutdown,
    pub(crate) registry: Arc<Registry>,
}

/// A scripted house whose server is running on this thread's runtime.
pub(crate) struct Running {
    pub(crate) house: Arc<Scripted>,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) state: tempfile::TempDir,
    tasks: tokio::task::JoinSet<()>,
}

impl Running {
    /// Starts the server with one service, `shop`, in the middle of a canary.
    pub(crate) fn start() -> Self {
        Self::start_with(AdminAccess::default())
    }

    /// The same, with a door of its own kind.
    pub(crate) fn start_with(access: AdminAccess) -> Self {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let state = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let socket = state.path().join("admin.sock");
        let spec = AdminSpec { listen: Some("127.0.0.1:0".parse().unwrap()), socket: None, access };
        let server = Server::bind(&spec, Some(&socket), state.path(), super::GivenDoors::default()).unwrap();
        let address = server.address().unwrap();
        let house = Arc::new(Scripted {
            status: watch::Sender::new(Arc::new(canary())),
            events: Mutex::new(vec![advanced(7), advanced(8)]),
            notifications: Mutex::default(),
            notified: watch::Sender::default(),
            commanded: Mutex::default(),
            refusals: Mutex::default(),
            reload_fails: Mutex::default(),
            asked: Mutex::default(),
            shutdown: Shutdown::new(),
            registry: Registry::new(1),
        });
        let parts = Parts {
            control: Arc::clone(&house) as Arc<dyn Control>,
            reload: Arc::clone(&house) as Arc<dyn Reload>,
            notify: Arc::clone(&house) as Arc<dyn Notify>,
            upgrade: Arc::clone(&house) as Arc<dyn super::Upgrade>,
            registry: Arc::clone(&house.registry),
            shutdown: house.shutdown.watch(),
            clock: Clock::system(),
            shut_out: None,
        };
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { server.run(parts).await.unwrap() });
        Self { house, address, socket, state, tasks }
    }

    /// The token that changes over TCP need.
    pub(crate) fn token(&self) -> String {
        super::Token::load(self.state.path()).unwrap().reveal().to_owned()
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn ended(&mut self) {
        self.tasks.join_next().await;
    }
}

impl Scripted {
    /// Something has come of a notification.
    pub(crate) fn notified(&self, it: NotificationWire) {
        let id = it.id;
        self.notifications.lock().unwrap().push(it);
        self.notified.send_replace(id);
    }

    /// Changes the status and tells whoever waits.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = Status::clone(&self.status.borrow());
        change(&mut status);
        status.revision += 1;
        self.status.send_replace(Arc::new(status));
    }
}

impl Control for Scripted {
    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    fn changed(&self, revision: u64) -> Answering<'_, Arc<Status>> {
        let mut status = self.status.subscribe();
        Box::pin(async move { Arc::clone(&status.wait_for(|it| it.revision > revision).await.unwrap()) })
    }

    fn events(&self, since: u64) -> Vec<News> {
        self.events.lock().unwrap().iter().filter(|it| it.id > since).cloned().collect()
    }

    fn command(
        &self,
        service: ServiceName,
        command: Command,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>> {
        let text = format!("{service} {command:?} step {expected_step:?} via {}", by.via.as_str());
        self.commanded.lock().unwrap().push(text);
        let answer = match self.refusals.lock().unwrap().pop() {
            Some(refused) => Err(refused),
            None => Ok(Answer { text: "v2 gets 25%".into(), changed: true, durable: true }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn deploy(
        &self,
        addition: Addition,
        reason: Option<String>,
        by: Actor,
        expected_step: Option<u64>,
    ) -> Answering<'_, Result<Answer, Refused>> {
        let version = Version { name: addition.spec.name, fingerprint: addition.spec.fingerprint };
        let command = Command::Deploy { version, definition: addition.definition, reason };
        self.command(addition.service, command, by, expected_step)
    }

    fn freeze(&self, freeze: Result<Freeze, Actor>) -> Answering<'_, Result<Answer, Refused>> {
        let text = match &freeze {
            Ok(it) => format!("freeze {:?} until {:?}", it.reason, it.until.is_some()),
            Err(_) => "unfreeze".into(),
        };
        self.commanded.lock().unwrap().push(text);
        let answer = Answer { text: "nothing advances".into(), changed: true, durable: true };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl Inquire for Scripted {
    fn explain(&self, asked: &ExplainAsk) -> Result<ExplainReply, String> {
        self.asked.lock().unwrap().push("explain");
        if asked.method.is_empty() {
            return Err("a request has a method".into());
        }
        let request = format!("{} {}", asked.method, asked.url);
        Ok(ExplainReply { request, service: Some("shop".into()), ..ExplainReply::default() })
    }

    fn serving(&self) -> Option<Arc<Config>> {
        read(FILE).config.map(Arc::new)
    }

    fn define(&self, asked: Definition) -> Answering<'_, Result<Addition, String>> {
        let config = self.serving().expect("a sound file");
        let like = asked.like_definition.as_deref().map_or(Template::Filed(&asked.like), Template::Added);
        let text = define(&config, &asked.service, like, &asked.endpoints);
        let names = (&asked.service, &asked.version);
        let found = addition(&config, Path::new("t.yaml"), names, &text, &MemoryFiles::new());
        let found = found.map_err(|it| it.iter().map(|it| it.message.clone()).collect());
        Box::pin(std::future::ready(found))
    }

    fn look(&self, yaml: Option<String>) -> Answering<'_, Result<Loaded, String>> {
        self.asked.lock().unwrap().push("look");
        let text = yaml.unwrap_or_else(|| FILE.replace("live: v2", "live: v1"));
        Box::pin(std::future::ready(Ok(read(&text))))
    }
}

/// What the scripted house serves.
const FILE: &str = "{listen: 8080, services: {shop: {live: v2, versions: {v1: http://h:1, v2: http://h:2}}}}";

fn read(text: &str) -> Loaded {
    load(Path::new("t.yaml"), &MemoryFiles::new().with("t.yaml", text))
}

impl Reload for Scripted {
    fn reload(&self) -> Answering<'_, Result<ReloadDone, ReloadFailed>> {
        self.asked.lock().unwrap().push("reload");
        let failed = self.reload_fails.lock().unwrap().clone();
        let done = ReloadDone { generation: Generation(18), changed: true };
        Box::pin(std::future::ready(failed.map_or(Ok(done), Err)))
    }

    fn last_failure(&self) -> Option<LastFailure> {
        let failed = self.reload_fails.lock().unwrap().clone();
        failed.map(|it| LastFailure { at: Timestamp(1_700_000_000_000_000), report: it.report })
    }
}

impl Notify for Scripted {
    fn targets(&self) -> Vec<TargetWire> {
        Vec::new()
    }

    fn notifications(&self, since: u64, most: usize) -> Vec<NotificationWire> {
        self.notifications.lock().unwrap().iter().filter(|it| it.id > since).take(most).cloned().collect()
    }

    fn about(&self, meant: &dyn Fn(u64) -> bool) -> Vec<NotificationWire> {
        self.notifications.lock().unwrap().iter().filter(|it| meant(it.event)).cloned().collect()
    }

    fn newest(&self) -> watch::Receiver<u64> {
        self.notified.subscribe()
    }
}

impl super::Upgrade for Scripted {
    fn upgrade(&self) -> Answering<'_, Result<u32, String>> {
        self.asked.lock().unwrap().push("upgrade");
        Box::pin(std::future::ready(Ok(4711)))
    }
}

/// A refusal of that kind.
pub(crate) fn refused(code: RefusalCode, reason: &str) -> Refused {
    Refused { reason: reason.into(), code }
}

/// What became of telling `ci` of an event of `shop`.
pub(crate) fn notification(id: u64, event: u64, result: &str) -> NotificationWire {
    let taken = result == "delivered";
    NotificationWire {
        id,
        // Midnight, and after all events.
        at: Timestamp(1_799_971_200_000_000 + id).to_string(),
        target: "ci".into(),
        event,
        service: "shop".into(),
        version: "v2".into(),
        what: "advanced".into(),
        result: result.into(),
        attempts: 1,
        after_seconds: 0.25,
        problem: (!taken).then(|| "answered 503".into()),
        next: None,
        recovered_seconds: None,
        text: format!("said {result} of #{event}"),
    }
}

/// An event of `shop`.
pub(crate) fn advanced(id: u64) -> News {
    News {
        id,
        at: Timestamp(1_700_000_000_000_000 + id * 1_000_000),
        service: "shop".parse().unwrap(),
        what: What::Advanced,
        by: Actor { name: "tidegate".into(), via: Via::Policy },
        version: "v2".parse().unwrap(),
        from: weight(5),
        to: weight(25),
        text: "12904 canary requests, no regression".into(),
        generation: Generation(17),
        evidence: Some(EvidenceLine::default()),
    }
}
