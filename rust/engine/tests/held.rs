//! Orders held here: plumbing of terms, verdicts of every bad field, triggers by trade and quote,
//! once and only once, replaces and cancels without a message, kill, trailing stops, recovery.

mod common;
use common::*;
use engine::Engine;
use layout::*;

const TICK: i64 = ONE / 4;

fn stop(id: &str, side: Side, qty: i64, stop_px: i64) -> (OrderTerms, NewOrder) {
    let mut o = TestDesk::new_order(id, side, qty, 0);
    o.ord_type = OrdType::Stop as u8;
    (terms_at(stop_px), o)
}

fn terms_at(stop_px: i64) -> OrderTerms {
    let mut t = offer();
    t.stop_px = stop_px;
    t
}

fn place(desk: &mut TestDesk, (t, o): (OrderTerms, NewOrder)) -> u64 {
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    desk.newest()
}

#[test]
fn a_held_stop_reserves_sends_nothing_and_goes_out_once_when_a_trade_meets_it() {
    for twice in [false, true] {
        let mut desk = TestDesk::open();
        let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
        assert_eq!(desk.status(seq), OrdStatus::Held);
        assert!(desk.sent.0.is_empty());
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(5));
        // At the stop and a band of ten per cent beyond it.
        assert_eq!(desk.order(seq).price, (e9(102) * 11 / 10).div_euclid(TICK) * TICK);
        desk.trade(ES, e9(101) + 3 * TICK);
        assert_eq!(desk.status(seq), OrdStatus::Held);
        desk.trade(ES, e9(102));
        assert_eq!(desk.status(seq), OrdStatus::PendingNew);
        let routed = *desk.sent.0.last().unwrap();
        assert_eq!((routed.ord_type, routed.price), (OrdType::Market as u8, 0));
        if twice {
            desk.trade(ES, e9(103));
            desk.trade(ES, e9(102));
        }
        assert_eq!(desk.sent.0.len(), 1);
        let triggers = desk.log.records.iter().filter(|r| r.header.kind == Triggered::KIND);
        assert_eq!(triggers.count(), 1);
        desk.fill(seq, 5, e9(102));
        assert_eq!(desk.status(seq), OrdStatus::Filled);
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
}

#[test]
fn each_type_side_and_source_triggers_on_its_own_side_of_its_price() {
    use OrdType::{LimitIfTouched, MarketIfTouched, Stop, StopLimit};
    for ord_type in [Stop, StopLimit, MarketIfTouched, LimitIfTouched] {
        for side in [Side::Buy, Side::Sell] {
            for by_quote in [false, true] {
                let mut desk = TestDesk::open();
                let (mut t, mut o) = stop("s", side, 1, e9(104));
                o.ord_type = ord_type as u8;
                let limit = matches!(ord_type, StopLimit | LimitIfTouched);
                o.price = if limit { e9(104) } else { 0 };
                t.exec_inst = if by_quote { EXEC_BY_QUOTE } else { 0 };
                let touched = matches!(ord_type, MarketIfTouched | LimitIfTouched);
                let rises = (side == Side::Buy) != touched;
                let see = |desk: &mut TestDesk, px: i64| {
                    if by_quote {
                        // The watched side is at px, the other a tick away.
                        let buy = side == Side::Buy;
                        let (bid, ask) = if buy { (px - TICK, px) } else { (px, px + TICK) };
                        desk.quote(ES, bid, ask);
                    } else {
                        desk.quote(ES, px - TICK, px);
                        desk.trade(ES, px);
                    }
                };
                let step = if rises { TICK } else { -TICK };
                see(&mut desk, e9(104) - step);
                let seq = place(&mut desk, (t, o));
                see(&mut desk, e9(104) - step);
                let told = format!("{ord_type:?} {side:?} by_quote {by_quote}");
                assert_eq!(desk.status(seq), OrdStatus::Held, "{told}");
                see(&mut desk, e9(104));
                let why = Triggered::from_record(desk.last()).map(|t| t.verdict);
                assert_eq!(desk.status(seq), OrdStatus::PendingNew, "{told} {why:?}");
                let routed = desk.sent.0.last().unwrap();
                assert_eq!(routed.ord_type == OrdType::Limit as u8, limit, "{told}");
                assert_eq!(routed.price, o.price, "{told}");
                closing(&desk);
            }
        }
    }
}

