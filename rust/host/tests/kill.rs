//! The kill switch across threads and processes' files: acknowledged means that nothing more leaves.

mod common;

use common::*;
use host::Desk;
use journal::{ControlFile, ControlState, DeskDir};
use layout::*;
use std::time::Duration;

fn control_file(dir: &Dir) -> ControlFile {
    let desk = DeskDir::open(dir.desk()).expect("the desk");
    match ControlFile::open(&desk) {
        ControlState::Sound(file) => file,
        ControlState::Killed { why } => panic!("{why}"),
    }
}

/// A desk up and open, with `lots` resting orders at the venue and `waiting` in the outbox.
fn open_with_orders(dir: &Dir, resting: usize, waiting: usize) -> Desk {
    let mut desk = Desk::open(lock_step(dir, false)).expect("a desk");
    setup(&mut desk);
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |desk| desk.is_open());
    desk.turn(PATIENCE).expect("a turn");
    for number in 0..resting {
        let order = new_order(&format!("R{number}"), Side::Buy, 1, MID - 20 * TICK);
        assert_eq!(desk.submit(order.as_record()), Verdict::Accepted);
    }
    desk.end_turn(i64::MAX).expect("the turn ends");
    let acked =
        |desk: &mut Desk| desk.engine().live_orders().all(|o| o.ord_status() == OrdStatus::New);
    run(&mut desk, &mut none, acked);
    desk.turn(PATIENCE).expect("a turn");
    desk.hold_outbox(true);
    for number in 0..waiting {
        let order = new_order(&format!("W{number}"), Side::Buy, 1, MID - 21 * TICK);
        assert_eq!(desk.submit(order.as_record()), Verdict::Accepted);
    }
    desk
}

#[test]
fn a_kill_overtakes_what_waits_and_nothing_new_leaves_after_its_acknowledgement() {
    let dir = Dir::new("kill");
    let venue = Venue::start(&dir, venue_config(1), tape(1, 300, 20_000_000));
    let mut desk = open_with_orders(&dir, 40, 25);
    let killer = {
        let file = control_file(&dir);
        std::thread::spawn(move || {
            let epoch = file.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
            file.wait_acknowledged(epoch, Duration::from_secs(10))
        })
    };
    while !killer.is_finished() {
        desk.poll().expect("a round");
    }
    let ack = killer.join().expect("the killer");
    assert!(ack.is_whole(), "{:?}", ack.waiting);
    let row = ack.answered.iter().find(|s| s.venue_id == 1).expect("the link's row");
    assert_eq!(row.sent_seq, 40, "what was handed over before the kill");
    desk.hold_outbox(false);
    desk.end_turn(i64::MAX).expect("the turn ends");
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |desk| desk.engine().live_count() == 0);
    assert_eq!(desk.engine().live_count(), 0, "cancel-all ran until the venue confirmed");
    let refused = new_order("X", Side::Buy, 1, MID - 20 * TICK);
    assert_eq!(desk.submit(refused.as_record()), Verdict::Killed);
    run(&mut desk, &mut none, |_| false);
    {
        let server = venue.server();
        let witness = server.witness();
        assert_eq!(server.creating_after(row.sent_seq as u32), 0, "sent_after_ack (I1)");
        assert_eq!((witness.counters.new_orders, witness.counters.cancels), (40, 40));
    }
    agree(&desk, &venue);
    assert_eq!(replayed_hash(&dir.desk()), desk.engine().state_hash());
}

#[test]
fn the_answer_to_a_kill_stands_whatever_is_sent_after_it() {
    let dir = Dir::new("answer");
    let _venue = Venue::start(&dir, venue_config(1), tape(1, 300, 20_000_000));
    let mut desk = open_with_orders(&dir, 40, 0);
    desk.hold_outbox(false);
    let file = control_file(&dir);
    let told = |epoch| {
        let answered = file.acknowledged(epoch).answered;
        let row = answered.into_iter().find(|s| s.venue_id == 1).expect("the link's row");
        (row.seen_epoch, row.sent_seq)
    };
    let epoch = file.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    desk.poll().expect("a round");
    assert_eq!(told(epoch), (epoch, 40));
    desk.end_turn(i64::MAX).expect("the turn ends");
    desk.turn(PATIENCE).expect("a turn");
    assert!(desk.status().links[0].link_seq_sent > 40, "its cancels have left");
    desk.wait(Duration::from_millis(1));
    assert_eq!(told(epoch), (epoch, 40), "a killer may read it late");
    let again = file.engage(Scope::Account, 1, KillMode::CancelOnly).expect("engaged");
    desk.poll().expect("a round");
    let sent = u64::from(desk.status().links[0].link_seq_sent);
    assert_eq!(told(again), (again, sent), "another kill has an answer of its own");
}

