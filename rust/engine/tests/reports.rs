//! What a venue says after the fact and besides fills (../shared/CORNERS.md by number): busts and
//! corrects, another teller's ids, set-aside and renewed orders, restatements, breaks of the sums.
//! Every case ends in equal folds and an equal replay.

mod common;
use common::*;
use engine::EngineConfig;
use layout::*;
use proptest::prelude::*;

const DAY_NS: i64 = 86_400_000_000_000;

fn bust(desk: &mut TestDesk, seq: u64, own: &str, of: &str, leaves: i64) -> Disposition {
    amend(desk, seq, own, of, None, leaves)
}

fn money(desk: &TestDesk) -> (i64, i128, i128) {
    let p = desk.engine.position(1, ES);
    (p.net_qty / ONE, p.open_cost, p.realised)
}

#[test]
fn corner_24_a_bust_reverses_order_position_and_reserve_and_a_second_copy_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    let mut r = trade_report(&desk, a, "X1", 2, 100);
    r.fee = 7;
    desk.take(&r);
    desk.take(&trade_report(&desk, a, "X2", 1, 99));
    assert_eq!(bust(&mut desk, a, "B1", "X1", 4), Disposition::Applied);
    assert_eq!((desk.status(a), desk.order(a).cum_qty), (OrdStatus::PartiallyFilled, e9(1)));
    assert_eq!(desk.order(a).cum_points, points(99, 1));
    assert_eq!(money(&desk), (1, points(99, 1), 0));
    assert_eq!(desk.engine.position(1, ES).fees, 0);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(4));
    assert_eq!(bust(&mut desk, a, "B1", "X1", 4), Disposition::Duplicate, "the same report");
    assert_eq!(bust(&mut desk, a, "B2", "X1", 4), Disposition::Duplicate, "under another id");
    assert_eq!(desk.take(&r), Disposition::Duplicate, "the fill itself does not come back");
    assert_eq!(bust(&mut desk, a, "B3", "NONE", 4), Disposition::UnknownExec);
    assert_eq!(bust(&mut desk, a, "B1", "X2", 4), Disposition::Duplicate, "its id is taken");
    assert_eq!(money(&desk).0, 1);
    closing(&desk);
}

#[test]
fn corner_24_after_the_bust_of_the_last_fill_the_reports_leaves_decide() {
    for (leaves, status, open) in [(2, OrdStatus::PartiallyFilled, 2), (0, OrdStatus::Canceled, 0)]
    {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Sell, 5, e9(100));
        desk.take(&trade_report(&desk, a, "X1", 3, 100));
        desk.take(&trade_report(&desk, a, "X2", 2, 101));
        assert_eq!(desk.status(a), OrdStatus::Filled);
        assert_eq!(bust(&mut desk, a, "B", "X2", leaves), Disposition::Late);
        assert_eq!(desk.status(a), status);
        assert_eq!(desk.engine.row(1, ES).open_qty().1, e9(open));
        assert_eq!(money(&desk).0, -3);
        assert_eq!(desk.engine.live_count(), u64::from(leaves > 0));
        closing(&desk);
        if leaves > 0 {
            assert_eq!(desk.cancel("c", "a"), Verdict::Accepted, "it is an order again");
            desk.take(&trade_report(&desk, a, "X3", 2, 100));
            assert_eq!(desk.status(a), OrdStatus::Filled);
            closing(&desk);
        }
    }
}

#[test]
fn corner_24_and_37_an_order_that_a_bust_reopens_under_a_kill_is_canceled() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 5, 100));
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    bust(&mut desk, a, "B", "X1", 5);
    let mut time = TimeInput::ZERO;
    time.header.kind = TimeInput::KIND;
    desk.step(time.as_record());
    assert_eq!(desk.status(a), OrdStatus::PendingCancel);
    assert_eq!(desk.sent.0.last().unwrap().msg_type, MsgType::Cancel as u8);
    closing(&desk);
}

#[test]
fn corner_24_the_bust_of_a_canceled_orders_fill_leaves_it_canceled() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 2, 100));
    desk.tell(a, 0, ExecType::Canceled);
    assert_eq!(bust(&mut desk, a, "B", "X1", 0), Disposition::Late);
    assert_eq!((desk.status(a), desk.order(a).cum_qty), (OrdStatus::Canceled, 0));
    assert_eq!(money(&desk), (0, 0, 0));
    closing(&desk);
}

#[test]
fn corner_3_a_fill_after_its_order_left_the_table_is_booked_and_flagged() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    let first = trade_report(&desk, a, "X1", 2, 100);
    desk.take(&first);
    let unfilled = desk.place("b", Side::Buy, 5, e9(100));
    for seq in [a, unfilled] {
        desk.tell(seq, 0, ExecType::Canceled);
    }
    let late = ExecutionReport { fee: 7, ..trade_report(&desk, a, "X2", 3, 101) };
    let other = ExecutionReport { last_qty: e9(2), ..late };
    let nobodys = trade_report(&desk, unfilled, "X3", 3, 101);
    desk.forget(unfilled);
    assert_eq!(desk.take(&first), Disposition::Duplicate, "its fill is known");
    assert_eq!(desk.take(&late), Disposition::Late);
    assert_eq!(desk.last_report().header.order_seq, a);
    assert_eq!(money(&desk), (5, points(100, 2) + points(101, 3), 0));
    assert_eq!(desk.engine.position(1, ES).fees, 7);
    assert_eq!(desk.take(&late), Disposition::Duplicate);
    assert_eq!(desk.take(&other), Disposition::Conflict);
    assert_eq!(desk.take(&ExecutionReport { last_qty: 0, ..late }), Disposition::Malformed);
    assert_eq!(desk.take(&ExecutionReport { venue_id: 2, ..late }), Disposition::UnknownOrder);
    assert_eq!(desk.take(&nobodys), Disposition::UnknownOrder, "nobody knows its account");
    assert_eq!(money(&desk).0, 5);
    desk.assert_sums_are_folds();
    assert_eq!(bust(&mut desk, a, "B", "X2", 0), Disposition::Late);
    assert_eq!(money(&desk), (2, points(100, 2), 0));
    closing(&desk);
}

#[test]
fn corner_32_a_late_fill_through_zero_of_a_forgotten_order_is_told_in_its_parts() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Sell, 9, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 1, 100));
    let b = desk.place("b", Side::Buy, 3, e9(100));
    desk.take(&trade_report(&desk, b, "X2", 3, 100));
    desk.tell(a, 0, ExecType::Canceled);
    desk.forget(a);
    desk.take(&trade_report(&desk, a, "X3", 5, 102));
    let split = *PositionSplit::from_record(desk.last()).expect("through zero");
    assert_eq!((split.close_qty, split.open_qty), (e9(2), e9(3)));
    assert_eq!(money(&desk).0, -3);
    closing(&desk);
}

#[test]
fn corner_33_an_adopted_order_of_days_ago_is_known_and_not_adopted_anew() {
    let mut desk = TestDesk::open();
    adopting(&mut desk, 1);
    let mut fill = word("SCREEN-1", ExecType::Trade, OrdStatus::PartiallyFilled);
    (fill.exec_id, fill.last_qty, fill.last_px, fill.cum_qty) = (text("L1"), e9(3), e9(99), e9(3));
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &fill), Disposition::Applied);
    let seq = desk.last_report().header.order_seq;
    let gone = word("SCREEN-1", ExecType::Canceled, OrdStatus::Canceled);
    assert_eq!(desk.take(&gone), Disposition::Applied);
    desk.forget(seq);
    desk.forget(seq + 1); // and a day more, in which ids are forgotten
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &fill), Disposition::Duplicate);
    let late = ExecutionReport { exec_id: text("L2"), last_qty: e9(1), ..fill };
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &late), Disposition::Late);
    let status = word("SCREEN-1", ExecType::OrderStatus, OrdStatus::PartiallyFilled);
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &status), Disposition::UnknownOrder);
    assert_eq!((money(&desk).0, desk.engine.live_count()), (4, 0), "booked once, reserved never");
    closing(&desk);

    // Older than any fill that is remembered: nobody can tell whether it was booked.
    let day = |desk: &mut TestDesk, trade_day| {
        let mut d = DayChange::ZERO;
        (d.header.kind, d.venue_id, d.trade_day, d.opened) = (DayChange::KIND, 1, trade_day, 1);
        desk.fact(d);
    };
    desk.now_ns += 6 * DAY_NS;
    day(&mut desk, 100);
    let old = ExecutionReport { trade_day: 94, exec_id: text("L9"), ..fill };
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &old), Disposition::UnknownOrder);
    let new = ExecutionReport { trade_day: 95, exec_id: text("L9"), ..fill };
    assert_eq!(found(&mut desk, &foreign("SCREEN-2"), &new), Disposition::UnknownOrder);
    closing(&desk);
}

#[test]
fn corner_25_a_correct_makes_the_fill_another_and_a_correct_of_it_again() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 2, 100));
    assert_eq!(amend(&mut desk, a, "C1", "X1", Some((2, 98)), 3), Disposition::Applied);
    assert_eq!(money(&desk), (2, points(98, 2), 0));
    assert_eq!(amend(&mut desk, a, "C1", "X1", Some((2, 98)), 3), Disposition::Duplicate);
    assert_eq!(amend(&mut desk, a, "C2", "C1", Some((3, 97)), 2), Disposition::Applied);
    assert_eq!((money(&desk), desk.order(a).cum_qty), ((3, points(97, 3), 0), e9(3)));
    assert_eq!(amend(&mut desk, a, "C2", "X1", Some((4, 97)), 1), Disposition::Conflict);
    assert_eq!(
        desk.take(&trade_report(&desk, a, "X1", 2, 100)),
        Disposition::Duplicate,
        "as first told"
    );
    assert_eq!(amend(&mut desk, a, "C3", "X1", Some((9, 97)), 0), Disposition::Overfill);
    assert_eq!(desk.status(a), OrdStatus::Filled);
    assert_eq!(bust(&mut desk, a, "B", "C3", 5), Disposition::Late);
    assert_eq!((desk.status(a), money(&desk).0), (OrdStatus::New, 0));
    assert_eq!(amend(&mut desk, a, "C4", "X1", Some((1, 97)), 4), Disposition::UnknownExec);
    assert_eq!(amend(&mut desk, a, "C5", "X1", Some((0, 97)), 4), Disposition::Malformed);
    closing(&desk);
}

