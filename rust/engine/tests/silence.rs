//! A venue whose link is right and that says nothing of one order (CORNERS 14, 36): it is asked, the
//! answer proves what it proves, and nothing is forgotten of what it may still take.

mod common;

use common::*;
use engine::EngineConfig;
use layout::*;

const SECOND: i64 = 1_000_000_000;
const WAIT_S: u8 = 5;

fn watching(rule: ReplaceRule) -> TestDesk {
    let mut desk = TestDesk::open();
    watch(&mut desk, rule, WAIT_S);
    desk
}

fn watch(desk: &mut TestDesk, rule: ReplaceRule, answer_s: u8) {
    let mut venue = definition(Entity::Venue, "CME", 0, rule as u8);
    venue.answer_s = answer_s;
    desk.fact(venue);
}

/// Time goes on in tenths of a second, as a desk with work to do lets it.
fn pass(desk: &mut TestDesk, seconds: i64) {
    for _ in 0..10 * seconds {
        desk.now_ns += SECOND / 10;
        if desk.engine.work_due(desk.now_ns) {
            desk.time();
        }
    }
    desk.quote(1, e9(100), e9(100) + ONE / 4);
}

fn asked(desk: &TestDesk, order_seq: u64) -> usize {
    desk.sent_of(order_seq, MsgType::OrderStatus)
}

fn reserved(desk: &TestDesk, order_seq: u64) -> i64 {
    desk.order(order_seq).exposure(desk.engine.venue(1).replace_rule()).qty
}

fn answer(desk: &mut TestDesk, order_seq: u64, told: OrdStatus) -> Disposition {
    let mut r = desk.report(order_seq, 0, ExecType::OrderStatus);
    (r.ord_status, r.flags) = (told as u8, REPORT_QUERIED);
    desk.take(&r)
}

#[test]
fn a_new_order_without_an_ack_is_asked_about_when_its_time_is_over_and_seldomer_each_time() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.now_ns += SECOND / 2;
    let b = desk.place("b", Side::Buy, 5, e9(100));
    pass(&mut desk, 4);
    assert_eq!((asked(&desk, a), asked(&desk, b)), (0, 0));
    desk.now_ns += SECOND / 2;
    desk.time();
    assert_eq!(
        (asked(&desk, a), asked(&desk, b)),
        (1, 0),
        "five seconds are over for the first alone"
    );
    pass(&mut desk, 1);
    assert_eq!((asked(&desk, a), asked(&desk, b)), (1, 1));
    pass(&mut desk, 10);
    assert_eq!(asked(&desk, a), 2, "after ten seconds more");
    pass(&mut desk, 18);
    assert_eq!(asked(&desk, a), 2);
    pass(&mut desk, 1);
    assert_eq!((asked(&desk, a), asked(&desk, b)), (3, 2), "after twenty");
    assert_eq!(desk.status(a), OrdStatus::PendingNew);
    assert_eq!(reserved(&desk, a), e9(5), "the reserve stays");
    answer(&mut desk, a, OrdStatus::New);
    assert_eq!(desk.status(a), OrdStatus::New);
    pass(&mut desk, 400);
    assert_eq!(asked(&desk, a), 3, "its answer has come");
    assert!(asked(&desk, b) <= 7, "at most each 320 seconds: {}", asked(&desk, b));
    closing(&desk);
}

#[test]
fn answered_orders_cost_one_look_at_most_and_then_nobody_wakes_for_them() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    for n in 0..100 {
        let seq = desk.place(&format!("a{n}"), Side::Buy, 1, e9(100));
        desk.tell(seq, 0, ExecType::New);
    }
    pass(&mut desk, 3);
    assert_eq!(desk.engine.next_timer_ns(), i64::MAX);
    assert!((1..=100).all(|seq| asked(&desk, seq) == 0));
    closing(&desk);
}

#[test]
fn a_replace_without_an_answer_is_asked_about_and_keeps_both_reserves_whatever_is_told() {
    let mut desk = watching(ReplaceRule::InFlightLost);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    pass(&mut desk, 10);
    assert_eq!(asked(&desk, a), 0, "what rests owes no answer");
    assert_eq!(desk.replace("r", "a", 7, e9(100)), Verdict::Accepted);
    pass(&mut desk, 6);
    assert_eq!(asked(&desk, a), 1);
    answer(&mut desk, a, OrdStatus::New);
    assert_eq!(desk.status(a), OrdStatus::PendingReplace, "a slow venue may still take it");
    assert_eq!(reserved(&desk, a), e9(12));
    desk.tell(a, 1, ExecType::Replaced);
    assert_eq!(desk.status(a), OrdStatus::New);
    assert_eq!(reserved(&desk, a), e9(7));
    closing(&desk);
}

#[test]
fn a_cancel_that_never_arrived_is_in_doubt_and_can_be_sent_again_after_the_answer() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    assert_eq!(desk.cancel("c2", "a"), Verdict::CancelPending);
    pass(&mut desk, 6);
    assert_eq!((asked(&desk, a), desk.status(a)), (1, OrdStatus::Unknown));
    answer(&mut desk, a, OrdStatus::New);
    assert_eq!(desk.status(a), OrdStatus::New);
    assert_eq!(desk.cancel("c3", "a"), Verdict::Accepted);
    // The first one was slow, not lost.
    desk.tell(a, 1, ExecType::Canceled);
    assert_eq!(desk.status(a), OrdStatus::Canceled);
    desk.tell(a, 2, ExecType::CancelRejected);
    assert_eq!(desk.status(a), OrdStatus::Canceled);
    closing(&desk);
}

