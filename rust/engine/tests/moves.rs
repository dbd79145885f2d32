//! Replace at venues that have none: a cancel, its proof, the new order; and at venues that tell their
//! own modify as an old id canceled and a new one acknowledged (CORNERS 19). Every end, every race.

mod common;
use common::*;
use engine::Engine;
use layout::*;

/// A desk whose venue replaces by this rule, with a buy of ten at 100, acknowledged.
fn desk_of(rule: ReplaceRule) -> (TestDesk, u64) {
    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Venue, "CME", 0, rule as u8));
    let seq = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(seq, 0, ExecType::New);
    (desk, seq)
}

/// The same with a replace to twelve at 99 on its way: revision 1 the new order, 2 its cancel.
fn moving() -> (TestDesk, u64) {
    let (mut desk, seq) = desk_of(ReplaceRule::CancelNew);
    assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted);
    (desk, seq)
}

fn fill_on(desk: &mut TestDesk, seq: u64, revision: u16, qty: i64) -> Disposition {
    desk.exec += 1;
    let mut r = desk.report(seq, revision, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px) = (text(&format!("E{}", desk.exec)), e9(qty), e9(99));
    desk.take(&r)
}

fn sent(desk: &TestDesk, msg_type: MsgType) -> Vec<Routed> {
    desk.sent.0.iter().filter(|r| r.msg_type == msg_type as u8).copied().collect()
}

fn id(desk: &TestDesk, seq: u64) -> String {
    text_of(&desk.engine.cl_ord_id(desk.order(seq))).to_string()
}

#[test]
fn corner_19_a_cancel_goes_out_and_behind_its_proof_the_new_order_less_all_fills() {
    // Whatever id the venue names in its proof, once or twice, by report or by query.
    for (revision, word) in [(0, ExecType::Canceled), (2, ExecType::Canceled)] {
        let (mut desk, seq) = moving();
        assert!(sent(&desk, MsgType::Replace).is_empty());
        let cancel = sent(&desk, MsgType::Cancel)[0];
        assert_eq!((cancel.revision, cancel.price, cancel.order_qty), (2, e9(100), e9(10)));
        assert_eq!(desk.status(seq), OrdStatus::PendingReplace);
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12), "never old and new together");
        fill_on(&mut desk, seq, 0, 3);
        assert_eq!(desk.tell(seq, revision, word), Disposition::Applied);
        assert_eq!(desk.tell(seq, revision, word), Disposition::Stale, "a copy of the proof");
        desk.time();
        desk.time();
        let news = sent(&desk, MsgType::NewOrder);
        assert_eq!(news.len(), 2);
        assert_eq!((news[1].revision, news[1].price, news[1].order_qty), (1, e9(99), e9(9)));
        assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::PendingReplace, "a".into()));
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(9));
        assert_eq!(desk.tell(seq, revision, word), Disposition::Stale, "and behind the new order");
        desk.tell(seq, 1, ExecType::New);
        assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::PartiallyFilled, "b".into()));
        let order = desk.order(seq);
        assert_eq!((order.order_qty, order.price, order.revision), (e9(12), e9(99), 1));
        assert_eq!(desk.tell(seq, revision, word), Disposition::Stale, "and behind its ack");
        assert_eq!(fill_on(&mut desk, seq, 1, 9), Disposition::Applied);
        assert_eq!(desk.status(seq), OrdStatus::Filled);
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
}

#[test]
fn corner_19_the_new_id_is_bound_by_its_ack_by_a_fill_and_by_a_query() {
    for bound in 0..3 {
        let (mut desk, seq) = moving();
        desk.tell(seq, 0, ExecType::Canceled);
        desk.time();
        match bound {
            0 => drop(desk.tell(seq, 1, ExecType::New)),
            1 => drop(fill_on(&mut desk, seq, 1, 2)),
            _ => {
                let mut answer = desk.report(seq, 1, ExecType::OrderStatus);
                answer.ord_status = OrdStatus::New as u8;
                desk.take(&answer);
            }
        }
        assert_eq!((id(&desk, seq), desk.order(seq).order_qty), ("b".into(), e9(12)), "{bound}");
        let filled = if bound == 1 { 2 } else { 0 };
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12 - filled));
        // A next replace begins from there.
        assert_eq!(desk.replace("c", "b", 11, e9(99)), Verdict::Accepted);
        assert_eq!(sent(&desk, MsgType::Cancel)[1].revision, 4);
        desk.tell(seq, 4, ExecType::Canceled);
        desk.time();
        let new = *desk.sent.0.last().unwrap();
        assert_eq!((new.revision, new.order_qty), (3, e9(11 - filled)));
        closing(&desk);
    }
}

