//! Orders pegged to bid, offer or midpoint: the price they go out with, when they follow, what bounds them.

mod common;
use common::*;
use layout::*;

const TICK: i64 = ONE / 4;
const INTERVAL_NS: i64 = 100_000_000;

fn pegged(desk: &mut TestDesk, side: Side, peg: PegType, offset: i64, worst_px: i64) -> Verdict {
    let mut o = TestDesk::new_order("p", side, 5, worst_px);
    o.ord_type = OrdType::Pegged as u8;
    let mut t = offer();
    (t.peg_type, t.peg_offset) = (peg as u8, offset);
    desk.submit_terms(&t, &o)
}

fn place(desk: &mut TestDesk, side: Side, peg: PegType, offset: i64, worst_px: i64) -> u64 {
    assert_eq!(pegged(desk, side, peg, offset, worst_px), Verdict::Accepted);
    let seq = desk.newest();
    desk.tell(seq, 0, ExecType::New);
    seq
}

fn replaces(desk: &TestDesk) -> Vec<i64> {
    let sent = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::Replace as u8);
    sent.map(|r| r.price).collect()
}

#[test]
fn a_pegged_order_goes_out_as_a_limit_on_the_passive_tick_within_its_worst_price() {
    use PegType::{Ask, Bid, Mid};
    // Bid 100, offer 100.75: the midpoint 100.375 lies between two ticks.
    let cases = [
        (Side::Buy, Bid, 0, 0, e9(100)),
        (Side::Buy, Bid, -TICK, 0, e9(100) - TICK),
        (Side::Buy, Mid, 0, 0, e9(100) + TICK),
        (Side::Sell, Mid, 0, 0, e9(100) + 2 * TICK),
        (Side::Buy, Ask, -TICK, 0, e9(100) + 2 * TICK),
        (Side::Sell, Ask, TICK, 0, e9(101)),
        (Side::Buy, Bid, 0, e9(99), e9(99)),
        (Side::Sell, Ask, 0, e9(102), e9(102)),
    ];
    for (side, peg, offset, worst_px, price) in cases {
        let mut desk = TestDesk::open();
        desk.quote(ES, e9(100), e9(100) + 3 * TICK);
        let seq = place(&mut desk, side, peg, offset, worst_px);
        let routed = desk.sent.0[0];
        let told = format!("{side:?} {peg:?} {offset} {worst_px}");
        assert_eq!((routed.price, routed.ord_type), (price, OrdType::Limit as u8), "{told}");
        assert_eq!(desk.order(seq).price, price, "{told}");
        closing(&desk);
    }
}

#[test]
fn it_follows_its_reference_one_change_at_a_time_and_not_too_often() {
    let mut desk = TestDesk::open();
    let seq = place(&mut desk, Side::Buy, PegType::Bid, 0, 0);
    desk.quote(ES, e9(101), e9(102));
    assert!(replaces(&desk).is_empty(), "the interval since it was priced is not over");
    desk.now_ns += INTERVAL_NS;
    desk.time();
    assert_eq!(replaces(&desk), [e9(101)], "and when it is, no quote is needed");
    let event = desk.log.records.iter().rev().find_map(ReplaceAccepted::from_record).unwrap();
    assert_eq!((event.why, event.session_id), (OwnCause::Peg as u8, 0));
    assert_eq!((event.bid_ticks, event.ask_ticks), (0, 4), "the reference it used");
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(102), e9(103));
    assert_eq!(replaces(&desk).len(), 1, "one is in flight");
    desk.tell(seq, 1, ExecType::Replaced);
    assert_eq!(desk.order(seq).price, e9(101));
    assert_eq!(text_of(&desk.engine.cl_ord_id(desk.order(seq))), "p", "the client's id stays");
    desk.now_ns += INTERVAL_NS;
    desk.time();
    assert_eq!(replaces(&desk), [e9(101), e9(102)]);
    desk.tell(seq, 2, ExecType::ReplaceRejected);
    assert_eq!((desk.order(seq).price, desk.status(seq)), (e9(101), OrdStatus::New));
    closing(&desk);
}

