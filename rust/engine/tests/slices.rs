//! Orders that go to the venue a part at a time: icebergs that the desk replenishes. One order, one
//! reserve, one answer; one part out at a time.

mod common;
use common::*;
use engine::{Engine, EngineConfig};
use layout::*;

/// An iceberg of ten that shows three, its first part acknowledged.
fn iceberg() -> (TestDesk, u64) {
    iceberg_in(TestDesk::open())
}

fn iceberg_in(mut desk: TestDesk) -> (TestDesk, u64) {
    let mut t = offer();
    t.max_floor = e9(3);
    let order = TestDesk::new_order("a", Side::Buy, 10, e9(100));
    assert_eq!(desk.submit_terms(&t, &order), Verdict::Accepted);
    let seq = desk.newest();
    desk.tell(seq, 0, ExecType::New);
    (desk, seq)
}

fn fill_on(desk: &mut TestDesk, seq: u64, revision: u16, qty: i64) -> Disposition {
    desk.exec += 1;
    let mut r = desk.report(seq, revision, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px) = (text(&format!("E{}", desk.exec)), e9(qty), e9(100));
    let disposition = desk.take(&r);
    desk.time();
    disposition
}

fn news(desk: &TestDesk) -> Vec<(u16, i64, i64)> {
    let news = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::NewOrder as u8);
    news.map(|r| (r.revision, r.order_qty / ONE, r.max_floor)).collect()
}

#[test]
fn an_iceberg_shows_its_floor_and_the_next_part_goes_when_one_has_filled_until_all_is_done() {
    let (mut desk, seq) = iceberg();
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(10), "the whole is reserved");
    fill_on(&mut desk, seq, 0, 2);
    assert_eq!((news(&desk).len(), desk.status(seq)), (1, OrdStatus::PartiallyFilled));
    fill_on(&mut desk, seq, 0, 1);
    assert_eq!(news(&desk), [(0, 3, 0), (1, 3, 0)]);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(7));
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(desk.status(seq), OrdStatus::PartiallyFilled);
    assert_eq!(text_of(&desk.engine.cl_ord_id(desk.order(seq))), "a", "one order, one id");
    fill_on(&mut desk, seq, 1, 3);
    // The fill of the next part comes before its ack.
    fill_on(&mut desk, seq, 3, 3);
    assert_eq!(news(&desk), [(0, 3, 0), (1, 3, 0), (3, 3, 0), (5, 1, 0)]);
    fill_on(&mut desk, seq, 5, 1);
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Filled, e9(10)));
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    closing(&desk);
}

#[test]
fn a_doubled_fill_of_a_part_sends_no_second_next_part_and_a_crash_loses_none() {
    let (mut desk, seq) = iceberg();
    let mut fill = desk.report(seq, 0, ExecType::Trade);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("X"), e9(3), e9(100));
    desk.take(&fill); // and no step after it
    let mut again = Engine::new(desk.engine.config()).unwrap();
    desk.log.records.iter().for_each(|record| again.apply(record));
    desk.engine = again;
    desk.quote(ES, e9(100), e9(100) + ONE / 4);
    desk.time();
    assert_eq!(desk.take(&fill), Disposition::Duplicate);
    desk.time();
    assert_eq!(news(&desk), [(0, 3, 0), (1, 3, 0)]);
    closing(&desk);
}

#[test]
fn an_iceberg_is_canceled_killed_and_replaced_as_a_whole() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    desk.tell(seq, 3, ExecType::Canceled);
    desk.time();
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 2));
    closing(&desk);

    // The part fills while the cancel is on its way: nothing more of it is out.
    let (mut desk, seq) = iceberg();
    desk.cancel("c", "a");
    fill_on(&mut desk, seq, 0, 3);
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 1));
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    assert_eq!(desk.tell(seq, 1, ExecType::CancelRejected), Disposition::Stale);
    closing(&desk);

    // Between two parts a kill ends it here.
    let (mut desk, seq) = iceberg();
    let mut fill = desk.report(seq, 0, ExecType::Trade);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("X"), e9(3), e9(100));
    desk.take(&fill);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    desk.time();
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 1));
    closing(&desk);

    // New terms: the part that is out is canceled, and the next one has them.
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 1);
    assert_eq!(desk.replace("b", "a", 6, e9(99)), Verdict::Accepted);
    assert_eq!(desk.sent.0.last().unwrap().msg_type, MsgType::Cancel as u8);
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    let new = *desk.sent.0.last().unwrap();
    assert_eq!((new.order_qty, new.price), (e9(3), e9(99)), "five are left, three are shown");
    desk.tell(seq, new.revision, ExecType::New);
    assert_eq!(text_of(&desk.engine.cl_ord_id(desk.order(seq))), "b");
    assert_eq!(desk.order(seq).order_qty, e9(6));
    closing(&desk);
}