#[test]
fn corner_25_a_bust_refolds_what_remains_in_event_order() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let b = desk.place("b", Side::Sell, 9, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 2, 90));
    desk.take(&trade_report(&desk, a, "X2", 2, 100));
    desk.take(&trade_report(&desk, b, "X3", 2, 110)); // closes 2 of 4 at 95
    assert_eq!(money(&desk), (2, points(95, 2), points(30, 1)));
    bust(&mut desk, a, "B", "X1", 7);
    // As if X1 had never been: 2 bought at 100, sold at 110.
    assert_eq!(money(&desk), (0, 0, points(20, 1)));
    amend(&mut desk, b, "C", "X3", Some((5, 110)), 4);
    assert_eq!(money(&desk), (-3, points(110, -3), points(20, 1)));
    closing(&desk);
}

#[test]
fn corner_24_a_bust_days_later_finds_its_fill_also_when_order_and_chain_are_forgotten() {
    // How long is configuration: five days, or ten.
    for (days, fill_days) in [(1, 5), (3, 5), (8, 5), (8, 10), (11, 10)] {
        let mut desk = TestDesk::with(engine::EngineConfig { fill_days, ..small_config() });
        let a = desk.place("a", Side::Buy, 5, e9(100));
        let mut r = trade_report(&desk, a, "X1", 5, 100);
        r.trade_day = 50;
        desk.take(&r);
        let c = desk.place("c", Side::Buy, 9, e9(100));
        let mut live = trade_report(&desk, c, "X2", 1, 101);
        live.trade_day = 50;
        desk.take(&live);
        let bust_report = desk.report(a, 0, ExecType::TradeCancel);
        desk.now_ns += (days - 1) * DAY_NS;
        desk.forget(a);
        let mut day = DayChange::ZERO;
        (day.header.kind, day.venue_id, day.trade_day, day.opened) = (DayChange::KIND, 1, 58, 1);
        desk.fact(day);
        let mut r = bust_report;
        (r.exec_id, r.trade_day) = (text("B"), 58);
        offer_ids(&mut desk, &r, |ids| ids.exec_ref_id = text("X1"));
        let kept = days < i64::from(fill_days);
        let taken = desk.take(&r);
        if kept {
            assert_eq!(taken, Disposition::Late, "{days}");
            // Position, PnL and limits are as if only X2 had been: 1 bought at 101.
            assert_eq!(money(&desk), (1, points(101, 1), 0));
            let room = desk.engine.row(1, ES).open_points().0 + points(101, 1);
            assert_eq!(desk.engine.account_sums(1).1, room * 50 / 1_000_000_000_000);
            assert_eq!(desk.take(&r), Disposition::Duplicate);
        } else {
            assert_eq!(taken, Disposition::UnknownOrder, "forgotten: flagged, for people");
        }
        // A live order's fill is known as long as the order lives, out of its chain or not.
        assert_eq!(desk.take(&live), Disposition::Duplicate);
        assert_eq!(bust(&mut desk, c, "B2", "X2", 9), Disposition::Applied);
        assert_eq!(money(&desk).0, if kept { 0 } else { 5 });
        closing(&desk);
    }
}

#[test]
fn corner_5_and_7_the_session_day_is_that_of_the_execution_not_of_its_arrival() {
    let mut desk = TestDesk::open();
    let mut venue = definition(Entity::Venue, "CME", 0, ReplaceRule::InFlightCounted as u8);
    // Chicago in winter: the next day begins at 17:00.
    (venue.flags, venue.utc_offset_min, venue.day_roll_min) = (VENUE_CALENDAR, -360, 17 * 60);
    desk.fact(venue);
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let noon = 20_000 * DAY_NS + 18 * 3600 * ONE; // 12:00 there
    let mut r = trade_report(&desk, a, "X", 1, 100);
    r.transact_time_ns = noon;
    assert_eq!(desk.take(&r), Disposition::Applied);
    r.flags = REPORT_POSS_DUP;
    desk.now_ns += DAY_NS; // the same, replayed a day later
    assert_eq!(desk.take(&r), Disposition::Duplicate);
    r.trade_day = 20_000;
    assert_eq!(desk.take(&r), Disposition::Duplicate, "told as TradeDate");
    (r.trade_day, r.transact_time_ns) = (0, noon + 5 * 3600 * ONE);
    assert_eq!(desk.take(&r), Disposition::Applied, "17:00: another day's id, whatever the flags");
    closing(&desk);
}

#[test]
fn corner_5_without_a_calendar_the_days_that_opened_tell_the_session_day() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let open = |desk: &mut TestDesk, trade_day| {
        let mut d = DayChange::ZERO;
        (d.header.kind, d.venue_id, d.trade_day, d.opened) = (DayChange::KIND, 1, trade_day, 1);
        desk.fact(d);
    };
    open(&mut desk, 7);
    let mut r = trade_report(&desk, a, "X", 1, 100);
    r.transact_time_ns = desk.now_ns + 5;
    assert_eq!(desk.take(&r), Disposition::Applied);
    desk.now_ns += DAY_NS;
    open(&mut desk, 8);
    assert_eq!(desk.take(&r), Disposition::Duplicate, "arrived late, of the old day");
    r.transact_time_ns = desk.now_ns + 5;
    assert_eq!(desk.take(&r), Disposition::Applied);
    closing(&desk);
}

#[test]
fn corner_6_a_real_id_reconciles_to_the_synthetic_one_and_the_other_way_round() {
    for real_first in [false, true] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 9, e9(100));
        let mut real = trade_report(&desk, a, "R1", 1, 100);
        (real.cum_qty, real.transact_time_ns) = (e9(1), 55);
        let mut bare = real;
        bare.exec_id = [0; 16];
        let (first, second) = if real_first { (real, bare) } else { (bare, real) };
        assert_eq!(desk.take(&first), Disposition::Applied);
        assert_eq!(desk.take(&second), Disposition::Reconciled);
        assert_eq!(desk.take(&second), Disposition::Duplicate);
        assert_eq!(desk.take(&first), Disposition::Duplicate);
        assert_eq!(desk.order(a).cum_qty, e9(1));
        assert_eq!(bust(&mut desk, a, "B", "R1", 9), Disposition::Applied, "under either id");
        closing(&desk);
    }
}

#[test]
fn corner_33_a_fill_by_stream_drop_copy_and_query_is_booked_once() {
    for copy_first in [false, true] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 9, e9(100));
        let stream = trade_report(&desk, a, "S1", 2, 100);
        let mut copy = trade_report(&desk, a, "DC-77", 2, 100);
        copy.flags = REPORT_DROP_COPY;
        let take = |r: &ExecutionReport, desk: &mut TestDesk| {
            offer_ids(desk, r, |ids| ids.trd_match_id = text("M1"));
            desk.take(r)
        };
        let (first, second) = if copy_first { (copy, stream) } else { (stream, copy) };
        assert_eq!(take(&first, &mut desk), Disposition::Applied);
        assert_eq!(take(&second, &mut desk), Disposition::Reconciled);
        assert_eq!(take(&second, &mut desk), Disposition::Duplicate);
        let mut polled = stream;
        polled.flags = REPORT_QUERIED;
        assert_eq!(desk.take(&polled), Disposition::Duplicate);
        // One match may hold two fills of one order: each teller tells both.
        let mut again = stream;
        again.exec_id = text("S2");
        assert_eq!(take(&again, &mut desk), Disposition::Applied);
        assert_eq!(desk.order(a).cum_qty, e9(4));
        closing(&desk);
    }
    // A copy under an id of its own and without a match id proves nothing.
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let mut copy = trade_report(&desk, a, "DC-1", 2, 100);
    (copy.flags, copy.cum_qty) = (REPORT_DROP_COPY, e9(2));
    assert_eq!(desk.take(&copy), Disposition::Gap);
    assert_eq!(desk.order(a).cum_qty, 0);
    closing(&desk);
}

#[test]
fn a_drop_copy_that_comes_after_the_bust_of_its_fill_books_nothing() {
    // Found by the fault simulator: the busted fill was no match for its copy, which was booked anew.
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let stream = trade_report(&desk, a, "S1", 2, 100);
    let mut copy = trade_report(&desk, a, "DC-1", 2, 100);
    copy.flags = REPORT_DROP_COPY;
    offer_ids(&mut desk, &stream, |ids| ids.trd_match_id = text("M1"));
    assert_eq!(desk.take(&stream), Disposition::Applied);
    assert_eq!(bust(&mut desk, a, "B1", "S1", 9), Disposition::Applied);
    offer_ids(&mut desk, &copy, |ids| ids.trd_match_id = text("M1"));
    assert_eq!(desk.take(&copy), Disposition::Reconciled);
    assert_eq!(desk.order(a).cum_qty, 0);
    assert_eq!(money(&desk), (0, 0, 0));
    assert_eq!(bust(&mut desk, a, "B2", "DC-1", 9), Disposition::Duplicate, "undone once");
    closing(&desk);
}

#[test]
fn fills_told_again_after_a_bust_count_as_they_did_and_ask_nothing() {
    // Found by the fault simulator: a venue that answers a question with all its fills was asked anew
    // by each answer, since the fills' CumQty(14) is that of before the bust.
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let mut fill = trade_report(&desk, a, "X1", 2, 100);
    fill.cum_qty = e9(2);
    assert_eq!(desk.take(&fill), Disposition::Applied);
    assert_eq!(bust(&mut desk, a, "B", "X1", 9), Disposition::Applied);
    fill.flags = REPORT_POSS_DUP;
    assert_eq!(desk.take(&fill), Disposition::Duplicate);
    let mut time = TimeInput::ZERO;
    time.header.kind = TimeInput::KIND;
    desk.step(time.as_record());
    assert!(desk.sent.0.iter().all(|r| r.msg_type != MsgType::OrderStatus as u8));
    closing(&desk);
}

