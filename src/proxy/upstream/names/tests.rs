//! What is kept, and what it is replaced by.

use super::*;

fn spec(name: &str) -> EndpointSpec {
    EndpointSpec {
        host: EndpointHost::Name(name.into()),
        port: 80,
        protocol: crate::routing::Protocol::default(),
        tls: None,
        proxy_protocol: None,
    }
}

fn addresses(text: &str) -> Vec<IpAddr> {
    text.split(' ').map(|it| it.parse().unwrap()).collect()
}

#[test]
fn the_last_good_answer_is_kept_and_flagged() {
    let names = Names::default();
    let sites = |names: &Names| {
        names.sites(&spec("a")).iter().map(|it| it.address.map(|it| it.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(sites(&names), [None]);
    assert!(!names.note("a", Err("SERVFAIL".into())));
    assert_eq!((sites(&names), names.trouble(&spec("a"))), (vec![None], Some("SERVFAIL".into())));
    assert!(names.note("a", Ok(addresses("10.0.0.1 10.0.0.2"))));
    let two = vec![Some("10.0.0.1".to_owned()), Some("10.0.0.2".to_owned())];
    assert_eq!((sites(&names), names.trouble(&spec("a"))), (two.clone(), None));
    let before = names.revision();
    assert!(!names.note("a", Ok(addresses("10.0.0.1 10.0.0.2"))));
    assert!(!names.note("a", Err("no record".into())));
    assert_eq!((sites(&names), names.revision()), (two, before));
    assert_eq!(names.trouble(&spec("a")), Some("no record".into()));
    assert!(names.note("a", Ok(addresses("10.0.0.3"))));
    assert_eq!((sites(&names), names.trouble(&spec("a"))), (vec![Some("10.0.0.3".into())], None));
    assert!(names.revision() > before);
}

#[tokio::test(flavor = "current_thread")]
async fn who_comes_before_the_first_answer_waits_for_it() {
    let names = Names::default();
    let asked = names.address("a", 80);
    let told = async {
        tokio::task::yield_now().await;
        names.note("a", Ok(addresses("10.0.0.1")));
    };
    let (answer, ()) = tokio::join!(asked, told);
    assert_eq!(answer.unwrap(), addresses("10.0.0.1")[0]);
    names.note("b", Err("SERVFAIL".into()));
    assert_eq!(names.address("b", 80).await.unwrap_err().to_string(), "SERVFAIL");
}

/// An endpoint that is new may lead there by what was found for another one.
#[tokio::test(flavor = "current_thread")]
async fn what_leads_to_the_door_is_not_used_whenever_it_was_found() {
    let names = Names::default();
    names.close("10.0.0.1:9900".parse().ok());
    names.note("a", Ok(addresses("10.0.0.1 10.0.0.2")));
    names.note("b", Ok(addresses("10.0.0.1")));
    let sites = |name: &str, port| {
        let spec = EndpointSpec { port, ..spec(name) };
        names.sites(&spec).iter().map(|it| it.address.map(|it| it.to_string())).collect::<Vec<_>>()
    };
    let (one, two) = (Some("10.0.0.1".to_owned()), Some("10.0.0.2".to_owned()));
    assert_eq!(sites("a", 80), [one.clone(), two.clone()]);
    assert_eq!(sites("a", 9900), [two]);
    assert_eq!((sites("b", 80), sites("b", 9900)), (vec![one], vec![None]));
    assert!(names.address("b", 80).await.is_ok());
    assert!(names.address("b", 9900).await.is_err());
}