#[test]
fn a_part_of_unknown_outcome_is_followed_by_none_until_it_is_proved() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3); // the second part is out, unanswered
    let mut u = OutcomeUnknown::ZERO;
    (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, seq, 1);
    desk.fact(u);
    desk.time();
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Unknown, 2));
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(7), "the reserve stays");
    fill_on(&mut desk, seq, 1, 3); // filled whole: that is the proof
    assert_eq!(news(&desk).len(), 3);
    closing(&desk);
    // It never arrived: the order ends, its fills are kept.
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.fact(u);
    assert_eq!(desk.tell(seq, 1, ExecType::UnknownOrder), Disposition::MoveLost);
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, e9(3)));
    closing(&desk);
}

#[test]
fn a_part_that_filled_while_its_replace_was_lost_lets_the_new_terms_go_when_the_venue_says_so() {
    let (mut desk, seq) = iceberg();
    assert_eq!(desk.replace("b", "a", 8, e9(99)), Verdict::Accepted); // its cancel is out
    fill_on(&mut desk, seq, 0, 3);
    desk.lost(seq);
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Unknown, 1));
    let mut answer = desk.report(seq, 0, ExecType::OrderStatus);
    (answer.ord_status, answer.cum_qty) = (OrdStatus::Filled as u8, e9(3));
    assert_eq!(desk.take(&answer), Disposition::Applied, "nothing of it is at the venue");
    desk.time();
    assert_eq!(news(&desk), [(0, 3, 0), (1, 3, 0)]);
    desk.tell(seq, 1, ExecType::New);
    let order = desk.order(seq);
    assert_eq!((desk.status(seq), order.order_qty), (OrdStatus::PartiallyFilled, e9(8)));
    assert_eq!(text_of(&desk.engine.cl_ord_id(order)), "b");
    closing(&desk);
}

#[test]
fn fills_beyond_a_part_are_flagged_and_count() {
    let (mut desk, seq) = iceberg();
    assert_eq!(fill_on(&mut desk, seq, 0, 4), Disposition::Overfill, "three were out");
    assert_eq!(news(&desk), [(0, 3, 0), (1, 3, 0)]);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(6));
    assert_eq!(fill_on(&mut desk, seq, 0, 1), Disposition::Late, "of a part that had ended");
    assert_eq!(desk.order(seq).cum_qty, e9(5));
    closing(&desk);
}

#[test]
fn a_next_part_is_judged_again_and_what_is_held_back_ends_the_order() {
    let (mut desk, seq) = iceberg();
    desk.phase(Phase::Halted);
    fill_on(&mut desk, seq, 0, 3);
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 1));
    let told = *Moved::from_record(desk.last()).expect("it says why");
    assert_eq!(told.verdict, Verdict::MarketClosed.code());
    closing(&desk);
}

#[test]
fn an_order_may_ask_the_desk_to_replenish_it_where_the_venue_would() {
    for (exec_inst, out) in [(0, (10, e9(3))), (EXEC_ICEBERG_HERE, (3, 0))] {
        let mut desk = TestDesk::open();
        let mut venue = definition(Entity::Venue, "CME", 0, ReplaceRule::InFlightCounted as u8);
        venue.flags = VENUE_ICEBERG;
        desk.fact(venue);
        let mut t = offer();
        (t.max_floor, t.exec_inst) = (e9(3), exec_inst);
        let order = TestDesk::new_order("a", Side::Buy, 10, e9(100));
        assert_eq!(desk.submit_terms(&t, &order), Verdict::Accepted);
        assert_eq!(news(&desk), [(0, out.0, out.1)]);
        assert_eq!(desk.sent.0[0].exec_inst, 0, "the venue need not know");
        closing(&desk);
    }
}

