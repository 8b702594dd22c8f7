//! What is kept comes back as it was; anything else is refused by name, and two processes share a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::fault::Fault;
use super::folder::Folder;
use super::format::{MAX_BYTES, Place, parse, render};
use super::keeper::{Desk, Keeper};
use super::*;

fn here() -> Place {
    Place { node: "n1".to_owned(), boot: Some("b1".to_owned()) }
}

/// One container `app` of pod 1 with so many kills.
fn kept(kills: u64) -> Kept {
    let text = format!(
        r#"{{"version": 1, "node": "n1", "boot": "b1",
        "pods": {{"{}": {{"app": {{"oom": {{"total": {kills}}}, "life": {{"id": "a", "start": 1700000000123456789}}}}}}}},
        "io": {{"{}": {{"inode": 7, "totals": [{{"device": [8, 0], "read": [1, 2, 3, 4], "lost": [0, 0, 0, 5]}}]}}}}}}"#,
        PodUid::Uid(1),
        PodUid::ConfigHash(2),
    );
    parse(text.as_bytes(), &here()).unwrap()
}

fn reason(text: &[u8]) -> &'static str {
    parse(text, &here()).unwrap_err().reason()
}

#[test]
fn what_is_written_reads_back_the_same() {
    let (text, is_whole) = render(&kept(3), &here());
    assert!(is_whole);
    assert_eq!(parse(&text, &here()).unwrap(), kept(3));
    let life = kept(3).pods[&PodUid::Uid(1)]["app"].life.clone().unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    assert_eq!((life.id, life.start), (ContainerId::new("a"), start));
}

#[test]
fn every_cut_is_damage() {
    let (text, _) = render(&kept(3), &here());
    for end in 0..text.len() {
        assert_eq!(reason(&text[..end]), "damaged", "cut after {end} bytes");
    }
}