#[test]
fn a_replace_that_waits_under_a_kill_never_leaves() {
    let dir = Dir::new("replace");
    let venue = Venue::start(&dir, venue_config(1), tape(1, 300, 20_000_000));
    let mut desk = open_with_orders(&dir, 5, 0);
    let live: Vec<u64> = desk.engine().live_orders().map(|o| o.order_seq).collect();
    for (number, &order_seq) in live.iter().enumerate() {
        let change = replace(&format!("P{number}"), order_seq, 1, MID - 22 * TICK);
        assert_eq!(desk.submit(change.as_record()), Verdict::Accepted);
    }
    control_file(&dir).engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    desk.poll().expect("a round");
    desk.hold_outbox(false);
    desk.end_turn(i64::MAX).expect("the turn ends");
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |_| false);
    {
        let server = venue.server();
        let counters = server.witness().counters;
        assert_eq!((counters.new_orders, counters.replaces), (5, 0));
        assert_eq!(server.creating_after(5), 0, "sent after the kill (I1)");
    }
    assert_eq!(desk.engine().live_count(), 0, "the cancels went all the same");
    agree(&desk, &venue);
    assert_eq!(replayed_hash(&dir.desk()), desk.engine().state_hash());
}

#[test]
fn a_new_order_that_waits_under_a_kill_of_its_account_never_leaves_and_others_do() {
    let dir = Dir::new("account");
    let venue = Venue::start(&dir, venue_config(1), tape(1, 300, 20_000_000));
    let mut desk = open_with_orders(&dir, 3, 4);
    let mut other = new_order("O", Side::Buy, 1, MID - 21 * TICK);
    other.account_id = 2;
    assert_eq!(desk.submit(other.as_record()), Verdict::Accepted);
    // Halt asks for no cancels, so that nothing but the sweep can take a waiting order back.
    control_file(&dir).engage(Scope::Account, 1, KillMode::Halt).expect("engaged");
    desk.poll().expect("a round");
    desk.hold_outbox(false);
    desk.end_turn(i64::MAX).expect("the turn ends");
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |_| false);
    assert_eq!(venue.server().witness().counters.new_orders, 3 + 1);
    agree(&desk, &venue);
    assert_eq!(replayed_hash(&dir.desk()), desk.engine().state_hash());
}

#[test]
fn the_cancels_of_a_kill_keep_to_their_turns_however_often_the_desk_polls_between() {
    let hash = |polls: usize| {
        let dir = Dir::new("polls");
        let _venue = Venue::start(&dir, venue_config(1), tape(1, 300, 20_000_000));
        let mut desk = open_with_orders(&dir, 300, 5);
        control_file(&dir).engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
        desk.poll().expect("a round");
        desk.hold_outbox(false);
        desk.end_turn(i64::MAX).expect("the turn ends");
        while desk.engine().live_count() != 0 {
            for _ in 0..polls {
                desk.poll().expect("a round");
            }
            desk.turn(PATIENCE).expect("a turn");
            desk.end_turn(i64::MAX).expect("the turn ends");
        }
        desk.engine().state_hash()
    };
    assert_eq!(hash(0), hash(50));
}

#[test]
fn a_kill_is_sticky_over_a_restart_and_two_people_release_it() {
    let dir = Dir::new("sticky");
    let desk = Desk::open(options(&dir)).expect("a desk");
    drop(desk);
    // Engaged while no engine runs: the file alone says so (I3).
    control_file(&dir).engage(Scope::Account, 1, KillMode::CancelOnly).expect("engaged");
    let mut desk = Desk::open(options(&dir)).expect("a desk again");
    assert_eq!(desk.engine().mode_in(Scope::Account, 1), KillMode::CancelOnly.code());
    let asked = |desk: &mut Desk, person: &str| {
        desk.request_release(Scope::Account, 1, person, "drill over").map_err(|e| e.to_string())
    };
    assert!(asked(&mut desk, "eve").expect_err("no person").contains("eve"));
    assert!(asked(&mut desk, "tom").expect_err("no role").contains("role"));
    let hash = asked(&mut desk, "ann").expect("ann may");
    let same = desk.approve_release(hash, "ann").expect_err("four eyes").to_string();
    assert!(same.contains("another person"), "{same}");
    assert!(desk.approve_release(hash ^ 1, "bob").is_err(), "the hash names the change");
    let before = desk.published_seq();
    desk.approve_release(hash, "bob").expect("bob may");
    assert_eq!(desk.engine().mode_in(Scope::Account, 1), KillMode::Open.code());
    drop(desk);
    let log = journal::open_log(&DeskDir::open(dir.desk()).expect("the desk")).expect("the log");
    let approval = Approval::from_record(log.get(before + 1).expect("there"));
    assert_eq!(approval.map(|a| a.approver), Some(text("bob")), "approval before effect (I35)");
    let desk = Desk::open(options(&dir)).expect("a third time");
    assert_eq!(desk.engine().mode_in(Scope::Account, 1), KillMode::Open.code());
}

