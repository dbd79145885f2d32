//! Contingent orders: one cancels the other, one triggers the other, brackets; races of both legs,
//! doubled fills, children sized by what their first leg filled, ends of every kind.

mod common;
use common::*;
use layout::*;

fn leg(desk: &mut TestDesk, id: &str, kind: Contingency, group_seq: u64, o: NewOrder) -> u64 {
    let mut t = offer();
    (t.contingency, t.group_seq) = (kind as u8, group_seq);
    if o.ord_type == OrdType::Stop as u8 {
        t.stop_px = e9(95);
    }
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted, "{id}");
    desk.newest()
}

fn limit(id: &str, side: Side, qty: i64, px: i64) -> NewOrder {
    TestDesk::new_order(id, side, qty, e9(px))
}

fn stop(id: &str, qty: i64) -> NewOrder {
    let mut o = TestDesk::new_order(id, Side::Sell, qty, 0);
    o.ord_type = OrdType::Stop as u8;
    o
}

fn cancels(desk: &TestDesk) -> usize {
    desk.sent.0.iter().filter(|r| r.msg_type == MsgType::Cancel as u8).count()
}

#[test]
fn a_fill_of_one_leg_cancels_the_others_once_and_a_doubled_fill_again_not() {
    let mut desk = TestDesk::open();
    let a = leg(&mut desk, "a", Contingency::Oco, 0, limit("a", Side::Sell, 5, 101));
    let b = leg(&mut desk, "b", Contingency::Oco, a, limit("b", Side::Sell, 5, 102));
    let c = leg(&mut desk, "c", Contingency::Oco, a, stop("c", 5));
    let mut fill = desk.report(b, 0, ExecType::Trade);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("X"), e9(2), e9(102));
    desk.take(&fill);
    desk.time();
    assert_eq!(desk.status(a), OrdStatus::PendingCancel);
    assert_eq!(desk.status(b), OrdStatus::PartiallyFilled);
    assert_eq!(desk.status(c), OrdStatus::Canceled, "held: canceled here");
    assert_eq!(desk.take(&fill), Disposition::Duplicate);
    desk.tell(a, 1, ExecType::CancelRejected);
    assert_eq!(desk.take(&fill), Disposition::Duplicate);
    desk.time();
    assert_eq!(cancels(&desk), 1);
    let own = desk.log.records.iter().filter_map(CancelAccepted::from_record);
    assert!(own.clone().count() == 2 && own.clone().all(|e| e.why == OwnCause::Group as u8));
    closing(&desk);
}

#[test]
fn both_legs_filled_is_booked_twice_and_flagged_once() {
    let mut desk = TestDesk::open();
    let a = leg(&mut desk, "a", Contingency::Oco, 0, limit("a", Side::Sell, 5, 101));
    let b = leg(&mut desk, "b", Contingency::Oco, a, limit("b", Side::Sell, 5, 102));
    desk.fill(a, 5, e9(101));
    desk.fill(b, 2, e9(102)); // crossed the cancel
    desk.time();
    desk.fill(b, 3, e9(102));
    desk.time();
    let flags: Vec<_> =
        desk.log.records.iter().filter_map(GroupFlagged::from_record).copied().collect();
    assert_eq!(flags.len(), 1);
    assert_eq!((flags[0].header.order_seq, flags[0].other_order_seq), (b, a));
    assert_eq!((flags[0].cum_qty, flags[0].other_cum_qty), (e9(2), e9(5)));
    assert_eq!(desk.engine.row(1, ES).net_qty(), e9(-10));
    closing(&desk);
}

#[test]
fn the_end_of_one_leg_ends_the_other() {
    for end in [ExecType::Canceled, ExecType::Rejected, ExecType::Expired] {
        let mut desk = TestDesk::open();
        let a = leg(&mut desk, "a", Contingency::Oco, 0, limit("a", Side::Sell, 5, 101));
        let b = leg(&mut desk, "b", Contingency::Oco, a, limit("b", Side::Sell, 5, 102));
        desk.tell(b, 0, end);
        desk.time();
        assert_eq!(desk.status(a), OrdStatus::PendingCancel, "{end:?}");
        closing(&desk);
    }
}

