//! The book, played with a made-up time.

use super::*;
use crate::model::{ServiceName, VersionName};
use crate::routing::{CheckupKind, Eject, EndpointHost, EndpointSpec};

use super::super::site::Site;

struct Play {
    ward: Ward,
    board: Board,
    now: Timestamp,
    asks: BTreeMap<u16, Ask>,
}

fn place(port: u16) -> Place {
    let spec = EndpointSpec {
        host: EndpointHost::Name("a".into()),
        port,
        protocol: Default::default(),
        tls: None,
        proxy_protocol: None,
    };
    Place {
        service: "shop".parse::<ServiceName>().unwrap(),
        version: "v1".parse::<VersionName>().unwrap(),
        site: Site { spec, address: None },
    }
}

fn checkup() -> Arc<Checkup> {
    Arc::new(Checkup {
        kind: CheckupKind::Tcp,
        every: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        fail_after: 3,
        pass_after: 2,
    })
}

impl Play {
    fn new() -> Self {
        let board = Board::new(1);
        Self { ward: Ward::new(), board, now: Timestamp(1_000_000_000), asks: BTreeMap::new() }
    }

    fn admit(&mut self, ports: &[u16], checkup: Option<Arc<Checkup>>, care: Care) {
        let arrival = |port: &u16| Arrival { place: place(*port), checkup: checkup.clone(), care };
        self.ward.admit(ports.iter().map(arrival).collect(), &self.board, self.now);
    }

    fn health(&self, port: u16) -> Arc<Health> {
        self.board.health(&place(port), true)
    }

    fn words(&self, ports: &[u16]) -> Vec<Word> {
        ports.iter().map(|it| self.health(*it).word()).collect()
    }

    /// Lets time pass and does what is due.
    fn pass(&mut self, time: Duration) -> Timestamp {
        self.now = self.now + time;
        let (asks, next) = self.ward.round(self.now);
        self.asks.extend(asks.into_iter().map(|it| (it.place.site.spec.port, it)));
        next
    }