#[test]
fn corner_19_what_is_filled_meanwhile_is_filled_and_no_new_order_goes() {
    let (mut desk, seq) = moving();
    fill_on(&mut desk, seq, 0, 10);
    assert_eq!(desk.status(seq), OrdStatus::PendingReplace, "the venue may take it to more");
    desk.tell(seq, 2, ExecType::CancelRejected);
    assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::Filled, "a".into()));
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    closing(&desk);
    // Below or equal to what is filled: filled, its quantity amended to that.
    for down in [4, 5] {
        let (mut desk, seq) = desk_of(ReplaceRule::CancelNew);
        assert_eq!(desk.replace("b", "a", down, e9(99)), Verdict::Accepted);
        fill_on(&mut desk, seq, 0, 5);
        desk.tell(seq, 0, ExecType::Canceled);
        desk.time();
        let order = desk.order(seq);
        assert_eq!((desk.status(seq), order.order_qty), (OrdStatus::Filled, e9(5)));
        assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
        closing(&desk);
    }
    // The fill comes between the proof and the new order.
    let (mut desk, seq) = moving();
    desk.tell(seq, 0, ExecType::Canceled);
    fill_on(&mut desk, seq, 0, 12);
    desk.time();
    assert_eq!(desk.status(seq), OrdStatus::Filled);
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    closing(&desk);
}

#[test]
fn corner_19_a_cancel_of_the_client_that_is_in_doubt_means_no_new_order_either() {
    let (mut desk, seq) = moving();
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    lose(&mut desk, seq);
    assert_eq!(desk.status(seq), OrdStatus::Unknown);
    answer(&mut desk, seq, 0, OrdStatus::Canceled);
    desk.time();
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    closing(&desk);
}

#[test]
fn corner_19_what_had_filled_before_its_new_self_was_held_back_is_filled() {
    type End = fn(&mut TestDesk, u64);
    let ends: &[(&str, bool, End)] = &[
        ("killed", false, |d, _| {
            d.kill(Scope::Account, 1, KillMode::CancelOnly);
        }),
        ("halted", false, |d, _| d.phase(Phase::Halted)),
        ("canceled here", false, |d, seq| {
            d.link(LinkState::Down); // it waits, and the client wants no more of it
            d.tell(seq, 0, ExecType::Canceled);
            assert_eq!(d.cancel("c", "a"), Verdict::Accepted);
        }),
        ("rejected", true, |d, seq| {
            d.tell(seq, 1, ExecType::Rejected);
        }),
        ("never left", true, |d, seq| {
            let mut dropped = DroppedUnsent::ZERO;
            (dropped.header.kind, dropped.header.order_seq) = (DroppedUnsent::KIND, seq);
            (dropped.msg_type, dropped.venue_id) = (MsgType::NewOrder as u8, 1);
            d.fact(dropped);
        }),
    ];
    for (name, is_out, end) in ends {
        let (mut desk, seq) = moving();
        fill_on(&mut desk, seq, 0, 10);
        if *is_out {
            desk.tell(seq, 0, ExecType::Canceled);
            desk.time();
            assert_eq!(desk.sent.0.last().unwrap().order_qty, e9(2), "{name}");
            end(&mut desk, seq);
        } else {
            end(&mut desk, seq);
            desk.tell(seq, 0, ExecType::Canceled);
            desk.time();
        }
        let order = desk.order(seq);
        assert_eq!((order.order_qty, order.cum_qty), (e9(10), e9(10)), "{name}");
        assert_eq!(desk.status(seq), OrdStatus::Filled, "{name}: ten of ten");
        assert_eq!((id(&desk, seq), desk.engine.live_count()), ("a".into(), 0), "{name}");
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0), "{name}");
        closing(&desk);
    }
}

