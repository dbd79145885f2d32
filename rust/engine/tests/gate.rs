//! The gate, one table per rule: what is refused with which value and bound, and what passes at the
//! bound exactly. Precedence is the order of the verdicts.

mod common;
use common::*;
use layout::*;

const TICK: i64 = ONE / 4;

/// A change to a good order, the verdict it earns, and the numbers told.
type Row = (&'static str, fn(&mut NewOrder), Verdict, i64, i64);

#[test]
fn each_spoiled_field_is_refused_by_its_own_reason_with_value_and_bound() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("good", |_| {}, Verdict::Accepted, 0, 0),
        ("session", |o| o.session_id = 3, Verdict::SessionUnknown, 3, 0),
        ("session out of range", |o| o.session_id = 60_000, Verdict::SessionUnknown, 60_000, 0),
        ("entitlement", |o| o.session_id = 2, Verdict::AccountNotEntitled, 1, 2),
        ("empty id", |o| o.cl_ord_id = [0; 36], Verdict::ClOrdIdMalformed, 0, 0),
        ("id with a line feed", |o| o.cl_ord_id[1] = b'\n', Verdict::ClOrdIdMalformed, 10, 1),
        ("id not ascii", |o| o.cl_ord_id[0] = 0xc3, Verdict::ClOrdIdMalformed, 0xc3, 0),
        ("id with a hole", |o| o.cl_ord_id[9] = b'x', Verdict::ClOrdIdMalformed, 0, 2),
        ("side 0", |o| o.side = 0, Verdict::SideUnsupported, 0, 0),
        ("stop order", |o| o.ord_type = OrdType::Stop as u8, Verdict::OrdTypeUnsupported, 3, 0),
        ("gtd", |o| o.time_in_force = TimeInForce::Gtd as u8, Verdict::TimeInForceUnsupported, 5, 0),
        ("zero quantity", |o| o.order_qty = 0, Verdict::QtyNotPositive, 0, 0),
        ("negative quantity", |o| o.order_qty = -ONE, Verdict::QtyNotPositive, -ONE, 0),
        ("no price", |o| o.price = 0, Verdict::PriceMissing, 0, 0),
        ("market with a price", |o| o.ord_type = 1, Verdict::PriceNotAllowed, e9(100), 0),
        ("account", |o| o.account_id = 9, Verdict::AccountUnknown, 9, 0),
        ("strategy", |o| o.strategy_id = 3, Verdict::StrategyUnknown, 3, 0),
        ("strategy out of range", |o| o.strategy_id = 60_000, Verdict::StrategyUnknown, 60_000, 0),
        ("venue", |o| o.venue_id = 2, Verdict::VenueUnknown, 2, 0),
        ("instrument", |o| o.instrument_id = 3, Verdict::InstrumentUnknown, 3, 0),
        ("instrument out of range", |o| o.instrument_id = u32::MAX, Verdict::InstrumentUnknown, u32::MAX as i64, 0),
        ("negative price", |o| o.price = -TICK, Verdict::PriceNotPositive, -TICK, 0),
        ("off tick", |o| o.price += 1, Verdict::PriceOffTick, e9(100) + 1, TICK),
        ("off lot", |o| o.order_qty += 1, Verdict::QtyOffLot, e9(1) + 1, ONE),
        ("below minimum", |o| o.order_qty = ONE / 2, Verdict::QtyOffLot, ONE / 2, ONE),
        ("above maximum", |o| o.order_qty = e9(1001), Verdict::QtyAboveMax, e9(1001), e9(1000)),
        // Offer 100.25 + 10 % = 110.275; bid 100 - 10 % = 90.
        ("top of the band", |o| o.price = e9(110) + TICK, Verdict::Accepted, 0, 0),
        ("above the band", |o| o.price = e9(110) + 2 * TICK, Verdict::PriceAboveBand, e9(110) + 2 * TICK, 110_275_000_000),
        ("bottom of the band", |o| o.price = e9(90), Verdict::Accepted, 0, 0),
        ("below the band", |o| o.price = e9(90) - TICK, Verdict::PriceBelowBand, e9(90) - TICK, e9(90)),
        ("largest quantity", |o| o.order_qty = e9(100), Verdict::Accepted, 0, 0),
        ("quantity limit", |o| o.order_qty = e9(101), Verdict::OrderQtyLimit, e9(101), e9(100)),
        ("account without limits", |o| o.account_id = 3, Verdict::LimitsAbsent, 3, 0),
        ("child of nobody", |o| o.parent_order_seq = 77, Verdict::ParentUnknown, 77, 0),
    ];
    for (what, spoil, verdict, value, bound) in rows {
        let mut desk = TestDesk::open();
        let mut order = TestDesk::new_order("id", Side::Buy, 1, e9(100));
        spoil(&mut order);
        assert_eq!(desk.submit(&order), *verdict, "{what}");
        if *verdict != Verdict::Accepted {
            let refusal = desk.refusal();
            assert_eq!((refusal.value, refusal.bound), (*value, *bound), "{what}");
            assert_eq!(refusal.verdict, verdict.code());
            assert!(desk.sent.0.is_empty(), "{what}: nothing leaves");
        }
        desk.assert_replay_equals();
    }
}

