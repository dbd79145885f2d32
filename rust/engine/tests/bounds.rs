//! Limits beyond one account and one order: each passes at its bound and refuses one lot above, with
//! value and bound, whatever led there; what reduces passes those that bind a position.

mod common;

use common::*;
use layout::*;

/// 100.00 x 50 USD: a lot is worth 5,000.
const LOT: i64 = 5_000;
const TICK: i64 = ONE / 4;

/// A row of limits that bounds nothing yet.
fn row(scope: Scope) -> LimitRow {
    let mut l = LimitRow::ZERO;
    (l.header.kind, l.scope) = (LimitRow::KIND, scope as u8);
    (l.order_qty_max, l.order_notional_max, l.net_qty_max) = (i64::MAX, i64::MAX, i64::MAX);
    (l.gross_notional_max, l.net_notional_max) = (i64::MAX, i64::MAX);
    l
}

/// A desk whose accounts A1 and A2 stand below the group G, and whose instruments share a sector.
fn grouped() -> TestDesk {
    let mut desk = TestDesk::with(engine::EngineConfig { accounts_max: 6, ..small_config() });
    desk.fact(definition(Entity::Account, "G", 0, AccountLevel::Group as u8));
    let group = desk.engine.id_of(Entity::Account, "G").expect("just defined");
    for name in ["A1", "A2"] {
        desk.fact(definition(Entity::Account, name, group, AccountLevel::Account as u8));
    }
    desk.fact(definition(Entity::Sector, "rates", 0, 0));
    desk.fact(definition(Entity::Trader, "joan", 0, 0));
    for instrument_id in [ES, FX] {
        let mut t = terms(instrument_id, 1);
        t.sector_id = 1;
        desk.fact(t);
    }
    desk
}

fn order_of(id: &str, account_id: u32, instrument_id: u32, side: Side, qty: i64) -> NewOrder {
    let mut o = TestDesk::new_order(id, side, qty, e9(100));
    (o.account_id, o.instrument_id) = (account_id, instrument_id);
    o
}

fn numbers(desk: &TestDesk) -> (i64, i64) {
    (desk.refusal().value, desk.refusal().bound)
}

#[test]
fn sums_over_group_symbol_sector_and_desk_pass_at_the_bound_and_refuse_one_lot_above() {
    let group = |l: &mut LimitRow| l.account_id = 4;
    let symbol = |l: &mut LimitRow| l.instrument_id = ES;
    let sector = |l: &mut LimitRow| l.entity_id = 1;
    let desk_wide = |_: &mut LimitRow| {};
    // scope, who, instrument of the second account's order, verdicts of gross and of net
    type Named = fn(&mut LimitRow);
    let rows: [(Scope, Named, u32, Verdict, Verdict); 4] = [
        (Scope::Account, group, FX, Verdict::GroupGrossLimit, Verdict::GroupNetLimit),
        (Scope::Instrument, symbol, ES, Verdict::SymbolGrossLimit, Verdict::SymbolNetLimit),
        (Scope::Sector, sector, FX, Verdict::SectorGrossLimit, Verdict::SectorNetLimit),
        (Scope::Desk, desk_wide, FX, Verdict::GroupGrossLimit, Verdict::GroupNetLimit),
    ];
    for (scope, named, instrument_id, gross, net) in rows {
        for (verdict, by_net) in [(gross, false), (net, true)] {
            let mut desk = grouped();
            let mut l = row(scope);
            named(&mut l);
            if by_net {
                l.net_notional_max = 5 * LOT;
            } else {
                l.gross_notional_max = 5 * LOT;
            }
            desk.limit(l);
            let submit = |desk: &mut TestDesk, o: NewOrder| desk.submit(&o);
            let first = order_of("a", 1, ES, Side::Buy, 3);
            assert_eq!(submit(&mut desk, first), Verdict::Accepted, "{scope:?}");
            let over = order_of("b", 2, instrument_id, Side::Buy, 3);
            assert_eq!(submit(&mut desk, over), verdict, "{scope:?}");
            assert_eq!(numbers(&desk), (6 * LOT, 5 * LOT), "{scope:?}");
            let at = order_of("c", 2, instrument_id, Side::Buy, 2);
            assert_eq!(submit(&mut desk, at), Verdict::Accepted, "{scope:?} at the bound");
            // The end of an order gives its part back, to the lot.
            assert_eq!(desk.cancel("x", "a"), Verdict::Accepted);
            let canceled = desk.report(1, 0, ExecType::Canceled);
            desk.take(&canceled);
            let back = order_of("d", 2, instrument_id, Side::Buy, 4);
            assert_eq!(submit(&mut desk, back), verdict, "{scope:?} one above what came back");
            let back = order_of("e", 2, instrument_id, Side::Buy, 3);
            assert_eq!(submit(&mut desk, back), Verdict::Accepted, "{scope:?} came back");
            desk.assert_replay_equals();
        }
    }
}