#[test]
fn every_bad_term_is_refused_with_its_value_and_bound_and_leaves_only_its_id() {
    type Change = fn(&mut OrderTerms, &mut NewOrder);
    let cases: &[(&str, Verdict, i64, i64, Change)] = &[
        ("no stop", Verdict::StopPxInvalid, 0, TICK, |t, _| t.stop_px = 0),
        ("stop off tick", Verdict::StopPxInvalid, e9(101) + 1, TICK, |t, _| {
            t.stop_px = e9(101) + 1
        }),
        ("negative stop", Verdict::StopPxInvalid, -e9(1), TICK, |t, _| t.stop_px = -e9(1)),
        ("least stop", Verdict::StopPxInvalid, i64::MIN, TICK, |t, _| t.stop_px = i64::MIN),
        ("trail on a stop", Verdict::TermsNotAllowed, 3, 104, |t, _| t.trail = e9(1)),
        ("min qty", Verdict::TermsNotAllowed, 3, 56, |t, _| t.min_qty = e9(1)),
        ("peg", Verdict::TermsNotAllowed, 3, 96, |t, _| t.peg_type = 1),
        ("pegged to nothing", Verdict::PegInvalid, 0, TICK, |t, o| {
            (t.stop_px, o.ord_type) = (0, OrdType::Pegged as u8);
        }),
        ("peg off tick", Verdict::PegInvalid, 3, TICK, |t, o| {
            (t.stop_px, t.peg_type, t.peg_offset) = (0, PegType::Mid as u8, 1);
            o.ord_type = OrdType::Pegged as u8;
        }),
        ("pegged in a group", Verdict::TermsNotAllowed, 7, 97, |t, o| {
            (t.stop_px, t.peg_type, t.contingency) = (0, PegType::Bid as u8, 1);
            o.ord_type = OrdType::Pegged as u8;
        }),
        ("leg of a spread", Verdict::TermsNotAllowed, 3, 88, |t, _| t.leg_ref = 9),
        ("a parent in the offer", Verdict::TermsNotAllowed, 3, 32, |t, _| t.parent_order_seq = 1),
        ("a parent with terms", Verdict::TermsNotAllowed, 3, 0, |_, o| o.tags |= TAG_PARENT),
        ("stop on a limit", Verdict::TermsNotAllowed, 2, 40, |_, o| {
            (o.ord_type, o.price) = (OrdType::Limit as u8, e9(100));
        }),
        ("price on a stop", Verdict::PriceNotAllowed, e9(100), 0, |_, o| o.price = e9(100)),
        ("no trail", Verdict::TrailInvalid, 0, TICK, |t, o| {
            (t.stop_px, o.ord_type) = (0, OrdType::TrailingStop as u8);
        }),
        ("trail of a million ppm", Verdict::TrailInvalid, 1_000_000, 1_000_000, |t, o| {
            (t.stop_px, t.trail, t.exec_inst) = (0, 1_000_000, EXEC_TRAIL_PPM);
            o.ord_type = OrdType::TrailingStop as u8;
        }),
        ("expiry on a day order", Verdict::ExpireInvalid, START_NS + 1, START_NS, |t, _| {
            t.expire_time_ns = START_NS + 1;
        }),
        ("gtd without a time", Verdict::ExpireInvalid, 0, START_NS, |_, o| {
            o.time_in_force = TimeInForce::Gtd as u8;
        }),
        ("gtd in the past", Verdict::ExpireInvalid, START_NS, START_NS, |t, o| {
            (t.expire_time_ns, o.time_in_force) = (START_NS, TimeInForce::Gtd as u8);
        }),
        ("held at the open", Verdict::PhaseNotForTif, 2, 6, |_, o| {
            o.time_in_force = TimeInForce::AtOpen as u8;
        }),
        ("post-only market", Verdict::ExecInstInvalid, 1, 22, |t, _| t.exec_inst = EXEC_POST_ONLY),
        ("unknown bits", Verdict::ExecInstInvalid, 64, 22, |t, _| t.exec_inst = 64),
        ("unknown bits and a cross", Verdict::PostOnlyCrosses, e9(101), e9(100) + TICK, |t, o| {
            (t.stop_px, t.exec_inst) = (0, EXEC_POST_ONLY | 64);
            (o.ord_type, o.price) = (OrdType::Limit as u8, e9(101));
        }),
        ("unknown bits and a floor", Verdict::MaxFloorInvalid, e9(9), e9(5), |t, o| {
            (t.stop_px, t.max_floor, t.exec_inst) = (0, e9(9), 64);
            (o.ord_type, o.price) = (OrdType::Limit as u8, e9(100));
        }),
        ("unknown bits and a group", Verdict::GroupUnknown, 77, 0, |t, _| {
            (t.contingency, t.group_seq, t.exec_inst) = (Contingency::Oco as u8, 77, 64);
        }),
        ("pegged to nothing, expiring", Verdict::ExpireInvalid, 1, START_NS, |t, o| {
            (t.stop_px, t.expire_time_ns, o.ord_type) = (0, 1, OrdType::Pegged as u8);
        }),
        ("floor on a market", Verdict::TermsNotAllowed, 3, 48, |t, _| t.max_floor = e9(1)),
        ("floor above the order", Verdict::MaxFloorInvalid, e9(9), e9(5), |t, o| {
            (t.stop_px, t.max_floor) = (0, e9(9));
            (o.ord_type, o.price) = (OrdType::Limit as u8, e9(100));
        }),
        ("unknown contingency", Verdict::ContingencyInvalid, 9, 0, |t, _| t.contingency = 9),
        ("unknown group", Verdict::GroupUnknown, 77, 0, |t, _| {
            (t.contingency, t.group_seq) = (Contingency::Oco as u8, 77);
        }),
        ("group alone", Verdict::ContingencyInvalid, 0, 77, |t, _| t.group_seq = 77),
        ("unknown type", Verdict::OrdTypeUnsupported, 99, 0, |_, o| o.ord_type = 99),
        ("unknown time in force", Verdict::TimeInForceUnsupported, 99, 0, |_, o| {
            o.time_in_force = 99
        }),
    ];
    for (name, verdict, value, bound, change) in cases {
        let mut desk = TestDesk::open();
        let (mut t, mut o) = stop("s", Side::Buy, 5, e9(101));
        o.tags = TAG_TERMS;
        change(&mut t, &mut o);
        assert_eq!(desk.submit_terms(&t, &o), *verdict, "{name}");
        let refusal = desk.refusal();
        assert_eq!((refusal.value, refusal.bound), (*value, *bound), "{name}");
        assert_eq!(refusal.verdict, verdict.code());
        assert_eq!((desk.engine.live_count(), desk.sent.0.len()), (0, 0));
        closing(&desk);
    }
}

