//! Corners of an order's life (../shared/CORNERS.md by number): each told in the order it happened to
//! others, then checked for status, sums, reserve, messages sent and an equal replay.

mod common;
use common::*;
use layout::*;

const TICK: i64 = ONE / 4;

fn open_qty(desk: &TestDesk) -> (i64, i64) {
    desk.engine.row(1, ES).open_qty()
}

#[test]
fn corner_1_a_fill_before_the_ack_is_the_ack_and_the_ack_does_not_reopen() {
    let mut desk = TestDesk::open();
    let seq = desk.place("a", Side::Buy, 5, e9(100));
    assert_eq!(desk.fill(seq, 2, e9(100)), Disposition::Applied);
    assert_eq!(desk.status(seq), OrdStatus::PartiallyFilled);
    assert_eq!(desk.tell(seq, 0, ExecType::New), Disposition::Stale);
    desk.fill(seq, 3, e9(100));
    assert_eq!(desk.tell(seq, 0, ExecType::New), Disposition::Stale);
    assert_eq!(desk.status(seq), OrdStatus::Filled);
    assert_eq!(open_qty(&desk), (0, 0));
    closing(&desk);
}

#[test]
fn corner_3_a_fill_after_the_end_moves_the_position_and_keeps_the_status_precedence() {
    for end in [ExecType::Canceled, ExecType::Expired, ExecType::Rejected] {
        let mut desk = TestDesk::open();
        let seq = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(seq, 0, end);
        let ended = desk.status(seq);
        assert_eq!(desk.fill(seq, 2, e9(100)), Disposition::Late);
        assert_eq!(desk.status(seq), ended, "a part leaves the end as it was");
        assert_eq!(desk.engine.row(1, ES).net_qty(), e9(2));
        assert_eq!(desk.fill(seq, 3, e9(100)), Disposition::Late);
        assert_eq!(desk.status(seq), OrdStatus::Filled, "completed: filled comes before canceled");
        assert_eq!(desk.order(seq).leaves_qty(), 0);
        assert_eq!(open_qty(&desk), (0, 0));
        closing(&desk);
    }
}

#[test]
fn corner_4_and_5_the_same_exec_id_is_booked_once_per_order_day_and_venue() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    let b = desk.place("b", Side::Buy, 5, e9(100));
    let mut r = desk.report(a, 0, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px, r.trade_day) = (text("X"), e9(1), e9(100), 7);
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!(desk.take(&r), Disposition::Duplicate);
    r.flags = REPORT_POSS_DUP;
    assert_eq!(desk.take(&r), Disposition::Duplicate);
    r.last_px += TICK;
    assert_eq!(desk.take(&r), Disposition::Conflict);
    r.trade_day = 8;
    assert_eq!(desk.take(&r), Disposition::Applied, "another day");
    r.street_id = desk.report(b, 0, ExecType::Trade).street_id;
    assert_eq!(desk.take(&r), Disposition::Applied, "another order");
    assert_eq!(desk.engine.row(1, ES).net_qty(), e9(3));
    closing(&desk);
}

#[test]
fn corner_6_a_missing_exec_id_gets_a_deterministic_one() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    let mut r = desk.report(a, 0, ExecType::Trade);
    (r.last_qty, r.last_px, r.cum_qty, r.transact_time_ns) = (e9(1), e9(100), e9(1), 55);
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!(desk.take(&r), Disposition::Duplicate);
    r.cum_qty = e9(2);
    assert_eq!(desk.take(&r), Disposition::Applied);
    closing(&desk);
}

#[test]
fn corner_8_an_overfill_is_booked_and_flagged() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    assert_eq!(desk.fill(a, 7, e9(100)), Disposition::Overfill);
    assert_eq!((desk.status(a), desk.order(a).leaves_qty()), (OrdStatus::Filled, 0));
    assert_eq!(desk.engine.row(1, ES).net_qty(), e9(7));
    closing(&desk);
}

#[test]
fn corner_12_a_full_fill_beats_the_cancel_and_the_late_reject_of_it_changes_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.cancel("c", "a");
    assert_eq!(desk.status(a), OrdStatus::PendingCancel);
    desk.fill(a, 2, e9(100));
    assert_eq!(desk.status(a), OrdStatus::PendingCancel);
    desk.fill(a, 3, e9(100));
    assert_eq!(desk.status(a), OrdStatus::Filled);
    assert_eq!(desk.tell(a, 1, ExecType::CancelRejected), Disposition::Stale);
    assert_eq!(desk.status(a), OrdStatus::Filled);
    closing(&desk);
}

