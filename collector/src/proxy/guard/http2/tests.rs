use proptest::prelude::*;

use super::*;

/// A frame with a payload of zeros, or of this one byte and zeros.
fn frame(kind: u8, flags: u8, bytes: usize) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(bytes).unwrap().to_be_bytes();
    let mut frame = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
    frame.resize(9 + bytes, 0);
    frame
}

struct Client {
    follower: Follower,
    now: Instant,
    sent: u64,
}

impl Client {
    fn new() -> Self {
        let mut client = Self { follower: Follower::new(), now: Instant::now(), sent: 0 };
        client.send(PREFACE).unwrap();
        client
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.follower.follow(bytes, self.now, self.sent)
    }

    /// How many of these frames pass before it is a flood.
    fn passes(&mut self, frame: &[u8]) -> usize {
        (0..100_000).find(|_| self.send(frame).is_err()).unwrap()
    }
}

#[tokio::test]
async fn frames_that_carry_nothing_are_bounded_in_each_second() {
    let cases = [
        (frame(RST_STREAM, 0, 4), RESETS),
        (frame(SETTINGS_FRAME, 0, 6), SETTINGS),
        (frame(PING, 0, 8), PINGS),
        (frame(DATA, 0, 0), EMPTY_DATA),
        (frame(DATA, 0, 16), TINY_DATA),
        (frame(WINDOW_UPDATE, 0, 4), UPDATES),
        (frame(2, 0, 5), PRIORITIES),
        (frame(0x42, 0, 5), PRIORITIES),
    ];
    for (frame, most) in cases {
        let mut client = Client::new();
        for _ in 0..3 {
            for _ in 0..most {
                client.send(&frame).unwrap();
            }
            client.now += WINDOW;
        }
        assert_eq!(client.passes(&frame), most as usize, "kind {}", frame[3]);
    }
}

#[tokio::test]
async fn data_that_ends_a_stream_or_carries_something_is_no_flood() {
    let mut client = Client::new();
    for _ in 0..20_000 {
        client.send(&frame(HEADERS, END_HEADERS, 10)).unwrap();
        client.send(&frame(DATA, 0, 17)).unwrap();
        client.send(&frame(DATA, END_STREAM, 0)).unwrap();
    }
}

#[tokio::test]
async fn padding_does_not_make_empty_data_full() {
    let mut padded = frame(DATA, PADDED, 200);
    padded[9] = 199;
    assert_eq!(Client::new().passes(&padded), EMPTY_DATA as usize);
    padded[9] = 100;
    let mut client = Client::new();
    for _ in 0..20_000 {
        client.send(&padded).unwrap();
    }
}

#[tokio::test]
async fn continuations_are_bounded_in_each_block() {
    let mut client = Client::new();
    for _ in 0..100 {
        client.send(&frame(HEADERS, 0, 10)).unwrap();
        for _ in 1..CONTINUATIONS {
            client.send(&frame(CONTINUATION, 0, 10)).unwrap();
            assert!(client.follower.is_waiting());
        }
        client.send(&frame(CONTINUATION, END_HEADERS, 10)).unwrap();
        assert!(!client.follower.is_waiting());
    }
    client.send(&frame(HEADERS, 0, 10)).unwrap();
    assert_eq!(client.passes(&frame(CONTINUATION, 0, 0)), CONTINUATIONS as usize);
}

#[tokio::test]
async fn what_is_sent_pays_for_pings_and_updates_of_this_second_and_the_next() {
    let mut client = Client::new();
    client.sent = 1 << 20;
    for _ in 0..2 {
        for _ in 0..PINGS + 1024 {
            client.send(&frame(PING, 0, 8)).unwrap();
        }
        for _ in 0..UPDATES + 16_384 {
            client.send(&frame(WINDOW_UPDATE, 0, 4)).unwrap();
        }
        client.now += WINDOW;
    }
    assert_eq!(client.passes(&frame(PING, 0, 8)), PINGS as usize);
}

#[tokio::test]
async fn only_what_is_no_data_is_waited_for() {
    let mut follower = Follower::new();
    let now = Instant::now();
    assert!(follower.is_waiting());
    follower.follow(PREFACE, now, 0).unwrap();
    assert!(!follower.is_waiting());
    follower.follow(&frame(DATA, 0, 100)[..50], now, 0).unwrap();
    assert!(!follower.is_waiting());
    follower.follow(&frame(DATA, 0, 100)[50..], now, 0).unwrap();
    follower.follow(&frame(SETTINGS_FRAME, 0, 6)[..5], now, 0).unwrap();
    assert!(follower.is_waiting());
    follower.follow(&frame(SETTINGS_FRAME, 0, 6)[5..], now, 0).unwrap();
    assert!(!follower.is_waiting());
}

proptest! {
    #[test]
    fn any_cut_comes_to_the_same(
        bytes in proptest::collection::vec(prop_oneof![Just(0_u8), 0..10_u8, any::<u8>()], 0..400),
        cuts in proptest::collection::vec(0..400_usize, 0..6),
    ) {
        let now = Instant::now();
        let bytes = [&PREFACE[..], &bytes].concat();
        let mut whole = Follower::new();
        let expected = whole.follow(&bytes, now, 0);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut pieces = Follower::new();
        let mut start = 0;
        let found = cuts.iter().try_for_each(|&end| {
            let piece = &bytes[std::mem::replace(&mut start, end)..end];
            pieces.follow(piece, now, 0)
        });
        prop_assert_eq!(found, expected);
        prop_assert_eq!(pieces.is_waiting(), whole.is_waiting());
        prop_assert_eq!(pieces.frames(), whole.frames());
    }
}