#[test]
fn a_replace_without_its_tag_takes_the_offer_with_it_and_leaves_none_for_the_next_order() {
    let mut desk = TestDesk::open();
    desk.place("v", Side::Buy, 5, e9(99));
    let seq = desk.newest();
    desk.tell(seq, 0, ExecType::New);
    assert_eq!(desk.step(terms_at(e9(102)).as_record()), Verdict::Accepted);
    assert_eq!(desk.replace("r1", "v", 6, e9(99)), Verdict::TermsMissing);
    let refusal = desk.refusal();
    assert_eq!((refusal.value, refusal.bound), (0, 1), "no tag, an offer");
    assert_eq!(desk.replace("r2", "v", 6, e9(99)), Verdict::Accepted, "the offer is gone");
    assert_eq!(desk.step(terms_at(e9(102)).as_record()), Verdict::Accepted);
    assert_eq!(desk.replace("r3", "v", 7, e9(99)), Verdict::TermsMissing);
    assert_eq!(desk.submit(&TestDesk::new_order("n", Side::Buy, 5, e9(99))), Verdict::Accepted);
    let mut other = terms_at(e9(102));
    other.session_id = 2; // the offer of another session is none of this one's
    desk.step(other.as_record());
    desk.tell(seq, 1, ExecType::Replaced);
    assert_eq!(desk.replace("r4", "r2", 8, e9(99)), Verdict::Accepted);
    closing(&desk);
}

#[test]
fn the_tag_and_the_offer_need_each_other_and_the_hash_covers_both() {
    let mut desk = TestDesk::open();
    let (t, mut o) = stop("a", Side::Buy, 5, e9(102));
    o.tags = TAG_TERMS;
    assert_eq!(desk.submit(&o), Verdict::TermsMissing, "tag without an offer");
    let plain = TestDesk::new_order("b", Side::Buy, 5, e9(100));
    assert_eq!(desk.step(t.as_record()), Verdict::Accepted);
    assert_eq!(desk.submit(&plain), Verdict::TermsMissing, "an offer that the next order lacks");
    assert!(desk.sent.0.is_empty());
    let mut other = t;
    other.session_id = 2; // the offer of another session touches nobody else
    desk.step(other.as_record());
    assert_eq!(desk.submit(&TestDesk::new_order("c", Side::Buy, 5, e9(100))), Verdict::Accepted);
    let (t, o) = stop("d", Side::Buy, 5, e9(102));
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted, "the same again");
    assert_eq!(desk.last().header.kind, CommandRepeated::KIND);
    assert_eq!(desk.submit_terms(&terms_at(e9(103)), &o), Verdict::DuplicateId, "other terms");
    let mut unknown = t;
    unknown.session_id = 3;
    assert_eq!(desk.step(unknown.as_record()), Verdict::SessionUnknown);
    unknown.session_id = u16::MAX;
    assert_eq!(desk.step(unknown.as_record()), Verdict::SessionUnknown);
    closing(&desk);
}

