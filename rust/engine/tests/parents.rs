//! Parent and child (CORNERS 30, I10, I11) and mass cancels (CORNERS 40): who is reached, in which order,
//! what comes back, what two at once do.

mod common;
use common::*;
use layout::*;
use proptest::prelude::*;

fn parent(desk: &mut TestDesk, id: &str, qty: i64) -> u64 {
    let mut parent = TestDesk::new_order(id, Side::Buy, qty, e9(100));
    parent.tags = TAG_PARENT;
    assert_eq!(desk.submit(&parent), Verdict::Accepted);
    desk.newest()
}

fn child(desk: &mut TestDesk, id: &str, of: u64, qty: i64) -> u64 {
    let mut child = TestDesk::new_order(id, Side::Buy, qty, e9(100));
    child.parent_order_seq = of;
    assert_eq!(desk.submit(&child), Verdict::Accepted);
    desk.newest()
}

fn cancels(desk: &TestDesk) -> Vec<u64> {
    let sent = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::Cancel as u8);
    sent.map(|r| r.header.order_seq).collect()
}

fn closing(desk: &TestDesk) {
    desk.assert_sums_are_folds();
    desk.assert_replay_equals();
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
    let mut more = TestDesk::new_order("e", Side::Buy, 1, e9(100));
    more.parent_order_seq = p;
    assert_eq!(desk.submit(&more), Verdict::ParentExceeded);
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
