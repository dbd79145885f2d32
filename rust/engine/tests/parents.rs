//! Parent and child (CORNERS 30, I10, I11) and mass cancels (CORNERS 40): who is reached, in which order,
//! what comes back, what two at once do.

mod common;
use common::*;
use layout::*;
use proptest::prelude::*;

fn cancels(desk: &TestDesk) -> Vec<u64> {
    let sent = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::Cancel as u8);
    sent.map(|r| r.header.order_seq).collect()
}

#[test]
fn corner_30_a_canceled_parent_reaches_every_child_and_a_racing_fill_is_kept() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let racing = child(&mut desk, "a", p, 4);
    let unknown = child(&mut desk, "b", p, 4);
    let mut u = OutcomeUnknown::ZERO;
    (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, unknown, 1);
    desk.fact(u);
    assert_eq!(desk.cancel("c", "p"), Verdict::Accepted);
    desk.time();
    assert_eq!((desk.status(p), cancels(&desk)), (OrdStatus::Canceled, vec![racing, unknown]));
    desk.fill(racing, 4, e9(100));
    assert_eq!(desk.status(racing), OrdStatus::Filled);
    assert_eq!(desk.tell(racing, 1, ExecType::CancelRejected), Disposition::Stale);
    assert_eq!(desk.order(p).children_qty, e9(8), "the unknown one keeps its part");
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(4));
    assert_eq!(desk.tell(unknown, 0, ExecType::UnknownOrder), Disposition::Applied);
    assert_eq!(desk.order(p).children_qty, e9(4), "never there: given back");
    let mut late = TestDesk::new_order("d", Side::Buy, 1, e9(100));
    late.parent_order_seq = p;
    assert_eq!(desk.submit(&late), Verdict::ParentUnknown);
    closing(&desk);
}

#[test]
fn corner_30_a_rejected_child_gives_back_and_an_overfilled_one_takes_what_it_took() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let a = child(&mut desk, "a", p, 6);
    let mut b = TestDesk::new_order("b", Side::Buy, 5, e9(100));
    b.parent_order_seq = p;
    assert_eq!(desk.submit(&b), Verdict::ParentExceeded);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(11), e9(10)));
    desk.tell(a, 0, ExecType::Rejected);
    assert_eq!(desk.order(p).children_qty, 0);
    let c = child(&mut desk, "d", p, 10);
    assert_eq!(desk.fill(c, 12, e9(100)), Disposition::Overfill);
    assert_eq!(desk.order(p).children_qty, e9(12), "a fact, above the parent");
    assert_eq!((desk.status(p), desk.order(p).cum_qty), (OrdStatus::Filled, e9(12)));
    assert_eq!(one_more(&mut desk, "e", p), Verdict::ParentUnknown, "done: it takes no more");
    closing(&desk);
}

fn one_more(desk: &mut TestDesk, id: &str, of: u64) -> Verdict {
    let mut more = TestDesk::new_order(id, Side::Buy, 1, e9(100));
    more.parent_order_seq = of;
    desk.submit(&more)
}

/// Status, CumQty(14) and LeavesQty(151) in whole units.
fn stands(desk: &TestDesk, seq: u64) -> (OrdStatus, i64, i64) {
    let order = desk.order(seq);
    (desk.status(seq), order.cum_qty / e9(1), order.leaves_qty() / e9(1))
}

#[test]
fn a_parent_whose_children_filled_it_whole_is_filled() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let (a, b) = (child(&mut desk, "a", p, 6), child(&mut desk, "b", p, 4));
    desk.fill(a, 2, e9(99));
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 2, 8));
    assert_eq!((desk.order(p).children_qty, desk.engine.live_count()), (e9(10), 3));
    desk.fill(a, 4, e9(100));
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 6, 4));
    assert_eq!(desk.order(p).end_time_ns, 0);
    desk.now_ns += 7;
    desk.fill(b, 4, e9(98));
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0));
    let spent =
        [(99, 2), (100, 4), (98, 4)].iter().map(|&(px, qty)| e9(px) as i128 * e9(qty) as i128);
    assert_eq!(desk.order(p).cum_points, spent.sum(), "the average is over every child's fills");
    assert_eq!((desk.order(p).end_time_ns, desk.engine.live_count()), (desk.now_ns, 0));
    assert_eq!(desk.engine.position(1, ES).net_qty, e9(10), "once, not once more by the parent");
    assert_eq!(one_more(&mut desk, "c", p), Verdict::ParentUnknown);
    assert_eq!(desk.cancel("x", "p"), Verdict::OrderClosed);
    desk.time();
    assert!(cancels(&desk).is_empty());
    closing(&desk);
}