#[test]
fn a_child_goes_out_on_the_first_or_on_the_full_fill_of_its_first_leg() {
    for (kind, after) in [(Contingency::OtoFirst, 1), (Contingency::OtoFull, 5)] {
        let mut desk = TestDesk::open();
        let first = leg(&mut desk, "a", kind, 0, limit("a", Side::Buy, 5, 100));
        let child = leg(&mut desk, "b", kind, first, limit("b", Side::Sell, 5, 102));
        assert_eq!(desk.status(child), OrdStatus::Held);
        desk.trade(ES, e9(102)); // a price means nothing to it
        for filled in 1..=5 {
            desk.fill(first, 1, e9(100));
            desk.time();
            let out = desk.status(child) == OrdStatus::PendingNew;
            assert_eq!(out, filled >= after, "{kind:?} {filled}");
        }
        let news = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::NewOrder as u8);
        assert_eq!(news.count(), 2, "each once");
        closing(&desk);
    }
}

#[test]
fn a_first_leg_that_ends_with_a_part_sizes_its_children_and_with_nothing_cancels_them() {
    for part in [0, 2] {
        let mut desk = TestDesk::open();
        let first = leg(&mut desk, "a", Contingency::OtoFull, 0, limit("a", Side::Buy, 5, 100));
        let child =
            leg(&mut desk, "b", Contingency::OtoFull, first, limit("b", Side::Sell, 5, 102));
        if part > 0 {
            desk.fill(first, part, e9(100));
        }
        desk.tell(first, 0, ExecType::Canceled);
        desk.time();
        if part > 0 {
            assert_eq!(desk.status(child), OrdStatus::PendingNew);
            assert_eq!(desk.sent.0.last().unwrap().order_qty, e9(part));
            assert_eq!(desk.order(child).order_qty, e9(part));
        } else {
            assert_eq!(desk.status(child), OrdStatus::Canceled);
        }
        closing(&desk);
    }
}

#[test]
fn a_bracket_arms_its_stop_and_sends_its_target_when_filled_and_either_cancels_the_other() {
    for target_first in [true, false] {
        let mut desk = TestDesk::open();
        let entry = leg(&mut desk, "e", Contingency::Bracket, 0, limit("e", Side::Buy, 5, 100));
        let target =
            leg(&mut desk, "t", Contingency::Bracket, entry, limit("t", Side::Sell, 5, 105));
        let loss = leg(&mut desk, "l", Contingency::Bracket, entry, stop("l", 5));
        desk.trade(ES, e9(94)); // dormant: the entry has not traded
        assert_eq!(desk.status(loss), OrdStatus::Held);
        desk.fill(entry, 5, e9(100));
        desk.time();
        assert_eq!(desk.status(target), OrdStatus::PendingNew);
        assert_eq!(desk.status(loss), OrdStatus::Held);
        desk.tell(target, 0, ExecType::New);
        if target_first {
            desk.fill(target, 5, e9(105));
            desk.time();
            assert_eq!(desk.status(loss), OrdStatus::Canceled);
            desk.trade(ES, e9(94));
            assert_eq!(desk.sent.0.len(), 2);
        } else {
            desk.quote(ES, e9(95), e9(96));
            desk.trade(ES, e9(95));
            assert_eq!(desk.status(loss), OrdStatus::PendingNew);
            desk.fill(loss, 5, e9(95));
            desk.time();
            assert_eq!(desk.status(target), OrdStatus::PendingCancel);
            desk.tell(target, 1, ExecType::Canceled);
        }
        assert_eq!(desk.engine.row(1, ES).net_qty(), 0);
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
}

#[test]
fn a_later_leg_must_name_a_first_one_that_is_live_untraded_and_its_own() {
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", Contingency::Oco, 0, limit("a", Side::Sell, 5, 101));
    let mut t = offer();
    (t.contingency, t.group_seq) = (Contingency::OtoFull as u8, first);
    let order = |id: &str| limit(id, Side::Sell, 5, 102);
    assert_eq!(desk.submit_terms(&t, &order("b")), Verdict::ContingencyInvalid);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (3, first as i64));
    t.contingency = Contingency::Oco as u8;
    let mut foreign = order("c");
    foreign.account_id = 2;
    assert_eq!(desk.submit_terms(&t, &foreign), Verdict::GroupUnknown);
    desk.fill(first, 1, e9(101));
    assert_eq!(desk.submit_terms(&t, &order("d")), Verdict::GroupUnknown, "it has traded");
    closing(&desk);
}