#[test]
fn a_held_iceberg_shows_its_floor_when_it_is_released() {
    let mut desk = TestDesk::open();
    let mut o = TestDesk::new_order("s", Side::Buy, 10, e9(102));
    o.ord_type = OrdType::StopLimit as u8;
    let mut t = offer();
    (t.stop_px, t.max_floor) = (e9(102), e9(4));
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    let seq = desk.newest();
    desk.trade(ES, e9(102));
    assert_eq!(news(&desk), [(0, 4, 0)]);
    fill_on(&mut desk, seq, 0, 4);
    assert_eq!(news(&desk), [(0, 4, 0), (1, 4, 0)]);
    closing(&desk);
}

#[test]
fn the_next_part_of_a_child_does_not_go_when_its_parent_has_ended_and_been_forgotten() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let mut t = offer();
    t.max_floor = e9(3);
    let mut child = TestDesk::new_order("a", Side::Buy, 10, e9(100));
    (child.time_in_force, child.parent_order_seq) = (TimeInForce::Gtc as u8, p);
    assert_eq!(desk.submit_terms(&t, &child), Verdict::Accepted);
    let seq = desk.newest();
    desk.tell(seq, 0, ExecType::New);
    assert_eq!(desk.cancel("c", "p"), Verdict::Accepted);
    desk.time();
    let asked = desk.sent.0.last().expect("the cancel of the child");
    assert_eq!(asked.msg_type, MsgType::Cancel as u8);
    let revision = asked.revision;
    desk.tell(seq, revision, ExecType::CancelRejected); // the venue keeps it
    desk.now_ns += desk.engine.config().id_ttl_ns + 1;
    for n in 0..desk.engine.config().orders_max as u64 {
        if desk.engine.order(p).is_none() {
            break;
        }
        desk.quote(ES, e9(100), e9(100) + ONE / 4);
        let refused = TestDesk::new_order(&format!("n{n}"), Side::Buy, 1, e9(100));
        desk.submit(&refused);
        let newest = desk.newest();
        desk.tell(newest, 0, ExecType::Rejected);
        desk.now_ns += 100_000_000;
    }
    assert!(desk.engine.order(p).is_none(), "its slot went to another");
    desk.quote(ES, e9(100), e9(100) + ONE / 4);
    let before = news(&desk).len();
    fill_on(&mut desk, seq, 0, 3);
    assert_eq!(news(&desk).len(), before, "no more of it goes out");
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, e9(3)));
    closing(&desk);
}

#[test]
fn a_late_word_on_a_part_before_is_no_gap() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    let mut told = desk.report(seq, 0, ExecType::OrderStatus);
    (told.ord_status, told.cum_qty) = (OrdStatus::Filled as u8, e9(3));
    assert_eq!(desk.take(&told), Disposition::Stale);
    desk.pass();
    assert_eq!(desk.sent_of(seq, MsgType::OrderStatus), 0, "all three are known");
    closing(&desk);
}

#[test]
fn a_canceled_part_that_counts_more_than_we_know_of_it_is_asked_about() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    fill_on(&mut desk, seq, 1, 1);
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    let mut told = desk.report(seq, desk.order(seq).cancel_revision, ExecType::Canceled);
    told.cum_qty = e9(2);
    desk.take(&told);
    desk.pass();
    assert_eq!(desk.sent_of(seq, MsgType::OrderStatus), 1, "five at the venue, four here");
    closing(&desk);
}

/// The venue takes back the fill `exec`, told on the part of `revision`; `leaves`: what it works again.
fn bust_on(desk: &mut TestDesk, seq: u64, revision: u16, exec: &str, leaves: i64) -> Disposition {
    let mut r = desk.report(seq, revision, ExecType::TradeCancel);
    (r.exec_id, r.leaves_qty) = (text(exec), e9(leaves));
    let disposition = desk.take(&r);
    desk.time();
    disposition
}