#[test]
fn a_partly_filled_parent_is_replaced_to_more_than_has_filled_alone_and_canceled_at_once() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let a = child(&mut desk, "a", p, 6);
    desk.fill(a, 4, e9(100));
    assert_eq!(desk.replace("r", "p", 3, e9(100)), Verdict::QtyBelowFilled);
    assert_eq!(desk.replace("s", "p", 4, e9(100)), Verdict::QtyBelowFilled);
    assert_eq!(desk.replace("t", "p", 5, e9(100)), Verdict::ParentExceeded, "two more may fill");
    assert_eq!(desk.replace("u", "p", 6, e9(100)), Verdict::Accepted);
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 4, 2));
    assert_eq!(desk.cancel("c", "u"), Verdict::Accepted);
    assert_eq!(stands(&desk, p), (OrdStatus::Canceled, 4, 0));
    desk.time();
    assert_eq!(cancels(&desk), [a]);
    closing(&desk);
}

#[test]
fn a_late_child_fill_counts_for_its_canceled_parent_and_completes_it() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let (a, b) = (child(&mut desk, "a", p, 6), child(&mut desk, "b", p, 4));
    assert_eq!(desk.cancel("c", "p"), Verdict::Accepted);
    let ended_ns = desk.order(p).end_time_ns;
    desk.now_ns += 5;
    desk.fill(a, 6, e9(100));
    assert_eq!(stands(&desk, p), (OrdStatus::Canceled, 6, 0), "kept, and it stays canceled");
    desk.fill(b, 4, e9(100));
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0), "filled goes before canceled");
    assert_eq!((desk.order(p).end_time_ns, desk.engine.live_count()), (ended_ns, 0));
    assert_eq!(amend(&mut desk, b, "", "E2", None, 0), Disposition::Late);
    assert_eq!(stands(&desk, p), (OrdStatus::Canceled, 6, 0), "its cancel stands: not open again");
    assert_eq!(one_more(&mut desk, "d", p), Verdict::ParentUnknown);
    assert_eq!(desk.engine.live_count(), 0);
    closing(&desk);
}

#[test]
fn a_child_brought_back_under_a_canceled_parent_that_fills_completed_is_canceled_again() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let a = child(&mut desk, "a", p, 10);
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.cancel("c", "p"), Verdict::Accepted);
    desk.fill(a, 10, e9(100));
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0));
    assert_eq!(
        amend(&mut desk, a, "", "E1", None, 10),
        Disposition::Late,
        "the venue works it again"
    );
    assert_eq!(stands(&desk, p), (OrdStatus::Canceled, 0, 0));
    let sent = cancels(&desk).len();
    desk.time();
    assert_eq!(cancels(&desk)[sent..], [a]);
    closing(&desk);
}

#[test]
fn a_busted_child_fill_opens_the_parent_again_that_fills_had_ended() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let (a, b) = (child(&mut desk, "a", p, 6), child(&mut desk, "b", p, 4));
    desk.fill(a, 6, e9(100));
    desk.fill(b, 4, e9(100));
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0));
    // The venue does not work the rest of the child again: what is left is the parent's to give.
    assert_eq!(amend(&mut desk, b, "", "E2", None, 0), Disposition::Late);
    assert_eq!(stands(&desk, b), (OrdStatus::Canceled, 0, 0));
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 6, 4));
    assert_eq!((desk.order(p).end_time_ns, desk.engine.live_count()), (0, 1));
    let c = child(&mut desk, "d", p, 4);
    assert_eq!(one_more(&mut desk, "e", p), Verdict::ParentExceeded);
    desk.fill(c, 4, e9(101));
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0));
    // The venue works what it takes back: child and parent live again, and nothing is canceled.
    assert_eq!(amend(&mut desk, a, "", "E1", None, 6), Disposition::Late);
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 4, 6));
    assert_eq!((stands(&desk, a), desk.engine.live_count()), ((OrdStatus::New, 0, 6), 2));
    desk.time();
    assert!(cancels(&desk).is_empty());
    closing(&desk);
}