#[test]
fn corner_19_a_cancel_that_is_refused_or_never_left_restores_the_old_terms_exactly() {
    for dropped in [false, true] {
        let (mut desk, seq) = moving();
        fill_on(&mut desk, seq, 0, 3);
        if dropped {
            let mut d = DroppedUnsent::ZERO;
            (d.header.kind, d.header.order_seq) = (DroppedUnsent::KIND, seq);
            (d.msg_type, d.venue_id) = (MsgType::Cancel as u8, 1);
            desk.fact(d);
        } else {
            desk.tell(seq, 2, ExecType::CancelRejected);
        }
        desk.time();
        let order = desk.order(seq);
        assert_eq!((order.order_qty, order.price, order.flight), (e9(10), e9(100), 0));
        assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::PartiallyFilled, "a".into()));
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(7));
        assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
        desk.tell(seq, 0, ExecType::Canceled); // and now it is the order's own end
        assert_eq!(desk.status(seq), OrdStatus::Canceled);
        closing(&desk);
    }
}

fn lose(desk: &mut TestDesk, seq: u64) {
    let mut u = OutcomeUnknown::ZERO;
    (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, seq, 1);
    desk.fact(u);
}

fn answer(desk: &mut TestDesk, seq: u64, revision: u16, status: OrdStatus) -> Disposition {
    let mut answer = desk.report(seq, revision, ExecType::OrderStatus);
    answer.ord_status = status as u8;
    (answer.cum_qty, answer.flags) = (desk.order(seq).cum_qty, REPORT_QUERIED);
    desk.take(&answer)
}

#[test]
fn corner_19_a_replace_that_was_never_sent_is_not_believed_to_hold() {
    for revision in [0, 1, 2] {
        let (mut desk, seq) = moving();
        assert_eq!(desk.tell(seq, revision, ExecType::Replaced), Disposition::Stale, "{revision}");
        assert_eq!((desk.order(seq).price, id(&desk, seq)), (e9(100), "a".into()), "{revision}");
        assert_eq!(desk.status(seq), OrdStatus::PendingReplace, "its cancel is on its way");
        desk.tell(seq, 2, ExecType::CancelRejected);
        assert_eq!((desk.status(seq), desk.order(seq).order_qty), (OrdStatus::New, e9(10)));
        closing(&desk);
    }
}

#[test]
fn corner_19_no_word_of_what_has_ended_sets_aside_restates_or_ends_what_is_there() {
    let words = [
        ExecType::Suspended,
        ExecType::DoneForDay,
        ExecType::Calculated,
        ExecType::Restated,
        ExecType::Expired,
        ExecType::Rejected,
        ExecType::ReplaceRejected,
        ExecType::UnknownOrder,
    ];
    for acked in [false, true] {
        for word in words {
            let (mut desk, seq) = moving();
            desk.tell(seq, 2, ExecType::Canceled);
            desk.time();
            if acked {
                desk.tell(seq, 1, ExecType::New);
            }
            let (status, open) = (desk.status(seq), desk.engine.row(1, ES).open_qty());
            let mut late = desk.report(seq, 0, word);
            (late.last_px, late.last_qty) = (e9(50), e9(1));
            assert_eq!(desk.take(&late), Disposition::Stale, "{word:?} {acked}");
            assert_eq!((desk.status(seq), desk.engine.row(1, ES).open_qty()), (status, open));
            closing(&desk);
        }
    }
}

#[test]
fn corner_19_a_correction_that_leaves_the_new_order_nothing_fills_the_order_and_stops_no_desk() {
    let (mut desk, seq) = moving();
    fill_on(&mut desk, seq, 0, 3);
    desk.link(LinkState::Down);
    assert_eq!(desk.tell(seq, 0, ExecType::Canceled), Disposition::Applied);
    let mut correct = desk.report(seq, 0, ExecType::TradeCorrect);
    (correct.exec_id, correct.last_qty, correct.last_px) = (text("E1"), e9(12), e9(99));
    assert_eq!(desk.take(&correct), Disposition::Overfill);
    desk.link(LinkState::Up);
    desk.time();
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Filled, e9(12)));
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    closing(&desk);
}

