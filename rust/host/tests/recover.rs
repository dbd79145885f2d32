//! Crashes and lost links, with the venue as the witness: nothing is sent twice, nothing is lost.

mod common;

use common::*;
use host::Desk;
use layout::*;
use std::sync::atomic::Ordering;

#[test]
fn a_desk_that_dies_at_any_turn_recovers_and_no_order_is_doubled_or_lost() {
    // F1, F28, F29: the desk is dropped without a flush, at turns spread over the day.
    for (seed, cancel_on_disconnect) in [(1, false), (2, true), (3, false)] {
        let dir = Dir::new("crash");
        let venue = Venue::start(&dir, venue_config(seed), tape(seed, 600, 20_000_000));
        let mut flow = Flow::new(seed, 600);
        let (mut runs, mut over) = (0, false);
        while !over {
            let mut desk = Desk::open(lock_step(&dir, cancel_on_disconnect)).expect("a desk");
            runs += 1;
            setup(&mut desk);
            assert_eq!(desk.engine().epoch(), runs);
            let (mut left, mid_turn) = (40 + seed * 17 % 13, runs % 2 == 0);
            loop {
                let info = desk.turn(PATIENCE).expect("a turn");
                if info.up && !info.ended {
                    flow.act(&mut desk);
                    left -= 1;
                }
                over = info.ended;
                if left == 0 && mid_turn && !over {
                    break; // what waits in the outbox is appended and never sent
                }
                desk.end_turn(i64::MAX).expect("the turn ends");
                if left == 0 || over {
                    break;
                }
            }
            let hash = desk.engine().state_hash();
            if over {
                agree(&desk, &venue);
                assert!(desk.engine().live_orders().all(|o| !engine::Engine::unsure(o)));
            }
            drop(desk); // as if killed: no flush, the ring in shared memory stays
            assert_eq!(replayed_hash(&dir.desk()), hash, "run {runs}");
        }
        assert!(runs > 3, "{runs}");
        assert!(venue.server().witness().counters.gap_filled > 0);
    }
}

#[test]
fn a_link_cut_at_any_byte_doubles_and_loses_nothing() {
    // F11, F28, F29: the venue cuts the connection after so many bytes, in the midst of frames too.
    for seed in 1..=6u64 {
        let dir = Dir::new("cut");
        let venue = Venue::start(&dir, venue_config(seed), tape(seed, 250, 20_000_000));
        venue.cut_at.store(5_000 + seed * 777, Ordering::Release);
        let mut desk = Desk::open(lock_step(&dir, seed % 2 == 0)).expect("a desk");
        setup(&mut desk);
        let mut flow = Flow::new(seed, 300);
        let mut cuts = 0;
        run(&mut desk, &mut flow, |desk| {
            if desk.is_open() && venue.cut_at.load(Ordering::Acquire) == 0 && cuts < 3 {
                cuts += 1;
                venue.cut_at.store(3_000 + seed * 131 * cuts, Ordering::Release);
            }
            false
        });
        assert!(desk.status().links[0].connects > 2, "{:?}", desk.status().links);
        agree(&desk, &venue);
        assert_eq!(replayed_hash(&dir.desk()), desk.engine().state_hash());
    }
}

#[test]
fn what_was_in_flight_at_a_crash_is_unknown_until_the_venue_answers() {
    let dir = Dir::new("unknown");
    let venue = Venue::start(&dir, venue_config(4), tape(4, 300, 20_000_000));
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk");
    setup(&mut desk);
    run(&mut desk, &mut Flow::new(1, 0), |desk| desk.is_open());
    desk.turn(PATIENCE).expect("a turn");
    for (id, price) in [("SENT", MID - 8 * TICK), ("UNSENT", MID - 9 * TICK)] {
        let order = new_order(id, Side::Buy, 1, price);
        assert_eq!(desk.submit(order.as_record()), Verdict::Accepted);
        if id == "SENT" {
            assert!(desk.flush());
        }
    }
    drop(desk);
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk again");
    let state = |desk: &Desk, id: &str| {
        let order = desk.engine().order_of(1, &text(id)).expect("remembered");
        order.ord_status()
    };
    assert_eq!(state(&desk, "SENT"), OrdStatus::Unknown);
    assert_eq!(state(&desk, "UNSENT"), OrdStatus::Unknown);
    let refused = new_order("NEXT", Side::Buy, 1, MID - 8 * TICK);
    assert_eq!(desk.submit(refused.as_record()), Verdict::Recovering);
    run(&mut desk, &mut Flow::new(1, 0), |desk| desk.is_open());
    assert_eq!(state(&desk, "SENT"), OrdStatus::New, "the venue has it");
    assert_eq!(state(&desk, "UNSENT"), OrdStatus::Rejected, "the venue proves it never had it");
    assert_eq!(venue.server().witness().counters.new_orders, 1);
    run(&mut desk, &mut Flow::new(1, 0), |_| false);
    agree(&desk, &venue);
}