#[test]
fn corner_13_a_cancel_reject_restores_what_was_with_the_fills_in_between() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.cancel("c", "a");
    assert_eq!(desk.cancel("c2", "a"), Verdict::CancelPending);
    desk.fill(a, 2, e9(100));
    assert_eq!(desk.tell(a, 1, ExecType::CancelRejected), Disposition::Applied);
    assert_eq!(desk.status(a), OrdStatus::PartiallyFilled);
    assert_eq!(desk.cancel("c3", "a"), Verdict::Accepted);
    assert_eq!(desk.tell(a, 1, ExecType::CancelRejected), Disposition::Stale, "the first's, again");
    assert_eq!(desk.status(a), OrdStatus::PendingCancel);
    closing(&desk);
}

#[test]
fn corner_15_and_16_replace_with_fills_in_flight_reserves_the_larger_and_ends_by_the_fills() {
    for (new_qty, status, leaves) in [(8, OrdStatus::PartiallyFilled, 5), (3, OrdStatus::Filled, 0)]
    {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(a, 0, ExecType::New);
        desk.fill(a, 1, e9(100));
        assert_eq!(desk.replace("r", "a", new_qty, e9(100) - TICK), Verdict::Accepted);
        assert_eq!(open_qty(&desk).0, e9((5 - 1).max(new_qty - 1)));
        assert_eq!(
            text_of(&desk.engine.cl_ord_id(desk.order(a))),
            "a",
            "the old id until replaced"
        );
        desk.fill(a, 2, e9(100)); // on the old id, in flight
        assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Applied);
        assert_eq!(text_of(&desk.engine.cl_ord_id(desk.order(a))), "r");
        assert_eq!((desk.status(a), desk.order(a).leaves_qty()), (status, e9(leaves)));
        assert_eq!(open_qty(&desk).0, e9(leaves));
        closing(&desk);
    }
}

#[test]
fn corner_16_a_replace_to_less_than_is_filled_amends_the_quantity_to_what_is_filled() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.replace("r", "a", 2, e9(100));
    desk.fill(a, 3, e9(100));
    assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Applied);
    assert_eq!((desk.status(a), desk.order(a).order_qty), (OrdStatus::Filled, e9(3)));
    closing(&desk);
}

#[test]
fn corner_17_a_chain_of_replaces_names_the_last_accepted_id() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.replace("b", "a", 6, e9(100));
    assert_eq!(desk.replace("c", "b", 7, e9(100)), Verdict::ReplacePending);
    desk.tell(a, 1, ExecType::ReplaceRejected);
    assert_eq!(desk.order(a).order_qty, e9(5));
    assert_eq!(desk.replace("d", "a", 8, e9(100)), Verdict::Accepted);
    let routed = desk.sent.0.last().unwrap();
    assert_eq!(engine::street::decode(&routed.orig_street_id).unwrap().revision, 0);
    desk.tell(a, 2, ExecType::Replaced);
    assert_eq!(desk.replace("e", "d", 9, e9(100)), Verdict::Accepted);
    let routed = desk.sent.0.last().unwrap();
    assert_eq!(engine::street::decode(&routed.orig_street_id).unwrap().revision, 2);
    // A fill on the middle id counts for the order.
    let mut r = desk.report(a, 1, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px) = (text("M"), e9(1), e9(100));
    assert_eq!(desk.take(&r), Disposition::Applied);
    closing(&desk);
}

#[test]
fn corner_18_a_replace_reject_restores_terms_and_reserve_exactly() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Sell, 5, e9(101));
    desk.tell(a, 0, ExecType::New);
    let before = (open_qty(&desk), desk.engine.row(1, ES).open_points());
    desk.replace("r", "a", 50, e9(102));
    assert_eq!(open_qty(&desk).1, e9(50));
    assert_eq!(desk.tell(a, 1, ExecType::ReplaceRejected), Disposition::Applied);
    assert_eq!((open_qty(&desk), desk.engine.row(1, ES).open_points()), before);
    assert_eq!(desk.tell(a, 1, ExecType::ReplaceRejected), Disposition::Stale, "released once");
    closing(&desk);
}

#[test]
fn corner_20_a_replace_to_more_in_flight_keeps_a_filled_order_alive_until_answered() {
    for (answer, status) in [
        (ExecType::Replaced, OrdStatus::PartiallyFilled),
        (ExecType::ReplaceRejected, OrdStatus::Filled),
    ] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(a, 0, ExecType::New);
        desk.replace("r", "a", 8, e9(100));
        desk.fill(a, 5, e9(100));
        assert_eq!(desk.status(a), OrdStatus::PendingReplace);
        assert_eq!(open_qty(&desk).0, e9(3), "three may still come");
        desk.tell(a, 1, answer);
        assert_eq!(desk.status(a), status, "{answer:?}");
        closing(&desk);
    }
}

