//! Money to the last digit: a fill through zero is told as its close and its open, hedging accounts
//! keep their legs apart, busts and corrections refold, and no venue's number leaves the range of a sum
//! (DESIGN §2, CORNERS 32, I23). The reference is a fold written a second time, over plain lists.

mod common;
use common::*;
use engine::{Engine, EngineConfig};
use layout::*;
use proptest::prelude::*;

const OPEN: u8 = (PositionEffect::Open as u8) << TAG_EFFECT_SHIFT;
const CLOSE: u8 = (PositionEffect::Close as u8) << TAG_EFFECT_SHIFT;

/// Net, open cost and cash of a list of fills, and what each close realised.
fn fold(fills: &[(i64, i64)]) -> (i128, i128, i128, i128) {
    let (mut net, mut cost, mut cash, mut realised) = (0i128, 0i128, 0i128, 0i128);
    for &(qty, px) in fills {
        let (qty, px) = (i128::from(qty), i128::from(px));
        cash -= qty * px;
        let closed = if net.signum() * qty.signum() < 0 { qty.abs().min(net.abs()) } else { 0 };
        if closed > 0 {
            let out = (cost * closed).div_euclid(net.abs()); // exact where all is closed
            realised += qty.signum() * -closed * px - out;
            cost -= out;
            net += qty.signum() * closed;
        }
        let opened = qty - qty.signum() * closed;
        (net, cost) = (net + opened, cost + opened * px);
    }
    (net, cost, cash, realised)
}

fn splits(desk: &TestDesk) -> Vec<PositionSplit> {
    desk.log.records.iter().filter_map(|r| PositionSplit::from_record(r).copied()).collect()
}

fn realised(split: &PositionSplit) -> i128 {
    i128::from(split.realised_high) << 64 | i128::from(split.realised_low)
}

/// A fill of exact fixed-point numbers on an order of its own, whatever the order says: an overfill.
fn book(
    desk: &mut TestDesk,
    order_seq: u64,
    exec: u64,
    qty: i64,
    px: i64,
    fee: i64,
) -> Disposition {
    let mut r = desk.report(order_seq, 0, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px) = (text(&format!("X{exec}")), qty, px);
    (r.fee, r.transact_time_ns) = (fee, exec as i64 + 1);
    desk.take(&r)
}

fn amend(desk: &mut TestDesk, order_seq: u64, exec: u64, new: Option<(i64, i64)>) -> Disposition {
    let mut ids = ExecRef::ZERO;
    (ids.header.kind, ids.venue_id) = (ExecRef::KIND, 1);
    ids.exec_ref_id = text(&format!("X{exec}"));
    let mut r = desk.report(order_seq, 0, ExecType::TradeCancel);
    if let Some((qty, px)) = new {
        r.exec_type = ExecType::TradeCorrect as u8;
        (r.last_qty, r.last_px) = (qty, px);
    }
    assert_eq!(desk.step(ids.as_record()), Verdict::Accepted);
    desk.take(&r)
}

/// Whether what was told moved the position.
fn booked(taken: Disposition) -> bool {
    matches!(taken, Disposition::Applied | Disposition::Late | Disposition::Overfill)
}

fn account(name: &str, flags: u8) -> Definition {
    let mut d = definition(Entity::Account, name, 0, AccountLevel::Account as u8);
    d.flags = flags;
    d
}

/// A desk whose account A1 hedges.
fn hedging() -> TestDesk {
    let mut desk = TestDesk::open();
    desk.fact(account("A1", ACCOUNT_HEDGING));
    desk
}

fn order(id: &str, side: Side, tags: u8, qty: i64) -> NewOrder {
    NewOrder { tags, ..TestDesk::new_order(id, side, qty, e9(100)) }
}

/// Sends an order and fills all of it.
fn traded(desk: &mut TestDesk, id: &str, side: Side, tags: u8, qty: i64, px: i64) -> u64 {
    assert_eq!(desk.submit(&order(id, side, tags, qty)), Verdict::Accepted);
    let order_seq = desk.newest();
    assert_eq!(desk.fill(order_seq, qty, px), Disposition::Applied);
    order_seq
}

fn legs(desk: &TestDesk) -> (i64, i64) {
    let leg = |leg| desk.engine.leg(1, ES, leg).map_or(0, |p| p.net_qty);
    (leg(PositionLeg::Long), leg(PositionLeg::Short))
}

// Through zero --------------------------------------------------------------------------------------

#[test]
fn a_fill_through_zero_is_told_as_its_close_and_its_open_under_its_own_exec_id() {
    let mut desk = TestDesk::open();
    let buy = desk.place("b", Side::Buy, 10, e9(100));
    let sell = desk.place("s", Side::Sell, 15, e9(100));
    book(&mut desk, buy, 1, e9(10), e9(100), 0);
    assert!(splits(&desk).is_empty(), "what only opens is told by its report");
    book(&mut desk, sell, 2, e9(15), e9(110), -10);
    let told = splits(&desk);
    assert_eq!(told.len(), 1);
    let split = told[0];
    assert_eq!((split.close_qty, split.open_qty), (e9(10), e9(5)));
    assert_eq!(split.exec_id, text("X2"));
    assert_eq!(split.header.order_seq, sell);
    assert_eq!((split.close_fee, split.open_fee), (-7, -3), "floor of a rebate, and the rest");
    assert_eq!(realised(&split), e9(10) as i128 * e9(10) as i128);
    assert_eq!((split.position_leg, split.over_close), (0, 0));
    let at = desk.log.records.len() - 2;
    assert_eq!(desk.log.records[at].header.more, 1, "in the group of its report");
    desk.assert_replay_equals();
}