#[test]
fn a_held_order_is_replaced_and_canceled_here_without_a_message() {
    let mut desk = TestDesk::open();
    let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
    assert_eq!(desk.replace_terms("r", "s", &terms_at(e9(104)), 7, 0), Verdict::Accepted);
    assert_eq!((desk.status(seq), desk.order(seq).order_qty), (OrdStatus::Held, e9(7)));
    assert_eq!(desk.engine.order_terms(seq).unwrap().stop_px, e9(104));
    assert_eq!(text_of(&desk.engine.cl_ord_id(desk.order(seq))), "r");
    assert_eq!(desk.replace_terms("r", "s", &terms_at(e9(104)), 7, 0), Verdict::Accepted);
    assert_eq!(desk.last().header.kind, CommandRepeated::KIND);
    assert_eq!(desk.replace_terms("r2", "r", &terms_at(e9(104)), 7, 0), Verdict::Unchanged);
    assert_eq!(desk.replace_terms("r3", "r", &terms_at(1), 7, 0), Verdict::StopPxInvalid);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (1, TICK));
    assert_eq!(desk.replace_terms("r4", "r", &terms_at(e9(104)), 101, 0), Verdict::OrderQtyLimit);
    desk.trade(ES, e9(103)); // the old stop holds no more
    assert_eq!(desk.status(seq), OrdStatus::Held);
    assert_eq!(desk.replace("r5", "r", 6, 0), Verdict::Accepted, "quantity alone, the stop stays");
    assert_eq!(desk.engine.order_terms(seq).unwrap().stop_px, e9(104));
    assert_eq!(desk.cancel("c", "r5"), Verdict::Accepted);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    desk.trade(ES, e9(110));
    assert!(desk.sent.0.is_empty());
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    closing(&desk);
    // A replace that lowers the stop below the market triggers with the next trade, once.
    let seq = place(&mut desk, stop("t", Side::Buy, 5, e9(120)));
    desk.quote(ES, e9(110), e9(110) + TICK);
    assert_eq!(desk.replace_terms("t2", "t", &terms_at(e9(105)), 5, 0), Verdict::Accepted);
    desk.trade(ES, e9(110));
    assert_eq!((desk.status(seq), desk.sent.0.len()), (OrdStatus::PendingNew, 1));
    assert_eq!(desk.replace_terms("t3", "t2", &terms_at(e9(104)), 5, 0), Verdict::TermsNotAllowed);
    closing(&desk);
}

#[test]
fn a_kill_ends_held_orders_at_once_and_no_price_releases_one_meanwhile() {
    for mode in [KillMode::CancelOnly, KillMode::Halt] {
        let mut desk = TestDesk::open();
        let mut seqs = Vec::new();
        for n in 0..100 {
            seqs.push(place(&mut desk, stop(&format!("s{n}"), Side::Buy, 1, e9(102))));
        }
        let mut other = stop("o", Side::Buy, 1, e9(102));
        (other.0.session_id, other.1.session_id, other.1.account_id) = (2, 2, 2);
        let other = place(&mut desk, other);
        desk.kill(Scope::Account, 1, mode);
        desk.trade(ES, e9(102));
        for _ in 0..4 {
            desk.time();
        }
        assert!(seqs.iter().all(|&seq| desk.status(seq) == OrdStatus::Canceled), "{mode:?}");
        assert_eq!(desk.status(other), OrdStatus::PendingNew, "another account's is released");
        assert_eq!(desk.sent.0.len(), 1);
        closing(&desk);
    }
}