#[test]
fn a_corrected_child_fill_corrects_the_sums_of_its_parent_and_may_fill_it() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let a = child(&mut desk, "a", p, 10);
    desk.fill(a, 6, e9(100));
    amend(&mut desk, a, "", "E1", Some((6, 99)), 4);
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 6, 4));
    assert_eq!(desk.order(p).cum_points, e9(99) as i128 * e9(6) as i128);
    amend(&mut desk, a, "", "E1", Some((10, 99)), 0);
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0));
    amend(&mut desk, a, "", "E1", Some((9, 99)), 1);
    assert_eq!(stands(&desk, p), (OrdStatus::PartiallyFilled, 9, 1));
    amend(&mut desk, a, "", "E1", None, 10);
    assert_eq!(stands(&desk, p), (OrdStatus::New, 0, 10), "nothing of it has filled");
    closing(&desk);
}

#[test]
fn an_overfilled_child_ends_its_parent_and_what_the_others_have_open_is_canceled() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let (a, b) = (child(&mut desk, "a", p, 6), child(&mut desk, "b", p, 4));
    desk.tell(b, 0, ExecType::New);
    assert_eq!(desk.fill(a, 10, e9(100)), Disposition::Overfill);
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0));
    desk.time();
    assert_eq!(cancels(&desk), [b], "the parent has what it wanted");
    desk.fill(b, 4, e9(100));
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 14, 0), "the fill won the race: a fact");
    amend(&mut desk, b, "", "E2", None, 0);
    assert_eq!(stands(&desk, p), (OrdStatus::Filled, 10, 0), "whole without it");
    amend(&mut desk, a, "", "E1", None, 0);
    assert_eq!(stands(&desk, p), (OrdStatus::New, 0, 10));
    closing(&desk);
}

#[test]
fn a_parent_that_a_bust_opens_under_a_kill_is_canceled_again() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let a = child(&mut desk, "a", p, 10);
    desk.fill(a, 10, e9(100));
    desk.kill(Scope::Account, 1, KillMode::CancelOnly);
    amend(&mut desk, a, "", "E1", None, 0);
    desk.time();
    assert_eq!(stands(&desk, p), (OrdStatus::Canceled, 0, 0));
    closing(&desk);
}

fn mass(desk: &mut TestDesk, id: &str, set: impl Fn(&mut MassCancel)) -> MassCancel {
    let mut m = MassCancel::ZERO;
    (m.header.kind, m.cl_ord_id, m.session_id) = (MassCancel::KIND, text(id), 1);
    set(&mut m);
    assert_eq!(desk.step(m.as_record()), Verdict::Accepted);
    let told = desk.log.records.iter().rev().find_map(MassCancel::from_record);
    *told.expect("its event")
}