#[test]
fn corner_19_an_unknown_outcome_of_the_cancel_is_resolved_by_the_venue_alone() {
    let (mut desk, seq) = moving();
    lose(&mut desk, seq);
    desk.time();
    assert_eq!((desk.status(seq), sent(&desk, MsgType::NewOrder).len()), (OrdStatus::Unknown, 1));
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12));
    answer(&mut desk, seq, 0, OrdStatus::New);
    assert_eq!((desk.status(seq), desk.order(seq).order_qty), (OrdStatus::New, e9(10)));
    closing(&desk);

    let (mut desk, seq) = moving();
    lose(&mut desk, seq);
    answer(&mut desk, seq, 0, OrdStatus::Canceled);
    desk.time();
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 2);
    // The same for the new order.
    lose(&mut desk, seq);
    assert_eq!(desk.status(seq), OrdStatus::Unknown);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12));
    assert_eq!(answer(&mut desk, seq, 0, OrdStatus::Canceled), Disposition::Stale, "the old one");
    let mut again = Engine::new(desk.engine.config()).unwrap();
    desk.log.records.iter().for_each(|record| again.apply(record));
    assert_eq!(again.order(seq).unwrap().street_revision(), 1, "what a query asks about");
    assert_eq!(desk.tell(seq, 1, ExecType::UnknownOrder), Disposition::MoveLost);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    closing(&desk);
}

#[test]
fn corner_19_a_new_order_that_the_venue_refuses_ends_the_order_fills_kept_and_flagged() {
    let (mut desk, seq) = moving();
    fill_on(&mut desk, seq, 0, 3);
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    let flagged = desk.engine.counters().flagged;
    assert_eq!(desk.tell(seq, 1, ExecType::Rejected), Disposition::MoveLost);
    assert_eq!(desk.engine.counters().flagged, flagged + 1);
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, e9(3)));
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    assert_eq!(desk.tell(seq, 1, ExecType::Rejected), Disposition::Stale);
    closing(&desk);
}

#[test]
fn corner_19_a_fill_of_the_old_order_behind_its_proved_end_is_booked_and_flagged() {
    let (mut desk, seq) = moving();
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    assert_eq!(sent(&desk, MsgType::NewOrder)[1].order_qty, e9(12));
    assert_eq!(fill_on(&mut desk, seq, 0, 2), Disposition::Late);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(10));
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(fill_on(&mut desk, seq, 0, 1), Disposition::Late);
    assert_eq!(fill_on(&mut desk, seq, 1, 9), Disposition::Applied);
    assert_eq!(desk.status(seq), OrdStatus::Filled);
    assert_eq!(fill_on(&mut desk, seq, 1, 3), Disposition::Overfill, "what the venue still had");
    assert_eq!(desk.engine.row(1, ES).net_qty(), e9(15));
    closing(&desk);
}

#[test]
fn corner_19_a_copy_of_the_proof_of_one_move_proves_nothing_of_the_next() {
    // Moved once, and the next move on its way: the venue has what the first one made, revision 1.
    let again = || {
        let (mut desk, seq) = moving();
        desk.tell(seq, 0, ExecType::Canceled);
        desk.time();
        desk.tell(seq, 1, ExecType::New);
        assert_eq!(desk.replace("c", "b", 14, e9(98)), Verdict::Accepted);
        (desk, seq)
    };
    let words = [ExecType::Canceled, ExecType::Expired, ExecType::Rejected];
    for (revision, word) in [0, 2].into_iter().flat_map(|revision| words.map(|w| (revision, w))) {
        let (mut desk, seq) = again();
        assert_eq!(desk.tell(seq, revision, word), Disposition::Stale, "{word:?} of {revision}");
        desk.time();
        assert_eq!(sent(&desk, MsgType::NewOrder).len(), 2, "never two at the venue");
        assert_eq!(desk.status(seq), OrdStatus::PendingReplace);
        assert_eq!(fill_on(&mut desk, seq, revision, 1), Disposition::Late, "of what had ended");
        assert_eq!(desk.tell(seq, 1, ExecType::Canceled), Disposition::Applied, "the proof");
        desk.time();
        assert_eq!(sent(&desk, MsgType::NewOrder)[2].order_qty, e9(13));
        closing(&desk);
    }
}

#[test]
fn corner_19_a_copy_of_an_old_id_canceled_ends_nothing_while_the_next_modify_is_on_its_way() {
    let (mut desk, seq) = desk_of(ReplaceRule::ModifyNew);
    assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted);
    desk.tell(seq, 0, ExecType::Canceled);
    desk.tell(seq, 1, ExecType::New);
    assert_eq!(desk.replace("c", "b", 14, e9(98)), Verdict::Accepted);
    assert_eq!(desk.tell(seq, 0, ExecType::Canceled), Disposition::Stale);
    assert_eq!(desk.tell(seq, 2, ExecType::ReplaceRejected), Disposition::Applied);
    assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::New, "b".into()), "it works on");
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12));
    closing(&desk);
}