#[test]
fn corner_7_and_36_a_gap_in_the_sums_asks_the_venue_once_until_they_agree() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let asked = |desk: &TestDesk| {
        desk.sent.0.iter().filter(|r| r.msg_type == MsgType::OrderStatus as u8).count()
    };
    let time = |desk: &mut TestDesk| {
        let mut t = TimeInput::ZERO;
        t.header.kind = TimeInput::KIND;
        desk.step(t.as_record());
    };
    let mut r = trade_report(&desk, a, "X2", 2, 100);
    r.cum_qty = e9(5); // three came before it that we never saw
    assert_eq!(desk.take(&r), Disposition::Applied, "booked all the same");
    assert_eq!(desk.order(a).cum_qty, e9(2));
    time(&mut desk);
    time(&mut desk);
    desk.take(&r);
    time(&mut desk);
    assert_eq!(asked(&desk), 1);
    assert_eq!(desk.sent.0.last().unwrap().street_id, r.street_id);
    let mut answer = desk.report(a, 0, ExecType::OrderStatus);
    (answer.ord_status, answer.cum_qty) = (OrdStatus::PartiallyFilled as u8, e9(5));
    answer.flags = REPORT_QUERIED;
    assert_eq!(desk.take(&answer), Disposition::Gap);
    time(&mut desk);
    assert_eq!(asked(&desk), 1, "no loop");
    let mut missing = trade_report(&desk, a, "X1", 3, 100);
    missing.cum_qty = e9(3);
    assert_eq!(desk.take(&missing), Disposition::Applied);
    time(&mut desk);
    assert_eq!(asked(&desk), 1);
    // A next gap asks again, also of an order that has ended, and waits for a link that is down.
    desk.link(LinkState::Down);
    let mut end = desk.report(a, 0, ExecType::Canceled);
    end.cum_qty = e9(7);
    assert_eq!(desk.take(&end), Disposition::Applied);
    time(&mut desk);
    assert_eq!(asked(&desk), 1);
    desk.link(LinkState::Up);
    assert_eq!(asked(&desk), 2);
    closing(&desk);
}

#[test]
fn corner_26_an_answer_that_renews_an_order_in_doubt_ends_the_doubt_at_once_and_not_by_its_copy() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    let mut aside = desk.report(a, 0, ExecType::Suspended);
    aside.transact_time_ns = 20;
    assert_eq!(desk.take(&aside), Disposition::Applied);
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    desk.lost(a);
    assert_eq!(desk.status(a), OrdStatus::Unknown);
    let mut answer = desk.report(a, 0, ExecType::OrderStatus);
    (answer.ord_status, answer.transact_time_ns) = (OrdStatus::New as u8, 30);
    assert_eq!(desk.take(&answer), Disposition::Applied);
    assert_eq!(desk.status(a), OrdStatus::New, "it trades again, and the cancel is not there");
    assert_eq!(desk.take(&answer), Disposition::Stale, "each word once");
    closing(&desk);
}

#[test]
fn corner_26_what_the_venue_sets_aside_keeps_its_reserve_and_is_renewed_by_a_newer_word() {
    for (word, status, end) in [
        (ExecType::Suspended, OrdStatus::Suspended, ExecType::Expired),
        (ExecType::Stopped, OrdStatus::Stopped, ExecType::Expired),
        (ExecType::DoneForDay, OrdStatus::DoneForDay, ExecType::Expired),
        (ExecType::DoneForDay, OrdStatus::DoneForDay, ExecType::Canceled), // seed 338 of the simulator
    ] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        let mut ack = desk.report(a, 0, ExecType::New);
        ack.transact_time_ns = 10;
        desk.take(&ack);
        desk.take(&trade_report(&desk, a, "X1", 1, 100));
        let mut aside = desk.report(a, 0, word);
        aside.transact_time_ns = 20;
        assert_eq!(desk.take(&aside), Disposition::Applied);
        assert_eq!(desk.take(&aside), Disposition::Stale);
        assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (status, e9(4)));
        assert_eq!(desk.take(&ack), Disposition::Stale, "the first ack again renews nothing");
        let late = desk.take(&trade_report(&desk, a, "X2", 1, 100));
        assert_eq!(late == Disposition::Late, word == ExecType::DoneForDay);
        assert_eq!(desk.status(a), status, "a part fill keeps it");
        desk.cancel("c", "a");
        assert_eq!(desk.status(a), OrdStatus::PendingCancel);
        desk.tell(a, 1, ExecType::CancelRejected);
        assert_eq!(desk.status(a), status, "what was is restored");
        let mut renewal = ack;
        renewal.transact_time_ns = 30;
        assert_eq!(desk.take(&renewal), Disposition::Applied);
        assert_eq!(desk.status(a), OrdStatus::PartiallyFilled);
        assert_eq!(desk.take(&renewal), Disposition::Stale);
        aside.transact_time_ns = 40;
        assert_eq!(desk.take(&aside), Disposition::Applied, "a newer word");
        desk.take(&trade_report(&desk, a, "X3", 3, 100));
        let done = word == ExecType::DoneForDay;
        assert_eq!(desk.status(a), if done { status } else { OrdStatus::Filled });
        assert_eq!(desk.engine.row(1, ES).open_qty().0, 0);
        desk.tell(a, 0, end);
        assert_eq!(desk.status(a), OrdStatus::Filled, "the end is that of its last fill");
        closing(&desk);
    }
}

#[test]
fn corner_26_a_copy_of_the_word_that_set_an_order_aside_changes_nothing_behind_its_renewal() {
    for word in [ExecType::Suspended, ExecType::Stopped, ExecType::DoneForDay] {
        for renewed_by in [ExecType::New, ExecType::OrderStatus, ExecType::Restated] {
            let mut desk = TestDesk::open();
            let a = desk.place("a", Side::Buy, 5, e9(100));
            desk.tell(a, 0, ExecType::New);
            let mut aside = desk.report(a, 0, word);
            aside.transact_time_ns = 20;
            assert_eq!(desk.take(&aside), Disposition::Applied);
            let mut renewal = desk.report(a, 0, renewed_by);
            (renewal.transact_time_ns, renewal.ord_status) = (30, OrdStatus::New as u8);
            assert_eq!(desk.take(&renewal), Disposition::Applied, "{renewed_by:?}");
            assert_eq!(desk.status(a), OrdStatus::New);
            for flags in [0, REPORT_POSS_DUP, REPORT_POSS_RESEND] {
                aside.flags = flags;
                assert_eq!(desk.take(&aside), Disposition::Stale, "{word:?} {renewed_by:?}");
                assert_eq!(desk.status(a), OrdStatus::New, "it was told before the renewal");
            }
            desk.take(&trade_report(&desk, a, "X1", 5, 100));
            assert_eq!(desk.status(a), OrdStatus::Filled, "on a day that it is not done for");
            closing(&desk);
        }
    }
}

#[test]
fn corner_26_an_expiry_ends_an_order_whose_cancel_is_on_its_way() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 1, 100));
    desk.cancel("c", "a");
    assert_eq!(desk.tell(a, 0, ExecType::Expired), Disposition::Applied);
    assert_eq!(desk.status(a), OrdStatus::Expired);
    assert_eq!(desk.tell(a, 1, ExecType::Canceled), Disposition::Stale);
    closing(&desk);
}

#[test]
fn corner_26_a_restatement_is_the_venues_terms_and_may_end_or_reopen_an_order() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    let mut r = desk.report(a, 0, ExecType::Restated);
    (r.last_qty, r.last_px, r.leaves_qty) = (e9(3), e9(99), e9(3));
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!(desk.take(&r), Disposition::Stale);
    assert_eq!((desk.order(a).order_qty, desk.order(a).price), (e9(3), e9(99)));
    assert_eq!(desk.engine.row(1, ES).open_points().0, points(99, 3));
    closing(&desk);
    desk.tell(a, 0, ExecType::Canceled);
    (r.last_qty, r.leaves_qty, r.ord_status) = (e9(4), e9(4), OrdStatus::New as u8);
    assert_eq!(desk.take(&r), Disposition::Late, "the venue still works it");
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::New, e9(4)));
    r.ord_status = OrdStatus::Canceled as u8; // 378: canceled by the venue
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::Canceled, 0));
    (r.ord_status, r.last_px) = (0, -1);
    assert_eq!(desk.take(&r), Disposition::Malformed);
    closing(&desk);
}

#[test]
fn corner_20_an_accepted_replace_to_more_reopens_what_the_venue_had_called_filled() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 5, 100));
    assert_eq!(desk.status(a), OrdStatus::Filled);
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.replace("r", "a", 8, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 5, 100));
    let mut found = desk.report(a, 0, ExecType::OrderStatus);
    (found.ord_status, found.cum_qty, found.flags) =
        (OrdStatus::Filled as u8, e9(5), REPORT_QUERIED);
    desk.take(&found);
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::Filled, 0));
    assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Late);
    assert_eq!(desk.status(a), OrdStatus::PartiallyFilled);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(3));
    closing(&desk);
}

#[test]
fn corner_27_the_proved_end_of_a_day_expires_day_orders_that_the_venue_had() {
    for proved in [0, 1] {
        let mut desk = TestDesk::open();
        let acked = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(acked, 0, ExecType::New);
        let unproved = desk.place("b", Side::Buy, 5, e9(100));
        let mut gtc = TestDesk::new_order("c", Side::Buy, 5, e9(100));
        gtc.time_in_force = TimeInForce::Gtc as u8;
        desk.submit(&gtc);
        let kept = desk.sent.0.last().unwrap().header.order_seq;
        desk.tell(kept, 0, ExecType::DoneForDay);
        let mut day = DayChange::ZERO;
        (day.header.kind, day.venue_id, day.proved) = (DayChange::KIND, 1, proved);
        desk.fact(day);
        let ended = if proved == 1 { OrdStatus::Expired } else { OrdStatus::New };
        assert_eq!(desk.status(acked), ended);
        assert_eq!(desk.status(unproved), OrdStatus::PendingNew, "its reserve stays");
        assert_eq!(desk.status(kept), OrdStatus::DoneForDay);
        closing(&desk);
    }
}

#[test]
fn calculated_goes_before_filled_and_pending_new_proves_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    assert_eq!(desk.tell(a, 0, ExecType::PendingNew), Disposition::Stale);
    assert_eq!(desk.status(a), OrdStatus::PendingNew);
    desk.take(&trade_report(&desk, a, "X1", 4, 100));
    assert_eq!(desk.tell(a, 0, ExecType::Calculated), Disposition::Applied);
    desk.take(&trade_report(&desk, a, "X2", 1, 100));
    assert_eq!((desk.status(a), desk.order(a).cum_qty), (OrdStatus::Calculated, e9(5)));
    closing(&desk);
}

#[test]
fn corner_7_the_memory_of_fills_is_let_go_by_day_and_orders_are_taken_again() {
    let mut desk = TestDesk::with(engine::EngineConfig { fills_max: 64, ..small_config() });
    let a = desk.place("a", Side::Buy, 90, e9(100));
    let mut n = 0;
    while desk.submit(&TestDesk::new_order(&format!("n{n}"), Side::Buy, 1, e9(100)))
        != Verdict::ReportTableFull
    {
        desk.take(&trade_report(&desk, a, &format!("X{n}"), 1, 100));
        n += 1;
        assert!(n < 64);
        desk.now_ns += ONE;
        desk.quote(ES, e9(100), e9(100) + ONE / 4);
    }
    desk.tell(a, 0, ExecType::Canceled);
    desk.now_ns += 7 * DAY_NS;
    let mut day = DayChange::ZERO;
    (day.header.kind, day.venue_id, day.trade_day, day.opened) = (DayChange::KIND, 1, 9, 1);
    desk.fact(day);
    desk.quote(ES, e9(100), e9(100) + ONE / 4);
    let again = TestDesk::new_order("again", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&again), Verdict::Accepted);
    assert_eq!(money(&desk).0, n);
    closing(&desk);
}

