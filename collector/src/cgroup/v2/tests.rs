use proptest::prelude::*;

use super::*;
use crate::cgroup::Limit;

fn read(name: &str, text: &str) -> (Counters, Outcome) {
    let mut counters = Counters::default();
    let outcome = parse(name, text.as_bytes(), &mut counters).unwrap();
    (counters, outcome)
}

#[test]
fn cpu_stat_is_in_microseconds() {
    let (counters, outcome) = read(
        "cpu.stat",
        "usage_usec 5\nuser_usec 3\nsystem_usec 2\ncore_sched.force_idle_usec 0\nnr_periods 7\nnr_throttled 4\nthrottled_usec 9\n",
    );
    let micros = |value| Some(Duration::from_micros(value));
    let expected = Cpu {
        usage: micros(5),
        user: micros(3),
        system: micros(2),
        periods: Some(7),
        throttled_periods: Some(4),
        throttled: micros(9),
        ..Cpu::default()
    };
    assert_eq!((counters.cpu, outcome), (expected, Ok(())));
}

#[test]
fn bad_value_costs_its_own_field_alone() {
    let (counters, outcome) = read("cpu.stat", "usage_usec many\nnr_periods 7\nnr_throttled");
    assert_eq!(outcome, Err(Kind::Malformed));
    assert_eq!(
        (counters.cpu.usage, counters.cpu.periods, counters.cpu.throttled_periods),
        (None, Some(7), None)
    );
}

#[test]
fn memory_stat_reads_the_keys_it_knows() {
    let text = "anon 1\nfile 2\nkernel 3\nshmem 4\nfile_mapped 5\nanon_thp 99\ninactive_file 6\nactive_file 7\nslab_reclaimable 8\n\
        slab_unreclaimable 9\npgfault 10\npgmajfault 11\nnew_key max\n";
    let expected = Memory {
        anon: Some(1),
        file: Some(2),
        kernel: Some(3),
        shmem: Some(4),
        mapped_file: Some(5),
        inactive_file: Some(6),
        active_file: Some(7),
        slab_reclaimable: Some(8),
        slab_unreclaimable: Some(9),
        page_faults: Some(10),
        major_page_faults: Some(11),
        ..Memory::default()
    };
    let (counters, outcome) = read("memory.stat", text);
    assert_eq!((counters.memory, outcome), (expected, Ok(())));
}

#[test]
fn memory_events_are_hits_and_kills() {
    let (counters, _) =
        read("memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    assert_eq!(
        (counters.memory.high_hits, counters.memory.limit_hits, counters.memory.oom_kills),
        (Some(2), Some(3), Some(5))
    );
}

#[test]
fn single_values_go_to_their_fields() {
    assert_eq!(read("memory.max", "max\n").0.memory.limit, Some(Limit::Max));
    assert_eq!(read("memory.high", "4096\n").0.memory.high, Some(Limit::At(4096)));
    assert_eq!(read("memory.current", "1\n").0.memory.usage, Some(1));
    assert_eq!(read("memory.peak", "2\n").0.memory.peak, Some(2));
    assert_eq!(read("memory.swap.current", "3\n").0.memory.swap, Some(3));
    assert_eq!(read("cpu.weight", "100\n").0.cpu.weight, Some(100));
    assert_eq!(read("cpu.max", "50000 100000\n").0.cpu.quota.unwrap().cores(), Some(0.5));
    assert_eq!(read("pids.current", "4\n").0.pids.current, Some(4));
    assert_eq!(read("pids.max", "max\n").0.pids.limit, Some(Limit::Max));
    assert_eq!(read("io.stat", "8:0 rios=1\n").0.io.len(), 1);
    assert_eq!(
        read("io.pressure", "some total=1\n").0.pressure.io.unwrap().some,
        Duration::from_micros(1)
    );
}

#[test]
fn garbage_leaves_every_single_value_absent() {
    for name in FILES
        .iter()
        .flat_map(|spec| spec.names)
        .filter(|name| !matches!(**name, "cpu.stat" | "memory.stat" | "memory.events"))
    {
        assert_eq!(
            read(name, "\u{1}garbage 1\n"),
            (Counters::default(), Err(Kind::Malformed)),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for spec in FILES {
            let _ = (spec.fill)(&text, &mut Counters::default());
        }
    }
}