#[test]
fn corner_19_while_the_venue_counts_fills_that_we_lack_the_new_order_waits_for_them() {
    let (mut desk, seq) = moving();
    let mut proof = desk.report(seq, 0, ExecType::Canceled);
    proof.cum_qty = e9(4);
    assert_eq!(desk.take(&proof), Disposition::Applied);
    desk.time();
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    assert_eq!(sent(&desk, MsgType::OrderStatus).len(), 1, "asked about once");
    let mut fill = desk.report(seq, 0, ExecType::Trade);
    (fill.exec_id, fill.last_qty, fill.last_px) = (text("X"), e9(4), e9(100));
    fill.cum_qty = e9(4);
    desk.take(&fill);
    desk.time();
    assert_eq!(sent(&desk, MsgType::NewOrder)[1].order_qty, e9(8));
    closing(&desk);
}

#[test]
fn corner_19_a_kill_while_it_waits_lets_no_new_order_go() {
    for proved in [false, true] {
        for mode in [KillMode::CancelOnly, KillMode::Halt] {
            let (mut desk, seq) = moving();
            if proved {
                desk.tell(seq, 0, ExecType::Canceled);
            }
            desk.kill(Scope::Account, 1, mode);
            desk.time();
            if !proved {
                assert_ne!(desk.status(seq), OrdStatus::Canceled);
                desk.tell(seq, 0, ExecType::Canceled);
                desk.time();
            }
            assert_eq!(desk.status(seq), OrdStatus::Canceled, "{proved} {mode:?}");
            assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
            assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
            closing(&desk);
        }
    }
    // Held back at the last point before the wire: never sent is the evidence.
    let (mut desk, seq) = moving();
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    let mut d = DroppedUnsent::ZERO;
    (d.header.kind, d.header.order_seq) = (DroppedUnsent::KIND, seq);
    (d.msg_type, d.venue_id) = (MsgType::NewOrder as u8, 1);
    desk.fact(d);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    closing(&desk);
}

#[test]
fn corner_19_the_gate_is_asked_again_before_the_new_order_goes() {
    type Set = fn(&mut TestDesk);
    let cases: &[(Verdict, Set)] = &[
        (Verdict::MarketClosed, |d| d.phase(Phase::Halted)),
        (Verdict::PriceBelowBand, |d| d.quote(ES, e9(200), e9(201))),
        (Verdict::ReferenceStale, |d| d.now_ns += 2_000_000_000),
        (Verdict::OrderQtyLimit, |d| {
            let mut limit = account_limits(1);
            limit.order_qty_max = e9(8);
            d.limit(limit);
        }),
        (Verdict::Killed, |d| {
            d.kill(Scope::Desk, 0, KillMode::ReduceOnly);
        }),
    ];
    for (verdict, set) in cases {
        let (mut desk, seq) = moving();
        fill_on(&mut desk, seq, 0, 3);
        set(&mut desk);
        desk.tell(seq, 0, ExecType::Canceled);
        desk.time();
        assert_eq!(desk.status(seq), OrdStatus::Canceled, "{verdict:?}");
        let told = *Moved::from_record(desk.last()).expect("it says why");
        assert_eq!(told.verdict, verdict.code());
        assert_eq!(desk.order(seq).cum_qty, e9(3));
        assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
        closing(&desk);
    }
    // A link that is down is waited for: the order may still be canceled, here.
    let (mut desk, seq) = moving();
    desk.tell(seq, 0, ExecType::Canceled);
    desk.link(LinkState::Down);
    desk.time();
    assert_eq!((desk.status(seq), desk.engine.live_count()), (OrdStatus::PendingReplace, 1));
    let mut u = OutcomeUnknown::ZERO;
    (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, seq, 1);
    assert_ne!(desk.step(u.as_record()), Verdict::Accepted, "nothing of it is out");
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    desk.link(LinkState::Up);
    desk.time();
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    closing(&desk);
}

#[test]
fn corner_19_a_cancel_of_the_client_meanwhile_means_no_new_order() {
    let (mut desk, seq) = moving();
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    assert_eq!(sent(&desk, MsgType::Cancel)[1].revision, 3);
    assert_eq!(desk.status(seq), OrdStatus::PendingCancel);
    desk.tell(seq, 2, ExecType::Canceled);
    desk.time();
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
    closing(&desk);
    // Behind the new order it is that one's cancel.
    let (mut desk, seq) = moving();
    desk.tell(seq, 2, ExecType::Canceled);
    desk.time();
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    assert_eq!(desk.tell(seq, 0, ExecType::Canceled), Disposition::Stale);
    desk.tell(seq, 3, ExecType::Canceled);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    closing(&desk);
}