#[test]
fn a_child_that_is_due_is_not_sent_when_the_same_input_asks_it_to_end() {
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", Contingency::OtoFirst, 0, limit("a", Side::Buy, 5, 100));
    let child = leg(&mut desk, "b", Contingency::OtoFirst, first, limit("b", Side::Sell, 5, 102));
    desk.fill(first, 1, e9(100)); // the child is due with the next input
    let mut all = MassCancel::ZERO;
    (all.header.kind, all.cl_ord_id, all.session_id) = (MassCancel::KIND, text("m"), 1);
    assert_eq!(desk.step(all.as_record()), Verdict::Accepted);
    assert_eq!(desk.status(child), OrdStatus::Canceled, "it never left");
    assert_eq!(desk.sent.0.len(), 2, "the first leg and its cancel");
    desk.time();
    assert_eq!(desk.sent.0.len(), 2);
    closing(&desk);
}

#[test]
fn a_market_order_that_waits_for_a_leg_is_not_taken_without_a_price_to_reserve_at() {
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", Contingency::OtoFull, 0, limit("a", Side::Buy, 5, 100));
    desk.quote(ES, e9(100), NO_PRICE);
    for side in [Side::Buy, Side::Sell] {
        let mut o = TestDesk::new_order(side.name(), side, 5, 0);
        o.ord_type = OrdType::Market as u8;
        let mut t = offer();
        (t.contingency, t.group_seq) = (Contingency::OtoFull as u8, first);
        assert_eq!(desk.submit_terms(&t, &o), Verdict::ReferenceAbsent);
    }
    closing(&desk);
}

#[test]
fn a_trailing_stop_refused_at_its_trigger_lets_go_of_the_rival_that_the_same_price_meets() {
    let mut desk = TestDesk::open();
    desk.trade(ES, e9(104));
    let trailing = |id: &str| {
        let mut o = TestDesk::new_order(id, Side::Sell, 5, 0);
        o.ord_type = OrdType::TrailingStop as u8;
        let mut t = offer();
        (t.contingency, t.trail) = (Contingency::Oco as u8, e9(2));
        (t, o)
    };
    let (t, o) = trailing("a");
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    let a = desk.newest();
    let (mut t, o) = trailing("b");
    t.group_seq = a;
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    let b = desk.newest();
    let (t, o) = trailing("c");
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    let c = desk.newest();
    desk.phase(Phase::Halted);
    desk.trade(ES, e9(100));
    assert_eq!(desk.status(a), OrdStatus::Rejected);
    assert_eq!(desk.status(b), OrdStatus::Canceled, "its group has ended");
    assert_eq!(desk.status(c), OrdStatus::Rejected, "it was met as well");
    assert!(desk.sent.0.is_empty());
    closing(&desk);
}

#[test]
fn a_stop_that_joins_a_pair_whose_other_stop_is_out_waits_for_what_becomes_of_that() {
    for filled in [true, false] {
        let mut desk = TestDesk::open();
        let a = leg(&mut desk, "a", Contingency::Oco, 0, stop("a", 5));
        desk.trade(ES, e9(95));
        assert_eq!(desk.status(a), OrdStatus::PendingNew);
        let b = leg(&mut desk, "b", Contingency::Oco, a, stop("b", 5));
        desk.trade(ES, e9(94));
        assert_eq!(desk.status(b), OrdStatus::Held, "both would be out");
        if filled {
            desk.fill(a, 5, e9(94));
        } else {
            desk.tell(a, 0, ExecType::Rejected);
        }
        desk.time();
        assert_eq!(desk.status(b), OrdStatus::Canceled);
        assert_eq!(desk.sent.0.len(), 1);
        closing(&desk);
    }
}

