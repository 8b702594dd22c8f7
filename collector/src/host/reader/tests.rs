use std::time::SystemTime;

use super::*;
use crate::cgroup::testing::{Files, count};

const HEAD: &str = "Inter-| Receive | Transmit\n face |bytes |bytes\n";

fn proc() -> Files {
    let files = Files::new();
    files
        .write("proc/stat", "cpu  1 2 3 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8\nbtime 1700000000\n")
        .write("proc/meminfo", "MemTotal: 4 kB\nMemFree: 1 kB\n")
        .write("proc/loadavg", "0.50 0.25 0.10 1/2 3\n")
        .write("proc/pressure/cpu", "some total=5\n")
        .write("proc/vmstat", "oom_kill 2\n")
        .write("proc/net/dev", &format!("{HEAD}eth9: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"))
        .write(
            "proc/1/net/dev",
            &format!(
                "{HEAD}lo: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\neth0: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n"
            ),
        );
    files
}

fn open(files: &Files) -> (Reader, ReadErrors) {
    (Reader::open(&files.path("proc"), &files.path("rootfs")).unwrap(), ReadErrors::default())
}

fn faults(errors: &ReadErrors) -> u64 {
    errors.counts().map(|(.., count)| count).sum()
}

#[test]
fn all_files_are_read() {
    let files = proc();
    let (mut reader, mut errors) = open(&files);
    for _ in 0..2 {
        reader.tick(&mut errors);
        let counters = reader.counters();
        assert!(counters.cpu.is_some());
        assert_eq!(
            counters.booted,
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_700_000_000))
        );
        assert_eq!(
            (counters.cpus, counters.memory.unwrap().total, counters.load),
            (Some(1), 4096, Some([0.5, 0.25, 0.1]))
        );
        assert_eq!(
            (counters.pressure.cpu.unwrap().some, counters.pressure.io),
            (Duration::from_micros(5), None)
        );
        assert_eq!(counters.oom_kills, Some(2));
        assert_eq!(
            counters.interfaces.iter().map(|found| &*found.name).collect::<Vec<_>>(),
            ["eth0"],
            "of process 1, not our own"
        );
    }
    assert_eq!(faults(&errors), 0);
}

#[test]
fn absent_files_are_none_without_a_fault() {
    let files = Files::new();
    std::fs::create_dir(files.path("proc")).unwrap();
    let (mut reader, mut errors) = open(&files);
    reader.tick(&mut errors);
    assert_eq!((reader.counters(), faults(&errors)), (&Counters::default(), 0));
    assert!(Reader::open(&files.path("nowhere"), &files.path("rootfs")).is_err());
}

#[test]
fn garbage_is_counted_and_costs_its_own_file_alone() {
    let files = proc();
    files.write("proc/meminfo", "MemTotal: many\n");
    let (mut reader, mut errors) = open(&files);
    reader.tick(&mut errors);
    assert_eq!(count(&errors, Source::Host, Kind::Malformed), 1);
    assert!(reader.counters().memory.is_none() && reader.counters().load.is_some());
}

#[test]
fn file_systems_are_measured_at_most_once_a_minute() {
    let files = proc();
    std::fs::create_dir(files.path("rootfs")).unwrap();
    let device = rustix::fs::stat(files.path("rootfs")).unwrap().st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    files.write("proc/1/mountinfo", &format!("28 1 {major}:{minor} / / rw - ext4 /dev/sda1 rw\n"));
    let (mut reader, mut errors) = open(&files);
    let start = Instant::now();
    reader.tick_at(start, &mut errors);
    assert_eq!(reader.counters().filesystems.len(), 1);
    files.write("proc/1/mountinfo", "");
    reader.tick_at(start + Duration::from_secs(59), &mut errors);
    assert_eq!(reader.counters().filesystems.len(), 1);
    reader.tick_at(start + Duration::from_secs(60), &mut errors);
    assert_eq!((reader.counters().filesystems.len(), faults(&errors)), (0, 0));
}

#[test]
fn steady_tick_allocates_nothing() {
    let files = proc();
    let (mut reader, mut errors) = open(&files);
    let now = Instant::now();
    (0..2).for_each(|_| reader.tick_at(now, &mut errors));
    let measured = allocation_counter::measure(|| reader.tick_at(now, &mut errors));
    assert_eq!(measured.count_total, 0);
}

#[test]
fn time_that_the_kernel_takes_back_stays_where_it_was() {
    let files = proc();
    let (mut reader, mut errors) = open(&files);
    let mut iowait = |ticks: u32| {
        files.write("proc/stat", &format!("cpu  1 2 3 4 {ticks} 6 7 8\n"));
        reader.tick(&mut errors);
        reader.counters().cpu.unwrap().iowait
    };
    let before = iowait(500);
    assert_eq!(iowait(499), before);
    assert!(iowait(501) > before);
}
