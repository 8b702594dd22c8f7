use proptest::prelude::*;

use super::*;

fn read(files: &[(&str, &str)]) -> (Counters, Outcome) {
    let mut counters = Counters::default();
    let mut outcome = Ok(());
    for (name, text) in files {
        outcome = outcome.and(parse(name, text.as_bytes(), &mut counters).unwrap());
    }
    finish(&mut counters);
    (counters, outcome)
}

#[test]
fn cpu_time_is_in_nanoseconds_and_its_parts_in_ticks() {
    let (counters, outcome) = read(&[
        ("cpuacct.usage", "1234567890\n"),
        ("cpuacct.stat", "user 150\nsystem 25\n"),
        ("cpu.stat", "nr_periods 7\nnr_throttled 4\nthrottled_time 9\nnr_bursts 0\n"),
    ]);
    let expected = Cpu {
        usage: Some(Duration::from_nanos(1_234_567_890)),
        user: Some(from_ticks(150)),
        system: Some(from_ticks(25)),
        periods: Some(7),
        throttled_periods: Some(4),
        throttled: Some(Duration::from_nanos(9)),
        ..Cpu::default()
    };
    assert_eq!((counters.cpu, outcome), (expected, Ok(())));
    let hz = rustix::param::clock_ticks_per_second();
    assert_eq!(from_ticks(3 * hz), Duration::from_secs(3));
}

#[test]
fn quota_needs_both_of_its_files() {
    let (counters, _) =
        read(&[("cpu.cfs_quota_us", "150000\n"), ("cpu.cfs_period_us", "100000\n")]);
    let expected = CpuQuota {
        quota: Limit::At(Duration::from_millis(150)),
        period: Duration::from_millis(100),
    };
    assert_eq!(counters.cpu.quota, Some(expected));
    let (counters, _) = read(&[("cpu.cfs_quota_us", "-1\n"), ("cpu.cfs_period_us", "100000\n")]);
    assert_eq!(counters.cpu.quota.unwrap().quota, Limit::Max);
    assert_eq!(read(&[("cpu.cfs_quota_us", "150000\n")]).0.cpu.quota, None);
    assert_eq!(read(&[("cpu.cfs_period_us", "100000\n")]).0.cpu.quota, None);
}

#[test]
fn memory_stat_prefers_totals_in_whatever_order() {
    let text = "cache 1\nrss 1\ntotal_cache 10\ntotal_rss 11\ntotal_shmem 12\ntotal_mapped_file 13\ntotal_swap 14\ntotal_inactive_file 15\n\
        total_active_file 16\ntotal_pgfault 17\ntotal_pgmajfault 18\nswap 1\nhierarchical_memory_limit 4096\n";
    let expected = Memory {
        file: Some(10),
        anon: Some(11),
        shmem: Some(12),
        mapped_file: Some(13),
        swap: Some(14),
        inactive_file: Some(15),
        active_file: Some(16),
        page_faults: Some(17),
        major_page_faults: Some(18),
        ..Memory::default()
    };
    let (counters, outcome) = read(&[("memory.stat", text)]);
    assert_eq!((counters.memory, outcome), (expected, Ok(())));
}

#[test]
fn memory_stat_without_hierarchy_has_its_own_keys_alone() {
    let (counters, _) = read(&[
        ("memory.usage_in_bytes", "9\n"),
        ("memory.stat", "cache 1\nrss 2\ninactive_file 3\n"),
    ]);
    let memory = counters.memory;
    assert_eq!(
        (memory.usage, memory.file, memory.anon, memory.inactive_file, memory.swap),
        (Some(9), Some(1), Some(2), Some(3), None)
    );
}

#[test]
fn bad_total_is_not_papered_over_with_the_own_share() {
    let (counters, outcome) =
        read(&[("memory.stat", "rss 2\ncache 1\ntotal_rss many\ntotal_cache 5\n")]);
    assert_eq!(
        (counters.memory.anon, counters.memory.file, outcome),
        (None, Some(5), Err(Kind::Malformed))
    );
}

#[test]
fn single_values_go_to_their_fields() {
    let (counters, outcome) = read(&[
        ("memory.max_usage_in_bytes", "5\n"),
        ("memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory.kmem.usage_in_bytes", "6\n"),
        ("memory.failcnt", "7\n"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
        ("cpu.shares", "1024\n"),
        ("pids.current", "2\n"),
        ("pids.max", "max\n"),
    ]);
    let expected = Memory {
        peak: Some(5),
        limit: Some(Limit::Max),
        kernel: Some(6),
        limit_hits: Some(7),
        oom_kills: Some(3),
        ..Memory::default()
    };
    assert_eq!((counters.memory, outcome), (expected, Ok(())));
    assert_eq!(
        (counters.cpu.shares, counters.pids.current, counters.pids.limit),
        (Some(1024), Some(2), Some(Limit::Max))
    );
}

#[test]
fn bytes_and_operations_of_a_device_share_a_row() {
    let (counters, _) = read(&[
        ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n"),
        ("blkio.throttle.io_serviced", "8:0 Read 3\n8:0 Write 4\nTotal 7\n"),
    ]);
    assert_eq!(
        counters.io,
        [DeviceIo { device: (8, 0), read_bytes: 1, write_bytes: 2, reads: 3, writes: 4 }]
    );
}

#[test]
fn old_kernel_without_the_oom_kill_key_is_no_fault() {
    assert_eq!(
        read(&[("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n")]),
        (Counters::default(), Ok(()))
    );
}

proptest! {
    #[test]
    fn any_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..300), ticks: u64) {
        let _ = from_ticks(ticks);
        for spec in FILES {
            let _ = (spec.fill)(&text, &mut Counters::default());
        }
    }
}