#[test]
fn the_first_reason_in_the_order_of_the_catalogue_is_told() {
    let mut order = TestDesk::new_order("id", Side::Buy, 101, e9(500) + 1);
    let mut desk = TestDesk::open();
    desk.kill(Scope::Account, 1, KillMode::CancelOnly);
    assert_eq!(desk.submit(&order), Verdict::Killed);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (Scope::Account as i64, 2));
    let mut desk = TestDesk::open();
    desk.phase(Phase::Closed);
    assert_eq!(desk.submit(&order), Verdict::PriceOffTick);
    order.price -= 1;
    order.cl_ord_id = text("id2");
    assert_eq!(desk.submit(&order), Verdict::PriceAboveBand);
    (order.price, order.cl_ord_id) = (e9(100), text("id3"));
    assert_eq!(desk.submit(&order), Verdict::MarketClosed);
    desk.phase(Phase::Open);
    order.cl_ord_id = text("id4");
    assert_eq!(desk.submit(&order), Verdict::OrderQtyLimit);
}

#[test]
fn a_reference_that_is_absent_stale_crossed_or_locked_refuses_each_by_name() {
    let rows: &[(i64, i64, i64, Verdict)] = &[
        (NO_PRICE, e9(100), 0, Verdict::ReferenceAbsent),
        (e9(100), NO_PRICE, 0, Verdict::ReferenceAbsent),
        (e9(100), e9(99), 0, Verdict::ReferenceCrossed),
        (e9(100), e9(100), 0, Verdict::ReferenceLocked),
        (0, e9(100), 0, Verdict::ReferenceNotPositive),
        (e9(100), e9(101), 1_000_000_000, Verdict::Accepted),
        (e9(100), e9(101), 1_000_000_001, Verdict::ReferenceStale),
    ];
    for &(bid, ask, age_ns, verdict) in rows {
        let mut desk = TestDesk::open();
        desk.quote(ES, bid, ask);
        desk.now_ns += age_ns;
        let got = desk.submit(&TestDesk::new_order("id", Side::Buy, 1, e9(100)));
        assert_eq!(got, verdict, "{bid} {ask} {age_ns}");
    }
    // A child's refusal is recorded: the same id gets the same answer, though the book is good now.
    let mut desk = TestDesk::open();
    desk.quote(ES, e9(100), e9(99));
    let order = TestDesk::new_order("id", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&order), Verdict::ReferenceCrossed);
    desk.quote(ES, e9(100), e9(101));
    assert_eq!(desk.submit(&order), Verdict::ReferenceCrossed);
    assert_eq!(desk.last().header.kind, CommandRepeated::KIND);
}

#[test]
fn the_same_id_and_body_makes_no_second_order_and_tells_the_present_state() {
    let mut desk = TestDesk::open();
    let order = TestDesk::new_order("id", Side::Buy, 5, e9(100));
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    let seq = desk.sent.0[0].header.order_seq;
    desk.tell(seq, 0, ExecType::New);
    desk.fill(seq, 2, e9(100));
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    assert_eq!(desk.submit(&order), Verdict::Accepted, "a retry under a kill gets its answer");
    let answer = *CommandRepeated::from_record(desk.last()).expect("an answer");
    assert_eq!((answer.cum_qty, answer.leaves_qty), (e9(2), e9(3)));
    assert_eq!(
        answer.ord_status,
        OrdStatus::PendingCancel as u8,
        "the kill's cancel is on its way"
    );
    assert_eq!(desk.sent.0.iter().filter(|r| r.msg_type == MsgType::NewOrder as u8).count(), 1);
    let mut other = order;
    other.order_qty = e9(6);
    assert_eq!(desk.submit(&other), Verdict::DuplicateId);
    assert_eq!(desk.refusal().value, seq as i64);
    assert_eq!(desk.submit(&order), Verdict::Accepted, "a refused body does not take the id over");
}

#[test]
fn an_id_is_forgotten_a_ttl_after_its_order_ended_and_not_before() {
    let ttl = small_config().id_ttl_ns;
    let mut desk = TestDesk::open();
    let order = TestDesk::new_order("id", Side::Buy, 1, e9(100));
    desk.submit(&order);
    let seq = desk.sent.0[0].header.order_seq;
    desk.now_ns += 3 * ttl; // live for three days: remembered
    desk.quote(ES, e9(100), e9(100) + TICK);
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    assert_eq!(desk.sent.0.len(), 1);
    desk.tell(seq, 0, ExecType::Canceled);
    desk.now_ns += ttl - 1;
    desk.quote(ES, e9(100), e9(100) + TICK);
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    assert_eq!(desk.sent.0.len(), 1, "one nanosecond early");
    desk.now_ns += 1;
    desk.quote(ES, e9(100), e9(100) + TICK);
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    assert_eq!(desk.sent.0.len(), 2, "a new order");
    desk.assert_replay_equals();
}

