use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::proxy::guard::model::{doubtful, honest, requests};
use crate::proxy::guard::smuggling::{CASES, Outcome};

const LIMITS: Limits = Limits { head_bytes: 512, headers: 8, target_bytes: 64 };

/// Everything that a connection comes to.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    requests: u64,
    place: Place,
    refusal: Option<Refusal>,
    /// How many of the bytes hyper may see; not compared where a body is bad, as it may have been seen up to there.
    released: Option<usize>,
}

/// Scans the bytes in pieces that end at these positions.
fn scan(limits: Limits, bytes: &[u8], cuts: &[usize]) -> Verdict {
    let mut scanner = Scanner::new(limits);
    let (mut start, mut released, mut refusal) = (0, 0, None);
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let scan = scanner.scan(&bytes[start..end]);
        assert!(scan.passed <= scan.read && scan.read <= end - start);
        if scan.passed > 0 {
            released = start + scan.passed;
        }
        if scan.refusal.is_some() {
            refusal = scan.refusal;
            break;
        }
        if scanner.place() == Place::Undecided {
            break;
        }
        start = end;
    }
    let in_body = matches!(refusal, Some(Refusal::Chunk | Refusal::Trailer));
    Verdict {
        requests: scanner.requests(),
        place: scanner.place(),
        refusal,
        released: (!in_body).then_some(released),
    }
}

fn refusal(bytes: &[u8]) -> Option<Refusal> {
    scan(LIMITS, bytes, &[]).refusal
}

#[test]
fn every_case_of_the_table_is_what_it_says() {
    let mut names = HashSet::new();
    assert!(CASES.len() >= 70);
    for case in CASES {
        assert!(names.insert(case.name), "{} stands twice", case.name);
        let verdict = scan(LIMITS, case.bytes, &[]);
        let (requests, reason) = match case.outcome {
            Outcome::Passes(requests) => (requests, None),
            Outcome::Forwarder(requests, status, reason) => {
                let known = |refusal: &Refusal| {
                    (refusal.status().as_u16(), refusal.as_str()) == (status, reason)
                };
                assert!(Refusal::ALL.iter().any(known), "{}", case.name);
                (requests, None)
            }
            Outcome::Refused(requests, status, reason) => (requests, Some((status, reason))),
            Outcome::Broken(requests, status, reason) => (requests + 1, Some((status, reason))),
        };
        assert_eq!(verdict.requests, requests as u64, "{}: {verdict:?}", case.name);
        let found = verdict.refusal.map(|found| (found.status().as_u16(), found.as_str()));
        assert_eq!(found, reason, "{}", case.name);
    }
}

#[test]
fn every_case_of_the_table_is_the_same_however_it_is_cut() {
    for case in CASES {
        let whole = scan(LIMITS, case.bytes, &[]);
        for cut in 0..=case.bytes.len() {
            assert_eq!(scan(LIMITS, case.bytes, &[cut]), whole, "{} cut at {cut}", case.name);
        }
        let every: Vec<_> = (0..case.bytes.len()).collect();
        assert_eq!(scan(LIMITS, case.bytes, &every), whole, "{} byte by byte", case.name);
    }
}

#[test]
fn limits_strike_at_the_byte_behind_them() {
    let head = |filling: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(filling)).into_bytes()
    };
    let room = LIMITS.head_bytes - head(0).len();
    assert_eq!(refusal(&head(room)), None);
    assert_eq!(refusal(&head(room + 1)), Some(Refusal::Headers));

    let target = |bytes| format!("GET {:/<bytes$} HTTP/1.1\r\nHost: a\r\n\r\n", "").into_bytes();
    assert_eq!(refusal(&target(LIMITS.target_bytes)), None);
    assert_eq!(refusal(&target(LIMITS.target_bytes + 1)), Some(Refusal::TargetTooLong));

    let headers = |count| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert_eq!(refusal(headers(LIMITS.headers - 1).as_bytes()), None);
    assert_eq!(refusal(headers(LIMITS.headers).as_bytes()), Some(Refusal::Headers));
    assert_eq!(refusal(&[b'A'; 513]), Some(Refusal::Headers));
}