#[test]
fn what_reduces_a_position_passes_sums_margin_and_the_notional_of_the_day() {
    let mut desk = grouped();
    let bought = desk.place("b", Side::Buy, 5, e9(100));
    desk.fill(bought, 5, e9(100));
    let mut l = row(Scope::Desk);
    (l.gross_notional_max, l.net_notional_max) = (1, 1);
    (l.margin_max, l.day_notional_max) = (1, 1);
    desk.limit(l);
    assert_eq!(
        desk.submit(&order_of("b2", 1, ES, Side::Buy, 1)),
        Verdict::GroupNetLimit,
        "more of it is refused"
    );
    for n in 0..5 {
        desk.place(&format!("s{n}"), Side::Sell, 1, e9(100) + TICK);
    }
    // Five sells against one long of five: the sixth would open a short.
    assert_eq!(
        desk.submit(&order_of("s9", 1, ES, Side::Sell, 1)),
        Verdict::GroupNetLimit,
        "not all of them reduce"
    );
}

#[test]
fn sums_that_nobody_kept_are_counted_when_a_limit_first_asks_for_them() {
    let mut desk = grouped();
    let bought = desk.place("b", Side::Buy, 4, e9(100));
    desk.fill(bought, 2, e9(100)); // 2 held, 2 open
    let mut l = row(Scope::Instrument);
    (l.instrument_id, l.gross_notional_max) = (ES, 5 * LOT);
    desk.limit(l);
    assert_eq!(desk.submit(&order_of("c", 2, ES, Side::Buy, 2)), Verdict::SymbolGrossLimit);
    assert_eq!(numbers(&desk), (6 * LOT, 5 * LOT));
    assert_eq!(desk.submit(&order_of("d", 2, ES, Side::Buy, 1)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn a_rate_that_moves_moves_the_sums_above_with_it() {
    let mut desk = grouped();
    let mut l = row(Scope::Desk);
    l.gross_notional_max = 10 * LOT;
    desk.limit(l);
    desk.place("a", Side::Buy, 4, e9(100));
    let mut rate = Rate::ZERO;
    (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, 2 * ONE);
    desk.fact(rate);
    assert_eq!(desk.submit(&order_of("b", 2, FX, Side::Buy, 2)), Verdict::GroupGrossLimit);
    assert_eq!(numbers(&desk), (12 * LOT, 10 * LOT));
    assert_eq!(desk.submit(&order_of("c", 2, FX, Side::Buy, 1)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn an_account_that_moves_in_the_tree_takes_its_sums_along() {
    let mut desk = grouped();
    let mut l = row(Scope::Account);
    (l.account_id, l.gross_notional_max) = (4, 5 * LOT);
    desk.limit(l);
    desk.place("a", Side::Buy, 4, e9(100));
    assert_eq!(desk.submit(&order_of("b", 2, ES, Side::Buy, 2)), Verdict::GroupGrossLimit);
    desk.fact(definition(Entity::Account, "A1", 0, AccountLevel::Account as u8));
    assert_eq!(desk.submit(&order_of("c", 2, ES, Side::Buy, 5)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn an_account_is_not_put_below_itself_nor_below_one_that_stands_below_it() {
    let mut desk = grouped();
    let below = |name, parent| definition(Entity::Account, name, parent, 2);
    assert_eq!(desk.step(below("A1", 1).as_record()), Verdict::DefinitionInvalid);
    assert_eq!(desk.step(below("G", 1).as_record()), Verdict::DefinitionInvalid);
    assert_eq!(desk.step(below("G", 99).as_record()), Verdict::DefinitionInvalid);
}

#[test]
fn a_tree_of_accounts_grows_to_its_depth_from_either_end_and_no_further() {
    let mut desk = TestDesk::with(engine::EngineConfig { accounts_max: 32, ..small_config() });
    let id_of = |desk: &TestDesk, name: &str| desk.engine.id_of(Entity::Account, name).unwrap_or(0);
    let grow = |desk: &mut TestDesk, name: &str, above: &str| {
        let d = definition(Entity::Account, name, id_of(desk, above), AccountLevel::Group as u8);
        desk.step(d.as_record())
    };
    // Two chains of five; one below the other's end would be ten high.
    for chain in ["a", "b"] {
        let mut above = String::new();
        for level in 0..5 {
            let name = format!("{chain}{level}");
            assert_eq!(grow(&mut desk, &name, &above), Verdict::Accepted);
            above = name;
        }
    }
    let mut l = row(Scope::Desk);
    l.gross_notional_max = 100 * LOT;
    desk.limit(l);
    assert_eq!(grow(&mut desk, "b0", "a4"), Verdict::DefinitionInvalid);
    assert_eq!(grow(&mut desk, "b0", "a2"), Verdict::Accepted, "eight");
    assert_eq!(grow(&mut desk, "c", "b4"), Verdict::DefinitionInvalid, "nine");
    let account_id = id_of(&desk, "b4");
    desk.limit(account_limits(account_id));
    assert_eq!(desk.submit(&order_of("o", account_id, ES, Side::Buy, 1)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn margin_is_a_share_of_the_notional_or_an_amount_a_unit_and_buying_power_binds_it() {
    for (margin, unit, a_lot) in [(500_000, false, LOT / 2), (e9(1_200), true, 1_200)] {
        let mut desk = grouped();
        let mut t = terms(ES, 1);
        t.margin = margin;
        t.flags |= if unit { FLAG_UNIT_MARGIN } else { 0 };
        desk.fact(t);
        let mut l = account_limits(1);
        l.margin_max = 5 * a_lot;
        desk.limit(l);
        desk.place("a", Side::Buy, 3, e9(100));
        assert_eq!(desk.submit(&order_of("b", 1, ES, Side::Buy, 3)), Verdict::MarginLimit);
        assert_eq!(numbers(&desk), (6 * a_lot, 5 * a_lot), "unit {unit}");
        // The other side is no more than this one: it asks for nothing.
        assert_eq!(desk.submit(&order_of("c", 1, ES, Side::Sell, 3)), Verdict::Accepted);
        assert_eq!(desk.submit(&order_of("d", 1, ES, Side::Buy, 2)), Verdict::Accepted);
        desk.assert_replay_equals();
    }
}

#[test]
fn the_notional_of_a_day_counts_fills_and_open_orders_and_begins_anew_at_midnight() {
    let mut desk = grouped();
    let mut l = account_limits(1);
    l.day_notional_max = 5 * LOT;
    desk.limit(l);
    let a = desk.place("a", Side::Buy, 2, e9(100));
    desk.fill(a, 2, e9(100));
    let b = desk.place("b", Side::Sell, 2, e9(100)); // reduces, and counts
    desk.fill(b, 2, e9(100));
    assert_eq!(desk.submit(&order_of("c", 1, ES, Side::Buy, 2)), Verdict::DayNotionalLimit);
    assert_eq!(numbers(&desk), (6 * LOT, 5 * LOT));
    desk.place("d", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&order_of("e", 1, FX, Side::Buy, 1)), Verdict::DayNotionalLimit);
    const DAY_NS: i64 = 86_400_000_000_000;
    desk.now_ns = (desk.now_ns / DAY_NS + 1) * DAY_NS;
    desk.quote(ES, e9(100), e9(100) + TICK);
    assert_eq!(desk.submit(&order_of("f", 1, ES, Side::Buy, 5)), Verdict::DayNotionalLimit);
    assert_eq!(numbers(&desk), (6 * LOT, 5 * LOT), "what is open counts on");
    assert_eq!(desk.submit(&order_of("g", 1, ES, Side::Buy, 4)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn a_fill_that_is_undone_is_undone_in_the_notional_of_its_day() {
    let mut desk = grouped();
    let mut l = account_limits(1);
    l.day_notional_max = 5 * LOT;
    desk.limit(l);
    let a = desk.place("a", Side::Buy, 4, e9(100));
    desk.fill(a, 4, e9(100));
    assert_eq!(amend(&mut desk, a, "B1", "E1", None, 0), Disposition::Late);
    // The venue took it back and ended the order: nothing is traded, nothing open.
    assert_eq!(desk.submit(&order_of("b", 1, ES, Side::Buy, 5)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn one_instrument_takes_no_more_than_its_share_of_the_accounts_gross_limit() {
    let mut desk = grouped();
    let mut l = account_limits(1);
    (l.gross_notional_max, l.concentration_bp_max) = (10 * LOT, 4_000);
    desk.limit(l);
    assert_eq!(desk.submit(&order_of("a", 1, ES, Side::Buy, 5)), Verdict::ConcentrationLimit);
    assert_eq!(numbers(&desk), (5 * LOT, 4 * LOT));
    assert_eq!(desk.submit(&order_of("b", 1, ES, Side::Buy, 4)), Verdict::Accepted);
    assert_eq!(desk.submit(&order_of("c", 1, FX, Side::Buy, 4)), Verdict::Accepted);
    // Where its own limit fails too, that is the reason told.
    let mut cell = row(Scope::AccountInstrument);
    (cell.account_id, cell.instrument_id, cell.gross_notional_max) = (1, ES, 4 * LOT);
    desk.limit(cell);
    assert_eq!(desk.submit(&order_of("d", 1, ES, Side::Buy, 1)), Verdict::InstrumentGrossLimit);
}

#[test]
fn a_traders_largest_order_binds_new_orders_and_replaces_and_a_stranger_sends_none() {
    let mut desk = grouped();
    let mut l = row(Scope::Trader);
    (l.entity_id, l.order_qty_max) = (1, e9(4));
    desk.limit(l);
    let by = |id: &str, trader_id: u16, qty: i64| {
        let mut o = order_of(id, 1, ES, Side::Buy, qty);
        o.trader_id = trader_id;
        o
    };
    assert_eq!(desk.submit(&by("a", 1, 5)), Verdict::TraderQtyLimit);
    assert_eq!(numbers(&desk), (e9(5), e9(4)));
    assert_eq!(desk.submit(&by("b", 1, 4)), Verdict::Accepted);
    assert_eq!(desk.replace("r", "b", 5, e9(100)), Verdict::TraderQtyLimit);
    assert_eq!(desk.submit(&by("c", 0, 5)), Verdict::Accepted, "no trader told");
    assert_eq!(desk.submit(&by("d", 7, 1)), Verdict::TraderUnknown);
    assert_eq!(numbers(&desk), (7, 0));
    desk.assert_replay_equals();
}

#[test]
fn the_same_order_again_is_refused_within_the_window_and_taken_behind_it() {
    let mut desk = grouped();
    let mut l = account_limits(1);
    l.repeat_window_ms = 100;
    desk.limit(l);
    let again = |id: &str| order_of(id, 1, ES, Side::Buy, 2);
    assert_eq!(desk.submit(&again("a")), Verdict::Accepted);
    desk.now_ns += 99_999_999;
    assert_eq!(desk.submit(&again("b")), Verdict::RepeatedOrder);
    assert_eq!(numbers(&desk), (99, 100));
    for (id, change) in [
        ("other side", (|o: &mut NewOrder| o.side = Side::Sell as u8) as fn(&mut NewOrder)),
        ("other price", |o| o.price += TICK),
        ("other quantity", |o| o.order_qty += ONE),
        ("other instrument", |o| o.instrument_id = FX),
        ("other account", |o| o.account_id = 2),
    ] {
        let mut o = again(id);
        change(&mut o);
        assert_eq!(desk.submit(&o), Verdict::Accepted, "{id}");
    }
    desk.now_ns += 1;
    assert_eq!(desk.submit(&again("c")), Verdict::Accepted, "a refusal does not lengthen it");
    desk.assert_replay_equals();
}

#[test]
fn windows_of_instrument_and_strategy_refuse_across_accounts_and_reopen_on_the_edge() {
    let instrument: fn(&mut LimitRow) = |l| l.instrument_id = ES;
    let strategy: fn(&mut LimitRow) = |l| l.entity_id = 1;
    for (scope, named, verdict) in [
        (Scope::Instrument, instrument, Verdict::ThrottleSymbol),
        (Scope::Strategy, strategy, Verdict::ThrottleStrategy),
    ] {
        let mut desk = grouped();
        let mut l = row(scope);
        named(&mut l);
        (l.orders_max, l.window_ns) = (3, 1_000);
        desk.limit(l);
        for (n, account_id) in [1, 2, 1].into_iter().enumerate() {
            let o = order_of(&format!("o{n}"), account_id, ES, Side::Buy, 1);
            assert_eq!(desk.submit(&o), Verdict::Accepted);
            desk.now_ns += 100;
        }
        assert_eq!(desk.submit(&order_of("x", 2, ES, Side::Buy, 1)), verdict);
        assert_eq!(numbers(&desk), (3, 3));
        assert_eq!(desk.replace("r", "o0", 2, e9(100)), verdict, "a replace counts");
        assert_eq!(desk.cancel("c", "o0"), Verdict::Accepted, "cancels are exempt");
        desk.now_ns += 699;
        assert_eq!(desk.submit(&order_of("y", 2, ES, Side::Buy, 1)), verdict);
        desk.now_ns += 1;
        assert_eq!(desk.submit(&order_of("z", 2, ES, Side::Buy, 1)), Verdict::Accepted);
        desk.assert_replay_equals();
    }
}

#[test]
fn a_burst_lifts_the_window_for_ten_seconds_and_the_minute_holds() {
    const SECOND: i64 = 1_000_000_000;
    let config = engine::EngineConfig { throttle_orders_max: 256, ..small_config() };
    let mut desk = TestDesk::with(config);
    let mut l = row(Scope::Session);
    (l.entity_id, l.orders_max, l.window_ns) = (1, 2, SECOND);
    (l.burst, l.minute_orders_max) = (2, 40);
    desk.limit(l);
    let start_ns = desk.now_ns;
    let mut told = Vec::new();
    let send = |desk: &mut TestDesk, n: usize| {
        desk.quote(ES, e9(100), e9(100) + TICK);
        let verdict = desk.submit(&order_of(&format!("o{n}"), 1, ES, Side::Buy, 1));
        (desk.now_ns - start_ns, verdict)
    };
    // Five at each half second: two are allowed a second, four in a burst.
    for n in 0..100 {
        desk.now_ns = start_ns + (n as i64 / 5) * SECOND / 2;
        told.push(send(&mut desk, n));
    }
    let sent_in = |low: i64, high: i64| {
        let within = |&&(at, verdict): &&(i64, Verdict)| {
            at >= low && at < high && verdict == Verdict::Accepted
        };
        told.iter().filter(within).count()
    };
    for second in 0..10 {
        let (low, high) = (second * SECOND, (second + 1) * SECOND);
        assert!(sent_in(low, high) <= 4, "no more than twice in any second: {second}");
    }
    assert_eq!(sent_in(0, 9 * SECOND), 36, "the burst lasts");
    assert_eq!(sent_in(0, 10 * SECOND), 40);
    let reasons: Vec<Verdict> = told.iter().map(|&(_, verdict)| verdict).collect();
    assert!(reasons.contains(&Verdict::ThrottleSession));
    // A minute's forty are used up: nothing goes until the first of them is a minute old.
    desk.now_ns = start_ns + 59 * SECOND;
    assert_eq!(send(&mut desk, 1_000).1, Verdict::ThrottleMinute);
    desk.now_ns = start_ns + 60 * SECOND;
    assert_eq!(send(&mut desk, 1_001).1, Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn a_burst_that_is_used_up_leaves_the_plain_window() {
    const SECOND: i64 = 1_000_000_000;
    let config = engine::EngineConfig { throttle_orders_max: 256, ..small_config() };
    let mut desk = TestDesk::with(config);
    let mut l = account_limits(1);
    (l.orders_max, l.window_ns, l.burst) = (2, SECOND, 2);
    desk.limit(l);
    let start_ns = desk.now_ns;
    let mut accepted = [0; 30];
    for n in 0..300 {
        desk.now_ns = start_ns + n * SECOND / 10;
        desk.quote(ES, e9(100), e9(100) + TICK);
        let verdict = desk.submit(&order_of(&format!("o{n}"), 1, ES, Side::Buy, 1));
        accepted[n as usize / 10] += u32::from(verdict == Verdict::Accepted);
        let burst = [Verdict::Accepted, Verdict::ThrottleAccount, Verdict::ThrottleBurst];
        assert!(burst.contains(&verdict), "{verdict:?}");
    }
    assert!(accepted.iter().all(|&count| count <= 4));
    assert_eq!(accepted[..10].iter().sum::<u32>(), 40, "twice the rate for ten seconds");
    assert!(accepted[12..].iter().all(|&count| count <= 3));
    let after: u32 = accepted[12..].iter().sum();
    assert!((34..=38).contains(&after), "then two a second: {after} in eighteen seconds");
}

#[test]
fn a_banned_market_order_is_refused_and_a_limit_order_passes() {
    let mut desk = grouped();
    let mut t = terms(ES, 1);
    t.flags |= FLAG_NO_MARKET;
    desk.fact(t);
    let mut o = order_of("m", 1, ES, Side::Buy, 1);
    (o.ord_type, o.price) = (OrdType::Market as u8, 0);
    assert_eq!(desk.submit(&o), Verdict::MarketOrderBanned);
    assert_eq!(desk.submit(&order_of("l", 1, ES, Side::Buy, 1)), Verdict::Accepted);
}

#[test]
fn a_sell_beyond_what_is_held_must_be_marked_short() {
    let mut desk = grouped();
    let mut t = terms(ES, 1);
    t.flags |= FLAG_MARK_SHORT;
    desk.fact(t);
    let bought = desk.place("b", Side::Buy, 5, e9(100));
    desk.fill(bought, 5, e9(100));
    assert_eq!(desk.submit(&order_of("s1", 1, ES, Side::Sell, 3)), Verdict::Accepted);
    assert_eq!(desk.submit(&order_of("s2", 1, ES, Side::Sell, 3)), Verdict::ShortUnmarked);
    assert_eq!(numbers(&desk), (e9(3), e9(2)));
    assert_eq!(desk.replace("r", "s1", 6, e9(100)), Verdict::ShortUnmarked);
    assert_eq!(desk.submit(&order_of("s3", 1, ES, Side::SellShort, 3)), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn prices_are_checked_against_the_last_trade_or_a_set_price_where_the_instrument_says_so() {
    let mut desk = TestDesk::open();
    let mut t = terms(ES, 1);
    t.flags |= FLAG_BY_LAST;
    desk.fact(t);
    let order = |id: &str, price: i64| TestDesk::new_order(id, Side::Buy, 1, price);
    assert_eq!(desk.submit(&order("a", e9(100))), Verdict::ReferenceAbsent, "no trade yet");
    desk.trade(ES, e9(80));
    desk.quote(ES, e9(100), e9(101)); // says nothing here
    assert_eq!(desk.submit(&order("b", e9(89))), Verdict::PriceAboveBand);
    assert_eq!(numbers(&desk), (e9(89), e9(88)));
    assert_eq!((desk.refusal().bid_px, desk.refusal().ask_px), (e9(80), e9(80)), "what was used");
    assert_eq!(desk.submit(&order("c", e9(88))), Verdict::Accepted);
    desk.now_ns += 1_000_000_001;
    desk.quote(ES, e9(100), e9(101));
    assert_eq!(desk.submit(&order("d", e9(88))), Verdict::ReferenceStale, "a quote is no trade");
    t.flags = FLAG_BAND_PPM | FLAG_BY_SET;
    t.reference_px = e9(50);
    desk.fact(t);
    desk.now_ns += 3_600_000_000_000;
    assert_eq!(desk.submit(&order("e", e9(55))), Verdict::Accepted, "it holds until set again");
    assert_eq!(desk.submit(&order("f", e9(55) + TICK)), Verdict::PriceAboveBand);
    t.reference_px = 0;
    desk.fact(t);
    assert_eq!(desk.submit(&order("g", e9(55))), Verdict::ReferenceNotPositive);
    t.flags = FLAG_BAND_PPM;
    desk.fact(t);
    assert_eq!(
        desk.submit(&order("h", e9(100))),
        Verdict::ReferenceStale,
        "the next quote is the first"
    );
    desk.quote(ES, e9(100), e9(101));
    assert_eq!(desk.submit(&order("i", e9(100))), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn a_row_of_limits_that_names_no_scope_or_no_number_is_refused() {
    let mut desk = grouped();
    let refused: [fn(&mut LimitRow); 8] = [
        |l| (l.scope, l.entity_id) = (Scope::Sector as u8, 0),
        |l| (l.scope, l.entity_id) = (Scope::Sector as u8, 999),
        |l| (l.scope, l.entity_id) = (Scope::Trader as u8, 999),
        |l| l.scope = Scope::Venue as u8,
        |l| l.margin_max = -1,
        |l| l.day_notional_max = -1,
        |l| l.concentration_bp_max = 10_001,
        |l| (l.orders_max, l.burst) = (10, 2), // 20 in a window of 16
    ];
    for spoil in refused {
        let mut l = account_limits(1);
        spoil(&mut l);
        assert_eq!(desk.step(l.as_record()), Verdict::DefinitionInvalid, "{l:?}");
    }
}
