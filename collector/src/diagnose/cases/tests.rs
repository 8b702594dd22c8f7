//! Pods that get stuck, are asked about and go on, on clocks of the tests' own.

use std::time::UNIX_EPOCH;

use super::*;
use crate::diagnose::stuck::tests::waiting;

/// The pods of the tests are scheduled at 100 s.
fn clock(seconds: u64) -> (SystemTime, Instant) {
    thread_local!(static START: Instant = Instant::now());
    let after = Duration::from_secs(seconds);
    (UNIX_EPOCH + after, START.with(|start| *start) + after)
}

fn creating() -> Arc<Pod> {
    Arc::new(waiting("ContainerCreating", ""))
}

fn found(reason: Reason) -> Diagnosis {
    Diagnosis::new(reason, "found")
}

fn told(tells: &[Tell]) -> Vec<(&'static str, Reason)> {
    let one = |tell: &Tell| match tell {
        Tell::Stuck(_, diagnosis, _) => ("stuck", diagnosis.reason),
        Tell::Why(_, diagnosis) => ("why", diagnosis.reason),
        Tell::GoesOn(_, reason) => ("goes on", *reason),
    };
    tells.iter().map(one).collect()
}

#[test]
fn pod_is_told_once_it_was_asked_about_and_once_it_goes_on() {
    let mut cases = Cases::new(true);
    let pod = creating();
    let (tells, next) = cases.update([&pod].into_iter(), clock(105));
    assert_eq!((told(&tells), next), (vec![], Some(Duration::from_secs(15))));
    assert!(cases.next().is_none(), "nothing is asked before the time");

    let (tells, _) = cases.update([&pod].into_iter(), clock(120));
    assert_eq!(told(&tells), []);
    assert_eq!(cases.next().unwrap().2, clock(120).1);
    let tells = cases.answered(pod.uid, Answer::Found(found(Reason::Mount)), clock(121));
    assert_eq!(told(&tells), [("stuck", Reason::Mount), ("why", Reason::Mount)]);
    assert_eq!(cases.known().get(&pod.uid), Some(&found(Reason::Mount)));

    assert_eq!(told(&cases.update([&pod].into_iter(), clock(122)).0), []);
    let (tells, next) = cases.update(std::iter::empty(), clock(123));
    assert_eq!((told(&tells), next), (vec![("goes on", Reason::Mount)], None));
    assert!(cases.is_empty() && cases.known().is_empty());
}

#[test]
fn pod_whose_status_says_all_is_told_at_once_and_nothing_is_asked() {
    let mut cases = Cases::new(true);
    let pod = Arc::new(waiting("CreateContainerConfigError", "secret \"db\" not found"));
    let (tells, _) = cases.update([&pod].into_iter(), clock(101));
    assert_eq!(told(&tells), [("stuck", Reason::SecretMissing), ("why", Reason::SecretMissing)]);
    assert!(cases.next().is_none());
    let (tells, _) = cases.update([&pod].into_iter(), clock(101 + REMIND.as_secs()));
    assert_eq!(told(&tells), [("why", Reason::SecretMissing)], "a reminder");
}

#[test]
fn nothing_is_asked_where_that_is_off() {
    let mut cases = Cases::new(false);
    let (tells, _) = cases.update([&creating()].into_iter(), clock(130));
    assert_eq!(told(&tells), [("stuck", Reason::Unknown)]);
    assert!(cases.next().is_none());
}

#[test]
fn questions_become_seldom_and_never_stop() {
    let mut cases = Cases::new(true);
    let pod = creating();
    let mut at = 130;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        cases.update([&pod].into_iter(), clock(at));
        cases.answered(pod.uid, Answer::Nothing, clock(at));
        let due = cases.next().unwrap().2;
        let pause = due.duration_since(clock(at).1);
        pauses.push(pause);
        at += pause.as_secs() + 1;
    }
    assert!(pauses[0] <= AGAIN.mul_f64(1.25) && pauses[0] >= AGAIN.mul_f64(0.75));
    assert!(pauses[11] >= SELDOM.mul_f64(0.75) && pauses[11] <= SELDOM.mul_f64(1.25));
}

#[test]
fn what_cannot_be_asked_leaves_what_was_known() {
    let mut cases = Cases::new(true);
    let pod = creating();
    cases.update([&pod].into_iter(), clock(130));
    let tells = cases.answered(pod.uid, Answer::Unasked, clock(131));
    assert_eq!(told(&tells), [("stuck", Reason::Unknown)]);
    let tells = cases.answered(pod.uid, Answer::Found(found(Reason::Network)), clock(150));
    assert_eq!(told(&tells), [("why", Reason::Network)], "the Event goes out once it is known");
    cases.answered(pod.uid, Answer::Unasked, clock(170));
    assert_eq!(cases.known().len(), 1);
    cases.answered(pod.uid, Answer::Nothing, clock(190));
    assert!(cases.known().is_empty());
}

#[test]
fn cause_of_a_pull_is_kept_while_the_status_forgets_it() {
    let mut cases = Cases::new(true);
    let failed = Arc::new(waiting("ErrImagePull", "image \"nope:1\": not found"));
    let paused = Arc::new(waiting("ImagePullBackOff", "Back-off pulling image \"nope:1\""));
    cases.update([&failed].into_iter(), clock(101));
    cases.update([&paused].into_iter(), clock(110));
    let known = cases.known()[&paused.uid].clone();
    assert!(known.detail.contains("does not have it"), "{known:?}");
    // Another problem in its Events is none of the pull's.
    cases.answered(paused.uid, Answer::Found(found(Reason::Mount)), clock(111));
    assert_eq!(cases.known()[&paused.uid], known);
}

#[test]
fn new_trouble_forgets_what_was_found_of_the_old() {
    let mut cases = Cases::new(true);
    let pod = creating();
    cases.update([&pod].into_iter(), clock(130));
    cases.answered(pod.uid, Answer::Found(found(Reason::Mount)), clock(131));
    let failed = Arc::new(waiting("ImagePullBackOff", "Back-off pulling image \"nope:1\""));
    cases.update([&failed].into_iter(), clock(140));
    assert!(cases.known().is_empty());
}
