use std::fs::File;
use std::io::Write;

use super::*;

fn file(text: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    file
}

#[test]
fn file_is_read_whole_whatever_its_length() {
    for len in [0, 1, 4095, 4096, 4097, 20_000, MAX_BYTES - 1] {
        for end in [End::ShortRead, End::EmptyRead] {
            let text = vec![b'x'; len];
            let mut buffer = Buffer::default();
            let read = buffer.read(file(&text), end).unwrap();
            assert_eq!((read.bytes, read.is_cut), (text.as_slice(), false), "{len} {end:?}");
        }
    }
}

#[test]
fn longer_file_is_cut_behind_its_last_whole_line() {
    let text = "0123456789\n".repeat(MAX_BYTES / 11 + 10);
    let mut buffer = Buffer::default();
    let read = buffer.read(file(text.as_bytes()), End::ShortRead).unwrap();
    assert!(read.is_cut && read.bytes.ends_with(b"9\n") && read.bytes.len() > MAX_BYTES - 11);
}

#[test]
fn file_is_read_from_its_beginning_each_time() {
    let mut file = file(b"1\n");
    let mut buffer = Buffer::default();
    assert_eq!(buffer.read(&file, End::ShortRead).unwrap().bytes, b"1\n");
    file.write_all(b"2\n").unwrap();
    assert_eq!(buffer.read(&file, End::ShortRead).unwrap().bytes, b"1\n2\n");
    assert_eq!(buffer.read_start(&file, 3).unwrap(), b"1\n2");
}

#[test]
fn absent_file_is_no_error_and_may_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let fd = File::open(directory.path()).unwrap();
    let mut kept = Kept::default();
    kept.open(&fd, c"late").unwrap();
    assert!(kept.file().is_none());
    std::fs::write(directory.path().join("late"), "1\n").unwrap();
    kept.open(&fd, c"late").unwrap();
    assert!(kept.file().is_some());
}

#[test]
fn absent_file_is_looked_for_at_first_and_then_seldom() {
    let due: Vec<u32> = (0..100).filter(|age| is_due(*age)).collect();
    assert_eq!(due, [0, 1, 2, 32, 64, 96]);
}

#[test]
fn directory_in_a_files_place_is_an_error_not_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let fd = File::open(directory.path()).unwrap();
    assert!(Buffer::default().read(&fd, End::ShortRead).is_err());
}

#[test]
fn limit_of_open_files_is_raised_to_the_hard_one() {
    let limit = raise_limit().unwrap();
    assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), limit);
}