#[test]
fn a_move_below_the_least_of_the_configuration_is_let_be() {
    let config = engine::EngineConfig { peg_ticks: 3, ..small_config() };
    let mut desk = TestDesk::with(config);
    place(&mut desk, Side::Buy, PegType::Bid, 0, 0);
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(100) + 2 * TICK, e9(101));
    assert!(replaces(&desk).is_empty());
    desk.quote(ES, e9(100) + 3 * TICK, e9(101));
    assert_eq!(replaces(&desk), [e9(100) + 3 * TICK]);
    closing(&desk);
}

#[test]
fn a_reference_that_is_stale_absent_or_crossed_prices_nothing_and_accepts_nothing() {
    type Spoil = fn(&mut TestDesk);
    let spoils: &[(Verdict, Spoil)] = &[
        (Verdict::ReferenceCrossed, |d| d.quote(ES, e9(103), e9(102))),
        (Verdict::ReferenceAbsent, |d| d.quote(ES, NO_PRICE, e9(103))),
        (Verdict::ReferenceStale, |d| {
            d.quote(ES, e9(101), e9(102));
            d.now_ns += 2_000_000_000;
        }),
    ];
    for (verdict, spoil) in spoils {
        let mut desk = TestDesk::open();
        let seq = place(&mut desk, Side::Buy, PegType::Mid, 0, 0);
        spoil(&mut desk);
        desk.now_ns += INTERVAL_NS;
        if *verdict != Verdict::ReferenceStale {
            spoil(&mut desk);
        }
        desk.time();
        assert!(replaces(&desk).is_empty(), "{verdict:?}");
        assert_eq!(desk.status(seq), OrdStatus::New, "it stays where it is");
        let mut o = TestDesk::new_order("q", Side::Buy, 5, 0);
        o.ord_type = OrdType::Pegged as u8;
        let mut t = offer();
        t.peg_type = PegType::Mid as u8;
        assert_eq!(desk.submit_terms(&t, &o), *verdict);
        closing(&desk);
    }
}

#[test]
fn what_the_gate_refuses_is_not_sent_and_comes_again() {
    let mut desk = TestDesk::open();
    let mut limit = account_limits(1);
    (limit.orders_max, limit.window_ns) = (1, 2_000_000_000);
    desk.limit(limit);
    place(&mut desk, Side::Buy, PegType::Bid, 0, 0);
    for _ in 0..20 {
        desk.now_ns += INTERVAL_NS;
        desk.quote(ES, e9(101), e9(102));
    }
    assert_eq!(replaces(&desk).len(), 1, "never more than the throttle, and in its time");
    closing(&desk);
    let mut desk = TestDesk::open();
    let seq = place(&mut desk, Side::Buy, PegType::Bid, 0, e9(101));
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(105), e9(106));
    assert_eq!(replaces(&desk), [e9(101)], "never beyond its worst price");
    desk.tell(seq, 1, ExecType::Replaced);
    desk.kill(Scope::Account, 1, KillMode::CancelOnly);
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(100), e9(101));
    assert_eq!(replaces(&desk).len(), 1);
    assert_eq!(desk.status(seq), OrdStatus::PendingCancel);
    closing(&desk);
}

#[test]
fn a_cancel_in_flight_an_end_and_an_unanswered_order_are_not_priced() {
    let mut desk = TestDesk::open();
    assert_eq!(pegged(&mut desk, Side::Buy, PegType::Bid, 0, 0), Verdict::Accepted);
    let seq = desk.newest();
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(101), e9(102));
    assert!(replaces(&desk).is_empty(), "not acknowledged yet");
    desk.tell(seq, 0, ExecType::New);
    desk.cancel("c", "p");
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(101), e9(102));
    assert!(replaces(&desk).is_empty(), "a cancel is on its way");
    desk.tell(seq, 1, ExecType::Canceled);
    desk.now_ns += INTERVAL_NS;
    desk.quote(ES, e9(101), e9(102));
    assert!(replaces(&desk).is_empty());
    assert_eq!(desk.replace("r", "p", 6, e9(100)), Verdict::OrdTypeUnsupported);
    closing(&desk);
}
