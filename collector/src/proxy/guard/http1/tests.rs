use std::collections::HashSet;

use proptest::prelude::*;
use regex::bytes::Regex;

use super::*;
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

/// Another reading of the same rules, of whole bytes and with regular expressions: how many requests they are exactly.
fn model(bytes: &[u8]) -> Option<u64> {
    const HEAD: &str = concat!(
        r"(?-u)^(?:\r\n)?([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])\r\n",
        r"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*)\r\n"
    );
    let head = Regex::new(HEAD).unwrap();
    let length = Regex::new(r"(?i-u)^content[-_]length: *(0|[1-9][0-9]*) *$").unwrap();
    let coding = Regex::new(r"(?i-u)^transfer[-_]encoding: *chunked *$").unwrap();
    let framing = Regex::new(r"(?i-u)^(content[-_]length|transfer[-_]encoding):").unwrap();
    let mut rest = bytes;
    let mut requests = 0;
    while !matches!(rest, b"" | b"\r\n") {
        let found = head.captures(rest)?;
        let target = std::str::from_utf8(&found[2]).unwrap();
        let authority = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]*\])(?::[0-9]{1,5})?";
        let form = match &found[1] {
            b"CONNECT" => format!("(?i-u)^{authority}$"),
            _ => format!(r"(?i-u)^(?:/.*|\*|https?://{authority}(?:/.*)?)$"),
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let fields: Vec<_> = found[4].split(|byte| *byte == b'\n').collect();
        let fields: Vec<_> = fields.iter().filter_map(|line| line.strip_suffix(b"\r")).collect();
        let named = |name: &str| {
            let is = |line: &&&[u8]| {
                line.split(|byte| *byte == b':')
                    .next()
                    .unwrap()
                    .eq_ignore_ascii_case(name.as_bytes())
            };
            fields.iter().filter(is).count()
        };
        let framing: Vec<_> = fields.iter().filter(|line| framing.is_match(line)).collect();
        let is_old = &found[3] == b"0";
        if !Regex::new(&form).unwrap().is_match(&found[2])
            || target.contains(['#', '<', '>'])
            || path.contains('`')
            || query.contains('"')
            || named("upgrade") > 0
            || framing.len() > 1
            || framing.iter().any(|line| line.contains(&b'_'))
            || named("host") > 1
            || (named("host") == 0 && !is_old)
            || found[0].strip_prefix(b"\r\n").unwrap_or(&found[0]).len() > LIMITS.head_bytes
            || fields.len() > LIMITS.headers
            || target.len() > LIMITS.target_bytes
        {
            return None;
        }
        rest = &rest[found[0].len()..];
        if let Some(line) = framing.first() {
            if let Some(length) = length.captures(line) {
                let digits = std::str::from_utf8(&length[1]).unwrap();
                rest = rest.get(usize::try_from(digits.parse::<i64>().ok()?).unwrap()..)?;
            } else if coding.is_match(line) && !is_old {
                rest = behind_chunks(rest)?;
            } else {
                return None;
            }
        }
        requests += 1;
    }
    Some(requests)
}

fn behind_chunks(mut rest: &[u8]) -> Option<&[u8]> {
    const SIZE: &str = concat!(
        r"(?-u)^([0-7][0-9a-fA-F]{15}|[0-9a-fA-F]{1,15})((?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+",
        r#"(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*)\r\n"#
    );
    const TRAILERS: &str = r"(?-u)^((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*)\r\n";
    let size = Regex::new(SIZE).unwrap();
    loop {
        let found = size.captures(rest)?;
        rest = &rest[found[0].len()..];
        let bytes = u64::from_str_radix(std::str::from_utf8(&found[1]).unwrap(), 16).unwrap();
        if bytes == 0 {
            break;
        }
        let data = rest.get(..usize::try_from(bytes).unwrap())?;
        rest = rest[data.len()..].strip_prefix(b"\r\n")?;
    }
    let found = Regex::new(TRAILERS).unwrap().captures(rest)?;
    let forbidden = Regex::new(r"(?i-u)(^|\n)(host|cookie|content[-_]length):").unwrap();
    (!forbidden.is_match(&found[1])).then(|| &rest[found[0].len()..])
}

/// Pieces of which requests are made, honest and not.
const PIECES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Host: a\r\n\r\n",
    b"X: y\r\n",
    b"Upgrade: x\r\n",
    b"Content-Length: 3\r\n",
    b"content_length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"1;a=\"b\\\"\";c\r\nx\r\n",
    b"Cookie: a\r\n",
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b":",
    b"`",
    b"\"",
    b"\0",
    b"\x0b",
    b"\xff",
    b",",
    b"#",
    b"?",
    b"GET ",
    b"CONNECT ",
    b"http://a",
    b"https://[::1]:80/",
    b" a:443 HTTP/1.1\r\n",
    b"*",
    b"/",
];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(PIECES).prop_map(<[u8]>::to_vec)
}

/// Requests that are honest.
pub(in crate::proxy::guard) fn honest() -> impl Strategy<Value = Vec<u8>> {
    let fields = proptest::collection::vec("[a-zA-Z][a-z_-]{0,30}:[ \t]?[ -~]{0,20}", 0..4)
        .prop_map(|mut fields| {
            let matters = |field: &String| {
                let name = field.split(':').next().unwrap_or_default().replace('_', "-");
                ["content-length", "transfer-encoding", "host", "upgrade", "connection", "expect"]
                    .contains(&name.to_ascii_lowercase().as_str())
            };
            fields.retain(|field| !matters(field));
            fields
        });
    let body = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..4);
    ("[A-Z]{1,8}", "/[a-z0-9%/?&=.-]{0,40}", fields, body, 0..3).prop_map(
        |(method, target, fields, chunks, framing)| {
            // What hyper does with these methods is another matter.
            let method = if method == "CONNECT" { "GET" } else { &method };
            let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n");
            for field in fields {
                request.extend([&field, "\r\n"]);
            }
            match framing {
                0 => (request + "\r\n").into_bytes(),
                1 => {
                    let body = chunks.concat();
                    let head = format!("{request}Content-Length: {}\r\n\r\n", body.len());
                    [head.into_bytes(), body].concat()
                }
                _ => {
                    let mut bytes =
                        format!("{request}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                    for chunk in chunks {
                        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                        bytes.extend(chunk);
                        bytes.extend(b"\r\n");
                    }
                    bytes.extend(b"0\r\n\r\n");
                    bytes
                }
            }
        },
    )
}

/// Honest requests in a row of which some bytes were changed, and rows of pieces.
pub(in crate::proxy::guard) fn doubtful() -> impl Strategy<Value = Vec<u8>> {
    let changed = (
        proptest::collection::vec(honest(), 1..3),
        proptest::collection::vec((any::<prop::sample::Index>(), 0..2_usize, piece()), 0..3),
    )
        .prop_map(|(requests, changes)| {
            let mut bytes = requests.concat();
            for (index, removed, piece) in changes {
                let at = index.index(bytes.len());
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, piece);
                if bytes.is_empty() {
                    bytes.push(b'G');
                }
            }
            bytes
        });
    let pieces = proptest::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![changed, pieces]
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
        prop_assert_eq!(is_whole.then_some(verdict.requests), model(&bytes));
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