/// Places an order, lets its venue cancel it and after `ended_ns` say that it still works it, and two
/// days later asks to cancel it, by its id and by its number; other ids come and go meanwhile.
fn cancel_of_a_reopened_order(ended_ns: i64) -> (Verdict, Verdict) {
    let mut desk = TestDesk::open();
    let seq = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(seq, 0, ExecType::New);
    desk.tell(seq, 0, ExecType::Canceled);
    let pass = |desk: &mut TestDesk, ns: i64| {
        desk.now_ns += ns;
        desk.quote(ES, e9(100), e9(100) + TICK);
        for n in 0..8 {
            let bad = TestDesk::new_order(&format!("{}-{n}", desk.now_ns), Side::Buy, 0, e9(100));
            desk.submit(&bad); // each id that is taken lets old ones go
        }
    };
    pass(&mut desk, ended_ns);
    let mut restated = desk.report(seq, 0, ExecType::Restated);
    restated.leaves_qty = e9(5);
    assert_eq!(desk.take(&restated), Disposition::Late, "its venue still works it");
    assert_eq!(desk.status(seq), OrdStatus::New);
    pass(&mut desk, 2 * small_config().id_ttl_ns);
    let by_id = desk.cancel("c", "a");
    let mut command = CancelOrder::ZERO;
    (command.header.kind, command.header.order_seq) = (CancelOrder::KIND, seq);
    (command.cl_ord_id, command.session_id) = (text("d"), 1);
    let by_number = desk.step(command.as_record());
    desk.assert_replay_equals();
    (by_id, by_number)
}

#[test]
fn an_order_that_reopens_while_its_id_is_remembered_keeps_it_as_long_as_it_lives() {
    let ttl = small_config().id_ttl_ns;
    let told = cancel_of_a_reopened_order(ttl / 2);
    assert_eq!(told, (Verdict::Accepted, Verdict::CancelPending));
}

#[test]
fn an_order_that_reopens_after_its_id_was_forgotten_is_canceled_by_its_number_alone() {
    let ttl = small_config().id_ttl_ns;
    let told = cancel_of_a_reopened_order(ttl + 1);
    assert_eq!(told, (Verdict::OrderUnknown, Verdict::Accepted));
}

#[test]
fn a_full_id_table_refuses_loudly_and_a_live_order_keeps_its_id() {
    let mut desk = TestDesk::with(engine::EngineConfig { ids_max: 64, ..small_config() });
    let live = TestDesk::new_order("live", Side::Buy, 1, e9(100));
    desk.submit(&live);
    let mut full = 0;
    for n in 0..100 {
        let mut bad = TestDesk::new_order(&format!("n{n}"), Side::Buy, 0, e9(100));
        bad.order_qty = 0;
        full += u32::from(desk.submit(&bad) == Verdict::IdTableFull);
    }
    assert!(full >= 36, "{full}");
    assert_eq!(desk.submit(&live), Verdict::Accepted);
    assert_eq!(desk.sent.0.len(), 1);
    desk.now_ns += small_config().id_ttl_ns; // the refusals may go now, the live order may not
    desk.quote(ES, e9(100), e9(100) + TICK);
    for n in 0..400 {
        let mut bad = TestDesk::new_order(&format!("m{n}"), Side::Buy, 0, e9(100));
        bad.order_qty = 0;
        desk.submit(&bad);
    }
    assert_eq!(desk.submit(&live), Verdict::Accepted);
    assert_eq!(desk.sent.0.len(), 1);
    desk.assert_replay_equals();
}

/// Fills the id table with refused orders until it says so.
fn fill_ids(desk: &mut TestDesk, prefix: &str) {
    for n in 0..100 {
        let mut bad = TestDesk::new_order(&format!("{prefix}{n}"), Side::Buy, 0, e9(100));
        bad.order_qty = 0;
        if desk.submit(&bad) == Verdict::IdTableFull {
            return;
        }
    }
    panic!("the table never filled");
}

#[test]
fn no_command_of_any_kind_takes_an_id_of_a_full_table_whatever_else_is_wrong_with_it() {
    let mut desk = TestDesk::with(engine::EngineConfig { ids_max: 64, ..small_config() });
    desk.submit(&TestDesk::new_order("live", Side::Buy, 1, e9(100)));
    fill_ids(&mut desk, "n");
    // More of each than rows are kept back: one that took an id would end the engine.
    for n in 0..80 {
        let id = format!("c{n}");
        let mut tagged = TestDesk::new_order(&id, Side::Buy, 1, e9(100));
        tagged.tags = TAG_TERMS; // terms that were never offered
        let verdicts = [
            desk.submit(&TestDesk::new_order(&id, Side::Buy, 1, e9(100))),
            desk.submit(&tagged),
            desk.submit_terms(&offer(), &tagged),
            desk.cancel(&id, "live"),
            desk.cancel(&id, "nobody's"),
            desk.replace(&id, "live", 2, e9(100)),
            desk.replace(&id, "nobody's", 2, e9(100)),
            desk.step(change_with_terms(&id, "live").as_record()),
            desk.step(change_with_terms(&id, "nobody's").as_record()),
            desk.step(mass_cancel(&id, 0).as_record()),
            desk.step(mass_cancel(&id, 3).as_record()),
        ];
        assert_eq!(verdicts, [Verdict::IdTableFull; 11], "command {n}");
        assert_eq!(desk.sent.0.len(), 1, "nothing leaves");
    }
    desk.assert_replay_equals();
}