/// What a query for open orders tells of the part of `revision`.
fn found_open(desk: &mut TestDesk, seq: u64, revision: u16, leaves: i64) -> Disposition {
    let mut r = desk.report(seq, revision, ExecType::OrderStatus);
    (r.ord_status, r.leaves_qty) = (OrdStatus::New as u8, e9(leaves));
    r.flags = REPORT_QUERIED;
    let disposition = desk.take(&r);
    desk.time();
    disposition
}

/// Which parts the cancels sent so far name, and the id of the last of them.
fn canceled_parts(desk: &TestDesk) -> (Vec<u16>, u16) {
    let cancels = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::Cancel as u8);
    let of = |r: &Routed| engine::street::decode(&r.orig_street_id).unwrap().revision;
    let last = cancels.clone().next_back().map_or(0, |r| r.revision);
    (cancels.map(of).collect(), last)
}

#[test]
fn a_part_that_ended_a_canceled_order_and_is_worked_again_is_canceled_at_the_venue() {
    for (leaves, status) in [(0, OrdStatus::Canceled), (3, OrdStatus::PendingCancel)] {
        let (mut desk, seq) = iceberg();
        desk.cancel("c", "a");
        fill_on(&mut desk, seq, 0, 3);
        assert_eq!(desk.tell(seq, 1, ExecType::CancelRejected), Disposition::Stale);
        assert_eq!(desk.status(seq), OrdStatus::Canceled);
        assert_eq!(bust_on(&mut desk, seq, 0, "E1", leaves), Disposition::Late);
        assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (status, 0), "{leaves} left");
        assert!(desk.engine.row(1, ES).open_qty().0 >= e9(leaves), "what may fill is reserved");
        let (parts, revision) = canceled_parts(&desk);
        assert_eq!(parts.len(), if leaves > 0 { 2 } else { 1 });
        desk.tell(seq, revision, ExecType::Canceled);
        assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 1));
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
}

#[test]
fn an_earlier_part_that_is_worked_again_behind_the_end_is_canceled_by_its_own_id() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    desk.cancel("c", "a");
    desk.tell(seq, 1, ExecType::Canceled);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    assert_eq!(bust_on(&mut desk, seq, 0, "E1", 3), Disposition::Late);
    assert_eq!(desk.status(seq), OrdStatus::PendingCancel);
    let (parts, _) = canceled_parts(&desk);
    assert_eq!(parts, [1, 0]);
    // A late copy of the other part's end: the venue's next answer brings it back.
    desk.tell(seq, 1, ExecType::Canceled);
    assert_eq!(found_open(&mut desk, seq, 0, 3), Disposition::Late);
    let (parts, revision) = canceled_parts(&desk);
    assert_eq!(parts.last(), Some(&0));
    desk.tell(seq, revision, ExecType::Canceled);
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 2));
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    closing(&desk);
}

#[test]
fn a_bust_of_an_earlier_part_that_stays_closed_moves_the_sums_of_the_part_that_is_out() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(bust_on(&mut desk, seq, 0, "E1", 0), Disposition::Applied);
    let mut fill = desk.report(seq, 1, ExecType::Trade);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("X"), e9(3), e9(100));
    fill.cum_qty = e9(3);
    assert_eq!(desk.take(&fill), Disposition::Applied);
    desk.time();
    assert!(desk.sent.0.iter().all(|r| r.msg_type != MsgType::OrderStatus as u8), "no gap");
    assert_eq!(news(&desk), [(0, 3, 0), (1, 3, 0), (3, 3, 0)]);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(7));
    closing(&desk);
}

#[test]
fn two_parts_that_the_venue_works_at_once_are_both_canceled_and_none_follows() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(bust_on(&mut desk, seq, 0, "E1", 3), Disposition::Applied);
    assert_eq!(desk.status(seq), OrdStatus::PendingCancel);
    let (parts, revision) = canceled_parts(&desk);
    assert_eq!(parts, [1]);
    desk.tell(seq, revision, ExecType::Canceled);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    assert_eq!(found_open(&mut desk, seq, 0, 3), Disposition::Late);
    let (parts, revision) = canceled_parts(&desk);
    assert_eq!(parts, [1, 0]);
    desk.tell(seq, revision, ExecType::Canceled);
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 2));
    closing(&desk);
}

