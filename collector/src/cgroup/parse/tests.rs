use proptest::prelude::*;

use super::*;

const BAD: Kind = Kind::Malformed;

#[test]
fn number_is_digits_and_nothing_else() {
    for (text, expected) in [
        ("12\n", Ok(12)),
        ("18446744073709551615\n", Ok(u64::MAX)),
        ("18446744073709551616\n", Err(BAD)),
        ("", Err(BAD)),
        ("\n", Err(BAD)),
        ("many\n", Err(BAD)),
        ("1 2\n", Err(BAD)),
        ("-1\n", Err(BAD)),
        ("+1\n", Err(BAD)),
    ] {
        assert_eq!(number(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn each_spelling_of_no_limit_is_max() {
    for (text, expected) in [
        ("max\n", Ok(Limit::Max)),
        ("-1\n", Ok(Limit::Max)),
        ("9223372036854771712\n", Ok(Limit::Max)),
        ("4611686018427387904\n", Ok(Limit::Max)),
        ("4611686018427387903\n", Ok(Limit::At((1 << 62) - 1))),
        ("0\n", Ok(Limit::At(0))),
        ("maximum\n", Err(BAD)),
        ("-2\n", Err(BAD)),
        ("", Err(BAD)),
    ] {
        assert_eq!(limit(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn cpu_max_is_quota_and_period() {
    let micros = Duration::from_micros;
    for (text, expected) in [
        ("max 100000\n", Ok(CpuQuota { quota: Limit::Max, period: micros(100_000) })),
        (
            "20000 100000\n",
            Ok(CpuQuota { quota: Limit::At(micros(20_000)), period: micros(100_000) }),
        ),
        ("20000\n", Err(BAD)),
        ("20000 100000 1\n", Err(BAD)),
        ("a b\n", Err(BAD)),
        ("", Err(BAD)),
    ] {
        assert_eq!(cpu_max(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn pressure_takes_the_totals() {
    let full = "some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=45\n";
    let micros = Duration::from_micros;
    for (text, expected) in [
        (full, Ok(Stalls { some: micros(123), full: Some(micros(45)) })),
        ("some avg10=0.00 total=7\n", Ok(Stalls { some: micros(7), full: None })),
        ("full avg10=0.00 total=7\n", Err(BAD)),
        ("some avg10=0.00\n", Err(BAD)),
        ("some total=many\n", Err(BAD)),
        ("", Err(BAD)),
    ] {
        assert_eq!(pressure(text.as_bytes()), expected, "{text:?}");
    }
}

fn io(device: (u32, u32), [read_bytes, write_bytes, reads, writes]: [u64; 4]) -> DeviceIo {
    DeviceIo { device, read_bytes, write_bytes, reads, writes }
}

#[test]
fn io_stat_reads_each_device_that_has_keys() {
    let sda = io((8, 0), [1, 2, 3, 4]);
    let nvme = io((259, 1), [5, 6, 7, 8]);
    for (text, expected, outcome) in [
        (
            "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=9 dios=9\n259:1 rbytes=5 wbytes=6 rios=7 wios=8\n",
            vec![sda, nvme],
            Ok(()),
        ),
        ("253:0\n8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", vec![sda], Ok(())),
        ("7:1 7:0 8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", vec![sda], Ok(())),
        ("8:0 rbytes=x wbytes=2 rios=3 wios=4\n", vec![io((8, 0), [0, 2, 3, 4])], Err(BAD)),
        ("garbage\n8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", vec![sda], Err(BAD)),
        ("rbytes=1\n", vec![], Err(BAD)),
        ("", vec![], Ok(())),
    ] {
        let mut rows = Vec::new();
        assert_eq!(io_stat(text.as_bytes(), &mut rows), outcome, "{text:?}");
        assert_eq!(rows, expected, "{text:?}");
    }
}

#[test]
fn blkio_reads_reads_and_writes_alone() {
    let set: fn(&mut DeviceIo, bool, u64) = |row, is_read, value| {
        *if is_read { &mut row.read_bytes } else { &mut row.write_bytes } = value;
    };
    let row = io((8, 0), [123, 45, 0, 0]);
    for (text, expected, outcome) in [
        (
            "8:0 Read 123\n8:0 Write 45\n8:0 Sync 1\n8:0 Async 1\n8:0 Discard 0\n8:0 Total 168\nTotal 168\n",
            vec![row],
            Ok(()),
        ),
        ("Total 5\n", vec![], Ok(())),
        ("8:0 Read 123\n8:0 Write 45\n8:0 Wri", vec![row], Ok(())),
        ("8:0 Read 123\n8:0 Write 45\n8:0", vec![row], Err(BAD)),
        ("8:0 Read\n8:0 Write 45\n8:0 Read 123\n", vec![row], Err(BAD)),
        ("x Read 1\n", vec![], Err(BAD)),
    ] {
        let mut rows = Vec::new();
        assert_eq!(blkio(text.as_bytes(), &mut rows, set), outcome, "{text:?}");
        assert_eq!(rows, expected, "{text:?}");
    }
}

#[test]
fn devices_beyond_the_bound_are_left_out_and_reported() {
    let text: String =
        (0..40).map(|minor| "8:".to_owned() + &minor.to_string() + " rbytes=1\n").collect();
    let mut rows = Vec::new();
    assert_eq!(io_stat(text.as_bytes(), &mut rows), Err(Kind::Bounded));
    assert_eq!(rows.len(), MAX_DEVICES);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_but_never_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut rows = Vec::new();
        let _ = (number(&text), limit(&text), cpu_max(&text), pressure(&text), io_stat(&text, &mut rows));
        let _ = blkio(&text, &mut rows, |_, _, _| {});
        prop_assert!(rows.len() <= MAX_DEVICES);
    }

    #[test]
    fn number_that_was_written_is_read(value: u64) {
        prop_assert_eq!(number(format!("{value}\n").as_bytes()), Ok(value));
    }
}