#[test]
fn what_is_due_when_the_desk_dies_is_done_after_the_recovery_and_once() {
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", Contingency::OtoFull, 0, limit("a", Side::Buy, 5, 100));
    let child = leg(&mut desk, "b", Contingency::OtoFull, first, limit("b", Side::Sell, 5, 102));
    desk.fill(first, 5, e9(100)); // and no step after it
    let mut again = engine::Engine::new(desk.engine.config()).unwrap();
    desk.log.records.iter().for_each(|record| again.apply(record));
    desk.engine = again;
    desk.quote(ES, e9(100), e9(101));
    desk.time();
    desk.time();
    assert_eq!(desk.status(child), OrdStatus::PendingNew);
    assert_eq!(desk.sent.0.len(), 2);
    closing(&desk);
}

fn fill_on(desk: &mut TestDesk, seq: u64, revision: u16, qty: i64, px: i64) -> Disposition {
    desk.exec += 1;
    let mut r = desk.report(seq, revision, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px) = (text(&format!("E{}", desk.exec)), e9(qty), e9(px));
    let disposition = desk.take(&r);
    desk.time();
    disposition
}

fn sent_qty(desk: &TestDesk) -> i64 {
    desk.sent.0.last().unwrap().order_qty / ONE
}

#[test]
fn corner_31_a_child_on_the_first_fill_is_as_large_as_what_its_first_leg_has_filled_and_grows() {
    let kind = Contingency::OtoFirst;
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", kind, 0, limit("a", Side::Buy, 5, 100));
    let child = leg(&mut desk, "b", kind, first, limit("b", Side::Sell, 5, 102));
    fill_on(&mut desk, first, 0, 2, 100);
    assert_eq!((desk.sent.0.len(), sent_qty(&desk)), (2, 2));
    assert_eq!(desk.engine.row(1, ES).open_qty().1, e9(5), "the whole is reserved");
    // More fills while nothing is known of the child: it waits for its ack.
    fill_on(&mut desk, first, 0, 1, 100);
    assert_eq!(desk.sent.0.len(), 2);
    desk.tell(child, 0, ExecType::New);
    desk.time();
    assert_eq!(desk.sent.0.last().unwrap().msg_type, MsgType::Cancel as u8, "it makes room");
    desk.tell(child, 2, ExecType::Canceled);
    desk.time();
    assert_eq!((desk.sent.0.len(), sent_qty(&desk)), (4, 3));
    desk.tell(child, 1, ExecType::New);
    // All of it fills: the next fill of the first leg sends the next part, once.
    fill_on(&mut desk, child, 1, 3, 102);
    assert!(desk.order(child).live(), "the first leg may fill more");
    let sent = desk.sent.0.len();
    fill_on(&mut desk, first, 0, 2, 100);
    desk.time();
    assert_eq!((desk.sent.0.len(), sent_qty(&desk)), (sent + 1, 2));
    let revision = desk.sent.0.last().unwrap().revision;
    fill_on(&mut desk, child, revision, 2, 102);
    assert_eq!(desk.status(child), OrdStatus::Filled);
    assert_eq!(desk.engine.row(1, ES).net_qty(), 0);
    closing(&desk);
}

#[test]
fn corner_31_a_replayed_fill_of_either_leg_resizes_and_cancels_nothing_again() {
    let kind = Contingency::OtoFirst;
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", kind, 0, limit("a", Side::Buy, 5, 100));
    let child = leg(&mut desk, "b", kind, first, limit("b", Side::Sell, 5, 102));
    let mut fill = desk.report(first, 0, ExecType::Trade);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("X"), e9(2), e9(100));
    desk.take(&fill);
    desk.time();
    desk.tell(child, 0, ExecType::New);
    for _ in 0..3 {
        assert_eq!(desk.take(&fill), Disposition::Duplicate);
        desk.time();
    }
    assert_eq!((desk.sent.0.len(), desk.engine.asked_count()), (2, 0));
    closing(&desk);
}