#[test]
fn an_approval_of_one_engine_life_never_fits_another_at_the_same_control_epoch() {
    let dir = Dir::new("lives");
    let ask = |desk: &mut Desk| {
        let hash = desk.request_release(Scope::Desk, 0, "ann", "mistake").expect("asked");
        (desk.engine().control_epoch(), hash)
    };
    let mut desk = Desk::open(options(&dir)).expect("a desk");
    desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    let (epoch, old) = ask(&mut desk);
    drop(desk);
    let mut desk = Desk::open(options(&dir)).expect("a second life");
    let (again, new) = ask(&mut desk);
    assert_eq!(again, epoch, "the switch did not move in between");
    assert_ne!(new, old);
    assert!(desk.approve_release(old, "bob").is_err(), "the old life's hash");
    assert_eq!(desk.engine().desk_mode(), KillMode::CancelOnly.code());
    desk.approve_release(new, "bob").expect("this life's hash");
    assert_eq!(desk.engine().desk_mode(), KillMode::Open.code());
}

#[test]
fn a_release_is_void_when_the_switch_has_moved() {
    let dir = Dir::new("void");
    let mut desk = Desk::open(options(&dir)).expect("a desk");
    desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    let hash = desk.request_release(Scope::Desk, 0, "ann", "mistake").expect("asked");
    control_file(&dir).engage(Scope::Account, 2, KillMode::Halt).expect("engaged");
    assert!(desk.approve_release(hash, "bob").expect_err("void").to_string().contains("void"));
    assert_eq!(desk.engine().desk_mode(), KillMode::CancelOnly.code());
}

#[test]
fn a_missing_or_noisy_control_file_is_a_killed_desk_until_two_people_release_it() {
    // I5
    for damage in ["missing", "noisy", "short"] {
        let dir = Dir::new(damage);
        drop(Desk::open(options(&dir)).expect("a desk"));
        let path = dir.desk().join("control");
        match damage {
            "missing" => std::fs::remove_file(&path).expect("removed"),
            "noisy" => {
                let mut bytes = std::fs::read(&path).expect("read");
                bytes[20] ^= 1;
                std::fs::write(&path, bytes).expect("written");
            }
            _ => std::fs::write(&path, b"short").expect("written"),
        }
        let mut desk = Desk::open(options(&dir)).expect("opens, killed");
        assert_eq!(desk.engine().desk_mode(), KillMode::CancelOnly.code(), "{damage}");
        assert!(desk.status().control_fault.is_some());
        let hash = desk.request_release(Scope::Desk, 0, "ann", "restored").expect("asked");
        desk.approve_release(hash, "bob").expect("approved");
        assert_eq!(desk.engine().desk_mode(), KillMode::Open.code());
        assert_eq!(desk.status().control_fault, None);
        drop(desk);
        let desk = Desk::open(options(&dir)).expect("a desk again");
        assert_eq!(desk.engine().desk_mode(), KillMode::Open.code());
    }
}

#[test]
fn a_log_stricter_than_the_file_engages_the_file() {
    let dir = Dir::new("stricter");
    let mut desk = Desk::open(options(&dir)).expect("a desk");
    desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    drop(desk);
    // A file restored from an old copy: the log remembers the kill.
    let open = control_file(&dir);
    open.release(Scope::Desk, 0).expect("behind the engine's back");
    let desk = Desk::open(options(&dir)).expect("a desk again");
    assert_eq!(desk.engine().desk_mode(), KillMode::CancelOnly.code());
    assert_eq!(journal::mode_of(open.word()), KillMode::CancelOnly);
}

#[test]
fn a_desk_killed_over_a_crash_cancels_what_the_venue_still_holds() {
    let dir = Dir::new("again");
    let venue = Venue::start(&dir, venue_config(2), tape(2, 400, 20_000_000));
    let desk = open_with_orders(&dir, 10, 3);
    drop(desk); // dies before it hears of the kill
    control_file(&dir).engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk again");
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |desk| desk.engine().live_count() == 0);
    assert_eq!(desk.engine().live_count(), 0);
    assert!(!desk.is_open());
    run(&mut desk, &mut none, |_| false);
    assert_eq!(venue.server().witness().counters.new_orders, 10);
    agree(&desk, &venue);
}