#[test]
fn what_may_not_leave_when_its_trigger_is_met_is_rejected_here_and_told_why() {
    type Set = fn(&mut TestDesk);
    let cases: &[(Verdict, Set)] = &[
        (Verdict::MarketClosed, |d| d.phase(Phase::Closed)),
        (Verdict::MarketClosed, |d| d.phase(Phase::Halted)),
        (Verdict::VenueDown, |d| d.link(LinkState::Down)),
        (Verdict::Killed, |d| {
            d.kill(Scope::Desk, 0, KillMode::ReduceOnly);
        }),
        (Verdict::InstrumentRestricted, |d| {
            let mut t = terms(ES, 1);
            t.flags |= FLAG_RESTRICTED;
            d.fact(t);
        }),
    ];
    for (verdict, set) in cases {
        let mut desk = TestDesk::open();
        let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
        set(&mut desk);
        desk.trade(ES, e9(102));
        assert_eq!(desk.status(seq), OrdStatus::Rejected, "{verdict:?}");
        let told = *Triggered::from_record(desk.last()).expect("the trigger tells");
        assert_eq!(told.verdict, verdict.code());
        assert_eq!(told.outcome, TriggerOutcome::Refused as u8);
        assert!(desk.sent.0.is_empty());
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
    // A stop limit whose price lies outside the band by then.
    let mut desk = TestDesk::open();
    let (t, mut o) = stop("s", Side::Buy, 5, e9(102));
    (o.ord_type, o.price) = (OrdType::StopLimit as u8, e9(200));
    let seq = place(&mut desk, (t, o));
    desk.trade(ES, e9(102));
    assert_eq!(desk.status(seq), OrdStatus::Rejected);
    let told = *Triggered::from_record(desk.last()).unwrap();
    assert_eq!((told.verdict, told.value), (Verdict::PriceAboveBand.code(), e9(200)));
    closing(&desk);
}

#[test]
fn a_stop_met_while_the_desk_recovers_is_released_by_the_first_price_after() {
    let mut desk = TestDesk::open();
    let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
    let mut state = DeskState::ZERO;
    (state.header.kind, state.recovering) = (DeskState::KIND, 1);
    desk.fact(state);
    desk.trade(ES, e9(103));
    assert_eq!(desk.status(seq), OrdStatus::Held);
    state.recovering = 0;
    desk.fact(state);
    desk.trade(ES, e9(102));
    assert_eq!(desk.status(seq), OrdStatus::PendingNew);
    closing(&desk);
}

#[test]
fn a_price_without_a_sound_reference_meets_nothing_and_the_next_sound_one_does() {
    type Spoil = fn(&mut TestDesk);
    let spoils: &[Spoil] = &[
        |d| d.now_ns += 2_000_000_000,
        |d| d.quote(ES, e9(103), e9(102)),
        |d| d.quote(ES, e9(103), e9(103)),
        |d| d.quote(ES, NO_PRICE, e9(103)),
    ];
    for spoil in spoils {
        let mut desk = TestDesk::open();
        let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
        spoil(&mut desk);
        desk.trade(ES, e9(102));
        assert_eq!(desk.status(seq), OrdStatus::Held);
        desk.quote(ES, e9(102) - TICK, e9(102));
        assert_eq!(desk.status(seq), OrdStatus::Held, "a quote is no trade");
        desk.trade(ES, e9(102));
        assert_eq!(desk.status(seq), OrdStatus::PendingNew);
        closing(&desk);
    }
}

#[test]
fn a_report_on_an_order_that_never_left_is_flagged_and_changes_nothing() {
    let mut desk = TestDesk::open();
    let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
    for &exec_type in ExecType::ALL {
        for status in [OrdStatus::New, OrdStatus::Filled, OrdStatus::Canceled] {
            let mut report = desk.report(seq, 0, exec_type);
            (report.ord_status, report.exec_id) = (status as u8, text("X"));
            (report.last_qty, report.last_px) = (e9(2), e9(102));
            (report.cum_qty, report.leaves_qty) = (e9(2), e9(3));
            let amends = matches!(exec_type, ExecType::TradeCancel | ExecType::TradeCorrect);
            let flagged = if amends { Disposition::UnknownExec } else { Disposition::OutsideTable };
            assert_eq!(desk.take(&report), flagged, "{exec_type:?}");
            assert_eq!(desk.status(seq), OrdStatus::Held);
        }
    }
    desk.time();
    assert!(desk.sent.0.is_empty(), "nothing is asked about what never left");
    closing(&desk);
}

fn trailing(id: &str, side: Side, trail: i64, ppm: bool) -> (OrderTerms, NewOrder) {
    let (mut t, mut o) = stop(id, side, 1, 0);
    o.ord_type = OrdType::TrailingStop as u8;
    (t.trail, t.exec_inst) = (trail, if ppm { EXEC_TRAIL_PPM } else { 0 });
    (t, o)
}

#[test]
fn a_trailing_stop_follows_the_best_price_and_never_turns_back() {
    for (ppm, trail) in [(false, e9(2)), (true, 20_000)] {
        let mut desk = TestDesk::open();
        desk.trade(ES, e9(100));
        let seq = place(&mut desk, trailing("s", Side::Sell, trail, ppm));
        assert_eq!(desk.engine.order_terms(seq).unwrap().stop_px, e9(98));
        desk.trade(ES, e9(104));
        desk.trade(ES, e9(103));
        let stop = if ppm { e9(101) + 3 * TICK } else { e9(102) }; // 104 less 2 %: 101.92, on tick
        desk.trade(ES, stop + TICK);
        assert_eq!(desk.status(seq), OrdStatus::Held);
        desk.trade(ES, stop);
        assert_eq!(desk.status(seq), OrdStatus::PendingNew);
        let told = *Triggered::from_record(&desk.log.records[desk.log.records.len() - 2]).unwrap();
        assert_eq!((told.stop_px, told.mark_px), (stop, e9(104)));
        closing(&desk);
    }
}

#[test]
fn a_trailing_stop_that_a_new_tick_moves_goes_out_by_a_price_that_met_nothing_before() {
    // Found by the lives of the oracle: prices that were known to meet no trailing stop stayed known
    // when the tick changed, so a desk that had started again released what this one did not.
    let mut desk = TestDesk::open();
    let mut coarse = terms(ES, 1);
    coarse.tick = 2 * TICK;
    desk.fact(coarse);
    desk.trade(ES, e9(100) + TICK);
    let seq = place(&mut desk, trailing("s", Side::Sell, 2 * TICK, false));
    assert_eq!(desk.engine.order_terms(seq).unwrap().stop_px, e9(99) + 2 * TICK);
    desk.trade(ES, e9(100) - TICK);
    assert_eq!(desk.status(seq), OrdStatus::Held);
    desk.fact(terms(ES, 1));
    desk.trade(ES, e9(100) - TICK);
    assert_eq!(desk.status(seq), OrdStatus::PendingNew);
    closing(&desk);
}

#[test]
fn a_trailing_buy_by_quote_watches_the_offer() {
    let mut desk = TestDesk::open();
    let (mut t, o) = trailing("s", Side::Buy, e9(2), false);
    t.exec_inst |= EXEC_BY_QUOTE;
    let seq = place(&mut desk, (t, o));
    desk.quote(ES, e9(97), e9(98));
    desk.trade(ES, e9(200)); // says nothing
    desk.quote(ES, e9(99), e9(100) - TICK);
    assert_eq!(desk.status(seq), OrdStatus::Held);
    desk.quote(ES, e9(99), e9(100));
    assert_eq!(desk.status(seq), OrdStatus::PendingNew);
    closing(&desk);
}

#[test]
fn ratchets_are_logged_at_a_bounded_rate_and_a_recovery_starts_from_the_last_one() {
    let mut desk = TestDesk::open();
    desk.trade(ES, e9(100));
    let seq = place(&mut desk, trailing("s", Side::Sell, e9(2), false));
    let moves = |desk: &TestDesk| {
        desk.log.records.iter().filter(|r| r.header.kind == TrailMoved::KIND).count()
    };
    for n in 1..=40 {
        desk.now_ns += 100_000_000; // 4 s in all
        desk.quote(ES, e9(100) + n * TICK - TICK, e9(100) + n * TICK);
        desk.trade(ES, e9(100) + n * TICK);
    }
    assert_eq!(moves(&desk), 4);
    closing(&desk);
    let logged = desk.engine.order_terms(seq).unwrap().stop_px;
    let mut again = Engine::new(desk.engine.config()).unwrap();
    desk.log.records.iter().for_each(|record| again.apply(record));
    assert_eq!(again.order_terms(seq).unwrap().stop_px, logged);
    // The recovered desk triggers at the logged stop; between prices of the lost second it does not.
    desk.engine = again;
    desk.quote(ES, logged, logged + TICK);
    let sent = desk.sent.0.len();
    desk.trade(ES, logged + TICK);
    assert_eq!(desk.sent.0.len(), sent);
    desk.trade(ES, logged);
    assert_eq!(desk.sent.0.len(), sent + 1);
    closing(&desk);
}

#[test]
fn a_full_table_of_terms_refuses_and_says_so() {
    let mut desk = TestDesk::open();
    let rows = desk.engine.config().terms_max;
    for n in 0..rows {
        place(&mut desk, stop(&format!("s{n}"), Side::Buy, 1, e9(102)));
    }
    let (t, o) = stop("more", Side::Buy, 1, e9(102));
    assert_eq!(desk.submit_terms(&t, &o), Verdict::TermsTableFull);
    assert_eq!(desk.refusal().bound, rows as i64);
    assert_eq!(desk.submit(&TestDesk::new_order("p", Side::Buy, 1, e9(100))), Verdict::Accepted);
    desk.cancel("c", "s7");
    let (t, o) = stop("again", Side::Buy, 1, e9(102));
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    closing(&desk);
}

#[test]
fn post_only_and_reduce_only_are_judged_when_the_order_leaves() {
    let mut desk = TestDesk::open();
    let mut t = offer();
    t.exec_inst = EXEC_POST_ONLY;
    let crossing = TestDesk::new_order("a", Side::Buy, 1, e9(100) + TICK);
    assert_eq!(desk.submit_terms(&t, &crossing), Verdict::PostOnlyCrosses);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(100) + TICK, e9(100) + TICK));
    let resting = TestDesk::new_order("b", Side::Buy, 1, e9(100));
    assert_eq!(desk.submit_terms(&t, &resting), Verdict::Accepted);
    assert_eq!(desk.sent.0.last().unwrap().exec_inst, EXEC_POST_ONLY, "the venue keeps it too");

    t.exec_inst = EXEC_REDUCE_ONLY;
    let sell = |id: &str, qty| TestDesk::new_order(id, Side::Sell, qty, e9(101));
    assert_eq!(desk.submit_terms(&t, &sell("c", 1)), Verdict::ReduceOnlyExceeds, "flat");
    let long = desk.place("d", Side::Buy, 5, e9(100));
    desk.fill(long, 5, e9(100));
    assert_eq!(desk.submit_terms(&t, &sell("e", 3)), Verdict::Accepted);
    let first = desk.newest();
    assert_eq!(desk.submit_terms(&t, &sell("f", 3)), Verdict::ReduceOnlyExceeds);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(3), e9(2)));
    assert_eq!(desk.submit_terms(&t, &sell("g", 2)), Verdict::Accepted);
    let second = desk.newest();
    // A plain sell in flight takes four of the five: the newer reduce-only order goes, then the older.
    let plain = desk.place("h", Side::Sell, 4, e9(101));
    desk.fill(plain, 2, e9(101));
    desk.time();
    assert_eq!(desk.status(second), OrdStatus::PendingCancel);
    assert_eq!(desk.status(first), OrdStatus::PendingNew);
    desk.fill(plain, 1, e9(101));
    desk.time();
    assert_eq!(desk.status(first), OrdStatus::PendingCancel);
    closing(&desk);
}