/// A replace that says terms come with it; none were offered.
fn change_with_terms(id: &str, orig: &str) -> ReplaceOrder {
    let mut c = ReplaceOrder::ZERO;
    (c.header.kind, c.session_id, c.tags) = (ReplaceOrder::KIND, 1, TAG_TERMS);
    (c.cl_ord_id, c.orig_cl_ord_id) = (text(id), text(orig));
    (c.order_qty, c.price) = (e9(2), e9(100));
    c
}

/// A mass cancel of a session; 0: of everything.
fn mass_cancel(id: &str, of_session_id: u16) -> MassCancel {
    let mut c = MassCancel::ZERO;
    (c.header.kind, c.session_id, c.of_session_id) = (MassCancel::KIND, 1, of_session_id);
    c.cl_ord_id = text(id);
    c
}

#[test]
fn notional_and_position_limits_pass_at_the_bound_and_refuse_one_lot_above() {
    // 100.00 x 50 USD = 5,000 a lot.
    let submit = |row: LimitRow, qty: i64| {
        let mut desk = TestDesk::open();
        desk.limit(row);
        let verdict = desk.submit(&TestDesk::new_order("id", Side::Buy, qty, e9(100)));
        let numbers =
            (verdict != Verdict::Accepted).then(|| (desk.refusal().value, desk.refusal().bound));
        (verdict, numbers)
    };
    let account = |f: fn(&mut LimitRow)| {
        let mut row = account_limits(1);
        f(&mut row);
        row
    };
    let cell = |f: fn(&mut LimitRow)| {
        let mut row = account_limits(1);
        (row.scope, row.instrument_id) = (Scope::AccountInstrument as u8, ES);
        f(&mut row);
        row
    };
    let rows: Vec<(LimitRow, Verdict, (i64, i64))> = vec![
        (account(|r| r.order_notional_max = 20_000), Verdict::OrderNotionalLimit, (25_000, 20_000)),
        (cell(|r| r.order_notional_max = 20_000), Verdict::OrderNotionalLimit, (25_000, 20_000)),
        (cell(|r| r.net_qty_max = e9(4)), Verdict::NetQtyLimit, (e9(5), e9(4))),
        (cell(|r| r.gross_notional_max = 20_000), Verdict::InstrumentGrossLimit, (25_000, 20_000)),
        (account(|r| r.net_notional_max = 20_000), Verdict::AccountNetLimit, (25_000, 20_000)),
        (account(|r| r.gross_notional_max = 20_000), Verdict::AccountGrossLimit, (25_000, 20_000)),
        (account(|r| r.order_qty_max = e9(4)), Verdict::OrderQtyLimit, (e9(5), e9(4))),
    ];
    for (row, verdict, numbers) in rows {
        assert_eq!(submit(row, 4), (Verdict::Accepted, None), "{verdict:?} at the bound");
        assert_eq!(submit(row, 5), (verdict, Some(numbers)), "{verdict:?} above");
    }
}

#[test]
fn open_orders_count_against_limits_at_once_and_a_maker_may_quote_both_sides() {
    let mut desk = TestDesk::open();
    let mut row = account_limits(1);
    (row.scope, row.instrument_id, row.net_qty_max) = (Scope::AccountInstrument as u8, ES, e9(4));
    desk.limit(row);
    desk.place("b1", Side::Buy, 4, e9(100));
    desk.place("s1", Side::Sell, 4, e9(100) + TICK);
    assert_eq!(
        desk.submit(&TestDesk::new_order("b2", Side::Buy, 1, e9(100))),
        Verdict::NetQtyLimit
    );
    assert_eq!(
        desk.submit(&TestDesk::new_order("s2", Side::Sell, 1, e9(101))),
        Verdict::NetQtyLimit
    );
    let bid = desk.sent.0[0].header.order_seq;
    desk.fill(bid, 4, e9(100)); // long 4: sells of 4 and 4 more lead to -4
    assert_eq!(
        desk.submit(&TestDesk::new_order("b3", Side::Buy, 1, e9(100))),
        Verdict::NetQtyLimit
    );
    desk.place("s3", Side::Sell, 4, e9(101));
    assert_eq!(
        desk.submit(&TestDesk::new_order("s4", Side::Sell, 1, e9(101))),
        Verdict::NetQtyLimit
    );
}