#[test]
fn a_part_that_is_worked_again_before_the_next_one_goes_keeps_it_back() {
    let (mut desk, seq) = iceberg();
    desk.link(LinkState::Down);
    fill_on(&mut desk, seq, 0, 3);
    assert_eq!(bust_on(&mut desk, seq, 0, "E1", 3), Disposition::Applied);
    desk.link(LinkState::Up);
    desk.time();
    assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::New, 1));
    fill_on(&mut desk, seq, 0, 3);
    assert_eq!(news(&desk).len(), 2, "and goes when it has filled again");
    closing(&desk);
}

#[test]
fn a_part_that_a_query_finds_open_behind_its_last_fill_is_canceled_under_a_kill_too() {
    for kill in [false, true] {
        let (mut desk, seq) = iceberg();
        desk.cancel("c", "a");
        fill_on(&mut desk, seq, 0, 3);
        assert_eq!(desk.status(seq), OrdStatus::Canceled);
        if kill {
            desk.kill(Scope::Account, 1, KillMode::CancelOnly);
        }
        assert_eq!(found_open(&mut desk, seq, 0, 3), Disposition::Late);
        assert_eq!(desk.status(seq), OrdStatus::PendingCancel, "killed: {kill}");
        let (parts, revision) = canceled_parts(&desk);
        assert_eq!(parts, [0, 0]);
        desk.tell(seq, revision, ExecType::Canceled);
        assert_eq!((desk.status(seq), news(&desk).len()), (OrdStatus::Canceled, 1));
        closing(&desk);
    }
}

#[test]
fn a_bust_that_is_told_behind_the_fill_that_made_up_for_it_leaves_nothing_open() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    desk.cancel("c", "a");
    desk.tell(seq, 1, ExecType::Canceled);
    // The venue took E1 back, worked the part again and filled it; the first of the two was lost.
    assert_eq!(fill_on(&mut desk, seq, 0, 3), Disposition::Late);
    assert_eq!(bust_on(&mut desk, seq, 0, "E1", 3), Disposition::Late);
    let (_, revision) = canceled_parts(&desk);
    desk.tell(seq, revision, ExecType::CancelRejected);
    let mut found = desk.report(seq, 0, ExecType::OrderStatus);
    (found.ord_status, found.cum_qty) = (OrdStatus::Filled as u8, e9(3));
    found.flags = REPORT_QUERIED;
    assert_eq!(desk.take(&found), Disposition::Applied);
    desk.time();
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, e9(3)));
    assert_eq!((news(&desk).len(), desk.engine.row(1, ES).open_qty()), (2, (0, 0)));
    closing(&desk);
}

#[test]
fn a_bust_of_an_earlier_part_makes_the_last_one_a_part_like_the_others() {
    let (mut desk, seq) = iceberg();
    for (revision, qty) in [(0, 3), (1, 3), (3, 3)] {
        fill_on(&mut desk, seq, revision, qty);
    }
    desk.tell(seq, 5, ExecType::New); // one of ten is left
    assert_eq!(bust_on(&mut desk, seq, 1, "E2", 0), Disposition::Applied);
    assert_eq!(desk.order(seq).cum_qty, e9(6));
    fill_on(&mut desk, seq, 5, 1);
    assert_eq!(news(&desk).last(), Some(&(7, 3, 0)), "three are to be done again");
    fill_on(&mut desk, seq, 7, 3);
    assert_eq!(desk.status(seq), OrdStatus::Filled);
    closing(&desk);
}

#[test]
fn a_late_fill_of_a_part_before_does_not_fill_the_part_that_is_out() {
    let (mut desk, seq) = iceberg();
    assert_eq!(desk.replace("b", "a", 12, e9(100)), Verdict::Accepted);
    desk.tell(seq, 2, ExecType::Canceled);
    desk.time();
    assert_eq!(desk.sent_of(seq, MsgType::NewOrder), 2, "revision 1, three lots");
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(fill_on(&mut desk, seq, 0, 1), Disposition::Late);
    fill_on(&mut desk, seq, 1, 2);
    // One of the three of revision 1 is still at the venue.
    assert_eq!(desk.sent_of(seq, MsgType::NewOrder), 2, "the part that is out has one left");
    fill_on(&mut desk, seq, 1, 1);
    assert_eq!(desk.sent_of(seq, MsgType::NewOrder), 3);
    closing(&desk);
}