#[test]
fn a_replace_of_a_reduce_only_or_post_only_order_is_judged_by_them_too() {
    let mut desk = TestDesk::open();
    let long = desk.place("d", Side::Buy, 5, e9(100));
    desk.fill(long, 5, e9(100));
    let mut t = offer();
    t.exec_inst = EXEC_REDUCE_ONLY | EXEC_POST_ONLY;
    let sell = TestDesk::new_order("e", Side::Sell, 3, e9(101));
    assert_eq!(desk.submit_terms(&t, &sell), Verdict::Accepted);
    let seq = desk.newest();
    desk.fill(seq, 1, e9(101)); // long four, two of them on offer
    assert_eq!(desk.replace("f", "e", 6, e9(101)), Verdict::ReduceOnlyExceeds);
    assert_eq!((desk.refusal().value, desk.refusal().bound), (e9(5), e9(4)));
    assert_eq!(desk.replace("g", "e", 3, e9(100)), Verdict::PostOnlyCrosses);
    assert_eq!(desk.replace("h", "e", 5, e9(101)), Verdict::Accepted);
    closing(&desk);
}

#[test]
fn a_native_iceberg_tells_the_venue_its_floor() {
    let mut desk = TestDesk::open();
    let mut venue = definition(Entity::Venue, "CME", 0, ReplaceRule::InFlightCounted as u8);
    venue.flags = VENUE_ICEBERG;
    desk.fact(venue);
    let mut t = offer();
    t.max_floor = e9(2);
    let order = TestDesk::new_order("a", Side::Buy, 10, e9(100));
    assert_eq!(desk.submit_terms(&t, &order), Verdict::Accepted);
    let routed = desk.sent.0.last().unwrap();
    assert_eq!((routed.max_floor, routed.order_qty), (e9(2), e9(10)));
    closing(&desk);
}