#[test]
fn corner_21_a_reject_after_a_fill_ends_the_order_and_keeps_the_fill() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.fill(a, 2, e9(100));
    assert_eq!(desk.tell(a, 0, ExecType::Rejected), Disposition::Applied);
    assert_eq!((desk.status(a), desk.order(a).cum_qty), (OrdStatus::Canceled, e9(2)));
    closing(&desk);
}

#[test]
fn corner_21_a_reject_of_an_acknowledged_order_ends_it_as_canceled_whatever_is_in_flight() {
    for pending in ["cancel", "replace", "lost"] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        desk.fill(a, 2, e9(100));
        match pending {
            "replace" => desk.replace("r", "a", 8, e9(100)),
            _ => desk.cancel("c", "a"),
        };
        if pending == "lost" {
            let mut u = OutcomeUnknown::ZERO;
            (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, a, 1);
            desk.fact(u);
        }
        assert_eq!(desk.tell(a, 0, ExecType::Rejected), Disposition::Applied);
        assert_eq!((desk.status(a), desk.order(a).cum_qty), (OrdStatus::Canceled, e9(2)));
        closing(&desk);
    }
}

#[test]
fn corner_23_a_lost_outcome_keeps_its_reserve_until_the_venue_answers() {
    let lost = |desk: &mut TestDesk, seq: u64| {
        let mut u = OutcomeUnknown::ZERO;
        (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, seq, 1);
        desk.fact(u);
    };
    for (answer, status, found) in [
        (ExecType::UnknownOrder, OrdStatus::Rejected, 0),
        (ExecType::OrderStatus, OrdStatus::New, OrdStatus::New as u8),
        (ExecType::OrderStatus, OrdStatus::Canceled, OrdStatus::Canceled as u8),
    ] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        lost(&mut desk, a);
        assert_eq!(desk.status(a), OrdStatus::Unknown);
        assert_eq!(open_qty(&desk).0, e9(5));
        assert_eq!(desk.replace("r", "a", 6, e9(100)), Verdict::OutcomeUnknown);
        let mut r = desk.report(a, 0, answer);
        (r.ord_status, r.flags) = (found, REPORT_QUERIED);
        assert_eq!(desk.take(&r), Disposition::Applied);
        assert_eq!(desk.status(a), status);
        closing(&desk);
    }
    // Both reserves while a replace is in doubt; the street id in the answer says which terms hold.
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.replace("r", "a", 7, e9(100));
    lost(&mut desk, a);
    assert_eq!(open_qty(&desk).0, e9(12));
    let mut r = desk.report(a, 1, ExecType::OrderStatus);
    (r.ord_status, r.flags) = (OrdStatus::New as u8, REPORT_QUERIED);
    desk.take(&r);
    assert_eq!((desk.status(a), open_qty(&desk).0), (OrdStatus::New, e9(7)));
    closing(&desk);
}

#[test]
fn corner_11_a_query_answer_that_crosses_our_cancel_is_the_ack() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.cancel("c", "a");
    let mut r = desk.report(a, 0, ExecType::OrderStatus);
    (r.ord_status, r.flags) = (OrdStatus::New as u8, REPORT_QUERIED);
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!(desk.status(a), OrdStatus::PendingCancel);
    assert_eq!(desk.take(&r), Disposition::Stale);
    desk.tell(a, 1, ExecType::CancelRejected);
    assert_eq!(desk.status(a), OrdStatus::New, "it was acknowledged");
    closing(&desk);
}

#[test]
fn corner_34_an_answer_that_counts_fills_we_lack_closes_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    let mut r = desk.report(a, 0, ExecType::OrderStatus);
    (r.ord_status, r.cum_qty, r.flags) = (OrdStatus::Filled as u8, e9(5), REPORT_QUERIED);
    assert_eq!(desk.take(&r), Disposition::Gap);
    assert_eq!((desk.status(a), open_qty(&desk).0), (OrdStatus::New, e9(5)));
    desk.fill(a, 5, e9(100));
    assert_eq!(desk.take(&r), Disposition::Stale);
    closing(&desk);
}

#[test]
fn corner_33_reports_for_orders_that_are_not_ours_are_flagged_and_change_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    let mut foreign = desk.report(a, 0, ExecType::Trade);
    (foreign.last_qty, foreign.last_px) = (e9(1), e9(100));
    let mut other = foreign;
    other.street_id = text("NOT-OURS");
    assert_eq!(desk.take(&other), Disposition::UnknownOrder);
    other = foreign;
    other.venue_id = 2;
    assert_eq!(desk.take(&other), Disposition::UnknownOrder, "another venue's word");
    other = foreign;
    other.street_id =
        engine::street::encode(engine::street::Street { epoch: 9, order_seq: a, revision: 0 });
    assert_eq!(
        desk.take(&other),
        Disposition::UnknownOrder,
        "another epoch's order of that number"
    );
    other.street_id =
        engine::street::encode(engine::street::Street { epoch: 1, order_seq: a, revision: 4 });
    assert_eq!(desk.take(&other), Disposition::UnknownOrder, "a message never sent");
    assert_eq!(desk.engine.row(1, ES).net_qty(), 0);
    closing(&desk);
}