#[test]
fn a_reference_to_another_report_is_dropped() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.take(&trade_report(&desk, a, "X1", 2, 100));
    let mut r = desk.report(a, 0, ExecType::TradeCancel);
    r.exec_id = text("B1");
    offer_ids(&mut desk, &r, |ids| ids.exec_ref_id = text("X1"));
    desk.take(&trade_report(&desk, a, "X2", 1, 100)); // another report of the venue takes the offer
    assert_eq!(desk.take(&r), Disposition::UnknownExec);
    let mut own = desk.report(a, 0, ExecType::TradeCancel);
    own.exec_id = text("X1"); // some venues bust under the fill's own id
    assert_eq!(desk.take(&own), Disposition::Applied);
    assert_eq!(desk.take(&own), Disposition::Duplicate);
    assert_eq!(money(&desk).0, 1);
    closing(&desk);
}

#[test]
fn corner_16_fills_of_the_new_quantity_before_the_answer_are_the_new_terms_fills() {
    let race = |fills: i64| {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(a, 0, ExecType::New);
        assert_eq!(desk.replace("r", "a", 8, e9(100) + ONE / 4), Verdict::Accepted);
        assert_eq!(desk.take(&trade_report(&desk, a, "X1", fills, 100)), Disposition::Applied);
        (desk, a)
    };
    let (mut desk, a) = race(8);
    assert_eq!(desk.status(a), OrdStatus::PendingReplace, "which goes before filled");
    assert_eq!(desk.engine.row(1, ES).open_qty().0, 0, "nothing is left by either terms");
    assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Applied);
    assert_eq!((desk.status(a), desk.order(a).order_qty), (OrdStatus::Filled, e9(8)));
    assert_eq!(text_of(&desk.engine.cl_ord_id(desk.order(a))), "r");
    assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Stale);
    closing(&desk);
    // Refused: what was filled beyond the old quantity is an overfill, and told as one (I9).
    for fills in [6, 8] {
        let (mut desk, a) = race(fills);
        assert_eq!(desk.tell(a, 1, ExecType::ReplaceRejected), Disposition::Overfill);
        assert_eq!((desk.status(a), desk.order(a).order_qty), (OrdStatus::Filled, e9(5)));
        assert_eq!(desk.tell(a, 1, ExecType::ReplaceRejected), Disposition::Stale);
        assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Stale, "it was refused");
        closing(&desk);
    }
    // Ended with the answer lost: an overfill, unless the end comes under the replace's own id.
    for (end, ended) in [
        (ExecType::Canceled, OrdStatus::Canceled),
        (ExecType::Expired, OrdStatus::Expired),
        (ExecType::OrderStatus, OrdStatus::Filled),
    ] {
        for revision in [0, 1] {
            let (mut desk, a) = race(6);
            let mut r = desk.report(a, revision, end);
            (r.ord_status, r.cum_qty) = (OrdStatus::Filled as u8, e9(6));
            let held = revision == 1;
            let taken = if held { Disposition::Applied } else { Disposition::Overfill };
            assert_eq!(desk.take(&r), taken, "{end:?} {revision}");
            assert_eq!(desk.status(a), ended);
            assert_eq!(desk.order(a).order_qty, e9(if held { 8 } else { 5 }));
            closing(&desk);
        }
    }
}

#[test]
fn corner_20_a_replace_that_was_refused_reopens_nothing_when_it_is_told_accepted_later() {
    for answer in [ExecType::ReplaceRejected, ExecType::OrderStatus] {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 5, e9(100));
        desk.tell(a, 0, ExecType::New);
        desk.replace("r", "a", 8, e9(100));
        if answer == ExecType::OrderStatus {
            desk.lost(a); // asked by its old id, the venue has it without the replace
        }
        let mut r = desk.report(a, u16::from(answer == ExecType::ReplaceRejected), answer);
        r.ord_status = OrdStatus::New as u8;
        assert_eq!(desk.take(&r), Disposition::Applied);
        desk.take(&trade_report(&desk, a, "X1", 5, 100));
        assert_eq!(desk.status(a), OrdStatus::Filled);
        assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Stale);
        assert_eq!((desk.status(a), desk.order(a).order_qty), (OrdStatus::Filled, e9(5)));
        assert_eq!(desk.engine.row(1, ES).open_qty().0, 0);
        closing(&desk);
    }
}

#[test]
fn corner_37_under_halt_a_direct_cancel_closes_a_parent_as_the_sweep_does_since_nothing_leaves() {
    let mut desk = TestDesk::open();
    let mut parents = Vec::new();
    for n in 0..40 {
        // More than one sweep takes, so that a direct cancel comes before it.
        parents.push(parent(&mut desk, &format!("p{n}"), 10));
    }
    let (c, sent) = (child(&mut desk, "c", parents[39], 4), desk.sent.0.len());
    desk.tell(c, 0, ExecType::New);
    desk.kill(Scope::Desk, 0, KillMode::Halt);
    assert_eq!(desk.status(parents[0]), OrdStatus::Canceled, "by the sweep");
    assert_eq!(desk.status(parents[39]), OrdStatus::New);
    assert_eq!(desk.cancel("x", "p39"), Verdict::Accepted);
    assert_eq!(desk.cancel("y", "c"), Verdict::Killed, "a cancel of a child would leave");
    assert!(parents.iter().all(|&p| desk.status(p) == OrdStatus::Canceled));
    assert_eq!((desk.status(c), desk.sent.0.len()), (OrdStatus::New, sent));
    closing(&desk);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    assert_eq!(desk.status(c), OrdStatus::PendingCancel, "asked for as soon as one may leave");
    closing(&desk);
}

#[test]
fn corner_36_a_venue_whose_answers_never_agree_is_asked_once_for_each_sum_it_tells() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    let asked = |desk: &TestDesk| {
        desk.sent.0.iter().filter(|r| r.msg_type == MsgType::OrderStatus as u8).count()
    };
    let mut known = trade_report(&desk, a, "X1", 2, 100);
    known.cum_qty = e9(2);
    desk.take(&known);
    let mut answer = desk.report(a, 0, ExecType::OrderStatus);
    (answer.ord_status, answer.cum_qty) = (OrdStatus::PartiallyFilled as u8, e9(5));
    desk.take(&answer);
    desk.time();
    assert_eq!(asked(&desk), 1);
    // The venue tells all it has again, which is what we know, and sums that it cannot account for.
    known.flags = REPORT_POSS_DUP;
    for _ in 0..5 {
        assert_eq!(desk.take(&known), Disposition::Duplicate);
        desk.take(&answer);
        desk.time();
    }
    assert_eq!(asked(&desk), 1, "the same answer is no news");
    let mut more = trade_report(&desk, a, "X3", 1, 100);
    more.cum_qty = e9(6);
    desk.take(&more);
    desk.time();
    assert_eq!(asked(&desk), 2, "another sum is");
    // It takes its word back, and loses a fill later: that is a new gap, though its sum is smaller.
    answer.cum_qty = e9(3);
    desk.take(&answer);
    desk.time();
    more = trade_report(&desk, a, "X5", 1, 100);
    more.cum_qty = e9(5);
    desk.take(&more);
    desk.time();
    assert_eq!(asked(&desk), 3);
    closing(&desk);
}

/// The venue CME from now on with an account that adopts, 0 for none.
fn adopting(desk: &mut TestDesk, account_id: u32) {
    let rule = ReplaceRule::InFlightCounted as u8;
    desk.fact(definition(Entity::Venue, "CME", account_id, rule));
}

/// What the venue says of an order that is not ours: a buy of 10 at 100.
fn foreign(id: &str) -> ForeignOrder {
    let mut f = ForeignOrder::ZERO;
    (f.header.kind, f.street_id, f.venue_id) = (ForeignOrder::KIND, text(id), 1);
    (f.instrument_id, f.side, f.ord_type) = (ES, Side::Buy as u8, OrdType::Limit as u8);
    (f.time_in_force, f.price, f.order_qty) = (TimeInForce::Gtc as u8, e9(100), e9(10));
    f
}

/// A report of an order under the venue's own id.
fn word(id: &str, exec_type: ExecType, status: OrdStatus) -> ExecutionReport {
    let mut r = ExecutionReport::ZERO;
    (r.header.kind, r.street_id, r.venue_id) = (ExecutionReport::KIND, text(id), 1);
    (r.exec_type, r.ord_status) = (exec_type as u8, status as u8);
    r
}

fn found(desk: &mut TestDesk, f: &ForeignOrder, r: &ExecutionReport) -> Disposition {
    assert_eq!(desk.step(f.as_record()), Verdict::Accepted);
    desk.take(r)
}