#[test]
fn what_cannot_be_used_has_a_name() {
    assert_eq!(reason(br#"{"version": 2, "pods": ["another form"]}"#), "newer_version");
    assert_eq!(reason(br#"{"version": 1, "node": "n2"}"#), "other_node");
    assert_eq!(reason(br#"{"version": 1, "node": "n1", "pods": {"no-uid": {}}}"#), "damaged");
    assert_eq!(reason(br#"{"node": "n1"}"#), "damaged");
    assert_eq!(reason(&vec![b' '; MAX_BYTES + 1]), "too_large");
}

#[test]
fn keys_of_later_versions_of_podmeter_are_skipped() {
    let text = br#"{"version": 1, "node": "n1", "colour": "red", "pods": {}}"#;
    assert_eq!(parse(text, &here()).unwrap(), Kept::default());
}

#[test]
fn another_boot_has_new_cgroups_and_the_same_pods() {
    let (text, _) = render(&kept(3), &here());
    let rebooted = parse(&text, &Place { boot: Some("b2".to_owned()), ..here() }).unwrap();
    assert!(rebooted.io.is_empty());
    assert_eq!(rebooted.pods, kept(3).pods);
    let untold = Place { boot: None, ..here() };
    let (text, _) = render(&kept(3), &untold);
    assert!(parse(&text, &untold).unwrap().io.is_empty(), "nobody knows whether it is the same");
}

#[test]
fn beyond_the_bound_kills_go_before_start_times() {
    let mut many = kept(1);
    let pod = many.pods[&PodUid::Uid(1)].clone();
    let quiet = KeptContainer { oom: Oom::default(), ..pod["app"].clone() };
    for uid in 2..8_000 {
        many.pods.insert(PodUid::Uid(uid), [("app".to_owned(), quiet.clone())].into());
    }
    let (text, is_whole) = render(&many, &here());
    assert!(!is_whole && text.len() <= MAX_BYTES);
    let left = parse(&text, &here()).unwrap();
    assert_eq!(left.pods.keys().collect::<Vec<_>>(), [&PodUid::Uid(1)]);

    for uid in 2..40_000 {
        many.pods.insert(PodUid::Uid(uid), pod.clone());
    }
    let (text, is_whole) = render(&many, &here());
    assert!(!is_whole && text.len() <= MAX_BYTES && text.len() > MAX_BYTES / 4);
}

#[test]
fn readings_of_a_disk_are_no_reason_to_write_and_losses_are() {
    let with = |read: &str, lost: &str| {
        let (text, _) = render(&kept(1), &here());
        let text = String::from_utf8(text).unwrap();
        let text = text.replace("[1,2,3,4]", read).replace("[0,0,0,5]", lost);
        parse(text.as_bytes(), &here()).unwrap()
    };
    assert!(with("[9,9,9,9]", "[0,0,0,5]").is_same(&kept(1)));
    assert!(!with("[1,2,3,4]", "[0,0,0,6]").is_same(&kept(1)));
    assert!(!kept(2).is_same(&kept(1)) && !Kept::default().is_same(&kept(1)));
}

/// A process: the keeper and the sampling thread's end.
fn process(path: &std::path::Path) -> (Keeper, Desk) {
    let (keeper, desk, _) = Keeper::open(Folder::new(path), here());
    (keeper, desk)
}

#[test]
fn what_the_last_tick_left_is_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    let (mut keeper, desk) = process(&path);
    assert_eq!(desk.found(), None);
    desk.put(kept(1));
    keeper.round();
    desk.put(kept(2));
    keeper.finish();
    drop(keeper);
    assert_eq!(process(&path).1.found(), Some(kept(2)));
    let names: Vec<_> =
        fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["state.json"]);
    let mode = fs::metadata(path.join("state.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_second_of_two_processes_writes_only_after_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (mut old, old_desk) = process(folder.path());
    old_desk.put(kept(1));
    old.round();
    let (mut new, new_desk) = process(folder.path());
    assert_eq!(new_desk.found(), Some(kept(1)), "what is there already");
    new_desk.put(kept(1));
    new.round();
    new.finish();
    old_desk.put(kept(4));
    old.round();
    new.round();
    assert_eq!(new_desk.found(), Some(kept(4)), "what the first counted meanwhile");
    old_desk.put(kept(5));
    old.finish();
    drop(old);

    // What was left before the first's last word is not written over it.
    new_desk.put(kept(1));
    new.round();
    new.round();
    assert_eq!(new_desk.found(), Some(kept(5)));
    new_desk.put(kept(6));
    new.round();
    drop(new);
    assert_eq!(process(folder.path()).1.found(), Some(kept(6)));
}

#[test]
fn a_file_that_is_not_its_own_is_left_unread() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    fs::write(&file, render(&kept(1), &here()).0).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let read = |path| Folder::new(path).read().unwrap_err();
    assert_eq!(read(folder.path()).reason(), "permissions");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    assert_eq!(read(folder.path()).reason(), "unreadable");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(read(folder.path()).reason(), "permissions");
    let said = read(folder.path()).to_string();
    assert!(said.contains("state.json") && said.contains("not a plain file"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_used_is_told_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let fault = Folder::new(&folder.path().join("no/such")).lock().unwrap_err();
    assert!(matches!(fault, Fault::Unwritable { .. }));
    assert!(fault.to_string().contains("install -d"), "{fault}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (mut keeper, desk) = process(&file);
    desk.put(kept(1));
    keeper.round();
    keeper.finish();
    assert_eq!(fs::read(&file).unwrap(), b"", "an ordinary file is no folder");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text, &here());
    }

    #[test]
    fn no_change_of_one_byte_makes_it_panic_or_grow(at in 0_usize..400, to in any::<u8>()) {
        let (mut text, _) = render(&kept(3), &here());
        let at = at % text.len();
        text[at] = to;
        if let Ok(kept) = parse(&text, &here()) {
            let (again, is_whole) = render(&kept, &here());
            prop_assert!(is_whole);
            prop_assert_eq!(parse(&again, &here()).unwrap(), kept);
        }
    }
}
