//! The kill switch: a file that is not sound is killed, engaging never loosens, and an acknowledged
//! kill lets nothing more leave (I1, I3, I5, F25).

mod common;

use common::{TempDir, new_desk};
use journal::{ControlFile, ControlSizes, ControlState, DeskDir, Words, mode_of};
use layout::{
    CONTROL_DESK_WORD, CONTROL_WORDS, ControlHeader, KillMode, Scope, control_epoch,
    control_file_size, control_senders_offset, control_word, control_word_offset,
};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

fn sound(desk: &DeskDir) -> ControlFile {
    match ControlFile::open(desk) {
        ControlState::Sound(control) => control,
        ControlState::Killed { why } => panic!("{why}"),
    }
}

fn killed(desk: &DeskDir) -> String {
    match ControlFile::open(desk) {
        ControlState::Sound(_) => panic!("taken for sound"),
        ControlState::Killed { why } => why,
    }
}

#[test]
fn a_new_desk_is_open_and_every_scope_can_be_engaged_and_released() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    assert_eq!((mode_of(control.word()), control_epoch(control.word())), (KillMode::Open, 1));
    let sizes = ControlSizes::default();
    let scopes = [
        (Scope::Account, sizes.accounts_max),
        (Scope::Instrument, sizes.instruments_max),
        (Scope::Venue, sizes.venues_max),
        (Scope::Session, sizes.sessions_max),
        (Scope::Strategy, sizes.strategies_max),
    ];
    let (mut before, mut words) = (Words::default(), Words::default());
    control.read_all(&mut before);
    let mut epoch = 1;
    for (scope, max) in scopes {
        for id in [1, max] {
            epoch += 1;
            assert_eq!(control.engage(scope, id, KillMode::CancelOnly).expect("sound"), epoch);
            control.read_all(&mut words);
            let mut changed = Vec::new();
            words.diff(&before, |switch| changed.push((switch.scope, switch.id, switch.mode)));
            assert_eq!(changed, [(scope, id, KillMode::CancelOnly)]);
            std::mem::swap(&mut before, &mut words);
        }
        for id in [0, max + 1] {
            let error = control.engage(scope, id, KillMode::Halt).expect_err("no word").to_string();
            assert!(error.contains(scope.name()) && error.contains(&id.to_string()), "{error}");
        }
    }
    assert_eq!(mode_of(control.word()), KillMode::Open);
    assert_eq!(before.engaged().len(), 10);
    for switch in before.engaged() {
        control.release(switch.scope, switch.id).expect("sound");
    }
    control.read_all(&mut words);
    assert!(words.engaged().is_empty());
    assert_eq!(control_epoch(words.desk), 21);
}

#[test]
fn i3_a_kill_is_sticky_and_engaging_never_loosens() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    control.engage(Scope::Desk, 0, KillMode::Halt).expect("sound");
    control.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("sound");
    assert_eq!(mode_of(control.word()), KillMode::Halt);
    drop(control);
    let control = sound(&desk);
    assert_eq!((mode_of(control.word()), control_epoch(control.word())), (KillMode::Halt, 3));
    assert_eq!(control.release(Scope::Desk, 0).expect("sound"), 4);
    assert_eq!(mode_of(sound(&desk).word()), KillMode::Open);
}

#[test]
fn the_words_lie_where_the_layout_says_so_that_any_program_can_kill() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    let bytes = fs::read(desk.control_path()).expect("the file");
    let header: ControlHeader =
        zerocopy::FromBytes::read_from_bytes(&bytes[..128]).expect("a header");
    assert_eq!(bytes.len(), control_file_size(&header));
    assert_eq!(control_word_offset(&header, Scope::Account, 1), Some(CONTROL_WORDS));
    let strategy = control_word_offset(&header, Scope::Strategy, header.strategies_max);
    assert!(strategy.expect("a word") + 8 <= control_senders_offset(&header));
    // As the kill command in Python does it: plain writes of entity word, then desk word.
    let file = OpenOptions::new().write(true).open(desk.control_path()).expect("ours");
    let at = control_word_offset(&header, Scope::Venue, 3).expect("a word");
    file.write_all_at(&control_word(2, 2).to_le_bytes(), at as u64).expect("a write");
    file.write_all_at(&control_word(0, 2).to_le_bytes(), CONTROL_DESK_WORD as u64)
        .expect("a write");
    assert_eq!(control_epoch(control.word()), 2);
    let mut words = Words::default();
    control.read_all(&mut words);
    let engaged = words.engaged();
    assert_eq!(engaged.len(), 1);
    assert_eq!((engaged[0].scope, engaged[0].id, engaged[0].epoch), (Scope::Venue, 3, 2));
}