#[test]
fn a_cancel_of_the_kill_switch_that_never_arrived_goes_out_again_by_itself() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    let mut m = MassCancel::ZERO;
    (m.header.kind, m.cl_ord_id, m.session_id) = (MassCancel::KIND, text("m"), 1);
    desk.step(m.as_record());
    assert_eq!(desk.sent_of(a, MsgType::Cancel), 1);
    pass(&mut desk, 6);
    assert_eq!(desk.sent_of(a, MsgType::Cancel), 1, "it may still be on its way");
    answer(&mut desk, a, OrdStatus::New);
    pass(&mut desk, 1);
    assert_eq!(desk.sent_of(a, MsgType::Cancel), 2);
    closing(&desk);
}

#[test]
fn an_answer_of_a_venue_that_does_not_know_a_silent_order_frees_nothing() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    pass(&mut desk, 6);
    let mut r = desk.report(a, 0, ExecType::UnknownOrder);
    r.flags = REPORT_QUERIED;
    desk.take(&r);
    assert_eq!(desk.status(a), OrdStatus::PendingNew);
    desk.tell(a, 0, ExecType::New); // it was on its way
    assert_eq!(desk.status(a), OrdStatus::New);
    closing(&desk);
}

#[test]
fn an_order_that_may_not_rest_is_asked_about_though_it_was_acknowledged() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let mut order = TestDesk::new_order("a", Side::Buy, 5, e9(100));
    order.time_in_force = TimeInForce::Ioc as u8;
    assert_eq!(desk.step(order.as_record()), Verdict::Accepted);
    desk.tell(1, 0, ExecType::New);
    pass(&mut desk, 6);
    assert_eq!(asked(&desk, 1), 1);
    answer(&mut desk, 1, OrdStatus::Canceled);
    assert_eq!(desk.status(1), OrdStatus::Canceled);
    pass(&mut desk, 20);
    assert_eq!(asked(&desk, 1), 1);
    closing(&desk);
}

#[test]
fn a_stop_is_waited_for_from_the_moment_it_left() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let mut order = TestDesk::new_order("a", Side::Buy, 5, e9(102));
    order.ord_type = OrdType::StopLimit as u8;
    let terms = OrderTerms { stop_px: e9(101), ..offer() };
    assert_eq!(desk.submit_terms(&terms, &order), Verdict::Accepted);
    pass(&mut desk, 20);
    assert_eq!(asked(&desk, 1), 0, "what is held owes no answer");
    desk.trade(1, e9(101));
    assert_eq!(desk.sent_of(1, MsgType::NewOrder), 1);
    pass(&mut desk, 4);
    assert_eq!(asked(&desk, 1), 0);
    pass(&mut desk, 2);
    assert_eq!(asked(&desk, 1), 1);
    closing(&desk);
}

#[test]
fn a_silent_order_whose_link_is_down_is_left_to_the_link() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.link(LinkState::Down);
    pass(&mut desk, 30);
    assert_eq!(asked(&desk, a), 0);
    closing(&desk);
}

#[test]
fn without_a_time_to_answer_in_nobody_asks() {
    let mut desk = TestDesk::open();
    watch(&mut desk, ReplaceRule::InFlightCounted, 0);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    pass(&mut desk, 30);
    assert_eq!((asked(&desk, a), desk.engine.next_timer_ns()), (0, i64::MAX));
    closing(&desk);
}

#[test]
fn more_silent_orders_than_are_waited_for_at_once_take_turns_and_nobody_spins() {
    const ORDERS: u64 = 5_000;
    let config = EngineConfig {
        orders_max: 8_192,
        ids_max: 8_192,
        throttle_orders_max: 16,
        ..small_config()
    };
    let mut desk = TestDesk::with(config);
    watch(&mut desk, ReplaceRule::InFlightCounted, 1);
    for n in 0..ORDERS {
        desk.place(&format!("a{n}"), Side::Buy, 1, e9(100));
    }
    let mut steps = 0;
    for _ in 0..100 {
        desk.now_ns += SECOND / 10;
        while desk.engine.work_due(desk.now_ns) {
            desk.time();
            steps += 1;
        }
    }
    let silent = (1..=ORDERS).filter(|&seq| asked(&desk, seq) == 0).count();
    assert_eq!(silent, 5_000 - 4_096, "as many as are waited for at once");
    assert!(steps < 1_000, "{steps}");
    for seq in 1..=1_000 {
        desk.tell(seq, 0, ExecType::New);
    }
    pass(&mut desk, 130);
    assert!((1_001..=ORDERS).all(|seq| asked(&desk, seq) > 0));
    closing(&desk);
}

#[test]
fn an_answer_that_a_cancel_is_still_pending_decides_nothing_and_is_no_news_the_second_time() {
    let mut desk = watching(ReplaceRule::InFlightCounted);
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    pass(&mut desk, 6);
    for _ in 0..2 {
        assert_eq!(answer(&mut desk, a, OrdStatus::PendingCancel), Disposition::Stale);
        assert_eq!(desk.status(a), OrdStatus::Unknown);
    }
    closing(&desk);
}