#[test]
fn a_trade_is_seen_in_an_instrument_that_has_no_book_and_leaves_its_quote_alone() {
    let mut desk = TestDesk::open(); // one book, and the first instrument takes it
    let mut add = BookUpdate::ZERO;
    (add.header.kind, add.instrument_id, add.action) =
        (BookUpdate::KIND, ES, BookAction::Add as u8);
    (add.side, add.price, add.qty, add.order_ref) = (Side::Buy as u8, e9(100), ONE, 1);
    assert_eq!(desk.step(add.as_record()), Verdict::Accepted);
    let (t, mut o) = stop("s", Side::Buy, 5, e9(102));
    o.instrument_id = FX;
    let seq = place(&mut desk, (t, o));
    let mut trade = BookUpdate::ZERO;
    (trade.header.kind, trade.instrument_id) = (BookUpdate::KIND, FX);
    (trade.action, trade.flags) = (BookAction::Trade as u8, BOOK_LAST);
    (trade.price, trade.qty) = (e9(102), ONE);
    assert_eq!(desk.step(trade.as_record()), Verdict::Accepted);
    assert_eq!(desk.status(seq), OrdStatus::PendingNew);
    let quote = desk.engine.instrument(FX).quote();
    assert_eq!((quote.bid_px, quote.ask_px), (e9(100), e9(100) + TICK));
    closing(&desk);
}

#[test]
fn i10_a_held_child_is_judged_against_its_parent_again_when_it_leaves() {
    for overfilled in [false, true] {
        let mut desk = TestDesk::open();
        let parent_seq = parent(&mut desk, "p", 10);
        let sibling = child(&mut desk, "c1", parent_seq, 5);
        let (terms, mut child) = stop("c2", Side::Buy, 5, e9(102));
        child.parent_order_seq = parent_seq;
        let child = place(&mut desk, (terms, child));
        let sent = desk.sent.0.len();
        if overfilled {
            // The venue gave the sibling one lot too many: nothing is left for five more.
            assert_eq!(desk.fill(sibling, 6, e9(100)), Disposition::Overfill);
        }
        desk.trade(ES, e9(102));
        let told = desk.log.records.iter().rev().find_map(Triggered::from_record).unwrap();
        if overfilled {
            assert_eq!(told.verdict, Verdict::ParentExceeded.code());
            assert_eq!(desk.status(child), OrdStatus::Rejected);
            assert_eq!(desk.sent.0.len(), sent);
        } else {
            assert_eq!(told.outcome, TriggerOutcome::Released as u8);
            assert_eq!(desk.sent.0.len(), sent + 1);
        }
        closing(&desk);
    }
}

#[test]
fn terms_beyond_every_table_are_refused_and_break_nothing() {
    // Found by the fault simulator: a reduce-only order of an account that no table has, and one with
    // terms at such a venue, ended the process.
    let mut desk = TestDesk::open();
    for (field, expected) in
        [("account", Verdict::AccountUnknown), ("venue", Verdict::VenueUnknown)]
    {
        let mut t = offer();
        t.exec_inst = EXEC_REDUCE_ONLY;
        let mut o = TestDesk::new_order(field, Side::Sell, 1, 100);
        o.tags |= TAG_TERMS;
        match field {
            "account" => o.account_id = u32::MAX,
            _ => o.venue_id = u16::MAX,
        }
        assert_eq!(desk.step(t.as_record()), Verdict::Accepted);
        assert_eq!(desk.step(o.as_record()), expected);
    }
}