#[test]
fn a_fill_that_ends_at_zero_or_only_reduces_is_not_split() {
    let mut desk = TestDesk::open();
    let buy = desk.place("b", Side::Buy, 10, e9(100));
    let sell = desk.place("s", Side::Sell, 10, e9(100));
    book(&mut desk, buy, 1, e9(10), e9(100), 0);
    book(&mut desk, sell, 2, e9(4), e9(100), 0);
    book(&mut desk, sell, 3, e9(6), e9(100), 0);
    assert!(splits(&desk).is_empty());
}

#[test]
fn a_busted_crossing_fill_gives_back_what_it_closed_and_what_it_opened() {
    let mut desk = TestDesk::open();
    let buy = desk.place("b", Side::Buy, 30, e9(100));
    let sell = desk.place("s", Side::Sell, 40, e9(100));
    for (order_seq, exec, qty, px) in
        [(buy, 1, 10, 100), (sell, 2, 25, 110), (buy, 3, 20, 90), (sell, 4, 12, 95)]
    {
        book(&mut desk, order_seq, exec, e9(qty), e9(px), 0);
    }
    assert_eq!(splits(&desk).len(), 3, "long 10, short 15, long 5, short 7");
    assert_eq!(amend(&mut desk, sell, 2, None), Disposition::Applied);
    let p = desk.engine.position(1, ES);
    let left = [(10, 100), (20, 90), (-12, 95)].map(|(qty, px)| (e9(qty), e9(px)));
    let (net, cost, cash, closed) = fold(&left);
    assert_eq!((i128::from(p.net_qty), p.open_cost), (net, cost));
    assert_eq!((p.realised - p.open_cost, p.realised), (cash, closed));
    closing(&desk);
}

#[derive(Clone, Debug)]
enum Word {
    Fill { buy: bool, qty: i64, px: i64, fee: i64 },
    Bust(usize),
    Correct(usize, i64, i64),
    Days(i64),
}

fn words(
    qty: impl Strategy<Value = i64> + Clone,
    px: impl Strategy<Value = i64> + Clone,
) -> impl Strategy<Value = Vec<Word>> {
    let word = prop_oneof![
        6 => (any::<bool>(), qty.clone(), px.clone(), -1000i64..1000)
            .prop_map(|(buy, qty, px, fee)| Word::Fill { buy, qty, px, fee }),
        1 => any::<usize>().prop_map(Word::Bust),
        1 => (any::<usize>(), qty, px).prop_map(|(at, qty, px)| Word::Correct(at, qty, px)),
        1 => (1i64..4).prop_map(Word::Days),
    ];
    prop::collection::vec(word, 1..40)
}

/// What a desk of any kind is told, and the list of fills that a book should be the fold of.
struct Told {
    desk: TestDesk,
    orders: [u64; 2],
    fills: Vec<(u64, bool, i64, i64)>,
    execs: u64,
}

impl Told {
    fn open(tags: [u8; 2], desk: TestDesk) -> Self {
        let mut desk = desk;
        let mut terms = terms(ES, 1);
        terms.flags |= FLAG_NEGATIVE_PRICES;
        desk.fact(terms);
        let mut send = |id, side, tags| {
            assert_eq!(desk.submit(&order(id, side, tags, 1)), Verdict::Accepted);
            desk.newest()
        };
        let orders = [send("b", Side::Buy, tags[0]), send("s", Side::Sell, tags[1])];
        Self { desk, orders, fills: Vec::new(), execs: 0 }
    }

    fn tell(&mut self, word: &Word) -> Option<(Word, Disposition)> {
        let taken = match *word {
            Word::Fill { buy, qty, px, fee } => {
                self.execs += 1;
                let order_seq = self.orders[usize::from(!buy)];
                let taken = book(&mut self.desk, order_seq, self.execs, qty, px, fee);
                if booked(taken) {
                    self.fills.push((self.execs, buy, qty, px));
                }
                taken
            }
            Word::Days(days) => {
                self.desk.now_ns += days * 86_400_000_000_000;
                self.desk.quote(ES, e9(100), e9(101));
                self.desk.now_ns += 1;
                return None;
            }
            Word::Bust(at) | Word::Correct(at, ..) if self.fills.is_empty() => {
                let _ = at;
                return None;
            }
            Word::Bust(at) => {
                let at = at % self.fills.len();
                let (exec, buy, ..) = self.fills[at];
                let taken = amend(&mut self.desk, self.orders[usize::from(!buy)], exec, None);
                if booked(taken) {
                    self.fills.remove(at);
                }
                taken
            }
            Word::Correct(at, qty, px) => {
                let at = at % self.fills.len();
                let (exec, buy, ..) = self.fills[at];
                let new = Some((qty, px));
                let taken = amend(&mut self.desk, self.orders[usize::from(!buy)], exec, new);
                if booked(taken) {
                    self.fills[at] = (exec, buy, qty, px);
                }
                taken
            }
        };
        Some((word.clone(), taken))
    }