#[test]
fn corner_19_a_crash_between_proof_and_new_order_sends_it_once() {
    let (mut desk, seq) = moving();
    desk.tell(seq, 0, ExecType::Canceled); // and no step after it
    let mut again = Engine::new(desk.engine.config()).unwrap();
    desk.log.records.iter().for_each(|record| again.apply(record));
    desk.engine = again;
    desk.quote(ES, e9(100), e9(100) + ONE / 4);
    desk.time();
    desk.time();
    assert_eq!(sent(&desk, MsgType::NewOrder).len(), 2);
    assert_eq!(desk.status(seq), OrdStatus::PendingReplace);
    closing(&desk);
}

#[test]
fn corner_14_and_19_a_replace_that_was_given_up_and_lives_after_all_is_flagged() {
    use ReplaceRule::{InFlightCounted, InFlightLost, ModifyNew};
    for (rule, word) in [
        (InFlightCounted, ExecType::Replaced),
        (InFlightLost, ExecType::Replaced),
        (ModifyNew, ExecType::Replaced),
        (ModifyNew, ExecType::New),
        (ModifyNew, ExecType::OrderStatus),
    ] {
        let (mut desk, seq) = desk_of(rule);
        assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted);
        lose(&mut desk, seq);
        answer(&mut desk, seq, 0, OrdStatus::New);
        assert_eq!((desk.status(seq), desk.order(seq).order_qty), (OrdStatus::New, e9(10)));
        let told = match word {
            ExecType::OrderStatus => answer(&mut desk, seq, 1, OrdStatus::New),
            word => desk.tell(seq, 1, word),
        };
        assert_eq!(told, Disposition::OutsideTable, "{rule:?} {word:?}");
        assert_eq!(desk.order(seq).order_qty, e9(10));
        closing(&desk);
    }
}

#[test]
fn a_fill_of_the_old_order_that_never_was_leaves_the_new_ones_sum_though_it_is_told_by_its_id() {
    for (told_by, new) in [(0, None), (1, None), (0, Some(3)), (1, Some(3))] {
        let (mut desk, seq) = moving();
        fill_on(&mut desk, seq, 0, 1);
        desk.tell(seq, 2, ExecType::Canceled);
        desk.time();
        desk.tell(seq, 1, ExecType::New);
        let kind = if new.is_some() { ExecType::TradeCorrect } else { ExecType::TradeCancel };
        let mut r = desk.report(seq, told_by, kind);
        (r.exec_id, r.last_qty, r.last_px) = (text("B"), e9(new.unwrap_or(0)), e9(99));
        offer_ids(&mut desk, &r, |ids| ids.exec_ref_id = text("E1"));
        assert_eq!(desk.take(&r), Disposition::Applied);
        // The new order counts its own: two, and all that we have of it.
        let mut r = trade_report(&desk, seq, "N", 2, 99);
        (r.street_id, r.cum_qty) = (desk.report(seq, 1, ExecType::Trade).street_id, e9(2));
        assert_eq!(desk.take(&r), Disposition::Applied);
        desk.time();
        assert_eq!(desk.order(seq).cum_qty, e9(2 + new.unwrap_or(0)));
        assert_eq!(desk.sent_of(seq, MsgType::OrderStatus), 0, "by {told_by}: no sum differs");
        let mut r = desk.report(seq, 1, ExecType::OrderStatus);
        (r.ord_status, r.flags) = (OrdStatus::Canceled as u8, REPORT_QUERIED);
        r.cum_qty = e9(2);
        assert_eq!(desk.take(&r), Disposition::Applied, "by {told_by}: nothing is missing");
        closing(&desk);
    }
}

