use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::labels::LabelSet;
use crate::proxy::backend::Key;
use crate::proxy::service::Protocol;
use crate::proxy::settings::Ejection;
use crate::proxy::stats::Stats;

fn backend(port: u16) -> Arc<Backend> {
    let stats = Stats::new(&"node".into(), 1, 100, Arc::new(AtomicU64::new(0)));
    let key = Key {
        id: port.to_string().into(),
        address: ([10, 0, 0, 1], port).into(),
        protocol: Protocol::Http1,
        tls: None,
    };
    let labels = Arc::new(LabelSet::default());
    Arc::new(Backend::new(key, labels.clone(), stats.backend(&port.to_string(), labels), 1))
}

fn pods(ready: &[Arc<Backend>], terminating: &[Arc<Backend>]) -> Pods {
    let all = ready.iter().chain(terminating);
    Pods {
        by_tag: all.map(|pod| (EndpointTag::of(&pod.key.id), pod.clone())).collect(),
        ready: ready.to_vec(),
        terminating: terminating.to_vec(),
        ..Pods::default()
    }
}

const CHOICE: Choice<'_> =
    Choice { balance: Balance::PeakEwma, most: 100, now: 0, tried: &[], session: None };

fn chosen(pods: &Pods, choice: &Choice<'_>) -> Result<u16, Refusal> {
    pods.claim(choice).map(|busy| busy.backend().key.address.port())
}

/// Opens the circuit of a pod.
fn break_it(backend: &Arc<Backend>) {
    for _ in 0..Ejection::default().consecutive {
        let mut busy = Busy::claim(backend, 100, false).unwrap();
        busy.failed(0, &Ejection::default());
    }
    assert!(!backend.circuit.is_closed());
}

#[test]
fn a_faster_pod_gets_more_and_a_slow_one_something() {
    let (fast, slow) = (backend(1), backend(2));
    let all = [fast.clone(), slow.clone(), backend(3), backend(4)];
    let pods = pods(&all, &[]);
    fast.latency.observe(0, Duration::from_millis(1));
    slow.latency.observe(0, Duration::from_secs(2));
    let mut counts = [0; 5];
    for _ in 0..2_000 {
        counts[usize::from(chosen(&pods, &CHOICE).unwrap())] += 1;
    }
    assert!(counts[2] == 0, "it loses against each other one: {counts:?}");
    // Silence forgives: while the others go on answering, it is soon as good as they are.
    let later = Choice { now: 120_000_000, ..CHOICE };
    for backend in all.iter().filter(|backend| !Arc::ptr_eq(backend, &slow)) {
        backend.latency.observe(later.now, Duration::from_millis(1));
    }
    assert!((0..2_000).any(|_| chosen(&pods, &later) == Ok(2)));
}

#[test]
fn round_robin_takes_turns_and_least_request_fills_gaps() {
    let all = [backend(1), backend(2), backend(3)];
    let pods = pods(&all, &[]);
    let choice = Choice { balance: Balance::RoundRobin, ..CHOICE };
    let turns: Vec<_> = (0..6).map(|_| chosen(&pods, &choice).unwrap()).collect();
    assert_eq!(turns, [1, 2, 3, 1, 2, 3]);

    let choice = Choice { balance: Balance::LeastRequest, ..CHOICE };
    let held: Vec<_> = (0..6).map(|_| pods.claim(&choice).unwrap()).collect();
    assert!(all.iter().all(|pod| pod.active() == 2));
    drop(held);
    assert!(all.iter().all(|pod| pod.active() == 0));
}

#[test]
fn the_share_of_a_pod_that_is_left_alone_goes_to_all_others() {
    for balance in [Balance::PeakEwma, Balance::RoundRobin, Balance::LeastRequest] {
        let all: Vec<_> = (1..=4).map(backend).collect();
        let pods = pods(&all, &[]);
        break_it(&all[1]);
        let mut counts = [0; 5];
        for _ in 0..3_000 {
            counts[usize::from(chosen(&pods, &Choice { balance, ..CHOICE }).unwrap())] += 1;
        }
        assert_eq!(counts[2], 0);
        let even = |count: &i32| (700..1_300).contains(count);
        assert!([counts[1], counts[3], counts[4]].iter().all(even), "{balance:?}: {counts:?}");
    }
}