#[test]
fn a_limit_is_of_one_head_and_not_of_the_connection() {
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let verdict = scan(LIMITS, &request.repeat(100), &[]);
    assert_eq!((verdict.requests, verdict.refusal), (100, None));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let body = |text: String| {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        refusal(format!("{head}{text}").as_bytes())
    };
    let extension = |bytes: usize| format!("1;{}\r\nx\r\n", "e".repeat(bytes));
    assert_eq!(body(extension(255)), None);
    assert_eq!(body(extension(256)), Some(Refusal::Chunk));
    assert_eq!(body(extension(200).repeat(20)), None);
    assert_eq!(body(extension(200).repeat(21)), Some(Refusal::Chunk));
    assert_eq!(body(format!("0\r\n{}\r\n", "X: y\r\n".repeat(32))), None);
    assert_eq!(body(format!("0\r\n{}\r\n", "X: y\r\n".repeat(33))), Some(Refusal::Trailer));
    assert_eq!(body(format!("0\r\nX: {}\r\n\r\n", "y".repeat(8_000))), None);
    assert_eq!(body(format!("0\r\nX: {}\r\n\r\n", "y".repeat(8_200))), Some(Refusal::Trailer));
}

#[test]
fn a_head_is_withheld_until_its_end_and_a_body_is_not() {
    let mut scanner = Scanner::new(LIMITS);
    let scan = scanner.scan(b"POST / HTTP/1.1\r\nHost: a\r\n");
    assert_eq!((scan.passed, scanner.place()), (0, Place::Head));
    let scan = scanner.scan(b"Content-Length: 4\r\n\r\nab");
    assert_eq!((scan.passed, scanner.place()), (23, Place::Body));
    let scan = scanner.scan(b"cdGET");
    assert_eq!((scan.passed, scanner.place()), (2, Place::Head));
}

#[test]
fn behind_an_upgrade_nothing_is_read_before_it_is_decided() {
    const UPGRADE: &[u8] =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx";
    let behind = |upgraded| {
        let mut scanner = Scanner::new(LIMITS);
        let scan = scanner.scan(&[UPGRADE, b"\x81\x00\n"].concat());
        assert_eq!((scan.passed, scan.read), (UPGRADE.len(), UPGRADE.len()));
        assert_eq!((scanner.place(), scan.refusal), (Place::Undecided, None));
        scanner.decide(upgraded);
        scanner.scan(b"\x81\x00\n")
    };
    assert_eq!(behind(true), Scan { passed: 3, read: 3, refusal: None });
    assert_eq!(behind(false).refusal, Some(Refusal::RequestLine));
}

#[test]
fn an_upgrade_in_http_1_0_is_none() {
    let scan = scan(LIMITS, b"GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", &[]);
    assert_eq!(scan.place, Place::Between);
}

#[test]
fn nothing_passes_behind_a_refusal() {
    let mut scanner = Scanner::new(LIMITS);
    assert_eq!(scanner.scan(b"\0").refusal, Some(Refusal::RequestLine));
    let scan = scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((scan.passed, scan.refusal, scanner.requests()), (0, None, 0));
}

#[test]
fn following_a_connection_allocates_nothing() {
    let head = b"POST /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = [&head[..], b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"].concat();
    let mut scanner = Scanner::new(LIMITS);
    let allocations = allocation_counter::measure(|| {
        for piece in bytes.chunks(7).chain([bytes.as_slice()]) {
            assert_eq!(scanner.scan(piece).refusal, None);
        }
    });
    assert_eq!((allocations.count_total, scanner.requests()), (0, 2));
}

proptest! {
    #[test]
    fn any_cut_comes_to_the_same(
        bytes in doubtful(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(scan(LIMITS, &bytes, &cuts), scan(LIMITS, &bytes, &[]));
    }

    #[test]
    fn another_reading_of_the_rules_says_the_same(bytes in doubtful()) {
        let verdict = scan(LIMITS, &bytes, &[]);
        let is_whole = verdict.refusal.is_none() && verdict.place == Place::Between;
        prop_assert_eq!(is_whole.then_some(verdict.requests), requests(LIMITS, &bytes));
    }

    #[test]
    fn honest_requests_pass(requests in proptest::collection::vec(honest(), 1..5)) {
        let bytes = requests.concat();
        let verdict = scan(LIMITS, &bytes, &[]);
        prop_assert_eq!(verdict, Verdict {
            requests: requests.len() as u64,
            place: Place::Between,
            refusal: None,
            released: Some(bytes.len()),
        });
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        scan(LIMITS, &bytes, &[bytes.len() / 2]);
    }
}