    fn signed(&self) -> Vec<(i64, i64)> {
        self.fills.iter().map(|&(_, buy, qty, px)| (if buy { qty } else { -qty }, px)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any fills: the position is the fold of the list, the parts of a fill are the fill, and what all
    /// closes realised is cash and open cost to the last digit.
    #[test]
    fn parts_are_the_fill_and_realised_and_open_cost_are_the_cash(
        fills in prop::collection::vec((any::<bool>(), 1i64..5_000, -900i64..900, -999i64..999), 1..40)
    ) {
        let mut told = Told::open([0, 0], TestDesk::open());
        let mut list = Vec::new();
        for (buy, qty, px, fee) in fills {
            let (before, known) = (fold(&list), splits(&told.desk).len());
            told.tell(&Word::Fill { buy, qty, px, fee });
            list = told.signed();
            let (net, cost, cash, closed) = fold(&list);
            let p = told.desk.engine.position(1, ES);
            prop_assert_eq!((i128::from(p.net_qty), p.open_cost), (net, cost));
            prop_assert_eq!((p.realised, p.realised - p.open_cost), (closed, cash));
            let now = splits(&told.desk);
            prop_assert_eq!(now.len() > known, before.0.signum() * net.signum() < 0);
            if let Some(split) = now.get(known) {
                prop_assert_eq!(split.close_qty + split.open_qty, qty);
                prop_assert_eq!(split.close_fee + split.open_fee, fee);
                prop_assert_eq!(i128::from(split.close_qty), before.0.abs());
                prop_assert_eq!(realised(split), closed - before.3);
            }
        }
        told.desk.assert_replay_equals();
    }

    /// Busts, corrections and days in between: what is in the chains refolds, cash and net are exact, and
    /// as long as no fill was let go by age the split of realised and open is that of the list too.
    #[test]
    fn busts_and_corrections_refold_to_the_list_that_remains(words in words(1i64..5_000, -900i64..900)) {
        let mut told = Told::open([0, 0], TestDesk::open());
        let mut days = 0;
        for word in &words {
            days += if let Word::Days(n) = word { *n } else { 0 };
            told.tell(word);
            let (net, cost, cash, _) = fold(&told.signed());
            let p = told.desk.engine.position(1, ES);
            prop_assert_eq!(i128::from(p.net_qty), net);
            prop_assert_eq!(p.realised - p.open_cost, cash);
            prop_assert!(days > 4 || p.open_cost == cost);
            for order_seq in told.orders {
                let order = told.desk.order(order_seq);
                let buy = order_seq == told.orders[0];
                let own: Vec<_> = told.fills.iter().filter(|f| f.1 == buy).collect();
                let points: i128 = own.iter().map(|f| i128::from(f.2) * i128::from(f.3)).sum();
                prop_assert_eq!(order.cum_points, points);
                prop_assert_eq!(order.cum_qty, own.iter().map(|f| f.2).sum::<i64>());
            }
        }
        told.desk.assert_replay_equals();
    }

    /// Numbers at the ends of their range: what a sum cannot hold is malformed and changes nothing, all
    /// else is exact; nothing panics, nothing saturates.
    #[test]
    fn sums_at_the_ends_of_their_range_are_exact_or_refused(
        words in words(
            prop_oneof![Just(i64::MAX), Just(i64::MAX / 2 + 1), Just(1), 1i64..i64::MAX],
            prop_oneof![Just(1i64), Just(-1), Just(1 << 40), Just(-(1 << 40)), Just(i64::MAX), Just(i64::MIN), -9i64..9],
        )
    ) {
        let mut told = Told::open([0, 0], TestDesk::open());
        for word in &words {
            let before = told.desk.engine.position(1, ES);
            let taken = told.tell(word);
            let p = told.desk.engine.position(1, ES);
            if taken.is_some_and(|(_, d)| d == Disposition::Malformed) {
                prop_assert_eq!(p, before);
            }
            let list = told.signed();
            let net: i128 = list.iter().map(|f| i128::from(f.0)).sum();
            let cash: i128 = list.iter().map(|f| -i128::from(f.0) * i128::from(f.1)).sum();
            prop_assert_eq!((i128::from(p.net_qty), p.realised - p.open_cost), (net, cash));
        }
        told.desk.assert_replay_equals();
    }
}

#[test]
fn a_position_stops_where_its_numbers_do_and_says_so() {
    let mut told = Told::open([0, 0], TestDesk::open());
    let fill = |told: &mut Told, buy, qty| {
        told.tell(&Word::Fill { buy, qty, px: 1, fee: 0 }).expect("a word").1
    };
    assert_eq!(fill(&mut told, true, i64::MAX), Disposition::Overfill);
    assert_eq!(fill(&mut told, true, 1), Disposition::Malformed);
    assert_eq!(fill(&mut told, false, i64::MAX), Disposition::Overfill);
    assert_eq!(told.desk.engine.position(1, ES).net_qty, 0);
    let mut adjusted = PositionAdjusted::ZERO;
    adjusted.header.kind = PositionAdjusted::KIND;
    (adjusted.account_id, adjusted.instrument_id) = (1, ES);
    for (net_qty, verdict) in [
        (i64::MIN, Verdict::DefinitionInvalid),
        (i64::MAX, Verdict::Accepted),
        (1, Verdict::DefinitionInvalid),
    ] {
        (adjusted.net_qty, adjusted.price) = (net_qty, 1);
        assert_eq!(told.desk.step(adjusted.as_record()), verdict, "{net_qty}");
    }
    told.desk.assert_replay_equals();
}

#[test]
fn a_bust_that_a_position_on_the_way_could_not_hold_is_malformed() {
    let mut desk = TestDesk::open();
    let mut fills = Vec::new();
    for (exec, side) in [Side::Buy, Side::Sell, Side::Buy, Side::Sell].into_iter().enumerate() {
        let order_seq = desk.place(&format!("o{exec}"), side, 1, e9(100));
        let taken = book(&mut desk, order_seq, exec as u64, i64::MAX, 1, 0);
        assert_eq!(taken, Disposition::Overfill);
        fills.push(order_seq);
    }
    let before = desk.engine.position(1, ES);
    assert_eq!(before.net_qty, 0);
    // All would end within range, and pass through twice the longest position there is.
    assert_eq!(amend(&mut desk, fills[1], 1, None), Disposition::Malformed);
    assert_eq!(amend(&mut desk, fills[1], 1, Some((1, 1))), Disposition::Malformed);
    assert_eq!(desk.engine.position(1, ES), before);
    assert!(booked(amend(&mut desk, fills[2], 2, None)));
    assert_eq!(desk.engine.position(1, ES).net_qty, -i64::MAX);
    assert!(booked(amend(&mut desk, fills[1], 1, Some((1, 1)))));
    assert_eq!(desk.engine.position(1, ES).net_qty, -1);
    desk.assert_replay_equals();
}

// Hedging -------------------------------------------------------------------------------------------

#[test]
fn a_hedging_account_keeps_its_legs_apart() {
    let mut desk = hedging();
    traded(&mut desk, "a", Side::Buy, OPEN, 10, e9(100));
    traded(&mut desk, "b", Side::Sell, OPEN, 6, e9(103));
    assert_eq!(legs(&desk), (e9(10), -e9(6)));
    assert_eq!(desk.engine.position(1, ES).net_qty, e9(4), "net is long less short");
    assert_eq!(desk.engine.position(1, ES).realised, 0, "nothing offsets");
    traded(&mut desk, "c", Side::Sell, CLOSE, 4, e9(105));
    traded(&mut desk, "d", Side::Buy, CLOSE, 6, e9(101));
    assert_eq!(legs(&desk), (e9(6), 0));
    let one = ONE as i128 * ONE as i128;
    let leg = |leg| desk.engine.leg(1, ES, leg).expect("it hedges");
    assert_eq!(leg(PositionLeg::Long).realised, 20 * one);
    assert_eq!(leg(PositionLeg::Short).realised, 12 * one);
    assert_eq!(desk.engine.position(1, ES).realised, 32 * one);
    assert!(splits(&desk).is_empty());
    assert_eq!(desk.sent.0.last().unwrap().position_effect, PositionEffect::Close as u8);
    desk.assert_replay_equals();
}

#[test]
fn an_order_of_a_hedging_account_says_whether_it_opens_or_closes() {
    let mut desk = hedging();
    for (id, tags, value) in [("x", 0, 0), ("y", 3 << TAG_EFFECT_SHIFT, 3)] {
        let verdict = desk.submit(&order(id, Side::Buy, tags, 1));
        assert_eq!(verdict, Verdict::PositionEffectInvalid);
        assert_eq!(desk.refusal().value, value);
    }
    assert_eq!(desk.submit(&order("z", Side::Buy, OPEN, 1)), Verdict::Accepted);
    // A net account's order may say it: there it means nothing.
    let mut net = TestDesk::open();
    assert_eq!(net.submit(&order("x", Side::Buy, CLOSE, 1)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn a_close_is_refused_beyond_what_no_live_order_closes_yet() {
    let mut desk = hedging();
    traded(&mut desk, "o", Side::Buy, OPEN, 10, e9(100));
    assert_eq!(desk.submit(&order("a", Side::Sell, CLOSE, 11)), Verdict::CloseExceedsLeg);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(11), e9(10)));
    assert_eq!(desk.submit(&order("b", Side::Sell, CLOSE, 7)), Verdict::Accepted);
    let live = desk.newest();
    assert_eq!(desk.submit(&order("c", Side::Sell, CLOSE, 4)), Verdict::CloseExceedsLeg);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(4), e9(3)));
    assert_eq!(desk.submit(&order("d", Side::Buy, CLOSE, 1)), Verdict::CloseExceedsLeg, "no short");
    // A replace counts with what it adds.
    desk.tell(live, 0, ExecType::New);
    assert_eq!(desk.replace("e", "b", 11, e9(100)), Verdict::CloseExceedsLeg);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(4), e9(3)));
    assert_eq!(desk.replace("f", "b", 10, e9(100)), Verdict::Accepted);
    assert_eq!(desk.engine.leg_orders(1, ES, PositionLeg::Long), (e9(10), 0));
    // Its end gives the leg back.
    assert_eq!(desk.tell(live, 0, ExecType::Canceled), Disposition::Applied);
    assert_eq!(desk.engine.leg_orders(1, ES, PositionLeg::Long), (0, 0));
    assert_eq!(desk.submit(&order("g", Side::Sell, CLOSE, 10)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn an_overfill_that_closes_more_than_the_leg_is_booked_there_and_flagged() {
    let mut desk = hedging();
    traded(&mut desk, "o", Side::Buy, OPEN, 5, e9(100));
    assert_eq!(desk.submit(&order("c", Side::Sell, CLOSE, 5)), Verdict::Accepted);
    let close = desk.newest();
    let flagged = desk.engine.counters().flagged;
    assert_eq!(desk.fill(close, 7, e9(104)), Disposition::Overfill);
    assert_eq!(legs(&desk), (-e9(2), 0));
    let split = splits(&desk)[0];
    assert_eq!((split.close_qty, split.open_qty, split.over_close), (e9(5), e9(2), 1));
    assert_eq!(split.position_leg, PositionLeg::Long as u8);
    assert_eq!(desk.engine.counters().flagged, flagged + 2, "the overfill and the leg");
    // Once more: nothing is left to close, the whole of it is told.
    assert_eq!(desk.fill(close, 1, e9(104)), Disposition::Overfill);
    let split = splits(&desk)[1];
    assert_eq!((split.close_qty, split.open_qty, split.over_close), (0, e9(1), 1));
    assert_eq!(desk.submit(&order("d", Side::Sell, CLOSE, 1)), Verdict::CloseExceedsLeg);
    // An open of that leg mends it.
    traded(&mut desk, "m", Side::Buy, OPEN, 4, e9(100));
    assert_eq!(legs(&desk), (e9(1), 0));
    assert_eq!(splits(&desk)[2].over_close, 0);
    desk.assert_replay_equals();
}

#[test]
fn the_mode_of_an_account_changes_only_while_nothing_is_open() {
    let mut desk = TestDesk::open();
    let live = desk.place("a", Side::Buy, 1, e9(100));
    let wanted = account("A1", ACCOUNT_HEDGING);
    assert_eq!(desk.step(wanted.as_record()), Verdict::PositionModeInUse, "a live order");
    desk.fill(live, 1, e9(100));
    assert_eq!(desk.step(wanted.as_record()), Verdict::PositionModeInUse, "a position");
    let sell = desk.place("b", Side::Sell, 1, e9(100));
    desk.fill(sell, 1, e9(101));
    assert_eq!(desk.step(wanted.as_record()), Verdict::Accepted);
    // Two legs of the same size are not flat.
    traded(&mut desk, "c", Side::Buy, OPEN, 2, e9(100));
    traded(&mut desk, "d", Side::Sell, OPEN, 2, e9(100));
    assert_eq!(desk.engine.position(1, ES).net_qty, 0);
    let back = account("A1", 0);
    assert_eq!(desk.step(back.as_record()), Verdict::PositionModeInUse);
    traded(&mut desk, "e", Side::Sell, CLOSE, 2, e9(100));
    traded(&mut desk, "f", Side::Buy, CLOSE, 2, e9(100));
    assert_eq!(desk.step(back.as_record()), Verdict::Accepted);
    assert!(!desk.engine.account(1).hedging());
    desk.assert_replay_equals();
}

#[test]
fn a_desk_keeps_legs_for_so_many_accounts_and_no_more() {
    let mut desk = TestDesk::with(EngineConfig { hedging_max: 1, ..small_config() });
    desk.fact(account("A1", ACCOUNT_HEDGING));
    let second = account("A2", ACCOUNT_HEDGING);
    assert_eq!(desk.step(second.as_record()), Verdict::DefinitionTableFull);
    desk.fact(account("A1", 0));
    desk.fact(account("A1", ACCOUNT_HEDGING)); // its own legs again
}

#[test]
fn an_order_of_a_hedging_account_for_no_instrument_is_refused() {
    for kill in [KillMode::Open, KillMode::ReduceOnly] {
        let mut desk = hedging();
        if kill != KillMode::Open {
            desk.kill(Scope::Desk, 0, kill);
        }
        for (n, tags) in [OPEN, CLOSE, 0].into_iter().enumerate() {
            for instrument_id in [0, 1 << 20, u32::MAX] {
                let id = format!("{n}-{instrument_id}");
                let nonsense = NewOrder { instrument_id, ..order(&id, Side::Buy, tags, 1) };
                let verdict = desk.submit(&nonsense);
                assert!([Verdict::InstrumentUnknown, Verdict::Killed].contains(&verdict), "{id}");
            }
        }
        closing(&desk);
    }
}

#[test]
fn a_bust_of_a_fill_from_before_the_change_of_mode_moves_the_book_it_is_in() {
    let mut desk = TestDesk::open();
    let buy = desk.place("a", Side::Buy, 3, e9(100));
    let sell = desk.place("b", Side::Sell, 3, e9(100));
    book(&mut desk, buy, 1, e9(3), e9(100), 0);
    book(&mut desk, sell, 2, e9(3), e9(101), 0);
    desk.fact(account("A1", ACCOUNT_HEDGING));
    traded(&mut desk, "c", Side::Buy, OPEN, 2, e9(100));
    assert_ne!(amend(&mut desk, sell, 2, None), Disposition::Malformed);
    assert_eq!(legs(&desk), (e9(2), 0), "no leg had that fill");
    assert_eq!(desk.engine.position(1, ES).net_qty, e9(5));
    // A copy of the old fill without its id is still known.
    let mut again = desk.report(buy, 0, ExecType::Trade);
    (again.last_qty, again.last_px, again.transact_time_ns) = (e9(3), e9(100), 2);
    assert_eq!(desk.take(&again), Disposition::Reconciled);
    // What is left of the old book can be adjusted away, and only that.
    let mut adjusted = PositionAdjusted::ZERO;
    adjusted.header.kind = PositionAdjusted::KIND;
    (adjusted.account_id, adjusted.instrument_id) = (1, ES);
    (adjusted.net_qty, adjusted.price) = (-e9(3), e9(100));
    assert_eq!(desk.step(adjusted.as_record()), Verdict::Accepted);
    assert_eq!(desk.engine.position(1, ES).net_qty, e9(2));
    assert_eq!(desk.step(adjusted.as_record()), Verdict::DefinitionInvalid, "it is flat");
    desk.assert_replay_equals();
}

#[test]
fn an_opening_balance_of_a_hedging_account_names_its_leg() {
    let mut desk = hedging();
    let adjust = |desk: &mut TestDesk, leg: u8, qty: i64| {
        let mut e = LegAdjusted::ZERO;
        e.header.kind = LegAdjusted::KIND;
        (e.account_id, e.instrument_id, e.position_leg) = (1, ES, leg);
        (e.net_qty, e.price) = (e9(qty), e9(100));
        desk.step(e.as_record())
    };
    let (long, short) = (PositionLeg::Long as u8, PositionLeg::Short as u8);
    for (leg, qty, verdict) in [
        (0, 1, Verdict::DefinitionInvalid),
        (3, 1, Verdict::DefinitionInvalid),
        (long, -1, Verdict::DefinitionInvalid),
        (short, 1, Verdict::DefinitionInvalid),
        (long, 7, Verdict::Accepted),
        (short, -4, Verdict::Accepted),
        (long, -8, Verdict::DefinitionInvalid),
        (long, -7, Verdict::Accepted),
    ] {
        assert_eq!(adjust(&mut desk, leg, qty), verdict, "leg {leg}, {qty}");
    }
    assert_eq!(legs(&desk), (0, -e9(4)));
    let mut whole = PositionAdjusted::ZERO;
    whole.header.kind = PositionAdjusted::KIND;
    (whole.account_id, whole.instrument_id, whole.net_qty) = (1, ES, e9(1));
    assert_eq!(desk.step(whole.as_record()), Verdict::DefinitionInvalid);
    let mut net = TestDesk::open();
    assert_eq!(adjust(&mut net, long, 1), Verdict::DefinitionInvalid, "a net account has no legs");
    desk.assert_replay_equals();
}

#[test]
fn net_limits_see_long_less_short_and_gross_limits_see_the_larger_leg() {
    let mut desk = hedging();
    let mut limit = account_limits(1);
    (limit.scope, limit.instrument_id) = (Scope::AccountInstrument as u8, ES);
    (limit.net_qty_max, limit.gross_notional_max) = (e9(10), 60_000); // 12 at 100 x 50 USD
    desk.limit(limit);
    traded(&mut desk, "a", Side::Buy, OPEN, 10, e9(100));
    assert_eq!(desk.submit(&order("b", Side::Buy, OPEN, 1)), Verdict::NetQtyLimit);
    traded(&mut desk, "c", Side::Sell, OPEN, 10, e9(100));
    assert_eq!(desk.engine.position(1, ES).net_qty, 0);
    assert_eq!(desk.engine.account_sums(1).0, 50_000_000_000, "legs do not offset in gross");
    assert_eq!(desk.submit(&order("d", Side::Buy, OPEN, 2)), Verdict::Accepted);
    assert_eq!(desk.submit(&order("e", Side::Buy, OPEN, 1)), Verdict::InstrumentGrossLimit);
    // Taking off one leg of a hedge brings the net out: net limits look at it, gross ones do not.
    limit.net_qty_max = e9(3);
    desk.limit(limit);
    assert_eq!(desk.submit(&order("f", Side::Sell, CLOSE, 4)), Verdict::NetQtyLimit);
    limit.gross_notional_max = 1;
    desk.limit(limit);
    assert_eq!(desk.submit(&order("g", Side::Sell, CLOSE, 3)), Verdict::Accepted);
    assert_eq!(desk.submit(&order("h", Side::Sell, OPEN, 1)), Verdict::NetQtyLimit);
    desk.assert_replay_equals();
}

#[test]
fn under_reduce_only_a_hedging_account_may_close_its_legs_and_nothing_else() {
    let mut desk = hedging();
    traded(&mut desk, "a", Side::Buy, OPEN, 5, e9(100));
    traded(&mut desk, "b", Side::Sell, OPEN, 5, e9(100));
    assert_eq!(desk.kill(Scope::Account, 1, KillMode::ReduceOnly), Verdict::Accepted);
    assert_eq!(desk.submit(&order("c", Side::Sell, OPEN, 1)), Verdict::Killed);
    assert_eq!(desk.submit(&order("d", Side::Sell, CLOSE, 5)), Verdict::Accepted);
    assert_eq!(desk.submit(&order("e", Side::Sell, CLOSE, 1)), Verdict::Killed, "nothing is left");
    assert_eq!(desk.submit(&order("f", Side::Buy, CLOSE, 5)), Verdict::Accepted);
}

#[test]
fn a_reduce_only_order_of_a_hedging_account_follows_its_leg() {
    let mut desk = hedging();
    traded(&mut desk, "a", Side::Buy, OPEN, 5, e9(100));
    traded(&mut desk, "b", Side::Sell, OPEN, 9, e9(100));
    let mut terms = offer();
    terms.exec_inst = EXEC_REDUCE_ONLY;
    let opens = order("c", Side::Buy, OPEN, 1); // it would reduce the net, and open a leg
    assert_eq!(desk.submit_terms(&terms, &opens), Verdict::ReduceOnlyExceeds);
    let too_much = order("d", Side::Sell, CLOSE, 6);
    assert_eq!(desk.submit_terms(&terms, &too_much), Verdict::ReduceOnlyExceeds);
    assert_eq!(desk.submit_terms(&terms, &order("e", Side::Sell, CLOSE, 5)), Verdict::Accepted);
    let reducing = desk.newest();
    desk.tell(reducing, 0, ExecType::New);
    assert!(!Engine::cancel_asked(desk.order(reducing)));
    // The leg shrinks under it: a bust takes two away.
    let first = desk.report(1, 0, ExecType::TradeCancel);
    let mut bust = first;
    bust.exec_id = text("E1");
    assert_eq!(desk.take(&bust), Disposition::Late);
    assert_eq!(legs(&desk), (0, -e9(9)));
    assert!(
        Engine::cancel_asked(desk.order(reducing)),
        "it would open a short side of the long leg"
    );
    desk.assert_replay_equals();
}

#[test]
fn a_stop_that_closes_reserves_its_leg_and_is_judged_again_when_it_leaves() {
    let mut desk = hedging();
    let opened = traded(&mut desk, "a", Side::Buy, OPEN, 5, e9(100));
    let mut terms = offer();
    terms.stop_px = e9(99);
    let mut stop = order("b", Side::Sell, CLOSE, 5);
    (stop.ord_type, stop.price) = (OrdType::Stop as u8, 0);
    assert_eq!(desk.submit_terms(&terms, &stop), Verdict::Accepted);
    let held = desk.newest();
    assert_eq!(desk.engine.leg_orders(1, ES, PositionLeg::Long).0, e9(5));
    assert_eq!(desk.submit(&order("c", Side::Sell, CLOSE, 1)), Verdict::CloseExceedsLeg);
    let mut correct = desk.report(opened, 0, ExecType::TradeCorrect);
    (correct.exec_id, correct.last_qty, correct.last_px) = (text("E1"), e9(3), e9(100));
    desk.take(&correct);
    assert_eq!(legs(&desk), (e9(3), 0));
    desk.trade(ES, e9(99));
    assert_eq!(desk.status(held), OrdStatus::Rejected);
    let triggered = desk.log.records.iter().rev().find_map(Triggered::from_record).unwrap();
    assert_eq!(triggered.verdict, Verdict::CloseExceedsLeg.code());
    assert_eq!((triggered.value, triggered.bound), (e9(5), e9(3)));
    assert_eq!(desk.engine.leg_orders(1, ES, PositionLeg::Long).0, 0);
    desk.assert_replay_equals();
}

#[test]
fn a_child_opens_or_closes_as_its_parent_does() {
    let mut desk = hedging();
    traded(&mut desk, "a", Side::Buy, OPEN, 5, e9(100));
    let parent = order("p", Side::Sell, CLOSE | TAG_PARENT, 5);
    assert_eq!(desk.submit(&parent), Verdict::Accepted);
    let mut child = order("c", Side::Sell, OPEN, 2);
    child.parent_order_seq = desk.newest();
    assert_eq!(desk.submit(&child), Verdict::ParentMismatch);
    (child.tags, child.cl_ord_id) = (CLOSE, text("d"));
    assert_eq!(desk.submit(&child), Verdict::Accepted);
    assert_eq!(
        desk.engine.leg_orders(1, ES, PositionLeg::Long).0,
        e9(2),
        "the parent reserves none"
    );
}

/// Hedging legs against two lists, by any orders, fills, busts and ends.
#[derive(Clone, Debug)]
enum Step {
    New(bool, bool, i64),
    Fill(usize, i64, i64),
    Bust(usize),
    Correct(usize, i64, i64),
    End(usize),
    Replace(usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), any::<bool>(), 1i64..9).prop_map(|(b, c, q)| Step::New(b, c, q)),
        6 => (any::<usize>(), 1i64..9, 380i64..420).prop_map(|(o, q, p)| Step::Fill(o, q, p)),
        1 => any::<usize>().prop_map(Step::Bust),
        1 => (any::<usize>(), 1i64..9, 380i64..420).prop_map(|(f, q, p)| Step::Correct(f, q, p)),
        1 => any::<usize>().prop_map(Step::End),
        1 => (any::<usize>(), 1i64..12).prop_map(|(o, q)| Step::Replace(o, q)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn legs_are_the_folds_of_their_own_fills_and_reserves_of_their_own_orders(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut desk = hedging();
        let mut orders: Vec<(u64, usize)> = Vec::new();
        let mut fills: Vec<(u64, u64, usize, i64, i64)> = Vec::new(); // exec, order, leg, signed, px
        let tick = e9(1) / 4;
        for (n, step) in steps.into_iter().enumerate() {
            let pick = |at: usize, len: usize| (len != 0).then(|| at % len);
            match step {
                Step::New(buy, close, qty) => {
                    let side = if buy { Side::Buy } else { Side::Sell };
                    let tags = if close { CLOSE } else { OPEN };
                    let leg = usize::from(!buy) ^ usize::from(close);
                    let left = {
                        let (qty, closing) = (
                            [legs(&desk).0, -legs(&desk).1][leg].max(0),
                            desk.engine.leg_orders(1, ES, [PositionLeg::Long, PositionLeg::Short][leg]).0,
                        );
                        qty - closing
                    };
                    let verdict = desk.submit(&order(&format!("o{n}"), side, tags, qty));
                    let fits = !close || e9(qty) <= left;
                    prop_assert_eq!(verdict == Verdict::Accepted, fits);
                    if fits {
                        orders.push((desk.newest(), leg));
                        desk.tell(desk.newest(), 0, ExecType::New);
                    }
                }
                Step::Fill(at, qty, px) => if let Some(at) = pick(at, orders.len()) {
                    let (order_seq, leg) = orders[at];
                    let exec = n as u64;
                    book(&mut desk, order_seq, exec, e9(qty), px * tick, 7);
                    let signed = if desk.order(order_seq).is_buy() { e9(qty) } else { -e9(qty) };
                    fills.push((exec, order_seq, leg, signed, px * tick));
                },
                Step::Bust(at) => if let Some(at) = pick(at, fills.len()) {
                    let fill = fills.remove(at);
                    amend(&mut desk, fill.1, fill.0, None);
                },
                Step::Correct(at, qty, px) => if let Some(at) = pick(at, fills.len()) {
                    let fill = &mut fills[at];
                    let sign = fill.3.signum();
                    amend(&mut desk, fill.1, fill.0, Some((e9(qty), px * tick)));
                    (fill.3, fill.4) = (sign * e9(qty), px * tick);
                },
                Step::End(at) => if let Some(at) = pick(at, orders.len()) {
                    desk.tell(orders[at].0, 0, ExecType::Canceled);
                },
                Step::Replace(at, qty) => if let Some(at) = pick(at, orders.len()) {
                    let id = text_of(&desk.engine.cl_ord_id(desk.order(orders[at].0))).to_owned();
                    desk.replace(&format!("r{n}"), &id, qty, e9(100));
                },
            }
            let mut sums = (0i128, 0i128, 0i128);
            for (leg, name) in [PositionLeg::Long, PositionLeg::Short].into_iter().enumerate() {
                let own: Vec<_> = fills.iter().filter(|f| f.2 == leg).map(|f| (f.3, f.4)).collect();
                let (net, cost, cash, closed) = fold(&own);
                let p = desk.engine.leg(1, ES, name).expect("it hedges");
                prop_assert_eq!((i128::from(p.net_qty), p.open_cost, p.realised), (net, cost, closed));
                prop_assert_eq!(p.realised - p.open_cost, cash);
                sums = (sums.0 + net, sums.1 + cost, sums.2 + closed);
                let (mut closing, mut opening) = (0, 0);
                for order in desk.engine.live_orders() {
                    let closes = order.tags & CLOSE != 0;
                    if usize::from(!order.is_buy()) ^ usize::from(closes) != leg { continue }
                    let open = order.exposure(ReplaceRule::InFlightCounted as u8);
                    if closes { closing += open.qty } else { opening += open.points }
                }
                prop_assert_eq!(desk.engine.leg_orders(1, ES, name), (closing, opening));
            }
            let p = desk.engine.position(1, ES);
            prop_assert_eq!((i128::from(p.net_qty), p.open_cost, p.realised), sums);
        }
        desk.assert_replay_equals();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Adjustments and fills as large as their fields: what would leave the range of a sum is refused
    /// before any of it is booked, and what is taken is the plain sum.
    #[test]
    fn an_adjustment_near_the_end_of_the_numbers_is_taken_whole_or_not_at_all(
        steps in prop::collection::vec((any::<bool>(), extreme(), extreme()), 1..40)
    ) {
        let mut desk = TestDesk::open();
        let mut flags = terms(ES, 1);
        flags.flags |= FLAG_NEGATIVE_PRICES;
        desk.fact(flags);
        let a = desk.place("a", Side::Buy, 5, e9(100));
        let (mut net, mut cash) = (0i128, 0i128);
        for (n, (fill, qty, px)) in steps.into_iter().enumerate() {
            let before = desk.engine.position(1, ES);
            let taken = if fill {
                let mut r = trade_report(&desk, a, &format!("X{n}"), 1, 100);
                (r.last_qty, r.last_px) = (qty, px);
                !matches!(desk.take(&r), Disposition::Malformed)
            } else {
                let mut e = PositionAdjusted::ZERO;
                (e.header.kind, e.account_id, e.instrument_id) = (PositionAdjusted::KIND, 1, ES);
                (e.net_qty, e.price) = (qty, px);
                desk.step(e.as_record()) == Verdict::Accepted
            };
            let now = desk.engine.position(1, ES);
            if taken {
                net += i128::from(qty);
                cash -= i128::from(qty) * i128::from(px);
                prop_assert_eq!(i128::from(now.net_qty), net);
                prop_assert_eq!(now.realised - now.open_cost, cash);
            } else {
                prop_assert_eq!(now, before);
            }
        }
        desk.assert_replay_equals();
    }
}

/// Numbers near the ends of their fields, near what orders may be, and small ones.
fn extreme() -> impl Strategy<Value = i64> {
    let near = prop::sample::select(vec![i64::MAX, i64::MIN, 1 << 61, 1 << 52, 1 << 40, ONE, 0]);
    (near, -3i64..4, any::<bool>()).prop_map(|(near, off, negative)| {
        let number = near.saturating_add(off);
        if negative { number.saturating_neg() } else { number }
    })
}