#[test]
fn in_an_outage_of_all_each_one_is_tried() {
    let all: Vec<_> = (1..=3).map(backend).collect();
    let pods = pods(&all, &[]);
    all.iter().for_each(break_it);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let mut busy = pods.claim(&CHOICE).unwrap();
        seen.insert(busy.backend().key.address.port());
        busy.failed(0, &Ejection::default());
    }
    assert_eq!(seen.len(), 3);
    let over = Choice { now: 5_000_000, ..CHOICE };
    assert!(
        (0..50).map(|_| chosen(&pods, &over)).all(|port| port.is_ok()),
        "no pause was lengthened"
    );
}

#[test]
fn a_full_pod_is_passed_over_and_all_full_is_overloaded() {
    let pods = pods(&[backend(1), backend(2)], &[]);
    let choice = Choice { most: 1, ..CHOICE };
    let (one, two) = (pods.claim(&choice).unwrap(), pods.claim(&choice).unwrap());
    assert_ne!(one.backend().key, two.backend().key);
    assert_eq!(chosen(&pods, &choice), Err(Refusal::Overloaded));
}

#[test]
fn terminating_ones_are_the_last_resort_and_none_at_all_is_no_endpoint() {
    let (ready, ending) = (backend(1), backend(2));
    let both = pods(std::slice::from_ref(&ready), std::slice::from_ref(&ending));
    assert!((0..100).all(|_| chosen(&both, &CHOICE) == Ok(1)));
    break_it(&ready);
    assert_eq!(chosen(&both, &CHOICE), Ok(2));
    assert_eq!(chosen(&pods(&[], &[ending]), &CHOICE), Ok(2));
    assert_eq!(chosen(&pods(&[], &[]), &CHOICE), Err(Refusal::NoEndpoint));
}

#[test]
fn preferred_ones_get_all_while_they_work() {
    let (near, far) = (backend(1), backend(2));
    let pods = Pods { near: vec![near.clone()], ..pods(&[near.clone(), far], &[]) };
    assert!((0..100).all(|_| chosen(&pods, &CHOICE) == Ok(1)));
    break_it(&near);
    assert_eq!(chosen(&pods, &CHOICE), Ok(2));
}

#[test]
fn a_session_keeps_to_its_pod_also_while_that_ends_but_not_when_it_fails() {
    let (ready, ending) = (backend(1), backend(2));
    let pods = pods(&[ready], std::slice::from_ref(&ending));
    let tag = EndpointTag::of("2");
    let choice = Choice { session: Some(&tag), ..CHOICE };
    assert_eq!(chosen(&pods, &choice), Ok(2));
    let gone = EndpointTag::of("9");
    assert_eq!(chosen(&pods, &Choice { session: Some(&gone), ..CHOICE }), Ok(1));
    assert_eq!(chosen(&pods, &Choice { tried: std::slice::from_ref(&ending), ..choice }), Ok(1));
    break_it(&ending);
    assert_eq!(chosen(&pods, &choice), Ok(1));
}

#[test]
fn when_all_circuits_are_open_one_request_at_a_time_tries_each() {
    let (one, two) = (backend(1), backend(2));
    let pods = pods(&[one.clone(), two.clone()], &[]);
    break_it(&one);
    break_it(&two);
    let (mut first, second) = (pods.claim(&CHOICE).unwrap(), pods.claim(&CHOICE).unwrap());
    assert_ne!(first.backend().key, second.backend().key);
    assert_eq!(chosen(&pods, &CHOICE), Err(Refusal::CircuitOpen));
    first.worked();
    let port = first.backend().key.address.port();
    assert!((0..100).all(|_| chosen(&pods, &CHOICE) == Ok(port)), "one success ends the outage");
}

#[test]
fn what_was_tried_is_not_tried_again() {
    let (one, two) = (backend(1), backend(2));
    let pods = pods(&[one.clone(), two.clone()], &[]);
    let tried = [one.clone()];
    assert_eq!(chosen(&pods, &Choice { tried: &tried, ..CHOICE }), Ok(2));
    let tried = [one, two];
    assert!(chosen(&pods, &Choice { tried: &tried, ..CHOICE }).is_err());
}