#[test]
fn corner_33_an_order_found_at_the_venue_is_flagged_unless_its_venue_adopts_by_word() {
    let mut desk = TestDesk::open();
    let mut fill = word("SCREEN-1", ExecType::Trade, OrdStatus::PartiallyFilled);
    (fill.exec_id, fill.last_qty, fill.last_px, fill.cum_qty) = (text("L1"), e9(3), e9(99), e9(3));
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &fill), Disposition::UnknownOrder);
    let told = |desk: &TestDesk| {
        let told = desk.log.records.iter().filter_map(ForeignOrder::from_record);
        told.map(|f| (f.header.order_seq, f.account_id)).collect::<Vec<_>>()
    };
    assert_eq!(told(&desk), [(0, 0)], "seen, with instrument and side, and nothing booked");
    assert_eq!((money(&desk).0, desk.engine.live_count()), (0, 0));
    closing(&desk);

    adopting(&mut desk, 2);
    let status = word("SCREEN-1", ExecType::OrderStatus, OrdStatus::PartiallyFilled);
    assert_eq!(desk.take(&status), Disposition::UnknownOrder, "a report alone says too little");
    assert_eq!(found(&mut desk, &foreign("OTHER"), &status), Disposition::UnknownOrder);
    let queried = ExecutionReport { cum_qty: e9(3), flags: REPORT_QUERIED, ..status };
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &queried), Disposition::Gap);
    let (seq, account_id) = *told(&desk).last().unwrap();
    assert_eq!(account_id, 2);
    assert_eq!(desk.engine.row(2, ES).open_qty().0, e9(10), "its reserve");
    desk.time();
    let asked = desk.sent.0.last().unwrap();
    assert_eq!(
        (asked.msg_type, text_of(&asked.street_id)),
        (MsgType::OrderStatus as u8, "SCREEN-1")
    );
    // The same fill by stream, by drop copy and by poll: once.
    let mut copy = ExecutionReport { flags: REPORT_DROP_COPY, ..fill };
    copy.exec_id = text("DC-9");
    for (r, taken) in [(fill, Disposition::Applied), (copy, Disposition::Reconciled)] {
        offer_ids(&mut desk, &r, |ids| ids.trd_match_id = text("M9"));
        assert_eq!(desk.take(&r), taken);
    }
    let polled = ExecutionReport { flags: REPORT_QUERIED | REPORT_POSS_DUP, ..fill };
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &polled), Disposition::Duplicate);
    assert_eq!(desk.engine.position(2, ES).net_qty, e9(3));
    assert_eq!(desk.status(seq), OrdStatus::PartiallyFilled);
    closing(&desk);

    desk.kill(Scope::Account, 2, KillMode::CancelOnly);
    let cancel = *desk.sent.0.last().unwrap();
    assert_eq!((cancel.msg_type, cancel.header.order_seq), (MsgType::Cancel as u8, seq));
    assert_eq!(text_of(&cancel.orig_street_id), "SCREEN-1", "by the id the venue knows");
    let mut gone = word("", ExecType::Canceled, OrdStatus::Canceled);
    gone.street_id = cancel.street_id;
    assert_eq!(desk.take(&gone), Disposition::Applied);
    assert_eq!((desk.status(seq), desk.engine.row(2, ES).open_qty().0), (OrdStatus::Canceled, 0));
    // Found while its account is killed: adopted, and canceled at once.
    let new = word("SCREEN-2", ExecType::New, OrdStatus::New);
    assert_eq!(found(&mut desk, &foreign("SCREEN-2"), &new), Disposition::Applied);
    desk.time();
    assert_eq!(text_of(&desk.sent.0.last().unwrap().orig_street_id), "SCREEN-2");
    closing(&desk);
}

#[test]
fn corner_33_an_order_found_without_a_price_reserves_on_the_tick_and_rests_over_the_day() {
    let mut desk = TestDesk::open();
    adopting(&mut desk, 1);
    desk.quote(ES, e9(100), e9(101)); // its band ends at 111.1, between two ticks
    let mut order = foreign("SCREEN-1");
    (order.ord_type, order.price) = (OrdType::Market as u8, 0);
    let new = word("SCREEN-1", ExecType::New, OrdStatus::New);
    assert_eq!(found(&mut desk, &order, &new), Disposition::Applied);
    let seq = desk.last_report().header.order_seq;
    assert_eq!(desk.order(seq).price, e9(111), "as a market order of ours");
    let mut day = DayChange::ZERO;
    (day.header.kind, day.venue_id, day.trade_day, day.opened) = (DayChange::KIND, 1, 100, 1);
    desk.fact(day);
    assert_eq!(desk.status(seq), OrdStatus::New, "no price of its own is off the tick");
    closing(&desk);
}

#[test]
fn an_order_found_at_the_venue_is_no_order_of_an_account_that_hedges() {
    let mut desk = TestDesk::open();
    let mut account = definition(Entity::Account, "A1", 0, AccountLevel::Account as u8);
    account.flags = ACCOUNT_HEDGING;
    desk.fact(account);
    adopting(&mut desk, 1);
    let mut fill = word("SCREEN-1", ExecType::Trade, OrdStatus::PartiallyFilled);
    (fill.exec_id, fill.last_qty, fill.last_px, fill.cum_qty) = (text("L1"), e9(3), e9(99), e9(3));
    assert_eq!(found(&mut desk, &foreign("SCREEN-1"), &fill), Disposition::UnknownOrder);
    assert_eq!(desk.engine.live_count(), 0);
    closing(&desk);
}

#[test]
fn corner_33_a_liquidation_without_an_order_of_ours_is_booked_under_adopt_alone_and_ends_there() {
    let mut desk = TestDesk::open();
    adopting(&mut desk, 1);
    let mut order = foreign("ADL-77");
    (order.ord_type, order.price, order.side) = (OrdType::Market as u8, 0, Side::Sell as u8);
    let mut fill = word("ADL-77", ExecType::Trade, OrdStatus::Filled);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("L1"), e9(10), e9(98));
    assert_eq!(found(&mut desk, &order, &fill), Disposition::Applied);
    assert_eq!(money(&desk), (-10, points(98, -10), 0));
    assert_eq!((desk.engine.live_count(), desk.engine.row(1, ES).open_qty().1), (0, 0));
    assert_eq!(found(&mut desk, &order, &fill), Disposition::Duplicate);
    // A bust of it finds it by the venue's own id too.
    let mut bust = word("ADL-77", ExecType::TradeCancel, OrdStatus::Canceled);
    bust.exec_id = text("L1");
    assert_eq!(desk.take(&bust), Disposition::Late);
    assert_eq!(money(&desk).0, 0);
    // What is over, or makes no sense, is flagged and never adopted.
    let end = word("ADL-78", ExecType::Canceled, OrdStatus::Canceled);
    assert_eq!(found(&mut desk, &foreign("ADL-78"), &end), Disposition::UnknownOrder);
    let new = word("ADL-79", ExecType::New, OrdStatus::New);
    for spoil in [
        |f: &mut ForeignOrder| f.order_qty = 0,
        |f: &mut ForeignOrder| f.side = 9,
        |f: &mut ForeignOrder| f.instrument_id = 3,
        |f: &mut ForeignOrder| f.instrument_id = u32::MAX,
        |f: &mut ForeignOrder| f.price = -1,
        |f: &mut ForeignOrder| (f.price, f.order_qty) = (i64::MAX, i64::MAX),
        |f: &mut ForeignOrder| f.ord_type = 0,
    ] {
        let mut order = foreign("ADL-79");
        spoil(&mut order);
        assert_eq!(found(&mut desk, &order, &new), Disposition::UnknownOrder, "{order:?}");
        closing(&desk);
    }
    let nameless = word("", ExecType::New, OrdStatus::New);
    assert_eq!(found(&mut desk, &foreign(""), &nameless), Disposition::UnknownOrder);
    closing(&desk);
}

#[test]
fn corner_33_what_is_only_flagged_says_why_and_a_full_id_table_is_no_policy() {
    let mut desk = TestDesk::with(EngineConfig { ids_max: 16, ..small_config() });
    let told = |desk: &mut TestDesk, order: &ForeignOrder, exec_type, status| {
        found(desk, order, &word(text_of(&order.street_id), exec_type, status));
        let last = desk.log.records.iter().rev().find_map(ForeignOrder::from_record).unwrap();
        assert_eq!(last.header.order_seq == 0, last.verdict != 0);
        Verdict::from_code(last.verdict).unwrap()
    };
    let live = (ExecType::New, OrdStatus::New);
    assert_eq!(told(&mut desk, &foreign("A"), live.0, live.1), Verdict::AccountUnknown, "nobody's");
    adopting(&mut desk, 1);
    let gone = (ExecType::Canceled, OrdStatus::Canceled);
    assert_eq!(told(&mut desk, &foreign("A"), gone.0, gone.1), Verdict::OrderClosed);
    let free = ForeignOrder { price: -1, ..foreign("A") };
    assert_eq!(told(&mut desk, &free, live.0, live.1), Verdict::PriceNotPositive);
    assert_eq!(told(&mut desk, &foreign("A"), live.0, live.1), Verdict::Accepted);
    let mut taken = 0..;
    let mut place = |desk: &mut TestDesk| {
        let id = format!("o{}", taken.next().unwrap());
        desk.submit(&TestDesk::new_order(&id, Side::Buy, 1, e9(100)))
    };
    while place(&mut desk) != Verdict::IdTableFull {}
    assert_eq!(
        told(&mut desk, &foreign("B"), gone.0, gone.1),
        Verdict::OrderClosed,
        "first of all"
    );
    assert_eq!(told(&mut desk, &foreign("B"), live.0, live.1), Verdict::IdTableFull);
    closing(&desk);
}

#[test]
fn corner_26_the_reason_of_a_restatement_says_what_it_does() {
    let restate =
        |desk: &mut TestDesk, seq, reason: RestatementReason, f: fn(&mut ExecutionReport)| {
            let mut r = desk.report(seq, 0, ExecType::Restated);
            r.exec_id = text("R1");
            f(&mut r);
            offer_ids(desk, &r, |ids| ids.restatement_reason = reason as u8);
            let taken = desk.take(&r);
            let event = desk.log.records.iter().rev().find_map(ExecRef::from_record).unwrap();
            assert_eq!(event.restatement_reason, reason as u8, "told in the log");
            taken
        };
    let live = |fill: i64| {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 9, e9(100));
        desk.tell(a, 0, ExecType::New);
        if fill > 0 {
            desk.take(&trade_report(&desk, a, "X1", fill, 100));
        }
        (desk, a)
    };
    // Part of the quantity is declined: by OrderQty where told, else by what the venue still counts.
    for told in [0, 6] {
        let (mut desk, a) = live(2);
        let f: fn(&mut ExecutionReport) = match told {
            0 => |r| (r.cum_qty, r.leaves_qty) = (e9(2), e9(4)),
            _ => |r| (r.last_qty, r.leaves_qty) = (e9(6), e9(4)),
        };
        let reason = RestatementReason::QtyDecline;
        assert_eq!(restate(&mut desk, a, reason, f), Disposition::Applied);
        assert_eq!((desk.order(a).order_qty, desk.engine.row(1, ES).open_qty().0), (e9(6), e9(4)));
        let more = restate(&mut desk, a, reason, |r| r.last_qty = e9(7));
        assert_eq!(more, Disposition::Malformed, "a decline adds nothing");
        assert_eq!(restate(&mut desk, a, reason, |r| r.last_qty = e9(2)), Disposition::Applied);
        assert_eq!((desk.status(a), desk.order(a).order_qty), (OrdStatus::Filled, e9(2)));
        closing(&desk);
    }
    // A good-till order is renewed for its next day, whatever status the venue forgets to tell.
    let (mut desk, a) = live(2);
    desk.tell(a, 0, ExecType::DoneForDay);
    assert_eq!(restate(&mut desk, a, RestatementReason::Repricing, |_| {}), Disposition::Stale);
    assert_eq!(desk.status(a), OrdStatus::DoneForDay);
    let renewal = RestatementReason::GtRenewal;
    assert_eq!(restate(&mut desk, a, renewal, |_| {}), Disposition::Applied);
    assert_eq!(desk.status(a), OrdStatus::PartiallyFilled);
    assert_eq!(restate(&mut desk, a, renewal, |_| {}), Disposition::Stale);
    closing(&desk);
    // A cancel told as a restatement, and a venue's own number, of which the terms count.
    let (mut desk, a) = live(2);
    let repriced = restate(&mut desk, a, RestatementReason::Repricing, |r| r.last_px = e9(99));
    assert_eq!((repriced, desk.order(a).price), (Disposition::Applied, e9(99)));
    let halt = RestatementReason::TradingHalt;
    assert_eq!(restate(&mut desk, a, halt, |_| {}), Disposition::Applied);
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::Canceled, 0));
    closing(&desk);
    let (mut desk, a) = live(0);
    let mut r = desk.report(a, 0, ExecType::Restated);
    (r.exec_id, r.last_qty, r.leaves_qty) = (text("R9"), e9(4), e9(4));
    offer_ids(&mut desk, &r, |ids| ids.restatement_reason = 106);
    assert_eq!((desk.take(&r), desk.order(a).order_qty), (Disposition::Applied, e9(4)));
    closing(&desk);
}