#[test]
fn corner_37_what_waits_when_killed_is_dropped_and_its_reserve_returns() {
    let dropped = |desk: &mut TestDesk, seq, msg_type: MsgType| {
        let mut d = DroppedUnsent::ZERO;
        (d.header.kind, d.header.order_seq, d.venue_id, d.msg_type) =
            (DroppedUnsent::KIND, seq, 1, msg_type as u8);
        desk.fact(d);
    };
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    dropped(&mut desk, a, MsgType::NewOrder);
    assert_eq!((desk.status(a), open_qty(&desk).0), (OrdStatus::Canceled, 0));
    // The new order and its replace both wait: both are dropped, in their order.
    let x = desk.place("x", Side::Buy, 5, e9(100));
    desk.replace("xr", "x", 9, e9(100));
    dropped(&mut desk, x, MsgType::NewOrder);
    dropped(&mut desk, x, MsgType::Replace);
    assert_eq!((desk.status(x), open_qty(&desk).0), (OrdStatus::Canceled, 0));
    let b = desk.place("b", Side::Buy, 5, e9(100));
    desk.tell(b, 0, ExecType::New);
    desk.replace("r", "b", 9, e9(100));
    dropped(&mut desk, b, MsgType::Replace);
    assert_eq!((desk.status(b), open_qty(&desk).0), (OrdStatus::New, e9(5)));
    closing(&desk);
}

#[test]
fn corner_39_every_terminal_path_returns_the_whole_reserve() {
    for end in [ExecType::Canceled, ExecType::Rejected, ExecType::Expired] {
        for pending in [0, 1, 2] {
            let mut desk = TestDesk::open();
            let a = desk.place("a", Side::Sell, 5, e9(101));
            if pending == 1 {
                desk.cancel("c", "a");
            } else if pending == 2 {
                desk.replace("r", "a", 9, e9(101));
            }
            desk.tell(a, 0, end);
            assert_eq!(open_qty(&desk), (0, 0), "{end:?} {pending}");
            assert_eq!(desk.engine.account_sums(1), (0, 0, 0));
            assert_eq!(desk.engine.live_count(), 0);
            closing(&desk);
        }
    }
}

#[test]
fn corner_40_a_mass_cancel_reaches_every_match_once_and_in_order() {
    let mut desk = TestDesk::open();
    for n in 0..100 {
        let side = if n % 2 == 0 { Side::Buy } else { Side::Sell };
        desk.place(&format!("o{n}"), side, 1, e9(100));
    }
    let sent = desk.sent.0.len();
    let mut m = MassCancel::ZERO;
    (m.header.kind, m.cl_ord_id, m.session_id, m.side) = (MassCancel::KIND, text("m"), 1, 1);
    desk.fact(m);
    let mut again = m;
    again.cl_ord_id = text("m2");
    desk.fact(again); // overlapping
    let mut time = TimeInput::ZERO;
    time.header.kind = TimeInput::KIND;
    while desk.engine.asked_count() != 0 {
        desk.step(time.as_record());
    }
    let cancels: Vec<u64> = desk.sent.0[sent..].iter().map(|r| r.header.order_seq).collect();
    assert_eq!(cancels, (1..=100).step_by(2).collect::<Vec<u64>>());
    closing(&desk);
}

#[test]
fn corner_15_and_17_until_the_replace_is_accepted_the_old_id_is_shown_and_named() {
    for (answer, shown) in [(ExecType::Replaced, "b"), (ExecType::ReplaceRejected, "a")] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(a, 0, ExecType::New);
        assert_eq!(desk.replace("b", "a", 6, e9(100)), Verdict::Accepted);
        assert_eq!(desk.engine.cl_ord_id(desk.order(a)), text("a"), "pending");
        desk.fill(a, 1, e9(100));
        assert_eq!(desk.engine.cl_ord_id(desk.order(a)), text("a"), "filled on the old id");
        // A cancel that follows names what the venue acknowledged last: that is revision 0 still.
        assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
        let cancel = desk.sent.0.last().unwrap();
        assert_eq!(engine::street::decode(&cancel.street_id).unwrap().revision, 2);
        assert_eq!(engine::street::decode(&cancel.orig_street_id).unwrap().revision, 0);
        desk.tell(a, 1, answer);
        assert_eq!(desk.engine.cl_ord_id(desk.order(a)), text(shown), "{answer:?}");
        closing(&desk);
    }
}