#[test]
fn what_reduces_the_position_passes_position_limits_but_five_sells_do_not_all_reduce() {
    let mut desk = TestDesk::open();
    let bid = desk.place("b", Side::Buy, 5, e9(100));
    desk.fill(bid, 5, e9(100));
    let mut row = account_limits(1);
    (row.net_notional_max, row.gross_notional_max) = (1, 1); // cut far below the position
    desk.limit(row);
    assert_eq!(
        desk.submit(&TestDesk::new_order("b2", Side::Buy, 1, e9(100))),
        Verdict::AccountNetLimit
    );
    for n in 0..2 {
        desk.place(&format!("s{n}"), Side::Sell, 2, e9(101));
    }
    assert_eq!(
        desk.submit(&TestDesk::new_order("s9", Side::Sell, 2, e9(101))),
        Verdict::AccountNetLimit
    );
    desk.place("s10", Side::Sell, 1, e9(101));
}

#[test]
fn the_throttle_refuses_the_order_after_the_last_allowed_and_reopens_on_the_edge() {
    let mut desk = TestDesk::open();
    let mut row = account_limits(1);
    (row.orders_max, row.window_ns) = (3, 1_000_000_000);
    desk.limit(row);
    for n in 0..3 {
        desk.now_ns += 100;
        desk.place(&format!("a{n}"), Side::Buy, 1, e9(100));
    }
    let first_ns = desk.now_ns - 200;
    assert_eq!(
        desk.submit(&TestDesk::new_order("a3", Side::Buy, 1, e9(100))),
        Verdict::ThrottleAccount
    );
    assert_eq!(desk.cancel("c0", "a0"), Verdict::Accepted, "cancels are exempt");
    assert_eq!(desk.replace("r1", "a1", 2, e9(100)), Verdict::ThrottleAccount, "a replace counts");
    desk.now_ns = first_ns + 1_000_000_000 - 1;
    desk.quote(ES, e9(100), e9(101));
    assert_eq!(
        desk.submit(&TestDesk::new_order("a4", Side::Buy, 1, e9(100))),
        Verdict::ThrottleAccount
    );
    desk.now_ns += 1;
    desk.place("a5", Side::Buy, 1, e9(100));
    desk.assert_replay_equals();
}

#[test]
fn killed_scopes_refuse_new_orders_cancel_what_lives_and_let_cancels_pass() {
    for (scope, id) in [
        (Scope::Desk, 0),
        (Scope::Account, 1),
        (Scope::Instrument, ES),
        (Scope::Venue, 1),
        (Scope::Session, 1),
        (Scope::Strategy, 1),
    ] {
        let mut desk = TestDesk::open();
        let seq = desk.place("a", Side::Buy, 1, e9(100));
        desk.kill(scope, id, KillMode::CancelOnly);
        let last = desk.sent.0.last().unwrap();
        assert_eq!(
            (last.msg_type, last.header.order_seq),
            (MsgType::Cancel as u8, seq),
            "{scope:?}"
        );
        assert_eq!(desk.submit(&TestDesk::new_order("b", Side::Buy, 1, e9(100))), Verdict::Killed);
        assert_eq!(desk.replace("r", "a", 2, e9(100)), Verdict::Killed);
        assert_eq!(desk.refusal().value, scope as i64);
        desk.kill(scope, id, KillMode::Halt);
        desk.tell(seq, 1, ExecType::CancelRejected);
        assert_eq!(desk.cancel("c", "a"), Verdict::Killed, "halt: nothing leaves");
        desk.kill(scope, id, KillMode::Open);
        desk.place("d", Side::Buy, 1, e9(100));
        desk.assert_replay_equals();
    }
    let mut desk = TestDesk::open();
    desk.kill(Scope::Account, 2, KillMode::CancelOnly);
    desk.place("other account", Side::Buy, 1, e9(100));
}

#[test]
fn reduce_only_lets_a_closing_order_pass_and_nothing_else() {
    let mut desk = TestDesk::open();
    let bid = desk.place("b", Side::Buy, 5, e9(100));
    desk.fill(bid, 5, e9(100));
    desk.kill(Scope::Desk, 0, KillMode::ReduceOnly);
    assert_eq!(desk.submit(&TestDesk::new_order("b2", Side::Buy, 1, e9(100))), Verdict::Killed);
    assert_eq!(desk.submit(&TestDesk::new_order("s6", Side::Sell, 6, e9(100))), Verdict::Killed);
    desk.place("s5", Side::Sell, 5, e9(100));
    assert_eq!(desk.submit(&TestDesk::new_order("s1", Side::Sell, 1, e9(100))), Verdict::Killed);
}

#[test]
fn a_market_order_reserves_at_the_far_edge_of_the_band() {
    let mut desk = TestDesk::open();
    let mut order = TestDesk::new_order("m", Side::Buy, 2, 0);
    order.ord_type = OrdType::Market as u8;
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    let routed = desk.sent.0[0];
    assert_eq!(routed.price, 0, "the venue sees a market order");
    // 100.25 + 10 % = 110.275, on the tick: 110.25
    assert_eq!(desk.engine.row(1, ES).open_points().0, (e9(110) + TICK) as i128 * e9(2) as i128);
    desk.quote(ES, NO_PRICE, e9(100));
    order.cl_ord_id = text("m2");
    assert_eq!(desk.submit(&order), Verdict::ReferenceAbsent);
}