#[test]
fn a_trade_told_of_an_order_still_held_here_is_flagged_and_ends_no_engine() {
    let mut desk = TestDesk::open();
    let mut stop = TestDesk::new_order("h", Side::Buy, 5, 0);
    stop.ord_type = OrdType::Stop as u8;
    let mut terms = common::offer();
    terms.stop_px = e9(105);
    assert_eq!(desk.submit_terms(&terms, &stop), Verdict::Accepted);
    let held = desk.newest();
    assert_eq!(desk.take(&trade_report(&desk, held, "X1", 2, 100)), Disposition::OutsideTable);
    assert_eq!(bust(&mut desk, held, "B1", "X1", 5), Disposition::UnknownExec);
    assert_eq!((desk.status(held), money(&desk).0), (OrdStatus::Held, 0));
    closing(&desk);
}

#[test]
fn quantities_of_a_venue_that_no_sum_could_hold_are_malformed_and_leave_every_sum_whole() {
    let mut desk = TestDesk::open();
    let (a, b) = (desk.place("a", Side::Buy, 5, e9(100)), desk.place("b", Side::Buy, 5, e9(100)));
    for seq in [a, b] {
        desk.tell(seq, 0, ExecType::New);
        let mut r = desk.report(seq, 0, ExecType::Restated);
        (r.last_qty, r.last_px) = (i64::MAX, 1);
        assert_eq!(desk.take(&r), Disposition::Malformed);
        let one = ExecutionReport { last_qty: 1, ..trade_report(&desk, seq, "X", 1, 100) };
        assert_eq!(desk.take(&one), Disposition::Applied);
        let mut fill = trade_report(&desk, seq, "Y", 1, 100);
        (fill.last_qty, fill.last_px) = (i64::MAX, 1); // beyond what is filled already
        assert_eq!(desk.take(&fill), Disposition::Malformed);
        closing(&desk);
    }
    // What is large and still fits is the venue's word, twice over and back.
    for seq in [a, b] {
        let mut r = desk.report(seq, 0, ExecType::Restated);
        (r.last_qty, r.last_px) = ((1 << 60) + 2, 1);
        let fits = seq == a;
        let taken = if fits { Disposition::Applied } else { Disposition::Malformed };
        assert_eq!(desk.take(&r), taken);
    }
    desk.tell(a, 0, ExecType::Canceled);
    desk.tell(b, 0, ExecType::Canceled);
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    closing(&desk);
}

#[test]
fn a_restatement_below_what_is_filled_is_amended_to_it_live_or_filled() {
    for filled in [3, 4] {
        let mut desk = TestDesk::open();
        let seq = desk.place("a", Side::Buy, 4, e9(100));
        desk.fill(seq, filled, e9(100));
        let mut r = desk.report(seq, 0, ExecType::Restated);
        r.last_qty = e9(1);
        desk.take(&r);
        let order = desk.engine.order(seq).unwrap();
        assert_eq!((order.order_qty, order.cum_qty), (e9(filled), e9(filled)), "I9");
        assert_eq!(order.ord_status(), OrdStatus::Filled);
        closing(&desk);
    }
}

#[test]
fn a_fill_that_takes_a_short_position_to_the_last_number_there_is_is_malformed() {
    let mut desk = TestDesk::open();
    let seq = desk.place("s", Side::Sell, 5, e9(100));
    let one = trade_report(&desk, seq, "X1", 1, 100);
    assert_eq!(desk.take(&ExecutionReport { last_qty: 1, ..one }), Disposition::Applied);
    let mut rest = trade_report(&desk, seq, "X2", 1, 100);
    (rest.last_qty, rest.last_px) = (i64::MAX, 1); // -1 - i64::MAX is i64::MIN
    assert_eq!(desk.take(&rest), Disposition::Malformed);
    closing(&desk);
}

#[derive(Clone, Debug)]
struct Fact {
    order: usize,
    qty: i64,
    px: i64,
    end: u8, // 0 keeps the fill, 1 busts it, 2 corrects it
    other: i64,
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (0usize..3, 1i64..5, 90i64..110, 0u8..4, 1i64..6)
        .prop_map(|(order, qty, px, end, other)| Fact { order, qty, px, end, other });
    prop::collection::vec(fact, 1..14)
}

/// Tells the facts, each order's in its order, orders interleaved by `mix`, each told `times` times.
fn told(facts: &[Fact], mix: &[u8], times: usize) -> TestDesk {
    let mut desk = TestDesk::open();
    let orders = [
        desk.place("a", Side::Buy, 60, e9(100)),
        desk.place("b", Side::Sell, 60, e9(100)),
        desk.place("c", Side::Buy, 60, e9(100)),
    ];
    let mut queues: [Vec<(usize, bool)>; 3] = Default::default();
    for (n, fact) in facts.iter().enumerate() {
        queues[fact.order].push((n, false));
    }
    for (n, fact) in facts.iter().enumerate() {
        if fact.end == 1 || fact.end == 2 {
            queues[fact.order].push((n, true));
        }
    }
    queues.iter_mut().for_each(|q| q.reverse());
    let mut turn = mix.iter().cycle();
    while queues.iter().any(|q| !q.is_empty()) {
        let at = *turn.next().unwrap() as usize % 3;
        let at = (at..at + 3).map(|i| i % 3).find(|&i| !queues[i].is_empty()).unwrap();
        let (n, end) = queues[at].pop().unwrap();
        let fact = &facts[n];
        for _ in 0..times {
            if end {
                let new = (fact.end == 2).then_some((fact.other, fact.px - 1));
                let ids = (format!("B{n}"), format!("X{n}"));
                amend(&mut desk, orders[at], &ids.0, &ids.1, new, 9);
            } else {
                let r = trade_report(&desk, orders[at], &format!("X{n}"), fact.qty, fact.px);
                desk.take(&r);
            }
        }
    }
    desk
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// I13, I23: fills, busts and corrects in any interleaving, each doubled: the same orders, net and
    /// total PnL; the folds are those of the fills that remain; a replay is equal.
    #[test]
    fn any_interleaving_and_doubling_of_fills_busts_and_corrects_gives_the_same_totals(
        facts in facts(), mix in prop::collection::vec(any::<u8>(), 3..20)
    ) {
        let (mut net, mut cash) = (0, 0i128);
        for fact in &facts {
            let (qty, px) = match fact.end { 1 => (0, 0), 2 => (fact.other, fact.px - 1), _ => (fact.qty, fact.px) };
            let signed = if fact.order == 1 { -qty } else { qty };
            net += signed;
            cash -= points(px, signed);
        }
        for (mix, times) in [(&[0u8, 1, 2][..], 1), (&mix[..], 1), (&mix[..], 2)] {
            let desk = told(&facts, mix, times);
            let (now, cost, realised) = money(&desk);
            prop_assert_eq!(now, net);
            prop_assert_eq!(realised - cost, cash, "total PnL");
            if net == 0 { prop_assert_eq!(cost, 0) }
            closing(&desk);
        }
    }
}

#[test]
fn i23_an_opening_balance_costs_its_price_and_is_no_profit() {
    let mut desk = TestDesk::open();
    let mut balance = PositionAdjusted::ZERO;
    balance.header.kind = PositionAdjusted::KIND;
    (balance.account_id, balance.instrument_id) = (1, ES);
    (balance.net_qty, balance.price) = (e9(5), e9(100));
    desk.fact(balance);
    let position = desk.engine.position(1, ES);
    assert_eq!((position.net_qty, position.open_cost), (e9(5), points(100, 5)));
    assert_eq!((position.realised, position.fees, position.traded_qty), (0, 0, (0, 0)));
    let a = desk.place("a", Side::Sell, 5, e9(103));
    desk.fill(a, 5, e9(103));
    let position = desk.engine.position(1, ES);
    assert_eq!((position.net_qty, position.open_cost), (0, 0));
    assert_eq!(position.realised, points(3, 5));
    closing(&desk);
}

/// A desk whose venue tells a correction by the end of its exec id, with a good-till-cancel buy of
/// ten.
fn versioned() -> (TestDesk, u64) {
    let mut desk = TestDesk::open();
    let mut venue = definition(Entity::Venue, "CME", 0, ReplaceRule::InFlightCounted as u8);
    venue.flags = VENUE_EXEC_ID_VERSIONS;
    desk.fact(venue);
    let a = gtc(&mut desk, "a", 10);
    desk.tell(a, 0, ExecType::New);
    (desk, a)
}

/// A trade of the venue that was just taken, as the log has it: the report and the execution it
/// amends.
fn logged(desk: &TestDesk) -> (ExecType, String) {
    let report = ExecType::from_code(desk.last_report().exec_type).unwrap();
    let at = desk.log.records.iter().rposition(|r| r.header.kind == ExecutionReport::KIND).unwrap();
    let ids = at.checked_sub(1).and_then(|at| ExecRef::from_record(&desk.log.records[at]));
    (report, ids.map_or(String::new(), |ids| text_of(&ids.exec_ref_id).to_string()))
}

