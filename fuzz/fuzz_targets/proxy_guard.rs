//! What a client or a pod sends comes to the same however it is cut, and nothing passes behind a refusal. The first
//! byte chooses, the second one says into pieces of which size the rest is cut.
#![no_main]

use collector::proxy::guard::http1::{Limits, Place, Scanner};
use collector::proxy::guard::http2::{Follower, PREFACE};
use collector::proxy::guard::response::{Answer, Fault};
use collector::proxy::refusal::Refusal;
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head_bytes: 1024, headers: 16, target_bytes: 128 };

fuzz_target!(|input: &[u8]| {
    let [choice, piece, bytes @ ..] = input else { return };
    let piece = usize::from(*piece).max(1);
    match choice % 3 {
        0 => assert_eq!(client(bytes, piece), client(bytes, bytes.len().max(1))),
        1 => assert_eq!(pod(bytes, piece), pod(bytes, bytes.len().max(1))),
        _ => assert_eq!(frames(bytes, piece), frames(bytes, bytes.len().max(1))),
    }
});

fn client(bytes: &[u8], piece: usize) -> (u64, Place, Option<Refusal>) {
    let mut scanner = Scanner::new(LIMITS);
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            let scan = scanner.scan(rest);
            assert!(scan.passed <= scan.read && scan.read <= rest.len());
            if scan.refusal.is_some() {
                let behind = scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!((behind.passed, behind.refusal), (0, None));
                return (scanner.requests(), scanner.place(), scan.refusal);
            }
            rest = &rest[scan.read..];
            // An upgrade to nothing: what follows are requests again.
            scanner.decide(false);
        }
    }
    scanner.decide(false);
    (scanner.requests(), scanner.place(), None)
}

fn pod(bytes: &[u8], piece: usize) -> Result<bool, Fault> {
    let mut answer = Answer::new(LIMITS);
    for piece in bytes.chunks(piece) {
        if answer.read(piece)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn frames(bytes: &[u8], piece: usize) -> (bool, Option<Refusal>) {
    let mut follower = Follower::new();
    let now = std::time::Instant::now();
    let followed = std::iter::once(&PREFACE[..])
        .chain(bytes.chunks(piece))
        .try_for_each(|piece| follower.follow(piece, now.into(), 0));
    (follower.is_waiting(), followed.err())
}