#[test]
fn i5_a_control_file_damaged_in_any_way_is_a_killed_desk() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let path = desk.control_path();
    let good = fs::read(&path).expect("the file");
    let restore = || {
        let _ = fs::remove_file(&path);
        fs::write(&path, &good).expect("a write");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        sound(&desk);
    };
    for bit in 0..CONTROL_DESK_WORD * 8 {
        let file = OpenOptions::new().write(true).open(&path).expect("ours");
        let at = bit / 8;
        file.write_all_at(&[good[at] ^ (1 << (bit % 8))], at as u64).expect("a write");
        killed(&desk);
        file.write_all_at(&good[at..=at], at as u64).expect("a write");
    }
    for size in [0, 1, 127, 4096, 4104, good.len() - 1, good.len() + 1, good.len() + 4096] {
        let file = OpenOptions::new().write(true).open(&path).expect("ours");
        file.set_len(size as u64).expect("ours");
        assert!(killed(&desk).contains("bytes"));
        restore();
    }
    for mode in [0o666, 0o644, 0o660, 0o4640, 0o000, 0o400] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
        let why = killed(&desk);
        assert!(why.contains("mode") || why.contains("opened"), "{why}");
        restore();
    }
    for noise in [u64::MAX, control_word(4, 1), control_word(1, 99), control_word(0, 0)] {
        for at in [CONTROL_DESK_WORD, CONTROL_WORDS, CONTROL_WORDS + 80] {
            let harmless = at != CONTROL_DESK_WORD && noise == control_word(0, 0);
            let raised = at == CONTROL_DESK_WORD && noise == control_word(1, 99);
            if harmless || raised {
                continue;
            }
            let file = OpenOptions::new().write(true).open(&path).expect("ours");
            file.write_all_at(&noise.to_le_bytes(), at as u64).expect("a write");
            assert!(killed(&desk).contains("noise"));
            restore();
        }
    }
    let aside = dir.path().join("aside");
    fs::rename(&path, &aside).expect("ours");
    assert!(killed(&desk).contains("opened"));
    std::os::unix::fs::symlink(&aside, &path).expect("ours");
    killed(&desk);
    fs::remove_file(&path).expect("ours");
    fs::hard_link(&aside, &path).expect("ours");
    assert!(killed(&desk).contains("names"));
    fs::remove_file(&path).expect("ours");
    fs::create_dir(&path).expect("ours");
    killed(&desk);
    fs::remove_dir(&path).expect("ours");
    let other_dir = TempDir::new();
    fs::copy(new_desk(&other_dir, 32).control_path(), &path).expect("ours");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
    assert!(killed(&desk).contains("log"));
    if rustix::process::geteuid().is_root() {
        restore();
        std::os::unix::fs::chown(&path, Some(12_345), None).expect("root may");
        assert!(killed(&desk).contains("12345"));
    }
}

#[test]
fn a_damaged_file_is_rebuilt_killed_and_only_then_released() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    assert_eq!(control.check(), Ok(()));
    fs::remove_file(desk.control_path()).expect("ours");
    assert!(control.check().expect_err("gone").contains("gone"));
    let lock = desk.lock().expect("free");
    let sizes = ControlSizes::default();
    assert!(ControlFile::rebuild(&desk, &lock, &sizes, KillMode::Open, 7).is_err());
    let rebuilt =
        ControlFile::rebuild(&desk, &lock, &sizes, KillMode::CancelOnly, 7).expect("ours");
    assert_eq!(mode_of(rebuilt.word()), KillMode::CancelOnly);
    assert!(control.check().expect_err("another file").contains("replaced"));
    assert_eq!(rebuilt.release(Scope::Desk, 0).expect("sound"), 8);
    let file = OpenOptions::new().write(true).open(desk.control_path()).expect("ours");
    file.set_len(100).expect("ours");
    assert!(rebuilt.check().expect_err("short").contains("bytes"));
}

#[test]
fn a_held_file_lock_holds_up_a_release_but_not_a_kill() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    let held = OpenOptions::new().write(true).open(desk.control_path()).expect("ours");
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).expect("free");
    assert_eq!(control.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("goes through"), 2);
    assert!(control.release(Scope::Desk, 0).is_err());
    assert_eq!(mode_of(control.word()), KillMode::CancelOnly);
}

