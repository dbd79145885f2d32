//! The desk directory: made whole or not at all, one engine at a time, nothing foreign trusted.

mod common;

use common::{TempDir, append, live, new_desk, options};
use journal::{DeskDir, JournalError, NewDesk, recover};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn small() -> NewDesk {
    NewDesk { segment_records: 32, ..NewDesk::default() }
}

#[test]
fn a_desk_is_made_once_and_opened_after() {
    let dir = TempDir::new();
    let path = dir.path().join("a/b/desk");
    assert!(matches!(DeskDir::open(&path), Err(JournalError::NoDesk { .. })));
    let made = DeskDir::open_or_create(&path, &small()).expect("made");
    let opened = DeskDir::open_or_create(&path, &small()).expect("opened");
    assert!(made.is_new() && !opened.is_new());
    assert_eq!((made.desk_id(), made.log_id()), (opened.desk_id(), opened.log_id()));
    let error = DeskDir::create(&path, &small()).expect_err("there is one").to_string();
    assert!(error.contains(made.desk_id()), "{error}");
    assert_ne!(new_desk(&dir, 32).desk_id(), made.desk_id());
}

#[test]
fn two_engines_on_one_desk_the_second_is_refused_with_the_pid_of_the_first() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    assert_eq!(desk.holder(), None);
    let lock = desk.lock().expect("free");
    let pid = std::process::id();
    match DeskDir::open(desk.path()).expect("a desk").lock() {
        Err(JournalError::LockHeld { pid: named, start_time, .. }) => {
            assert_eq!((named, Some(start_time)), (pid, journal::start_time_of(pid)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.holder().expect("held").pid, pid);
    drop(lock);
    assert_eq!(desk.holder(), None);
    desk.lock().expect("free again");
}

#[test]
fn i17_a_copy_of_a_desk_directory_cannot_run_beside_its_original() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let (lock, mut ring, mut writer) = live(&desk, &options(64, 32));
    append(&mut ring, 5);
    writer.flush().expect("a disk that works");
    let copy = dir.path().join("copy");
    fs::create_dir_all(copy.join("segments")).expect("ours");
    for name in ["desk_id", "control", "lock"] {
        fs::copy(desk.path().join(name), copy.join(name)).expect("ours");
    }
    for entry in fs::read_dir(desk.segments_path()).expect("ours") {
        let entry = entry.expect("ours");
        fs::copy(entry.path(), copy.join("segments").join(entry.file_name())).expect("ours");
    }
    let copy = DeskDir::open(&copy).expect("a desk").with_shm_root(common::shm_root(&dir));
    assert_eq!(copy.ring_path(), desk.ring_path());
    let copy_lock = copy.lock().expect("the copy's own lock file is free");
    let refused = |error: JournalError| {
        assert!(matches!(error, JournalError::RingHeld { .. }), "{error}");
        let text = error.to_string();
        let ring_path = desk.ring_path();
        assert!(text.contains(&ring_path.display().to_string()), "{text}");
        assert!(text.contains("needs its own desk_id"), "{text}");
    };
    refused(recover(&copy).expect_err("the original runs"));
    append(&mut ring, 3); // the original goes on undisturbed
    writer.flush().expect("a disk that works");
    drop((ring, writer, lock));
    // The other order: recovered while nobody ran, live only after the original was.
    let recovered = recover(&desk).expect("sound");
    let (lock, ring, writer) = live(&desk, &options(64, 32));
    refused(recovered.go_live(&copy_lock, &options(64, 32)).expect_err("the other one runs"));
    drop((ring, writer, lock));
    live(&desk, &options(128, 32)); // free again, and a ring of another size is locked too
    let (_lock, _ring, _writer) = live(&desk, &options(128, 32));
    refused(recover(&copy).expect_err("the original runs on a new ring"));
}

#[test]
fn half_made_and_wrongly_named_desks_are_refused() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let id = desk.path().join("desk_id");
    fs::write(&id, "not an id\n").expect("ours");
    assert!(matches!(DeskDir::open(desk.path()), Err(JournalError::BadDeskId { .. })));
    fs::remove_file(&id).expect("ours");
    let error = DeskDir::open_or_create(desk.path(), &small()).expect_err("half made").to_string();
    assert!(error.contains("control") && error.contains("desk_id"), "{error}");
}

#[test]
fn a_creation_that_fails_leaves_nothing_behind() {
    let dir = TempDir::new();
    let path = dir.path().join("desk");
    for segment_records in [0, 31, 33, 1 << 31] {
        let error = DeskDir::create(&path, &NewDesk { segment_records, ..small() })
            .expect_err("out of range")
            .to_string();
        assert!(error.contains(&segment_records.to_string()), "{error}");
    }
    let mut new = small();
    new.control.venues_max = 0;
    assert!(
        DeskDir::create(&path, &new).expect_err("no venues").to_string().contains("venues_max")
    );
    assert!(!path.join("segments").exists() && !path.join("control").exists());
    DeskDir::create(&path, &small()).expect("nothing is in the way");
}

#[test]
fn a_ring_directory_of_others_or_behind_a_link_is_refused() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let lock = desk.lock().expect("free");
    let go = || recover(&desk).expect("sound").go_live(&lock, &options(64, 32)).map(|_| ());
    go().expect("a directory of ours");
    let parent = desk.shm_path().parent().expect("two levels").to_path_buf();
    for mode in [0o755, 0o777, 0o710] {
        fs::set_permissions(&parent, Permissions::from_mode(mode)).expect("ours");
        let error = go().expect_err("open to others").to_string();
        assert!(error.contains("0700") && error.contains(&format!("{mode:04o}")), "{error}");
    }
    fs::set_permissions(&parent, Permissions::from_mode(0o700)).expect("ours");
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(desk.shm_path(), &elsewhere).expect("ours");
    std::os::unix::fs::symlink(&elsewhere, desk.shm_path()).expect("ours");
    assert!(go().expect_err("a link").to_string().contains("link"));
}

#[test]
fn a_ring_that_is_foreign_short_or_noisy_is_ignored() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let (lock, mut ring, mut writer) = live(&desk, &options(64, 32));
    append(&mut ring, 5);
    writer.flush().expect("a disk that works");
    append(&mut ring, 3);
    drop((ring, writer, lock));
    let path = desk.ring_path();
    let good = fs::read(&path).expect("ours");
    assert_eq!(recover(&desk).expect("sound").next_seq(), 9);
    // Magic, layout, log, slots, boot: one byte of each.
    for at in [0, 8, 16, 24, 32] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).expect("ours");
        assert_eq!(recover(&desk).expect("sound").next_seq(), 6, "byte {at}");
    }
    for size in [0, 100, 4096, good.len() - 128] {
        fs::write(&path, &good[..size]).expect("ours");
        assert_eq!(recover(&desk).expect("sound").next_seq(), 6, "{size} bytes");
    }
    // A published record that does not hold is no tear: kill -9 loses no store.
    let mut bytes = good.clone();
    bytes[4096 + 7 * 128 + 90] ^= 4;
    fs::write(&path, &bytes).expect("ours");
    assert!(matches!(recover(&desk), Err(JournalError::Damaged { event_seq: 7, .. })));
}