/// Orders over two instruments, two accounts, two strategies, both sides.
fn crowd(desk: &mut TestDesk, orders: &[(u32, u32, u16, bool)]) -> Vec<u64> {
    let place = |(n, &(instrument_id, account_id, strategy_id, buy)): (usize, _)| {
        let side = if buy { Side::Buy } else { Side::SellShort };
        let px = if buy { e9(99) } else { e9(101) };
        let mut o = TestDesk::new_order(&format!("o{n}"), side, 1, px);
        (o.instrument_id, o.account_id, o.strategy_id) = (instrument_id, account_id, strategy_id);
        assert_eq!(desk.submit(&o), Verdict::Accepted);
        desk.newest()
    };
    orders.iter().enumerate().map(place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn corner_40_a_mass_cancel_of_any_mix_reaches_what_a_plain_filter_finds_oldest_first(
        orders in prop::collection::vec((1u32..3, 1u32..3, 0u16..2, any::<bool>()), 1..80),
        mix in (0u32..3, 0u32..3, 0u16..2, 0u8..5, 0u16..2, 0u16..3),
        ended in prop::collection::vec(any::<bool>(), 80),
    ) {
        let mut desk = TestDesk::open();
        let seqs = crowd(&mut desk, &orders);
        for (&seq, _) in seqs.iter().zip(&ended).filter(|(_, ended)| **ended) {
            desk.tell(seq, 0, ExecType::Canceled);
        }
        let (instrument_id, account_id, strategy_id, side, venue_id, of_session_id) = mix;
        let wanted: Vec<u64> = (0..orders.len())
            .filter(|&n| {
                let (instrument, account, strategy, buy) = orders[n];
                !ended[n]
                    && (instrument_id == 0 || instrument == instrument_id)
                    && (account_id == 0 || account == account_id)
                    && (strategy_id == 0 || strategy == strategy_id)
                    && (side == 0 || (side == 1) == buy)
                    && of_session_id < 2
            })
            .map(|n| seqs[n])
            .collect();
        let told = mass(&mut desk, "m", |m| {
            (m.instrument_id, m.account_id, m.strategy_id) = (instrument_id, account_id, strategy_id);
            (m.side, m.venue_id, m.of_session_id) = (side, venue_id, of_session_id);
        });
        prop_assert_eq!(told.matched as usize, wanted.len());
        while desk.engine.asked_count() != 0 {
            desk.time();
        }
        prop_assert_eq!(cancels(&desk), wanted, "in the order of their numbers, each once");
        closing(&desk);
    }
}

#[test]
fn corner_40_two_mass_cancels_that_overlap_cancel_each_order_once() {
    let mut desk = TestDesk::open();
    let all = [(ES, 1, 1, true), (ES, 1, 1, false), (FX, 1, 1, true), (FX, 2, 1, true)];
    let seqs = crowd(&mut desk, &all);
    let first = mass(&mut desk, "m", |m| m.instrument_id = ES);
    let second = mass(&mut desk, "n", |m| m.account_id = 1);
    assert_eq!((first.matched, second.matched), (2, 3), "each tells what it found live");
    desk.time();
    assert_eq!(cancels(&desk), seqs[..3]);
    closing(&desk);
}

#[test]
fn corner_40_a_mass_cancel_with_fills_in_flight_succeeds_in_part_and_says_what_is_left() {
    let mut desk = TestDesk::open();
    let seqs = crowd(&mut desk, &[(ES, 1, 1, true); 4]);
    desk.tell(seqs[2], 0, ExecType::New);
    mass(&mut desk, "m", |_| {});
    desk.time();
    desk.fill(seqs[0], 1, e9(99));
    desk.tell(seqs[1], 1, ExecType::Canceled);
    desk.tell(seqs[2], 1, ExecType::CancelRejected);
    let now: Vec<_> = seqs.iter().map(|&seq| desk.status(seq)).collect();
    use OrdStatus::{Canceled, Filled, New, PendingCancel};
    assert_eq!(now, [Filled, Canceled, New, PendingCancel]);
    assert_eq!(desk.tell(seqs[0], 1, ExecType::CancelRejected), Disposition::Stale);
    assert_eq!(desk.engine.live_count(), 2);
    let again = mass(&mut desk, "n", |_| {});
    desk.time();
    assert_eq!(again.matched, 2);
    assert_eq!(cancels(&desk)[4..], [seqs[2]], "the one still on its way is not sent again");
    closing(&desk);
}

#[test]
fn corner_40_what_a_link_that_is_down_keeps_back_goes_when_it_is_up() {
    let mut desk = TestDesk::open();
    let seqs = crowd(&mut desk, &[(ES, 1, 1, true); 3]);
    desk.link(LinkState::Down);
    mass(&mut desk, "m", |_| {});
    desk.time();
    assert_eq!((cancels(&desk).len(), desk.engine.asked_count()), (0, 3));
    desk.link(LinkState::Up);
    desk.time();
    assert_eq!(cancels(&desk), seqs);
    closing(&desk);
}

#[test]
fn corner_24_and_30_a_bust_and_a_late_fill_of_a_forgotten_child_reach_the_parent_that_lives() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let c = child(&mut desk, "c", p, 4);
    desk.take(&trade_report(&desk, c, "X1", 2, 100));
    desk.take(&trade_report(&desk, c, "X2", 1, 101));
    desk.tell(c, 0, ExecType::Canceled);
    let (late, mut gone) =
        (trade_report(&desk, c, "X3", 1, 102), desk.report(c, 0, ExecType::TradeCancel));
    desk.forget(c);
    assert_eq!(desk.take(&late), Disposition::Late);
    assert_eq!((desk.order(p).cum_qty, desk.order(p).children_qty), (e9(4), e9(4)));
    gone.exec_id = text("B");
    offer_ids(&mut desk, &gone, |ids| ids.exec_ref_id = text("X1"));
    assert_eq!(desk.take(&gone), Disposition::Late);
    assert_eq!((desk.order(p).cum_qty, desk.order(p).children_qty), (e9(2), e9(2)));
    assert_eq!(desk.order(p).cum_points, points(101, 1) + points(102, 1));
    assert_eq!(desk.status(p), OrdStatus::PartiallyFilled);
    desk.assert_replay_equals();
    desk.now_ns += 24 * 3600 * ONE;
    desk.quote(ES, e9(100), e9(100) + ONE / 4);
    let d = child(&mut desk, "d", p, 8); // all that it gave back
    desk.take(&trade_report(&desk, d, "X4", 8, 100));
    assert_eq!(desk.status(p), OrdStatus::Filled);
    desk.assert_replay_equals();
}