#[test]
fn senders_count_when_they_have_seen_parked_or_died() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    let sender = control.register(4).expect("a row");
    sender.unpark();
    let idle = control.register(5).expect("a row");
    let epoch = control.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("sound");
    let ack = control.acknowledged(epoch);
    assert_eq!((ack.waiting.len(), ack.answered.len()), (1, 1));
    assert_eq!((ack.waiting[0].venue_id, ack.waiting[0].pid), (4, std::process::id()));
    assert!(ack.answered[0].parked && ack.answered[0].venue_id == 5);
    assert!(!control.wait_acknowledged(epoch, Duration::ZERO).is_whole());
    assert_eq!(control_epoch(sender.word()), epoch);
    sender.set_sent(17, 3);
    sender.publish_seen(epoch);
    let ack = control.acknowledged(epoch);
    assert!(ack.is_whole());
    assert_eq!(ack.answered.iter().map(|s| s.sent_seq).sum::<u64>(), 17);
    assert_eq!(control_epoch(idle.unpark()), epoch);
    drop(idle);
    // A row whose process is gone: another start time under the same pid.
    let header: ControlHeader = zerocopy::FromBytes::read_from_bytes(
        &fs::read(desk.control_path()).expect("the file")[..128],
    )
    .expect("a header");
    let start_time = control_senders_offset(&header) as u64 + 8;
    let file = OpenOptions::new().write(true).open(desk.control_path()).expect("ours");
    file.write_all_at(&1u64.to_le_bytes(), start_time).expect("a write");
    let epoch = control.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("sound");
    let ack = control.acknowledged(epoch);
    assert!(ack.is_whole() && !ack.answered[0].alive);
    let again = control.register(6).expect("the dead sender's row");
    assert_eq!(control.acknowledged(epoch).answered.len(), 1);
    drop((sender, again));
}

#[test]
fn a_sender_killed_outright_answers_by_its_death_though_its_row_says_parked() {
    const NAME: &str = "a_sender_killed_outright_answers_by_its_death_though_its_row_says_parked";
    if let Ok(path) = std::env::var("PYOMS_TEST_SENDER_DESK") {
        // The child: two rows, one running, one parked, until it is killed.
        let control = sound(&DeskDir::open(path).expect("the desk"));
        let parked = control.register(5).expect("a row");
        let running = control.register(4).expect("a row");
        running.unpark();
        let _ = std::io::stdin().lines().next();
        drop((parked, running));
        return;
    }
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    let mut child = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", NAME])
        .env("PYOMS_TEST_SENDER_DESK", desk.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a process");
    while !control.acknowledged(0).answered.iter().any(|s| s.venue_id == 4 && !s.parked) {
        assert!(child.try_wait().expect("ours").is_none(), "the child ended");
        std::thread::yield_now();
    }
    let epoch = control.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("sound");
    let ack = control.acknowledged(epoch);
    assert_eq!((ack.waiting.len(), ack.answered.len()), (1, 1));
    assert!(ack.answered[0].alive && ack.answered[0].parked);
    child.kill().expect("ours"); // SIGKILL: no row is freed
    child.wait().expect("ours");
    let ack = control.acknowledged(epoch);
    assert!(ack.is_whole() && ack.answered.len() == 2, "{ack:?}");
    assert!(ack.answered.iter().all(|s| !s.alive && !s.parked), "{ack:?}");
}

#[test]
fn rows_run_out_with_a_name_and_a_bound() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    let senders: Vec<_> = (0..64).map(|v| control.register(v).expect("a row")).collect();
    let error = control.register(9).expect_err("no row left").to_string();
    assert!(error.contains("64") && error.contains("senders_max"), "{error}");
    drop(senders);
    control.register(9).expect("rows are free again");
}

#[test]
fn f25_nothing_leaves_after_an_acknowledged_kill_whatever_the_senders_do() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    let control = sound(&desk);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    struct StopAtEnd<'a>(&'a AtomicBool);
    impl Drop for StopAtEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop); // also when an assertion below fails
        for venue in 1..=2 {
            let (control, stop, sent) = (control.clone(), &stop, &sent);
            scope.spawn(move || {
                let sender = control.register(venue).expect("a row");
                let mut seen = sender.unpark();
                sender.publish_seen(control_epoch(seen));
                let mut turn = 0u64;
                while !stop.load(Ordering::Acquire) {
                    let word = sender.word();
                    if word != seen {
                        seen = word;
                        sender.publish_seen(control_epoch(word));
                    }
                    if mode_of(seen) == KillMode::Open {
                        // Between the look and the send a kill may come: only the handshake helps.
                        std::thread::yield_now();
                        sent.fetch_add(1, Ordering::SeqCst); // the bytes leave here
                    }
                    turn += 1;
                    if turn % 7 == 0 {
                        if sender.park() == seen {
                            std::thread::yield_now();
                        }
                        let word = sender.unpark();
                        if word != seen {
                            seen = word;
                            sender.publish_seen(control_epoch(word));
                        }
                    }
                }
            });
        }
        for _ in 0..300 {
            let epoch = control.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("sound");
            let ack = control.wait_acknowledged(epoch, Duration::from_secs(20));
            assert!(ack.is_whole(), "{ack:?}");
            let after = sent.load(Ordering::SeqCst);
            (0..20).for_each(|_| std::thread::yield_now());
            assert_eq!(sent.load(Ordering::SeqCst), after, "sent after the acknowledgement");
            control.release(Scope::Desk, 0).expect("sound");
            (0..5).for_each(|_| std::thread::yield_now());
        }
    });
    assert!(sent.load(Ordering::SeqCst) > 0);
}