#[test]
fn corner_19_a_child_in_a_move_never_holds_more_of_its_parent_than_it_has() {
    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Venue, "CME", 0, ReplaceRule::CancelNew as u8));
    let parent = parent(&mut desk, "p", 12);
    let seq = child(&mut desk, "a", parent, 10);
    assert_eq!(desk.replace("b", "a", 13, e9(99)), Verdict::ParentExceeded);
    assert_eq!(desk.replace("c", "a", 12, e9(99)), Verdict::Accepted, "not old and new");
    assert_eq!(desk.order(parent).children_qty, e9(12));
    desk.tell(seq, 2, ExecType::Canceled);
    desk.time();
    assert_eq!(desk.order(parent).children_qty, e9(12));
    desk.tell(seq, 1, ExecType::Rejected);
    assert_eq!(desk.order(parent).children_qty, 0);
    closing(&desk);
}

#[test]
fn corner_19_where_a_modify_is_told_as_old_canceled_and_new_acknowledged_the_order_lives_on() {
    for new_first in [false, true] {
        let (mut desk, seq) = desk_of(ReplaceRule::ModifyNew);
        assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted);
        assert_eq!(sent(&desk, MsgType::Replace).len(), 1);
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(22), "both may fill");
        if new_first {
            desk.tell(seq, 1, ExecType::New);
            assert_eq!(desk.tell(seq, 0, ExecType::Canceled), Disposition::Stale);
        } else {
            desk.tell(seq, 0, ExecType::Canceled);
            assert_eq!(desk.status(seq), OrdStatus::PendingReplace);
            assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12));
            desk.tell(seq, 1, ExecType::New);
        }
        assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::New, "b".into()));
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12));
        assert_eq!(sent(&desk, MsgType::NewOrder).len(), 1);
        desk.tell(seq, 1, ExecType::Canceled);
        assert_eq!(desk.status(seq), OrdStatus::Canceled);
        closing(&desk);
    }
    // What it was had ended by itself, and the replace never arrived: the venue has no such id.
    for in_doubt in [false, true] {
        let (mut desk, seq) = desk_of(ReplaceRule::ModifyNew);
        desk.replace("b", "a", 12, e9(99));
        if in_doubt {
            lose(&mut desk, seq);
            assert_eq!(desk.tell(seq, 1, ExecType::UnknownOrder), Disposition::OutsideTable);
        }
        answer(&mut desk, seq, 0, OrdStatus::Canceled);
        assert_eq!(desk.tell(seq, 1, ExecType::UnknownOrder), Disposition::MoveLost);
        assert_eq!(desk.status(seq), OrdStatus::Canceled);
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
    let (mut desk, seq) = desk_of(ReplaceRule::ModifyNew);
    desk.replace("b", "a", 12, e9(99));
    desk.tell(seq, 0, ExecType::Canceled);
    assert_eq!(desk.tell(seq, 1, ExecType::ReplaceRejected), Disposition::MoveLost);
    assert_eq!(desk.status(seq), OrdStatus::Canceled, "there is nothing to restore");
    closing(&desk);
}

#[test]
fn corner_19_and_26_the_ack_of_the_new_self_of_a_suspended_order_binds_its_id_and_renews_it() {
    use ReplaceRule::{CancelNew, ModifyNew};
    let aside = [ExecType::Suspended, ExecType::Stopped, ExecType::DoneForDay];
    // With the end of the old self told before, and where the venue does both itself without.
    for (rule, ended) in [(CancelNew, true), (ModifyNew, true), (ModifyNew, false)] {
        for (word, filled, queried) in aside
            .into_iter()
            .flat_map(|word| [(word, 0, false), (word, 3, false), (word, 0, true), (word, 3, true)])
        {
            let case = format!("{rule:?} {ended} {word:?} {filled} {queried}");
            let (mut desk, seq) = desk_of(rule);
            let mut set = desk.report(seq, 0, word);
            set.transact_time_ns = START_NS + 5;
            assert_eq!(desk.take(&set), Disposition::Applied, "{case}");
            assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted, "{case}");
            if filled != 0 {
                fill_on(&mut desk, seq, 0, filled);
            }
            let live = if filled == 0 { OrdStatus::New } else { OrdStatus::PartiallyFilled };
            if ended {
                desk.tell(seq, 0, ExecType::Canceled);
                let order = desk.order(seq);
                assert_eq!(order.base, live as u8, "{case}: what was set aside is no more");
                assert_eq!(order.end_time_ns, 0, "{case}");
                desk.time();
            }
            let mut ack = match queried {
                true => desk.report(seq, 1, ExecType::OrderStatus),
                false => desk.report(seq, 1, ExecType::New),
            };
            (ack.ord_status, ack.transact_time_ns) = (OrdStatus::New as u8, START_NS + 6);
            assert_eq!(desk.take(&ack), Disposition::Applied, "{case}");
            assert_eq!((desk.status(seq), id(&desk, seq)), (live, "b".into()), "{case}");
            let order = *desk.order(seq);
            let since = if ended { 0 } else { START_NS + 6 };
            assert_eq!((order.order_qty, order.price, order.end_time_ns), (e9(12), e9(99), since));
            assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12 - filled), "{case}");
            assert_eq!(desk.take(&ack), Disposition::Stale, "{case}: a copy");
            closing(&desk);
        }
    }
}