    /// Waits until this one is asked, and answers for it.
    fn answer(&mut self, port: u16, answer: Result<(), &str>) {
        for _ in 0..100 {
            if let Some(ask) = self.asks.remove(&port) {
                let answer = answer.map_err(str::to_owned);
                self.ward.heard(&ask.place, ask.number, &answer, self.now, 0.5);
                return;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("{port} is not asked");
    }
}

fn eject(change: impl FnOnce(&mut Eject)) -> Care {
    let mut care = Care::default();
    change(&mut care.eject);
    care
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_new_endpoint_waits_for_its_passes_and_one_that_fails_goes() {
    let mut play = Play::new();
    play.admit(&[1], Some(checkup()), Care::default());
    assert_eq!(play.words(&[1]), [Word::Waiting]);
    play.answer(1, Ok(()));
    assert_eq!(play.words(&[1]), [Word::Waiting], "two passes are wanted");
    play.answer(1, Ok(()));
    assert_eq!(play.words(&[1]), [Word::Up]);
    play.answer(1, Err("broken"));
    play.answer(1, Err("broken"));
    play.answer(1, Ok(()));
    play.answer(1, Err("broken"));
    play.answer(1, Err("broken"));
    assert_eq!((play.words(&[1]), play.health(1).why()), (vec![Word::Up], "broken".into()), "not in a row");
    play.answer(1, Err("broken"));
    assert_eq!(play.words(&[1]), [Word::Down]);
    play.answer(1, Ok(()));
    play.answer(1, Ok(()));
    assert_eq!((play.words(&[1]), play.health(1).why()), (vec![Word::Up], String::new()));
}

#[test]
fn a_new_endpoint_that_keeps_failing_is_down_before_it_was_ever_up() {
    let mut play = Play::new();
    play.admit(&[1], Some(checkup()), Care::default());
    (0..3).for_each(|_| play.answer(1, Err("refused")));
    assert_eq!(play.words(&[1]), [Word::Down]);
}

#[test]
fn who_is_known_keeps_its_state_and_a_late_answer_to_an_old_question_counts_for_nothing() {
    let mut play = Play::new();
    play.admit(&[1], None, Care::default());
    assert_eq!(play.words(&[1]), [Word::Up], "nobody asks");
    play.admit(&[1, 2], Some(checkup()), Care::default());
    assert_eq!(play.words(&[1, 2]), [Word::Up, Word::Waiting]);
    (0..3).for_each(|_| play.answer(1, Err("broken")));
    play.admit(&[1], Some(checkup()), Care::default());
    assert_eq!(play.words(&[1]), [Word::Down], "through a reload");
    play.pass(SECOND * 3);
    let old = play.asks.remove(&1).unwrap();
    let other = Checkup { pass_after: 1, ..Checkup::clone(&checkup()) };
    play.admit(&[1], Some(Arc::new(other)), Care::default());
    play.ward.heard(&old.place, old.number, &Ok(()), play.now, 0.5);
    assert_eq!(play.words(&[1]), [Word::Down]);
    play.answer(1, Ok(()));
    assert_eq!(play.words(&[1]), [Word::Up]);
    play.admit(&[1], None, Care::default());
    assert_eq!(play.words(&[1]), [Word::Up]);
    play.admit(&[], None, Care::default());
    assert_eq!(play.words(&[1]), [Word::Waiting], "who has left is forgotten");
}

#[test]
fn questions_are_bounded_and_spread() {
    let mut play = Play::new();
    let ports: Vec<u16> = (0..200).collect();
    play.admit(&ports, Some(checkup()), Care::default());
    play.pass(Duration::ZERO);
    assert_eq!(play.asks.len(), ASKED_MAX);
    let first: Vec<u16> = play.asks.keys().copied().collect();
    first.iter().for_each(|it| play.answer(*it, Ok(())));
    play.pass(Duration::ZERO);
    assert_eq!(play.asks.len(), ASKED_MAX, "the next ones");
    assert!(first.iter().all(|it| !play.asks.contains_key(it)));
    // Those who leave while they are asked make room.
    play.admit(&ports[100..], Some(checkup()), Care::default());
    play.asks.clear();
    play.pass(Duration::ZERO);
    assert!(!play.asks.is_empty());
}

/// Row f18.
#[test]
fn an_endpoint_that_flaps_is_left_out_for_longer_each_time() {
    let mut play = Play::new();
    play.admit(&[1, 2, 3, 4], None, eject(|it| it.time = SECOND));
    let mut times = Vec::new();
    for _ in 0..5 {
        (0..3).for_each(|_| play.health(1).not_connected());
        play.pass(Duration::from_millis(1));
        let began = play.now;
        assert_eq!(play.words(&[1, 2]), [Word::Ejected, Word::Up]);
        while play.words(&[1]) == [Word::Ejected] {
            play.pass(Duration::from_millis(100));
        }
        times.push(play.now.since(began).as_secs_f64().round() as u64);
        play.pass(SECOND);
    }
    assert_eq!(times, [1, 2, 4, 8, 16]);
    play.pass(SECOND * 300);
    (0..3).for_each(|_| play.health(1).not_connected());
    play.pass(Duration::ZERO);
    play.pass(SECOND);
    assert_eq!(play.words(&[1]), [Word::Up], "who has kept well begins anew");
    assert_eq!(play.health(1).ejections(), 6);
}

#[test]
fn at_most_half_are_left_out_and_never_the_last() {
    let mut play = Play::new();
    let all = [1, 2, 3, 4, 5];
    play.admit(&all, None, Care::default());
    let fail_all = |play: &mut Play| {
        for port in all {
            (0..3).for_each(|_| play.health(port).not_connected());
        }
        play.pass(Duration::ZERO);
    };
    let ejected = |play: &Play| play.words(&all).iter().filter(|it| **it == Word::Ejected).count();
    fail_all(&mut play);
    assert_eq!(ejected(&play), 2);
    fail_all(&mut play);
    assert_eq!(ejected(&play), 2);

    let mut one = Play::new();
    one.admit(&[1], None, eject(|it| it.most_percent = 100));
    (0..9).for_each(|_| one.health(1).not_connected());
    one.pass(Duration::ZERO);
    assert_eq!(one.words(&[1]), [Word::Up]);

    // The other one is down, so that this one is the last.
    let mut two = Play::new();
    two.admit(&[1, 2], Some(checkup()), eject(|it| it.most_percent = 100));
    (0..2).for_each(|_| two.answer(1, Ok(())));
    (0..3).for_each(|_| two.answer(2, Err("broken")));
    (0..3).for_each(|_| two.health(1).not_connected());
    two.pass(Duration::ZERO);
    assert_eq!(two.words(&[1, 2]), [Word::Up, Word::Down]);
}

#[test]
fn failures_in_a_row_count_and_a_good_answer_ends_the_row() {
    let mut play = Play::new();
    play.admit(&[1, 2], None, eject(|it| it.failures = 5));
    for _ in 0..3 {
        (0..4).for_each(|_| play.health(1).answered(0, false));
        play.health(1).answered(0, true);
        (0..2).for_each(|_| play.health(1).not_connected());
        play.health(1).connected();
    }
    play.pass(Duration::ZERO);
    assert_eq!(play.words(&[1]), [Word::Up]);
    (0..5).for_each(|_| play.health(1).answered(0, false));
    play.pass(Duration::ZERO);
    assert_eq!(play.words(&[1]), [Word::Ejected]);
}

#[test]
fn a_low_share_of_good_answers_counts_if_there_are_enough() {
    let mut play = Play::new();
    play.admit(&[1, 2], None, eject(|it| (it.success_percent, it.requests) = (80, 100)));
    let answers = |play: &Play, port: u16, good: u32, bad: u32| {
        (0..good).for_each(|_| play.health(port).answered(0, true));
        (0..bad).for_each(|_| play.health(port).answered(0, false));
    };
    play.pass(SECOND);
    answers(&play, 1, 10, 40);
    answers(&play, 2, 85, 15);
    play.pass(SECOND);
    play.pass(Duration::ZERO);
    assert_eq!(play.words(&[1, 2]), [Word::Up, Word::Up], "too few, and good enough");
    answers(&play, 1, 10, 40);
    play.pass(SECOND);
    play.pass(Duration::ZERO);
    assert_eq!(play.words(&[1, 2]), [Word::Ejected, Word::Up]);
    // What was before is forgotten when it is back.
    play.pass(SECOND * 5);
    play.pass(SECOND);
    play.pass(SECOND);
    assert_eq!(play.words(&[1, 2]), [Word::Up, Word::Up]);
}

#[test]
fn who_comes_back_gets_a_growing_share_beside_others() {
    let mut play = Play::new();
    let slow = Care { slow_start: SECOND * 10, ..Care::default() };
    play.admit(&[1, 2], Some(checkup()), slow);
    (0..2).for_each(|_| play.answer(1, Ok(())));
    assert_eq!(play.words(&[1]), [Word::Up], "the first has nobody to leave the rest to");
    (0..2).for_each(|_| play.answer(2, Ok(())));
    let share = |play: &Play| (0..100).filter(|it| play.health(2).admits(*it)).count();
    assert_eq!((play.words(&[2]), share(&play)), (vec![Word::Warming], 10));
    play.pass(SECOND * 5);
    assert_eq!(share(&play), 55);
    assert!(play.health(2).is_ready() && !play.health(2).is_well());
    play.pass(SECOND * 5);
    assert_eq!((play.words(&[2]), share(&play)), (vec![Word::Up], 100));
}
