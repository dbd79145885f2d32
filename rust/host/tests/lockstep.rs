//! The desk against the simulated venue over a real socket, in virtual time.

mod common;

use common::*;
use host::{Desk, HostError};
use layout::*;
use std::time::Duration;

#[test]
fn a_day_in_lock_step_ends_with_desk_and_venue_agreed() {
    let dir = Dir::new("day");
    let venue = Venue::start(&dir, venue_config(3), tape(3, 2_000, 20_000_000));
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk");
    setup(&mut desk);
    let mut flow = Flow::new(7, 2_000);
    run(&mut desk, &mut flow, |_| false);
    assert!(flow.accepted > 1_000, "{}", flow.accepted);
    assert!(desk.status().counters.fills > 50, "{:?}", desk.status());
    agree(&desk, &venue);
    let hash = desk.engine().state_hash();
    let path = dir.desk();
    assert_eq!(
        host::replay(&path, &engine_config(), None).map(|_| ()).map_err(|e| e.to_string()),
        Ok(())
    );
    desk.close().expect("an orderly end");
    assert_eq!(replayed_hash(&path), hash, "replay equals live (I18)");
}

#[test]
fn the_same_seed_gives_the_same_state() {
    let hash = || {
        let dir = Dir::new("seed");
        let _venue = Venue::start(&dir, venue_config(5), tape(5, 500, 20_000_000));
        let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk");
        setup(&mut desk);
        run(&mut desk, &mut Flow::new(11, 500), |_| false);
        desk.engine().state_hash()
    };
    assert_eq!(hash(), hash());
}

#[test]
fn without_a_venue_the_turn_says_what_it_waited_for() {
    let dir = Dir::new("none");
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk");
    setup(&mut desk);
    let error = desk.turn(Duration::from_millis(30)).expect_err("nobody is there");
    assert!(matches!(error, HostError::NoTurn { .. }));
    let text = error.to_string();
    assert!(text.contains("SIM") && text.contains("venue.sock"), "{text}");
}

#[test]
fn a_cancel_before_the_send_takes_the_new_order_back() {
    let dir = Dir::new("retract");
    let venue = Venue::start(&dir, venue_config(1), tape(1, 300, 20_000_000));
    let mut desk = Desk::open(lock_step(&dir, false)).expect("a desk");
    setup(&mut desk);
    let mut none = Flow::new(1, 0);
    run(&mut desk, &mut none, |desk| desk.is_open());
    let info = desk.turn(PATIENCE).expect("a turn");
    assert!(info.up);
    let order = new_order("A", Side::Buy, 1, MID - 8 * TICK);
    assert_eq!(desk.submit(order.as_record()), Verdict::Accepted);
    let order_seq = desk.engine().live_orders().next().expect("one").order_seq;
    assert_eq!(desk.submit(cancel("B", order_seq).as_record()), Verdict::Accepted);
    let order = desk.engine().order(order_seq).expect("remembered");
    assert_eq!(order.ord_status(), OrdStatus::Canceled);
    assert_eq!(desk.status().waiting, 0);
    desk.end_turn(i64::MAX).expect("the turn ends");
    run(&mut desk, &mut none, |_| false);
    let witness = venue.server().witness();
    assert_eq!((witness.counters.new_orders, witness.counters.cancels), (0, 0));
    assert_eq!(witness.counters.gap_filled, 2, "both numbers are told to be empty");
    agree(&desk, &venue);
}