#[test]
fn the_ack_of_a_new_self_that_is_older_than_its_suspension_leaves_it_suspended() {
    let (mut desk, seq) = desk_of(ReplaceRule::ModifyNew);
    assert_eq!(desk.replace("b", "a", 12, e9(99)), Verdict::Accepted);
    let mut set = desk.report(seq, 1, ExecType::Suspended);
    set.transact_time_ns = START_NS + 7;
    desk.take(&set);
    let mut ack = desk.report(seq, 1, ExecType::New);
    ack.transact_time_ns = START_NS + 6;
    assert_eq!(desk.take(&ack), Disposition::Applied);
    assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::Suspended, "b".into()));
    closing(&desk);
}

/// What keeps an order's place, from the venues' rule books: CME Globex keeps it for less quantity alone,
/// others also for a price farther from the market; what goes as a cancel and a new order never does.
#[test]
fn the_event_that_accepts_a_replace_says_what_becomes_of_the_orders_place_in_the_queue() {
    use QueuePriority::{Kept, Lost, Untold};
    let cases = [
        (QueueRule::QuantityDown, 9, 100, Kept),
        (QueueRule::QuantityDown, 11, 100, Lost),
        (QueueRule::QuantityDown, 10, 99, Lost),
        (QueueRule::QuantityDown, 9, 99, Lost),
        (QueueRule::Away, 10, 99, Kept),
        (QueueRule::Away, 9, 99, Kept),
        (QueueRule::Away, 10, 101, Lost),
        (QueueRule::Away, 11, 99, Lost),
        (QueueRule::None, 9, 100, Lost),
        (QueueRule::Untold, 9, 100, Untold),
    ];
    for &replace_rule in ReplaceRule::ALL {
        for (rule, qty, px, told) in cases {
            let (mut desk, seq) = desk_of(replace_rule);
            let mut venue = definition(Entity::Venue, "CME", 0, replace_rule as u8);
            venue.queue_rule = rule as u8;
            desk.fact(venue);
            assert_eq!(desk.replace("b", "a", qty, e9(px)), Verdict::Accepted);
            let events = desk.log.records.iter().rev();
            let accepted = events.filter_map(ReplaceAccepted::from_record).next().expect("logged");
            assert_eq!((accepted.header.order_seq, accepted.held), (seq, 0));
            let told = if replace_rule == ReplaceRule::CancelNew { Lost } else { told };
            assert_eq!(accepted.priority, told as u8, "{replace_rule:?} {rule:?} {qty} at {px}");
            closing(&desk);
        }
    }
}

#[test]
fn corner_19_the_end_of_the_old_id_takes_no_doubt_from_what_is_still_on_its_way() {
    // Seed 532 of the simulator: the venue had refused the cancel, that word was lost, and no question
    // was asked about it.
    for canceled in [false, true] {
        let (mut desk, seq) = desk_of(ReplaceRule::ModifyNew);
        desk.replace("b", "a", 12, e9(99));
        if canceled {
            assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
        }
        lose(&mut desk, seq);
        assert_eq!(desk.tell(seq, 0, ExecType::Canceled), Disposition::Applied);
        assert_eq!(desk.status(seq), OrdStatus::Unknown);
        if canceled {
            assert_eq!(desk.tell(seq, 1, ExecType::New), Disposition::Applied);
            assert_eq!(desk.status(seq), OrdStatus::Unknown, "what became of the cancel?");
        }
        assert_eq!(answer(&mut desk, seq, 1, OrdStatus::New), Disposition::Applied);
        assert_eq!((desk.status(seq), id(&desk, seq)), (OrdStatus::New, "b".into()));
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(12));
        assert_eq!(desk.cancel("d", "b"), Verdict::Accepted);
        closing(&desk);
    }
}