#[test]
fn corner_31_a_child_of_a_first_leg_that_ends_with_a_part_ends_with_that_part() {
    let kind = Contingency::OtoFirst;
    let mut desk = TestDesk::open();
    let first = leg(&mut desk, "a", kind, 0, limit("a", Side::Buy, 5, 100));
    let child = leg(&mut desk, "b", kind, first, limit("b", Side::Sell, 5, 102));
    fill_on(&mut desk, first, 0, 2, 100);
    desk.tell(child, 0, ExecType::New);
    desk.tell(first, 0, ExecType::Canceled);
    desk.time();
    assert_eq!(desk.status(child), OrdStatus::New, "it covers what was filled");
    fill_on(&mut desk, child, 0, 2, 102);
    assert_eq!(desk.order(child).cum_qty, e9(2));
    assert_eq!(desk.status(child), OrdStatus::Canceled, "nothing is left to cover");
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    closing(&desk);
}

#[test]
fn corner_31_a_sibling_that_has_ended_already_is_left_alone() {
    for end in [ExecType::Canceled, ExecType::Rejected, ExecType::Trade] {
        let mut desk = TestDesk::open();
        let a = leg(&mut desk, "a", Contingency::Oco, 0, limit("a", Side::Sell, 5, 101));
        let b = leg(&mut desk, "b", Contingency::Oco, a, limit("b", Side::Sell, 5, 102));
        if end == ExecType::Trade {
            desk.fill(a, 5, e9(101));
        } else {
            desk.tell(a, 0, end);
        }
        desk.time();
        assert_eq!((desk.status(b), cancels(&desk)), (OrdStatus::PendingCancel, 1), "{end:?}");
        desk.tell(b, 1, ExecType::Canceled);
        let before = desk.order(a).base;
        assert_eq!(desk.tell(b, 1, ExecType::Canceled), Disposition::Stale);
        desk.time();
        assert_eq!((desk.order(a).base, cancels(&desk)), (before, 1));
        closing(&desk);
    }
}

fn oto_leg(desk: &mut TestDesk, id: &str, group_seq: u64, side: Side, qty: i64, px: i64) -> u64 {
    let mut t = offer();
    (t.contingency, t.group_seq) = (Contingency::OtoFirst as u8, group_seq);
    assert_eq!(
        desk.submit_terms(&t, &TestDesk::new_order(id, side, qty, e9(px))),
        Verdict::Accepted
    );
    desk.newest()
}

fn roomy() -> TestDesk {
    let mut desk = TestDesk::open();
    let mut limits = account_limits(1);
    limits.order_qty_max = e9(1000);
    desk.limit(limits);
    desk
}

/// What is due leaves the queue live and never in a fold (I18).
#[test]
fn a_log_of_a_child_that_grew_often_can_be_folded_again() {
    let mut desk = roomy();
    let first = oto_leg(&mut desk, "a", 0, Side::Buy, 900, 100);
    let child = oto_leg(&mut desk, "b", first, Side::Sell, 900, 102);
    desk.fill(first, 1, e9(100));
    desk.time();
    assert_eq!(desk.sent_of(child, MsgType::NewOrder), 1);
    desk.tell(child, 0, ExecType::New);
    for n in 0..300 {
        desk.fill(first, 1, e9(100));
        desk.time(); // it is to grow: a cancel goes out to make room
        assert_eq!(desk.sent_of(child, MsgType::Cancel), n + 1);
        let cancel = desk.order(child).replace_revision + 1;
        desk.tell(child, cancel, ExecType::CancelRejected); // the venue keeps it as it was
    }
    closing(&desk); // the replay panics
}

#[test]
fn fills_and_busts_of_a_first_leg_while_the_desk_recovers_end_no_engine() {
    let mut desk = roomy();
    let first = oto_leg(&mut desk, "a", 0, Side::Buy, 900, 100);
    oto_leg(&mut desk, "b", first, Side::Sell, 900, 102);
    let mut state = DeskState::ZERO;
    (state.header.kind, state.recovering) = (DeskState::KIND, 1);
    desk.fact(state);
    for n in 0..300 {
        let id = format!("X{n}");
        let r = trade_report(&desk, first, &id, 1, 100);
        assert_eq!(desk.take(&r), Disposition::Applied);
        assert_eq!(amend(&mut desk, first, "", &id, None, 900), Disposition::Applied);
    }
    closing(&desk);
}