#[test]
fn a_market_sell_is_taken_where_the_band_ends_between_two_ticks() {
    let mut desk = TestDesk::open();
    desk.quote(ES, e9(99) + 3 * TICK, e9(100));
    let mut order = TestDesk::new_order("m", Side::Sell, 2, 0);
    order.ord_type = OrdType::Market as u8;
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    // 99.75 - 10 % = 89.775, the last tick within: 90.00
    assert_eq!(desk.engine.row(1, ES).open_points().1, e9(90) as i128 * e9(2) as i128);
}

#[test]
fn children_never_take_more_than_their_parent_has_left() {
    let mut desk = TestDesk::open();
    let mut parent = TestDesk::new_order("p", Side::Buy, 10, e9(100));
    parent.tags = TAG_PARENT;
    assert_eq!(desk.submit(&parent), Verdict::Accepted);
    assert!(desk.sent.0.is_empty(), "an intent is not routed");
    let parent_seq = desk.engine.order_of(1, &text("p")).unwrap().order_seq;
    let child = |id: &str, qty| {
        let mut child = TestDesk::new_order(id, Side::Buy, qty, e9(100));
        child.parent_order_seq = parent_seq;
        child
    };
    assert_eq!(desk.submit(&child("c1", 6)), Verdict::Accepted);
    let c1 = desk.sent.0[0].header.order_seq;
    assert_eq!(desk.submit(&child("c2", 5)), Verdict::ParentExceeded);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(11), e9(10)));
    assert_eq!(desk.submit(&child("c3", 4)), Verdict::Accepted);
    assert_eq!(desk.replace("r1", "c1", 7, e9(100)), Verdict::ParentExceeded);
    desk.fill(c1, 2, e9(100));
    desk.tell(c1, 0, ExecType::Canceled); // 4 come back
    assert_eq!(desk.submit(&child("c4", 5)), Verdict::ParentExceeded);
    assert_eq!(desk.submit(&child("c5", 4)), Verdict::Accepted);
    let mut foreign = child("c6", 1);
    foreign.side = Side::Sell as u8;
    assert_eq!(desk.submit(&foreign), Verdict::ParentMismatch);
    desk.assert_sums_are_folds();
    // Cancel of the parent reaches every live child.
    assert_eq!(desk.cancel("x", "p"), Verdict::Accepted);
    assert_eq!(desk.status(parent_seq), OrdStatus::Canceled);
    let cancels = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::Cancel as u8).count();
    assert_eq!(cancels, 2);
    assert_eq!(desk.submit(&child("c7", 1)), Verdict::ParentUnknown);
    desk.assert_replay_equals();
}

#[test]
fn a_log_that_fills_refuses_new_orders_first_and_keeps_room_for_cancels_and_reports() {
    let mut desk = TestDesk::open();
    let seq = desk.place("a", Side::Buy, 1, e9(100));
    let mut log = NarrowLog(std::mem::take(&mut desk.log), 63);
    let order = TestDesk::new_order("b", Side::Buy, 1, e9(100));
    let (now, engine, sent) = (desk.now_ns, &mut desk.engine, &mut desk.sent);
    assert_eq!(engine.step(order.as_record(), now, &mut log, sent), Verdict::LogFull);
    log.1 = 30;
    let mut cancel = CancelOrder::ZERO;
    (cancel.header.kind, cancel.cl_ord_id, cancel.orig_cl_ord_id, cancel.session_id) =
        (CancelOrder::KIND, text("c"), text("a"), 1);
    assert_eq!(engine.step(cancel.as_record(), now, &mut log, sent), Verdict::Accepted);
    let before = log.0.records.len();
    let order = TestDesk::new_order("d", Side::Buy, 1, e9(100));
    assert_eq!(engine.step(order.as_record(), now, &mut log, sent), Verdict::LogFull);
    assert_eq!(log.0.records.len(), before, "a refusal must not eat the reserve");
    assert_eq!(engine.counters().unlogged_refusals, 1);
    assert!(engine.order(seq).is_some());
}

#[test]
fn a_closed_market_a_lost_venue_and_a_recovering_desk_take_cancels_only() {
    let mut desk = TestDesk::open();
    desk.place("a", Side::Buy, 1, e9(100));
    desk.phase(Phase::Halted);
    assert_eq!(
        desk.submit(&TestDesk::new_order("b", Side::Buy, 1, e9(100))),
        Verdict::MarketClosed
    );
    assert_eq!(desk.refusal().value, Phase::Halted as i64);
    assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
    desk.phase(Phase::Open);
    desk.place("d", Side::Buy, 1, e9(100));
    desk.link(LinkState::Recovering);
    assert_eq!(desk.submit(&TestDesk::new_order("e", Side::Buy, 1, e9(100))), Verdict::VenueDown);
    assert_eq!(desk.cancel("f", "d"), Verdict::Accepted);
    desk.link(LinkState::Up);
    let mut state = DeskState::ZERO;
    (state.header.kind, state.recovering) = (DeskState::KIND, 1);
    desk.fact(state);
    assert_eq!(desk.submit(&TestDesk::new_order("g", Side::Buy, 1, e9(100))), Verdict::Recovering);
}