#[test]
fn corner_25_a_trade_under_the_next_version_of_its_id_is_a_correction_of_the_first() {
    let (mut desk, a) = versioned();
    let trade = |desk: &TestDesk, version: &str, qty, px| {
        trade_report(desk, a, &format!("f4e8.5b.{version}"), qty, px)
    };
    let first = trade(&desk, "01.01", 4, 100);
    assert_eq!(desk.take(&first), Disposition::Applied);
    desk.take(&trade(&desk, "02.01", 1, 100)); // another execution of the same family
    let second = trade(&desk, "01.02", 3, 101);
    assert_eq!(desk.take(&second), Disposition::Applied);
    assert_eq!(logged(&desk), (ExecType::TradeCorrect, "f4e8.5b.01.01".into()));
    assert_eq!(
        (desk.order(a).cum_qty, money(&desk)),
        (e9(4), (4, points(101, 3) + points(100, 1), 0))
    );
    // Each of the two again is known; the same version with other words is an alarm.
    assert_eq!(desk.take(&second), Disposition::Duplicate);
    assert_eq!(desk.take(&first), Disposition::Duplicate);
    assert_eq!(desk.take(&trade(&desk, "01.02", 2, 101)), Disposition::Conflict);
    assert_eq!(desk.take(&trade(&desk, "01.01", 2, 101)), Disposition::Conflict);
    // A correction of the correction, one that never came before it, and then that one.
    assert_eq!(desk.take(&trade(&desk, "01.04", 2, 102)), Disposition::Applied);
    assert_eq!(logged(&desk), (ExecType::TradeCorrect, "f4e8.5b.01.02".into()));
    assert_eq!(desk.take(&trade(&desk, "01.03", 9, 99)), Disposition::Stale);
    assert_eq!(logged(&desk).0, ExecType::Trade);
    assert_eq!(money(&desk), (3, points(102, 2) + points(100, 1), 0));
    // Whatever version a bust names, the fill is gone; and what never was is not corrected.
    assert_eq!(bust(&mut desk, a, "B1", "f4e8.5b.01.02", 9), Disposition::Applied);
    assert_eq!((desk.order(a).cum_qty, money(&desk)), (e9(1), (1, points(100, 1), 0)));
    assert_eq!(desk.take(&trade(&desk, "01.05", 2, 102)), Disposition::UnknownExec);
    assert_eq!(money(&desk).0, 1);
    closing(&desk);
}

#[test]
fn corner_25_a_version_that_comes_before_an_earlier_one_is_the_fill_and_the_earlier_one_is_stale() {
    let (mut desk, a) = versioned();
    let second = trade_report(&desk, a, "f4e8.01.02", 3, 101);
    let first = trade_report(&desk, a, "f4e8.01.01", 4, 100);
    let before = trade_report(&desk, a, "f4e8.01.00", 4, 100);
    assert_eq!(desk.take(&second), Disposition::Applied);
    assert_eq!(logged(&desk).0, ExecType::Trade);
    for late in [&first, &before, &first] {
        assert_eq!(desk.take(late), Disposition::Stale);
    }
    assert_eq!(desk.take(&second), Disposition::Duplicate);
    assert_eq!(money(&desk), (3, points(101, 3), 0));
    // The same words on another order, at another venue or of another day are no version of it.
    let b = desk.place("b", Side::Buy, 10, e9(100));
    assert_eq!(desk.take(&trade_report(&desk, b, "f4e8.01.01", 2, 100)), Disposition::Applied);
    let other = ExecutionReport { trade_day: 77, ..trade_report(&desk, a, "f4e8.01.00", 1, 100) };
    assert_eq!(desk.take(&other), Disposition::Applied);
    assert_eq!(money(&desk).0, 6);
    closing(&desk);
}

#[test]
fn corner_25_a_version_told_after_the_end_the_next_day_and_of_a_forgotten_order_corrects_it() {
    let (mut desk, a) = versioned();
    let mut day = DayChange::ZERO;
    (day.header.kind, day.venue_id, day.trade_day, day.opened) = (DayChange::KIND, 1, 20_000, 1);
    desk.fact(day);
    let told = |desk: &TestDesk, version: &str, qty| {
        let id = format!("f4e8.01.{version}");
        ExecutionReport { trade_day: 20_000, ..trade_report(desk, a, &id, qty, 100) }
    };
    desk.take(&told(&desk, "01", 10));
    assert_eq!(desk.status(a), OrdStatus::Filled);
    assert_eq!(desk.take(&told(&desk, "02", 8)), Disposition::Late, "its leaves are told as none");
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::Canceled, 0));
    assert_eq!(money(&desk).0, 8);
    day.trade_day += 1;
    desk.fact(day);
    // The day of the execution, told; and where none is told, the id alone.
    assert_eq!(desk.take(&told(&desk, "03", 7)), Disposition::Late);
    let undated = ExecutionReport { trade_day: 0, ..told(&desk, "04", 6) };
    assert_eq!(desk.take(&undated), Disposition::Late);
    assert_eq!(desk.take(&undated), Disposition::Duplicate);
    assert_eq!(money(&desk).0, 6);
    desk.forget(a);
    desk.now_ns += ONE;
    let late = told(&desk, "05", 5);
    assert_eq!(desk.take(&late), Disposition::Late);
    assert_eq!(desk.take(&late), Disposition::Duplicate);
    assert_eq!(desk.take(&told(&desk, "04", 5)), Disposition::Stale);
    assert_eq!(money(&desk).0, 5);
    desk.assert_replay_equals();
}

#[test]
fn corner_25_amendments_that_name_nothing_mean_the_version_before_their_own() {
    let (mut desk, a) = versioned();
    desk.take(&trade_report(&desk, a, "f4e8.01.01", 4, 100));
    let mut correct = trade_report(&desk, a, "f4e8.01.02", 3, 100);
    correct.exec_type = ExecType::TradeCorrect as u8;
    assert_eq!(desk.take(&correct), Disposition::Applied);
    assert_eq!(desk.take(&correct), Disposition::Duplicate);
    let mut bust = desk.report(a, 0, ExecType::TradeCancel);
    bust.exec_id = text("f4e8.01.03");
    assert_eq!(desk.take(&bust), Disposition::Applied);
    assert_eq!(desk.take(&bust), Disposition::Duplicate);
    assert_eq!(money(&desk).0, 0);
    closing(&desk);
}

#[test]
fn without_the_venues_word_the_end_of_an_id_says_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    for id in ["f4e8.01.02", "f4e8.01.01", "f4e8.01.03"] {
        assert_eq!(desk.take(&trade_report(&desk, a, id, 1, 100)), Disposition::Applied);
    }
    assert_eq!(money(&desk).0, 3);
    closing(&desk);
}

/// What the venue was asked about an order so far, after it has had the time to be.
fn asked(desk: &mut TestDesk, seq: u64) -> usize {
    desk.time();
    desk.sent_of(seq, MsgType::OrderStatus)
}

#[test]
fn corner_9_an_average_that_is_not_ours_is_a_break_and_the_dust_of_rounding_is_none() {
    // Two at 100 and one at 101 are 100.3333...; prices of this instrument have two decimals.
    let cases = [
        ("none told", 0, false),
        ("all nine decimals, cut", 100_333_333_333, false),
        ("all nine, rounded up", 100_333_333_334, false),
        ("two, cut", 100_330_000_000, false),
        ("two, rounded up", 100_340_000_000, false),
        ("four", 100_333_300_000, false),
        ("two, another", 100_350_000_000, true),
        ("four, another", 100_333_500_000, true),
        ("fewer than its prices have", 100_300_000_000, true),
        ("whole", e9(100), true),
        ("the largest number", i64::MAX, true),
        ("the smallest", i64::MIN, true),
        ("below zero", -1, true),
    ];
    for (case, avg_px, breaks) in cases {
        let mut desk = TestDesk::open();
        let a = desk.place("a", Side::Buy, 9, e9(101));
        desk.take(&trade_report(&desk, a, "X1", 2, 100));
        let second = ExecutionReport { cum_qty: e9(3), ..trade_report(&desk, a, "X2", 1, 101) };
        let flagged = desk.engine.counters().flagged;
        offer_ids(&mut desk, &second, |ids| ids.avg_px = avg_px);
        assert_eq!(desk.take(&second), Disposition::Applied, "{case}: booked all the same");
        assert_eq!(desk.order(a).cum_points, points(100, 2) + points(101, 1), "{case}");
        assert_eq!(asked(&mut desk, a), usize::from(breaks), "{case}");
        assert_eq!(desk.engine.counters().flagged - flagged, u64::from(breaks), "{case}");
        // The same word again is no news, another one is; a sum that differs says nothing of it.
        let mut word = desk.report(a, 0, ExecType::PendingNew);
        for (cum, avg_px, now) in [(3, avg_px, 0), (2, e9(7), 0), (3, e9(7), 1), (3, e9(7), 1)] {
            word.cum_qty = e9(cum);
            offer_ids(&mut desk, &word, |ids| ids.avg_px = avg_px);
            desk.take(&word);
            assert_eq!(asked(&mut desk, a), usize::from(breaks) + now, "{case}");
        }
        offer_ids(&mut desk, &word, |ids| ids.avg_px = 100_333_333_333);
        desk.take(&word);
        offer_ids(&mut desk, &word, |ids| ids.avg_px = e9(7));
        desk.take(&word);
        assert_eq!(asked(&mut desk, a), usize::from(breaks) + 2, "{case}: it agreed between");
        desk.tell(a, 0, ExecType::Canceled);
        closing(&desk);
    }
}

#[test]
fn corner_9_an_average_is_compared_after_a_correct_and_not_where_each_self_counts_its_own() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(101));
    desk.take(&trade_report(&desk, a, "X1", 2, 100));
    let mut correct = desk.report(a, 0, ExecType::TradeCorrect);
    (correct.exec_id, correct.last_qty, correct.last_px) = (text("C1"), e9(2), e9(101));
    correct.cum_qty = e9(2);
    offer_ids(&mut desk, &correct, |ids| (ids.exec_ref_id, ids.avg_px) = (text("X1"), e9(101)));
    assert_eq!(desk.take(&correct), Disposition::Applied);
    assert_eq!(asked(&mut desk, a), 0);
    closing(&desk);

    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Venue, "CME", 0, ReplaceRule::ModifyNew as u8));
    let a = desk.place("a", Side::Buy, 9, e9(101));
    desk.take(&trade_report(&desk, a, "X1", 2, 100));
    desk.replace("b", "a", 8, e9(101));
    desk.tell(a, 1, ExecType::New);
    let mut own = trade_report(&desk, a, "X2", 2, 101);
    (own.street_id, own.cum_qty) = (desk.report(a, 1, ExecType::Trade).street_id, e9(4));
    offer_ids(&mut desk, &own, |ids| ids.avg_px = e9(101));
    assert_eq!(desk.take(&own), Disposition::Applied);
    assert_eq!(asked(&mut desk, a), 0);
    closing(&desk);
}

