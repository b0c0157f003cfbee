//! What people ask for.

use super::*;

#[test]
fn promote_pause_resume_rollback_retry() {
    let mut rig = Rig::new(CANARY);
    assert_eq!(rig.command(promote()).unwrap_err().code, RefusalCode::WrongState);
    rig.load("v2", CANARY).unwrap();
    let answer = rig.command(promote()).unwrap();
    assert_eq!(
        answer,
        Answer {
            text: "v2 gets 25%, step 2 of 2: promoted by ann (cli)".into(),
            changed: true,
            durable: true
        }
    );
    assert_eq!(rig.shares(), "v1 75% v2 25%");

    rig.command(Command::Pause { until: None, reason: Some("lunch".into()) }).unwrap();
    rig.run("5m");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 75% v2 25%", "PAUSED"));
    assert_eq!(rig.status().held.as_deref(), Some("paused by ann (cli): lunch"));
    assert!(!rig.command(Command::Pause { until: None, reason: None }).unwrap().changed);
    rig.command(Command::Resume).unwrap();
    rig.run("1s");
    assert_eq!(rig.status().word, "WATCHING");

    let answer = rig.command(rollback()).unwrap();
    assert!(answer.changed && answer.durable && answer.text.contains("a hunch"), "{answer:?}");
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    let again = rig.command(rollback()).unwrap();
    assert!(!again.changed && again.durable, "{again:?}");
    assert_eq!(rig.command(promote()).unwrap_err().code, RefusalCode::Quarantined);

    rig.command(Command::Retry).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().release), ("v1 95% v2 5%", 2));
    assert_eq!(
        rig.told(),
        "adopted began advanced paused resumed promoted rolled_back drifted retried in_sync began"
    );
}

#[test]
fn stable_itself_is_rolled_back_to_the_one_before() {
    let mut rig = Rig::new(FLIP);
    rig.load("v2", FLIP).unwrap();
    rig.run("61s");
    assert_eq!((rig.status().word, rig.status().stable.as_str()), ("LIVE", "v2"));
    rig.command(rollback()).unwrap();
    assert_eq!((rig.shares().as_str(), rig.status().word), ("v1 100%", "ROLLED BACK"));
    rig.run("10m");
    rig.load("v2", FLIP).unwrap();
    assert_eq!(rig.shares(), "v1 100%");
}

#[test]
fn a_command_for_another_step_or_service_is_refused() {
    let mut rig = Rig::new(CANARY);
    rig.load("v2", CANARY).unwrap();
    let mark = rig.status().mark;
    rig.command(promote()).unwrap();
    let refused = rig.command_now(promote(), Some(mark)).try_recv().unwrap().unwrap_err();
    assert_eq!(refused.code, RefusalCode::Stale);
    assert_eq!(refused.reason, "the release has moved on: shop is CANARY now");
    let mark = rig.status().mark;
    assert!(rig.command_now(promote(), Some(mark)).try_recv().unwrap().is_ok());

    let (reply, mut answer) = oneshot::channel();
    let by = Actor { name: "ann".into(), via: Via::Api };
    let it = Asked {
        service: "shoe".parse().unwrap(),
        command: promote(),
        addition: None,
        by,
        expected_step: None,
    };
    assert!(rig.core.command(it, reply, rig.now).is_empty());
    assert_eq!(answer.try_recv().unwrap().unwrap_err().code, RefusalCode::UnknownService);
}