#[test]
fn definitions_are_idempotent_and_numbers_are_never_reused() {
    let mut desk = TestDesk::open();
    let events = desk.log.records.len();
    desk.fact(definition(Entity::Account, "A2", 0, AccountLevel::Account as u8));
    assert_eq!(desk.log.records.len(), events, "told before: no event");
    assert_eq!(desk.engine.id_of(Entity::Account, "A2"), Some(2));
    let fourth = definition(Entity::Account, "A4", 0, 2);
    assert_eq!(desk.step(fourth.as_record()), Verdict::DefinitionTableFull);
    let spaced = definition(Entity::Trader, "a b", 0, 0);
    assert_eq!(desk.step(spaced.as_record()), Verdict::NameMalformed);
}

#[test]
fn a_currency_without_a_rate_or_with_a_stale_one_refuses() {
    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Currency, "EUR", 0, 0));
    desk.fact(terms(FX, 2));
    let mut order = TestDesk::new_order("a", Side::Buy, 1, e9(100));
    order.instrument_id = FX;
    assert_eq!(desk.submit(&order), Verdict::RateAbsent);
    let mut rate = Rate::ZERO;
    (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 2, 2 * ONE);
    (rate.rate_time_ns, rate.age_s_max) = (desk.now_ns, 60);
    desk.fact(rate);
    let mut row = account_limits(1);
    row.order_notional_max = 10_000; // one lot is 5,000 EUR = 10,000 in desk currency
    desk.limit(row);
    order.cl_ord_id = text("b");
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    (order.cl_ord_id, order.order_qty) = (text("c"), e9(2));
    assert_eq!(desk.submit(&order), Verdict::OrderNotionalLimit);
    assert_eq!(desk.refusal().value, 20_000);
    desk.now_ns += 61_000_000_000;
    desk.quote(FX, e9(100), e9(101));
    (order.cl_ord_id, order.order_qty) = (text("d"), e9(1));
    assert_eq!(desk.submit(&order), Verdict::RateStale);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (61, 60));
}

#[test]
fn a_refusal_takes_its_id_and_is_told_again_when_its_cause_is_gone() {
    let mut desk = TestDesk::open();
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    let order = TestDesk::new_order("a", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&order), Verdict::Killed);
    desk.kill(Scope::Desk, 0, KillMode::Open);
    assert_eq!(desk.submit(&order), Verdict::Killed, "the recorded refusal");
    assert!(desk.sent.0.is_empty());
    // One before the duplicate check leaves the id free.
    let mut foreign = TestDesk::new_order("b", Side::Buy, 1, e9(100));
    (foreign.session_id, foreign.account_id) = (2, 1);
    assert_eq!(desk.submit(&foreign), Verdict::AccountNotEntitled);
    foreign.account_id = 2;
    assert_eq!(desk.submit(&foreign), Verdict::Accepted);
    desk.assert_replay_equals();
}

#[test]
fn a_market_order_is_taken_when_the_edge_of_its_band_lies_between_two_ticks() {
    for side in [Side::Buy, Side::Sell] {
        let mut desk = TestDesk::open();
        desk.quote(ES, e9(103) + 3 * e9(1) / 4, e9(104)); // the edges: 93.375 and 114.40
        let mut order = TestDesk::new_order("a", side, 1, 0);
        order.ord_type = OrdType::Market as u8;
        assert_eq!(desk.submit(&order), Verdict::Accepted);
        let edge = if side == Side::Buy { e9(114) + e9(1) / 4 } else { e9(93) + e9(1) / 2 };
        assert_eq!(desk.order(desk.newest()).price, edge);
    }
}

#[test]
fn a_halt_of_one_instrument_stops_new_orders_in_it_alone() {
    let mut desk = TestDesk::open();
    let mut halt = PhaseChange::ZERO;
    (halt.header.kind, halt.venue_id, halt.instrument_id) = (PhaseChange::KIND, 1, ES);
    halt.phase = Phase::Halted as u8;
    let resting = desk.place("a", Side::Buy, 1, e9(100));
    desk.fact(halt);
    let mut order = TestDesk::new_order("b", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&order), Verdict::MarketClosed);
    assert_eq!(desk.refusal().value, Phase::Halted as i64);
    assert_eq!(desk.replace("r", "a", 2, e9(100)), Verdict::MarketClosed);
    (order.cl_ord_id, order.instrument_id) = (text("c"), FX);
    assert_eq!(desk.submit(&order), Verdict::Accepted, "the other one trades");
    assert_eq!(desk.cancel("x", "a"), Verdict::Accepted);
    assert_eq!(desk.status(resting), OrdStatus::PendingCancel);
    halt.phase = Phase::Open as u8;
    desk.fact(halt);
    desk.place("d", Side::Buy, 1, e9(100));
    desk.assert_replay_equals();
}