#[test]
fn corner_2_an_answer_that_counts_less_than_we_have_is_asked_about_once_and_changes_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 9, e9(100));
    for id in ["X1", "X2", "X3"] {
        desk.take(&trade_report(&desk, a, id, 1, 100));
    }
    let mut answer = desk.report(a, 0, ExecType::OrderStatus);
    answer.ord_status = OrdStatus::PartiallyFilled as u8;
    let mut tell = |desk: &mut TestDesk, flags, cum, leaves| {
        (answer.flags, answer.cum_qty, answer.leaves_qty) = (flags, e9(cum), e9(leaves));
        assert_eq!(desk.take(&answer), Disposition::Stale);
        assert_eq!((desk.order(a).cum_qty, desk.status(a)), (e9(3), OrdStatus::PartiallyFilled));
        asked(desk, a)
    };
    assert_eq!(tell(&mut desk, 0, 1, 8), 0, "a word of its own may be old");
    assert_eq!(tell(&mut desk, REPORT_QUERIED | REPORT_POSS_DUP, 1, 8), 0, "or told again");
    assert_eq!(tell(&mut desk, REPORT_QUERIED, 0, 0), 0, "no sum is told");
    assert_eq!(tell(&mut desk, REPORT_QUERIED, 1, 8), 1);
    assert_eq!(tell(&mut desk, REPORT_QUERIED, 1, 8), 1, "the same is no news");
    assert_eq!(tell(&mut desk, REPORT_QUERIED, 0, 9), 2, "nothing filled is a sum");
    assert_eq!(tell(&mut desk, REPORT_QUERIED, 3, 6), 2, "it agrees");
    assert_eq!(tell(&mut desk, REPORT_QUERIED, 0, 9), 3);
    assert_eq!(desk.engine.counters().flagged, 3);
    closing(&desk);
}

/// A buy of ten at 100 that has filled three, and ended with the venue counting so many.
fn ended_with(desk: &mut TestDesk, how: ExecType, cum: i64) -> u64 {
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.take(&ExecutionReport { cum_qty: e9(3), ..trade_report(desk, a, "X1", 3, 100) });
    let end = ExecutionReport { cum_qty: e9(cum), ..desk.report(a, 0, how) };
    assert_eq!(desk.take(&end), Disposition::Applied);
    assert_eq!(desk.take(&end), Disposition::Stale);
    closing(desk);
    a
}

#[test]
fn corner_3_and_36_fills_that_an_ended_order_misses_stay_reserved_until_they_come() {
    for (how, status) in [
        (ExecType::Canceled, OrdStatus::Canceled),
        (ExecType::Expired, OrdStatus::Expired),
        (ExecType::Rejected, OrdStatus::Canceled),
    ] {
        let mut desk = TestDesk::open();
        let mut cell = account_limits(1);
        (cell.scope, cell.instrument_id) = (Scope::AccountInstrument as u8, ES);
        cell.net_qty_max = e9(8);
        let a = ended_with(&mut desk, how, 7);
        desk.limit(cell);
        assert_eq!((desk.status(a), desk.order(a).leaves_qty()), (status, 0));
        assert_eq!((desk.engine.live_count(), asked(&mut desk, a)), (0, 1));
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(4), "three are here, four are to come");
        assert_eq!(desk.engine.row(1, ES).open_points().0, points(100, 4));
        let refused = desk.submit(&TestDesk::new_order("b", Side::Buy, 2, e9(100)));
        assert_eq!(refused, Verdict::NetQtyLimit);
        let b = desk.place("c", Side::Buy, 1, e9(100));
        let late = ExecutionReport { cum_qty: e9(6), ..trade_report(&desk, a, "X2", 3, 100) };
        assert_eq!(desk.take(&late), Disposition::Late);
        assert_eq!(
            desk.engine.row(1, ES).open_qty().0,
            e9(2),
            "one is to come, one is the other's"
        );
        closing(&desk);
        let last = ExecutionReport { cum_qty: e9(7), ..trade_report(&desk, a, "X3", 1, 100) };
        assert_eq!(desk.take(&last), Disposition::Late);
        assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (status, e9(1)));
        desk.fill(b, 1, e9(100));
        assert_eq!(money(&desk).0, 8);
        closing(&desk);
    }
}

#[test]
fn what_an_ended_order_misses_is_let_go_when_an_answer_counts_what_we_have() {
    let mut desk = TestDesk::open();
    let a = ended_with(&mut desk, ExecType::Canceled, 7);
    let mut answer = desk.report(a, 0, ExecType::OrderStatus);
    (answer.ord_status, answer.flags) = (OrdStatus::Canceled as u8, REPORT_QUERIED);
    for (cum, open) in [(7, 4), (0, 4), (3, 0)] {
        answer.cum_qty = e9(cum);
        assert_eq!(desk.take(&answer), Disposition::Stale);
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(open), "it counts {cum}");
        closing(&desk);
    }
    // Never more than the order itself could still have filled, whatever the venue counts.
    for told in [e9(50), i64::MAX] {
        answer.cum_qty = told;
        desk.take(&answer);
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(7));
        closing(&desk);
    }
}

#[test]
fn a_gap_that_is_open_when_its_order_ends_is_reserved_though_the_end_tells_no_sum() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Sell, 10, e9(100));
    desk.take(&ExecutionReport { cum_qty: e9(6), ..trade_report(&desk, a, "X2", 2, 100) });
    assert_eq!(desk.tell(a, 0, ExecType::Canceled), Disposition::Applied);
    assert_eq!(desk.engine.row(1, ES).open_qty().1, e9(4));
    closing(&desk);
    // A bust says what the venue counts now: four less one.
    let mut bust = desk.report(a, 0, ExecType::TradeCancel);
    (bust.exec_id, bust.cum_qty) = (text("B"), e9(4));
    offer_ids(&mut desk, &bust, |ids| ids.exec_ref_id = text("X2"));
    assert_eq!(desk.take(&bust), Disposition::Late);
    assert_eq!((desk.order(a).cum_qty, desk.engine.row(1, ES).open_qty().1), (0, e9(4)));
    closing(&desk);
    let late = ExecutionReport { cum_qty: e9(4), ..trade_report(&desk, a, "X1", 4, 100) };
    assert_eq!(desk.take(&late), Disposition::Late);
    assert_eq!(desk.engine.row(1, ES).open_qty().1, 0);
    closing(&desk);
    // One that does not say it is asked about, and frees nothing.
    let end = ExecutionReport { cum_qty: e9(9), ..desk.report(a, 0, ExecType::Canceled) };
    desk.take(&end);
    assert_eq!(desk.engine.row(1, ES).open_qty().1, e9(5));
    let before = asked(&mut desk, a);
    bust = desk.report(a, 0, ExecType::TradeCancel);
    bust.exec_id = text("B2");
    offer_ids(&mut desk, &bust, |ids| ids.exec_ref_id = text("X1"));
    assert_eq!(desk.take(&bust), Disposition::Late);
    assert_eq!(asked(&mut desk, a), before + 1);
    assert!(desk.engine.row(1, ES).open_qty().1 >= e9(5));
    closing(&desk);
}

#[test]
fn i10_what_an_ended_child_misses_is_not_another_childs_to_take() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let a = child(&mut desk, "a", p, 10);
    let end = ExecutionReport { cum_qty: e9(4), ..desk.report(a, 0, ExecType::Canceled) };
    assert_eq!(desk.take(&end), Disposition::Applied);
    assert_eq!(desk.order(p).children_qty, e9(4));
    let mut more = TestDesk::new_order("b", Side::Buy, 7, e9(100));
    more.parent_order_seq = p;
    assert_eq!(desk.submit(&more), Verdict::ParentExceeded);
    child(&mut desk, "c", p, 6);
    desk.take(&ExecutionReport { cum_qty: e9(4), ..trade_report(&desk, a, "X", 4, 100) });
    assert_eq!((desk.order(p).children_qty, desk.order(p).cum_qty), (e9(10), e9(4)));
    closing(&desk);
}

#[test]
fn an_order_that_misses_fills_keeps_its_row_and_its_accounts_mode_and_asks_again_when_it_may() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    let end = ExecutionReport { cum_qty: e9(4), ..desk.report(a, 0, ExecType::Canceled) };
    desk.take(&end);
    let mut account = definition(Entity::Account, "A1", 0, AccountLevel::Account as u8);
    account.flags = ACCOUNT_HEDGING;
    assert_eq!(desk.step(account.as_record()), Verdict::PositionModeInUse);
    // Its question was held back by the kill switch: it goes when the switch lets it.
    assert_eq!(asked(&mut desk, a), 1);
    let mut dropped = DroppedUnsent::ZERO;
    (dropped.header.kind, dropped.header.order_seq) = (DroppedUnsent::KIND, a);
    dropped.msg_type = MsgType::OrderStatus as u8;
    desk.fact(dropped);
    assert_eq!(asked(&mut desk, a), 1);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(4));
    desk.kill(Scope::Desk, 0, KillMode::Open);
    assert_eq!(asked(&mut desk, a), 2);
    // Days later its slot is no other order's.
    for n in 0..desk.engine.config().orders_max {
        desk.now_ns += ONE * 100;
        desk.quote(ES, e9(100), e9(100) + ONE / 4);
        let seq = desk.place(&format!("n{n}"), Side::Buy, 1, e9(100));
        desk.tell(seq, 0, ExecType::Canceled);
    }
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::Canceled, e9(4)));
    closing(&desk);
    desk.take(&ExecutionReport { cum_qty: e9(4), ..trade_report(&desk, a, "X", 4, 100) });
    assert_eq!((money(&desk).0, desk.engine.row(1, ES).open_qty().0), (4, 0));
    closing(&desk);
}

#[test]
fn a_replace_told_after_the_fills_that_an_ended_order_missed_reopens_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    assert_eq!(desk.replace("b", "a", 12, e9(100)), Verdict::Accepted);
    let end = ExecutionReport { cum_qty: e9(12), ..desk.report(a, 0, ExecType::Canceled) };
    assert_eq!(desk.take(&end), Disposition::Applied);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(10));
    desk.take(&trade_report(&desk, a, "X1", 10, 100));
    assert_eq!((desk.status(a), desk.engine.row(1, ES).open_qty().0), (OrdStatus::Filled, 0));
    assert_eq!(desk.tell(a, 1, ExecType::Replaced), Disposition::Stale);
    assert_eq!((desk.status(a), desk.order(a).order_qty), (OrdStatus::Filled, e9(10)));
    closing(&desk);
}