/// CORNERS 29: a trigger behind the trigger is no trigger, at any place and over a restart.
#[test]
fn corner_29_a_stop_is_triggered_once_whatever_repeats_the_price() {
    let mut desk = TestDesk::open();
    let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
    desk.trade(ES, e9(102));
    let restart = |desk: &mut TestDesk| {
        let mut again = Engine::new(desk.engine.config()).unwrap();
        desk.log.records.iter().for_each(|record| again.apply(record));
        desk.engine = again;
        desk.quote(ES, e9(102), e9(102) + TICK);
    };
    for end in [None, Some(ExecType::New), Some(ExecType::Canceled)] {
        if let Some(end) = end {
            desk.tell(seq, 0, end);
        }
        desk.trade(ES, e9(102));
        restart(&mut desk);
        desk.trade(ES, e9(103));
        assert_eq!(desk.sent.0.len(), 1, "{end:?}");
    }
    closing(&desk);
}

/// CORNERS 29: a held order's replace is never in flight, so the price meets the old stop or the new
/// one; a replace behind the trigger is one of a live order.
#[test]
fn corner_29_a_price_and_a_replace_that_cross_trigger_once_by_the_terms_in_force() {
    for replace_first in [false, true] {
        let mut desk = TestDesk::open();
        let seq = place(&mut desk, stop("s", Side::Buy, 5, e9(102)));
        if replace_first {
            assert_eq!(desk.replace_terms("r", "s", &terms_at(e9(104)), 5, 0), Verdict::Accepted);
        }
        desk.trade(ES, e9(103));
        if !replace_first {
            let late = desk.replace_terms("r", "s", &terms_at(e9(104)), 5, 0);
            assert_eq!(late, Verdict::TermsNotAllowed, "it has left");
        }
        assert_eq!(desk.sent.0.len(), usize::from(!replace_first));
        desk.trade(ES, e9(104));
        desk.trade(ES, e9(104));
        assert_eq!((desk.sent.0.len(), desk.status(seq)), (1, OrdStatus::PendingNew));
        closing(&desk);
    }
    // A stop limit that has left and is being replaced at the venue meets no price any more.
    let mut desk = TestDesk::open();
    let (t, mut o) = stop("s", Side::Buy, 5, e9(102));
    (o.ord_type, o.price) = (OrdType::StopLimit as u8, e9(103));
    let seq = place(&mut desk, (t, o));
    desk.trade(ES, e9(102));
    desk.tell(seq, 0, ExecType::New);
    assert_eq!(desk.replace("r", "s", 4, e9(103)), Verdict::Accepted);
    desk.trade(ES, e9(102));
    let news = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::NewOrder as u8);
    assert_eq!((news.count(), desk.status(seq)), (1, OrdStatus::PendingReplace));
    closing(&desk);
}

#[test]
fn corner_29_a_stop_limit_that_the_venue_rejects_behind_its_trigger_is_rejected_and_released() {
    let mut desk = TestDesk::open();
    let (t, mut o) = stop("s", Side::Buy, 5, e9(102));
    (o.ord_type, o.price) = (OrdType::StopLimit as u8, e9(103));
    let seq = place(&mut desk, (t, o));
    desk.trade(ES, e9(102));
    assert_eq!(desk.tell(seq, 0, ExecType::Rejected), Disposition::Applied);
    assert_eq!(desk.status(seq), OrdStatus::Rejected);
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    desk.trade(ES, e9(102));
    assert_eq!(desk.sent.0.len(), 1, "and no price sends it again");
    closing(&desk);
}

#[test]
fn a_trailing_stop_whose_refusal_ends_the_next_one_of_its_group_leaves_that_alone() {
    // Found by the fault simulator: the walk over trailing stops went on from a leg that the end of
    // the one before had taken out of the tree, and the process ended.
    let mut desk = TestDesk::open();
    desk.trade(ES, e9(100));
    let (mut t, o) = trailing("a", Side::Sell, e9(2), false);
    t.contingency = Contingency::Oco as u8;
    let a = place(&mut desk, (t, o));
    let (mut t, o) = trailing("b", Side::Sell, e9(2), false);
    (t.contingency, t.group_seq) = (Contingency::Oco as u8, a);
    let b = place(&mut desk, (t, o));
    let mut closed = PhaseChange::ZERO;
    (closed.header.kind, closed.venue_id, closed.phase) =
        (PhaseChange::KIND, 1, Phase::Closed as u8);
    desk.fact(closed);
    desk.trade(ES, e9(97));
    assert_eq!(desk.status(a), OrdStatus::Rejected);
    desk.time();
    assert_eq!(desk.status(b), OrdStatus::Canceled);
    closing(&desk);
}