#[test]
fn i34_a_session_neither_changes_nor_mass_cancels_what_is_not_its_own() {
    let mut desk = TestDesk::open();
    let foreign = desk.place("a", Side::Buy, 5, e9(100)); // session 1, account 1
    let mut own = TestDesk::new_order("b", Side::Buy, 5, e9(100));
    (own.session_id, own.account_id) = (2, 2);
    assert_eq!(desk.submit(&own), Verdict::Accepted);
    let own = desk.newest();
    let mut cancel = CancelOrder::ZERO;
    (cancel.header.kind, cancel.session_id) = (CancelOrder::KIND, 2);
    let mut replace = ReplaceOrder::ZERO;
    (replace.header.kind, replace.session_id) = (ReplaceOrder::KIND, 2);
    (replace.order_qty, replace.price) = (e9(6), e9(100));
    // A foreign order and one that nobody has ever sent look the same.
    for (n, order_seq) in [foreign, 999].into_iter().enumerate() {
        (cancel.cl_ord_id, cancel.header.order_seq) = (text(&format!("c{n}")), order_seq);
        assert_eq!(desk.step(cancel.as_record()), Verdict::OrderUnknown);
        assert_eq!((desk.refusal().value, desk.refusal().bound), (0, 0));
        (replace.cl_ord_id, replace.header.order_seq) = (text(&format!("r{n}")), order_seq);
        assert_eq!(desk.step(replace.as_record()), Verdict::OrderUnknown);
        assert_eq!((desk.refusal().value, desk.refusal().bound), (0, 0));
    }
    let mut all = MassCancel::ZERO;
    (all.header.kind, all.cl_ord_id, all.session_id) = (MassCancel::KIND, text("m"), 2);
    assert_eq!(desk.step(all.as_record()), Verdict::Accepted);
    assert_eq!(desk.status(foreign), OrdStatus::PendingNew);
    assert_eq!(desk.status(own), OrdStatus::PendingCancel);
    desk.assert_replay_equals();
}

#[test]
fn corner_22_an_id_of_before_a_restart_is_answered_and_not_taken_again() {
    let mut desk = TestDesk::open();
    let order = TestDesk::new_order("a", Side::Buy, 5, e9(100));
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    let mut bad = TestDesk::new_order("bad", Side::Buy, 5, e9(1));
    assert_eq!(desk.submit(&bad), Verdict::PriceBelowBand);
    let mut epoch = EpochStarted::ZERO;
    (epoch.header.kind, epoch.epoch, epoch.log_id) = (EpochStarted::KIND, 2, 77);
    desk.fact(epoch);
    desk.quote(ES, e9(100), e9(100) + TICK);
    let sent = desk.sent.0.len();
    assert_eq!(desk.submit(&order), Verdict::Accepted);
    let told = *CommandRepeated::from_record(desk.last()).expect("an answer, no second order");
    assert_eq!(told.ord_status, OrdStatus::PendingNew as u8);
    assert_eq!((desk.sent.0.len(), desk.engine.live_count()), (sent, 1));
    bad.price = e9(100);
    assert_eq!(desk.submit(&bad), Verdict::DuplicateId, "a refusal takes its id, too");
    desk.assert_replay_equals();
}

#[test]
fn i29_limits_that_change_count_what_was_sent_before_them() {
    let mut desk = TestDesk::open();
    let mut row = account_limits(1);
    (row.orders_max, row.window_ns) = (3, 1_000_000_000);
    desk.limit(row);
    desk.place("a0", Side::Buy, 1, e9(100));
    desk.now_ns += 100;
    desk.place("a1", Side::Buy, 1, e9(100));
    row.orders_max = 2;
    desk.limit(row);
    let more = TestDesk::new_order("a2", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&more), Verdict::ThrottleAccount, "two stand in the window");
    desk.now_ns = START_NS + 1_000_000_000; // the first has left it
    desk.quote(ES, e9(100), e9(101));
    desk.place("a3", Side::Buy, 1, e9(100));
    let more = TestDesk::new_order("a4", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit(&more), Verdict::ThrottleAccount);
    desk.assert_replay_equals();
}

#[test]
fn a_new_rate_moves_the_sums_of_all_that_is_open_and_held() {
    let mut desk = TestDesk::open();
    let bought = desk.place("a", Side::Buy, 2, e9(100));
    desk.fill(bought, 1, e9(100));
    desk.place("b", Side::Sell, 4, e9(101));
    // 50 USD a point: long 100 + 100 bought and open, short 404 open less 100 held.
    let micro = |points: i128| points * 50 * 1_000_000;
    assert_eq!(desk.engine.account_sums(1), (micro(304), micro(200), micro(304)));
    let mut rate = Rate::ZERO;
    (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, 2 * ONE);
    desk.fact(rate);
    assert_eq!(desk.engine.account_sums(1), (micro(608), micro(400), micro(608)));
    desk.assert_replay_equals();
}