#[test]
fn a_correct_of_a_part_before_does_not_fill_the_part_that_is_out() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3); // E1
    desk.tell(seq, 1, ExecType::New);
    amend(&mut desk, seq, "C1", "E1", Some((4, 100)), 0);
    fill_on(&mut desk, seq, 1, 2);
    assert_eq!(desk.sent_of(seq, MsgType::NewOrder), 2, "the part that is out has one left");
    closing(&desk);
}

#[test]
fn after_a_bust_of_a_part_before_the_next_part_goes_all_the_same() {
    let (mut desk, seq) = iceberg();
    fill_on(&mut desk, seq, 0, 3); // E1
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(amend(&mut desk, seq, "B1", "E1", None, 0), Disposition::Applied);
    fill_on(&mut desk, seq, 1, 3);
    assert_eq!(desk.order(seq).cum_qty, e9(3));
    assert_eq!(desk.sent_of(seq, MsgType::NewOrder), 3, "seven are left and none is out");
    closing(&desk);
}

#[test]
fn what_a_new_self_counts_is_compared_with_what_the_new_self_has_filled() {
    for ends in [false, true] {
        let mut desk = TestDesk::open();
        desk.fact(definition(Entity::Venue, "CME", 0, ReplaceRule::CancelNew as u8));
        let seq = desk.place("a", Side::Buy, 10, e9(100));
        desk.tell(seq, 0, ExecType::New);
        fill_on(&mut desk, seq, 0, 4);
        assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted);
        desk.tell(seq, 2, ExecType::Canceled);
        desk.time();
        assert_eq!(desk.sent.0.last().unwrap().order_qty, e9(8), "less what has filled");
        desk.tell(seq, 1, ExecType::New);
        // Three of the eight have filled at the venue, and the word of it never came.
        let mut r = desk.report(seq, 1, ExecType::OrderStatus);
        r.cum_qty = e9(3);
        let status = if ends { OrdStatus::Canceled } else { OrdStatus::PartiallyFilled };
        r.ord_status = status as u8;
        let taken = desk.take(&r);
        if ends {
            assert_eq!(taken, Disposition::Gap, "closing now loses the reserve of what is missing");
            assert!(desk.order(seq).live());
        }
        desk.time();
        assert_eq!(desk.sent_of(seq, MsgType::OrderStatus), 1, "seven there, four here");
        closing(&desk);
    }
}

#[test]
fn with_the_memory_of_fills_full_a_fill_of_a_later_part_is_booked_by_its_own_sum() {
    let config = EngineConfig { fills_max: 1 << 6, ..small_config() };
    let mut desk = TestDesk::with(config);
    let other = desk.place("other", Side::Buy, 100, e9(100));
    let (mut desk, seq) = iceberg_in(desk);
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 1, ExecType::New);
    while desk.fill(other, 1, e9(100)) != Disposition::Gap {}
    let net = desk.engine.row(1, ES).net_qty();
    let mut r = trade_report(&desk, seq, "Z", 3, 100);
    r.street_id = desk.report(seq, 1, ExecType::Trade).street_id;
    r.cum_qty = e9(3); // of the part
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!(desk.engine.row(1, ES).net_qty(), net + e9(3));
}

#[test]
fn the_last_part_that_the_venue_restates_makes_the_order_no_smaller() {
    let (mut desk, seq) = iceberg();
    for revision in [0, 1, 3] {
        fill_on(&mut desk, seq, revision, 3);
    }
    desk.tell(seq, 5, ExecType::New);
    let mut r = desk.report(seq, 5, ExecType::Restated);
    (r.last_px, r.last_qty, r.leaves_qty) = (e9(101), e9(1), e9(1));
    assert_eq!(desk.take(&r), Disposition::Applied, "another price");
    let order = desk.order(seq);
    assert_eq!((order.price, order.order_qty, order.leaves_qty()), (e9(101), e9(10), e9(1)));
    assert_eq!(desk.status(seq), OrdStatus::PartiallyFilled, "the venue has one left of it");
    closing(&desk);
}
