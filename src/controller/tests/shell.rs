//! The real task, its handle, and what happens when it panics.

use super::*;
use crate::runtime::Clock;

struct Running {
    handle: Handle,
    publisher: Publisher,
    script: Arc<Script>,
    tasks: tokio::task::JoinSet<()>,
    _place: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (store, recovered) = Store::open(&place.path().join("state")).unwrap();
        let publisher = Publisher::new(Table::empty());
        let script = Arc::new(Script::default());
        let counts = Arc::clone(&script) as Arc<dyn Counts>;
        let parts = Parts {
            publisher: publisher.clone(),
            counts,
            endpoints: Arc::new(()),
            clock: Clock::system(),
            store,
            recovered,
            tracer: super::tracer::Tracer::default(),
            checks: None,
        };
        let (handle, controller) = Controller::new(parts).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(controller.run());
        Self { handle, publisher, script, tasks, _place: place }
    }

    async fn load(&self, generation: u64, live: &str) {
        let config = config(live, &["v1", "v2"], CANARY);
        self.handle.configure(config, Vec::new(), Generation(generation), "tidegate.yaml").await.unwrap();
    }

    async fn command(&self, command: Command) -> Result<Answer, Refused> {
        let by = Actor { name: "ann".into(), via: Via::Cli };
        self.handle.command("shop".parse().unwrap(), command, by, None).await
    }

    async fn until(&self, what: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
        let mut status = self.handle.status();
        loop {
            if let Some(it) = status.service("shop").filter(|it| what(it)) {
                return it.clone();
            }
            status = self.handle.changed(status.revision).await;
        }
    }

    fn canary_weight(&self) -> Weight {
        self.publisher.current().services[0].split.weight(VersionIndex(1))
    }
}

#[tokio::test(flavor = "current_thread")]
async fn from_the_first_configuration_to_the_end() {
    let mut running = Running::start();
    running.load(1, "v1").await;
    assert_eq!(running.publisher.current().generation, Generation(1));
    running.load(2, "v2").await;
    running.until(|it| it.word == "CANARY").await;
    assert_eq!(running.canary_weight().basis_points(), 500);
    let answer = running.command(Command::promote(true)).await.unwrap();
    assert!(answer.changed && answer.durable);
    running.until(|it| it.word == "WATCHING").await;
    assert!(running.command(Command::promote(true)).await.unwrap().changed);
    assert_eq!(running.until(|it| it.word == "LIVE").await.stable.as_str(), "v2");
    let events = running.handle.events(0);
    assert_eq!(events.last().unwrap().what, What::Completed);
    assert_eq!(running.handle.events(events[1].id).len(), events.len() - 2);

    running.handle.stop().await;
    running.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(running.command(rollback()).await.unwrap_err().code, RefusalCode::Stopping);
    let config = config("v1", &["v1"], CANARY);
    assert!(running.handle.configure(config, Vec::new(), Generation(3), "x").await.is_err());
    assert_eq!(running.publisher.current().generation, Generation(2), "the last table keeps serving");
}

#[tokio::test(flavor = "current_thread")]
async fn a_panic_leaves_stable_alone_until_the_journal_is_read_again() {
    let running = Running::start();
    running.load(1, "v1").await;
    running.load(2, "v2").await;
    running.until(|it| it.word == "CANARY").await;
    let before = running.handle.status().revision;
    *running.script.panics.lock().unwrap() = true;
    while running.canary_weight() > Weight::NONE {
        tokio::task::yield_now().await;
    }
    *running.script.panics.lock().unwrap() = false;
    while running.canary_weight() == Weight::NONE {
        running.handle.changed(before).await;
        tokio::task::yield_now().await;
    }
    let status = running.until(|it| it.word == "CANARY").await;
    assert_eq!((status.release, running.canary_weight().basis_points()), (1, 500));
    assert!(running.command(rollback()).await.unwrap().durable);
    let mut events = running.handle.events(0);
    events.dedup_by_key(|it| it.id);
    let told: Vec<_> = events.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(told, ["adopted", "began", "restarted", "rolled_back", "drifted"]);
}

/// One process lets go, another one has the journal, and the first takes it back: at no moment do two
/// decide, and nothing that was decided is lost.
#[tokio::test(flavor = "current_thread")]
async fn whoever_lets_go_of_the_journal_decides_nothing_until_it_is_back() {
    let running = Running::start();
    let state = running._place.path().join("state");
    running.load(1, "v1").await;
    running.load(2, "v2").await;
    running.until(|it| it.word == "CANARY").await;
    assert!(Store::open(&state).is_err(), "locked");
    running.handle.release().await;
    assert_eq!(running.command(Command::promote(true)).await.unwrap_err().code, RefusalCode::Stopping);
    assert_eq!(running.canary_weight().basis_points(), 500, "the last table keeps serving");
    let theirs = Store::open(&state).unwrap();
    assert_eq!(theirs.1.services.len(), 1);
    drop(theirs);
    running.handle.take_back(Some(Store::open(&state).unwrap())).await;
    let status = running.until(|it| it.word == "CANARY").await;
    assert_eq!((status.release, running.canary_weight().basis_points()), (1, 500));
    assert!(running.command(Command::promote(true)).await.unwrap().durable);

    running.handle.release().await;
    running.handle.take_back(None).await;
    assert_eq!(running.canary_weight(), Weight::NONE, "without a journal nobody would roll back");
    let status = running.handle.status();
    let shop = status.service("shop").unwrap();
    assert_eq!((shop.word, shop.weight, shop.lanes[0].weight), ("HELD", Weight::NONE, Weight::ALL));
    assert_eq!(
        shop.why,
        "v1 has all traffic, and nothing is decided until a restart: the journal cannot be had back"
    );
    assert_eq!(status.journal, JournalHealth::NotDurable("the journal cannot be had back".into()));
    assert_eq!(running.script.facts.lock().unwrap()["shop"].weights[1].1, Weight::NONE);
    assert_eq!(running.command(rollback()).await.unwrap_err().code, RefusalCode::Stopping);
    running.handle.take_back(Some(Store::open(&state).unwrap())).await;
    running.until(|it| it.word == "WATCHING").await;
}