#[test]
fn two_engines_on_one_desk_are_refused_by_name() {
    let dir = Dir::new("two");
    let _desk = Desk::open(options(&dir)).expect("a desk");
    let error = Desk::open(options(&dir)).err().expect("refused").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
}

#[test]
fn names_stand_beside_the_log_and_survive_a_restart() {
    let dir = Dir::new("names");
    let mut desk = Desk::open(options(&dir)).expect("a desk");
    setup(&mut desk);
    desk.poll().expect("a round");
    let names = std::fs::read_to_string(dir.desk().join("names.json")).expect("the file");
    assert!(names.contains(r#""account": {"A1": 1, "A2": 2}"#), "{names}");
    drop(desk);
    let mut desk = Desk::open(options(&dir)).expect("a desk again");
    let before = desk.published_seq();
    let verdict = desk.submit(definition(Entity::Account, "A2", 0, 2).as_record());
    assert_eq!((verdict, desk.published_seq()), (Verdict::Accepted, before), "told before");
    assert_eq!(std::fs::read_to_string(dir.desk().join("names.json")).ok(), Some(names));
}

#[test]
fn numbers_that_a_power_loss_took_back_are_never_given_again() {
    // The log's tail is gone, the venue has its messages: the desk numbers on behind them, and stays
    // closed, since the venue shows orders that the log does not know (I39).
    let dir = Dir::new("power");
    let venue = Venue::start(&dir, venue_config(6), tape(6, 300, 20_000_000));
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk");
    setup(&mut desk);
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |desk| desk.is_open());
    let segments = dir.desk().join("segments");
    let saved: Vec<_> = std::fs::read_dir(&segments)
        .expect("the segments")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("a segment")))
        .collect();
    desk.turn(PATIENCE).expect("a turn");
    for number in 0..3 {
        let order = new_order(&format!("P{number}"), Side::Buy, 1, MID - 20 * TICK);
        assert_eq!(desk.submit(order.as_record()), Verdict::Accepted);
    }
    desk.end_turn(i64::MAX).expect("the turn ends");
    run(&mut desk, &mut none, |desk| {
        desk.engine().live_orders().all(|o| o.ord_status() == OrdStatus::New)
    });
    drop(desk);
    for (path, bytes) in &saved {
        std::fs::write(path, bytes).expect("the old segment");
    }
    let shm = journal::DeskDir::open(dir.desk()).expect("the desk").shm_path();
    std::fs::remove_dir_all(shm).expect("the ring of another boot");
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk again");
    assert_eq!(desk.engine().venue(1).link_seq_out(), 0, "the tail is gone");
    let told = |desk: &Desk| desk.status().links[0].error.clone().unwrap_or_default();
    run(&mut desk, &mut none, |desk| told(desk).contains("3 open orders, the log 0"));
    assert_eq!(desk.engine().venue(1).link_seq_out(), 3);
    assert!(!desk.is_open());
    assert_eq!(venue.server().witness().counters.duplicate_sends, 0);
    assert_eq!(replayed_hash(&dir.desk()), desk.engine().state_hash());
}

const CHILD: &str = "PYOMS_TEST_CRASH_DIR";

/// The desk of the next test, in a process of its own; alone it does nothing.
#[test]
fn child_that_kills_itself() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let dir = std::mem::ManuallyDrop::new(Dir(path.into()));
    let options = host::DeskOptions { crash_at_seq: Some(400), ..lock_step(&dir, false) };
    let mut desk = Desk::open(options).expect("a desk");
    setup(&mut desk);
    run(&mut desk, &mut Flow::new(8, 10_000), |_| false);
    unreachable!("it dies before the day ends");
}

#[test]
fn a_real_sigkill_between_append_and_send_leaves_an_order_logged_and_never_sent() {
    use std::os::unix::process::ExitStatusExt;
    let dir = Dir::new("sigkill");
    let venue = Venue::start(&dir, venue_config(8), tape(8, 400, 20_000_000));
    let exe = std::env::current_exe().expect("ourselves");
    let mut child = std::process::Command::new(exe);
    child.args(["--exact", "child_that_kills_itself"]).env(CHILD, &dir.0);
    let ended = child.stdout(std::process::Stdio::null()).status().expect("it ran");
    assert_eq!(ended.signal(), Some(9));
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk again");
    let log = journal::open_log(&journal::DeskDir::open(dir.desk()).expect("the desk"));
    let log = log.expect("the log");
    let last = |record: &&Record| Routed::from_record(record).is_some();
    let unsent = log.slices().flatten().filter(last).last().expect("a message");
    assert!(unsent.header.event_seq >= 400, "it died at the first new order past the mark");
    let order_seq = unsent.header.order_seq;
    let status = |desk: &Desk| desk.engine().order(order_seq).map(|o| o.ord_status());
    assert_eq!(status(&desk), Some(OrdStatus::Unknown));
    run(&mut desk, &mut Flow::new(9, 100), |_| false);
    assert_eq!(status(&desk), Some(OrdStatus::Rejected), "never received, never sent again");
    agree(&desk, &venue);
    assert_eq!(replayed_hash(&dir.desk()), desk.engine().state_hash());
}
