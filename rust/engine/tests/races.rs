//! Races and repetitions that once went wrong: each test tells its story, and what is right by FIX,
//! CORNERS and the invariants.

mod common;
use common::*;
use layout::*;

fn stop(
    desk: &mut TestDesk,
    id: &str,
    side: Side,
    qty: i64,
    stop_px: i64,
    f: impl FnOnce(&mut OrderTerms),
) -> u64 {
    let mut o = TestDesk::new_order(id, side, qty, 0);
    o.ord_type = OrdType::Stop as u8;
    let mut t = offer();
    t.stop_px = stop_px;
    f(&mut t);
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    desk.newest()
}

/// Two legs of five each.
fn pair(
    desk: &mut TestDesk,
    contingency: Contingency,
    first: (Side, i64),
    second: (Side, i64),
) -> [u64; 2] {
    let mut t = offer();
    t.contingency = contingency as u8;
    [("a", first), ("b", second)].map(|(id, (side, px))| {
        assert_eq!(
            desk.submit_terms(&t, &TestDesk::new_order(id, side, 5, e9(px))),
            Verdict::Accepted
        );
        if t.group_seq == 0 {
            t.group_seq = desk.newest();
        }
        desk.newest()
    })
}

#[test]
fn a_trade_price_that_is_not_positive_triggers_nothing() {
    for (px, band) in [(0, 0), (-1, 0), (-e9(5), FLAG_NO_BAND), (0, FLAG_NO_BAND)] {
        let mut desk = TestDesk::open();
        let unbanded = InstrumentTerms { flags: FLAG_BAND_PPM | band, ..terms(ES, 1) };
        desk.fact(unbanded);
        let a = stop(&mut desk, "a", Side::Sell, 5, e9(95), |_| {});
        desk.trade(ES, px);
        assert_eq!(desk.sent_of(a, MsgType::NewOrder), 0, "trade at {px}");
    }
}

#[test]
fn a_print_of_nothing_or_far_from_the_market_triggers_nothing_and_moves_no_trailing_stop() {
    let print = |desk: &mut TestDesk, price: i64, qty: i64| {
        let mut u = BookUpdate::ZERO;
        (u.header.kind, u.instrument_id) = (BookUpdate::KIND, ES);
        (u.action, u.price, u.qty) = (BookAction::Trade as u8, price, qty);
        desk.step(u.as_record());
    };
    // The band is 10 % around 100.00 / 100.25.
    let wild =
        [(i64::MAX, ONE), (e9(111), ONE), (e9(89), ONE), (e9(106), 0), (e9(94), -ONE), (1, 1)];
    for (px, qty) in wild {
        let mut desk = TestDesk::open();
        let a = stop(&mut desk, "a", Side::Sell, 5, e9(95), |_| {});
        let b = stop(&mut desk, "b", Side::Buy, 5, e9(105), |_| {});
        let mut o = TestDesk::new_order("t", Side::Sell, 5, 0);
        o.ord_type = OrdType::TrailingStop as u8;
        desk.trade(ES, e9(100));
        let t = OrderTerms { trail: e9(3), ..offer() };
        assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
        let t = desk.newest();
        let flagged = desk.engine.counters().book_faults;
        print(&mut desk, px, qty);
        assert_eq!(desk.engine.counters().book_faults, flagged + 1, "{px} {qty}");
        desk.trade(ES, e9(100));
        for seq in [a, b, t] {
            assert_eq!(desk.status(seq), OrdStatus::Held, "{px} {qty}");
        }
        print(&mut desk, e9(105), ONE);
        assert_eq!(desk.sent_of(b, MsgType::NewOrder), 1);
        closing(&desk);
    }
}

#[test]
fn a_bad_print_does_not_move_a_trailing_stop() {
    let mut desk = TestDesk::open();
    desk.trade(ES, e9(100));
    let mut o = TestDesk::new_order("a", Side::Buy, 5, 0);
    o.ord_type = OrdType::TrailingStop as u8;
    let mut t = offer();
    t.trail = e9(5);
    assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
    let a = desk.newest();
    desk.trade(ES, 0); // peak of a buy: lowest price; stop becomes 5
    desk.trade(ES, e9(100)); // the market has not moved
    assert_eq!(desk.sent_of(a, MsgType::NewOrder), 0);
}

#[test]
fn a_drop_copy_that_tells_one_of_two_match_ids_is_the_same_fill() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    let r = trade_report(&desk, a, "X1", 4, 100);
    offer_ids(&mut desk, &r, |i| {
        i.trd_match_id = text("M1");
        i.secondary_exec_id = text("S1");
    });
    assert_eq!(desk.take(&r), Disposition::Applied);
    let mut d = trade_report(&desk, a, "D1", 4, 100);
    d.flags = REPORT_DROP_COPY;
    offer_ids(&mut desk, &d, |i| i.secondary_exec_id = text("S1"));
    assert_eq!(desk.take(&d), Disposition::Reconciled);
    assert_eq!(desk.order(a).cum_qty, e9(4));
}

#[test]
fn a_drop_copy_whose_secondary_id_is_the_streams_exec_id_is_the_same_fill() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    let r = trade_report(&desk, a, "X1", 4, 100);
    assert_eq!(desk.take(&r), Disposition::Applied);
    let mut d = trade_report(&desk, a, "D1", 4, 100);
    d.flags = REPORT_DROP_COPY;
    offer_ids(&mut desk, &d, |i| i.secondary_exec_id = text("X1"));
    let t = desk.take(&d);
    assert_eq!(desk.order(a).cum_qty, e9(4), "{t:?}");
}

#[test]
fn a_drop_copy_with_a_match_id_of_a_fill_streamed_without_one_is_not_booked_twice() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    let mut r = trade_report(&desk, a, "X1", 4, 100);
    r.cum_qty = e9(4);
    assert_eq!(desk.take(&r), Disposition::Applied);
    let mut d = trade_report(&desk, a, "D1", 4, 100);
    d.flags = REPORT_DROP_COPY;
    d.cum_qty = e9(4);
    offer_ids(&mut desk, &d, |i| i.trd_match_id = text("M1"));
    let t = desk.take(&d);
    assert_eq!(desk.order(a).cum_qty, e9(4), "{t:?}");
}

#[test]
fn a_drop_copy_after_a_correct_tells_the_corrected_fill_once() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    let r = trade_report(&desk, a, "X1", 4, 100);
    offer_ids(&mut desk, &r, |i| i.trd_match_id = text("M1"));
    assert_eq!(desk.take(&r), Disposition::Applied);
    let mut c = desk.report(a, 0, ExecType::TradeCorrect);
    (c.exec_id, c.last_qty, c.last_px) = (text("C1"), e9(4), e9(99));
    offer_ids(&mut desk, &c, |i| i.exec_ref_id = text("X1"));
    assert_eq!(desk.take(&c), Disposition::Applied);
    let mut d = trade_report(&desk, a, "D1", 4, 99);
    d.flags = REPORT_DROP_COPY;
    offer_ids(&mut desk, &d, |i| i.trd_match_id = text("M1"));
    let t = desk.take(&d);
    assert_eq!(desk.order(a).cum_qty, e9(4), "{t:?}");
}

#[test]
fn a_correct_of_a_forgotten_orders_fill_never_breaks_the_position() {
    let mut config = small_config();
    (config.orders_max, config.id_ttl_ns) = (64, 1);
    let mut desk = TestDesk::with(config);
    let mut seqs = vec![];
    for n in 0..2 {
        let a = desk.place(&format!("a{n}"), Side::Buy, 1, e9(100));
        let r = trade_report(&desk, a, &format!("X{n}"), 1, 100);
        assert_eq!(desk.take(&r), Disposition::Applied);
        seqs.push(a);
    }
    for n in 0..90 {
        desk.now_ns += 1000;
        let b = desk.place(&format!("b{n}"), Side::Buy, 1, e9(100));
        desk.tell(b, 0, ExecType::Canceled);
    }
    for (n, &a) in seqs.iter().enumerate() {
        assert!(desk.engine.order(a).is_none());
        let mut c = desk.report(a, 0, ExecType::TradeCorrect);
        (c.exec_id, c.last_qty, c.last_px) = (text(&format!("C{n}")), i64::MAX - 1, 1);
        offer_ids(&mut desk, &c, |i| i.exec_ref_id = text(&format!("X{n}")));
        desk.take(&c);
    }
    let p = desk.engine.position(1, ES);
    let bought = p.traded_qty.0 - p.traded_qty.1;
    assert_eq!(p.net_qty as i128, bought, "net is what was bought less sold");
    closing(&desk);
}

#[test]
fn an_oco_leg_whose_own_cancel_is_refused_is_canceled_for_the_group() {
    let mut desk = TestDesk::open();
    let [a, b] = pair(&mut desk, Contingency::Oco, (Side::Sell, 101), (Side::Sell, 102));
    desk.tell(a, 0, ExecType::New);
    desk.tell(b, 0, ExecType::New);
    assert_eq!(desk.cancel("ca", "a"), Verdict::Accepted);
    desk.fill(b, 5, e9(102));
    desk.time();
    desk.tell(a, 1, ExecType::CancelRejected);
    desk.pass();
    assert_eq!(desk.status(b), OrdStatus::Filled);
    assert!(
        desk.status(a) == OrdStatus::PendingCancel,
        "{:?}, cancels {}",
        desk.status(a),
        desk.sent_of(a, MsgType::Cancel)
    );
}

#[test]
fn a_mass_canceled_order_whose_pending_cancel_is_refused_is_canceled_again() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.cancel("ca", "a");
    let mut m = MassCancel::ZERO;
    (m.header.kind, m.cl_ord_id, m.session_id) = (MassCancel::KIND, text("m"), 1);
    assert_eq!(desk.step(m.as_record()), Verdict::Accepted);
    desk.tell(a, 1, ExecType::CancelRejected);
    desk.pass();
    assert_eq!(desk.sent_of(a, MsgType::Cancel), 2, "{:?}", desk.status(a));
}

#[test]
fn a_killed_order_in_doubt_that_the_venue_still_has_is_canceled() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.cancel("ca", "a");
    desk.lost(a);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    assert_eq!(desk.tell_status(a, OrdStatus::New), Disposition::Applied);
    desk.pass();
    assert_eq!(desk.sent_of(a, MsgType::Cancel), 2, "{:?}", desk.status(a));
}

#[test]
fn a_child_of_a_canceled_parent_is_never_replaced_to_more() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 30);
    let k = child(&mut desk, "k", p, 10);
    desk.tell(k, 0, ExecType::New);
    assert_eq!(desk.cancel("cp", "p"), Verdict::Accepted);
    desk.time();
    assert_eq!(desk.status(p), OrdStatus::Canceled);
    let rev = desk.order(k).cancel_revision;
    desk.tell(k, rev, ExecType::CancelRejected);
    for _ in 0..3 {
        desk.now_ns += 2_000_000_000;
        desk.quote(ES, e9(100), e9(100) + e9(1) / 4);
        desk.time();
    }
    let v = desk.replace("k2", "k", 25, e9(100));
    assert_eq!(v, Verdict::ParentUnknown, "child of a dead parent grows");
}

#[test]
fn a_child_in_doubt_is_canceled_when_found_live_after_its_parent_ended() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 30);
    let k = child(&mut desk, "k", p, 10);
    desk.tell(k, 0, ExecType::New);
    desk.cancel("ck", "k");
    desk.lost(k);
    assert_eq!(desk.cancel("cp", "p"), Verdict::Accepted);
    desk.tell_status(k, OrdStatus::New);
    desk.pass();
    assert_eq!(desk.sent_of(k, MsgType::Cancel), 2, "{:?}", desk.status(k));
}

#[test]
fn an_old_status_replayed_does_not_end_the_doubt_of_a_replace() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.replace("b", "a", 20, e9(100)), Verdict::Accepted);
    desk.lost(a);
    let mut s = desk.report(a, 0, ExecType::OrderStatus);
    (s.ord_status, s.flags) = (OrdStatus::New as u8, REPORT_POSS_DUP);
    desk.take(&s);
    let t = desk.tell(a, 1, ExecType::Replaced);
    assert_eq!(desk.order(a).order_qty, e9(20), "{t:?}");
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(20));
}

#[test]
fn the_truth_of_a_replace_is_taken_after_a_status_that_crossed_it() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.replace("b", "a", 20, e9(100)), Verdict::Accepted);
    desk.lost(a);
    desk.tell_status(a, OrdStatus::PendingReplace);
    let t = desk.tell(a, 1, ExecType::Replaced);
    assert_eq!(desk.order(a).order_qty, e9(20), "{t:?}");
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(20));
}

#[test]
fn a_status_pending_cancel_leaves_the_cancel_pending() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.cancel("b", "a"), Verdict::Accepted);
    desk.lost(a);
    desk.tell_status(a, OrdStatus::PendingCancel);
    let st = desk.status(a);
    assert!(st == OrdStatus::PendingCancel || st == OrdStatus::Unknown, "{st:?}");
}

#[test]
fn a_status_filled_that_counts_less_than_the_order_closes_nothing() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(a, 0, ExecType::New);
    let t = desk.tell_status(a, OrdStatus::Filled);
    assert!(
        desk.order(a).live(),
        "{t:?} {:?} cum {} of {} open {}",
        desk.status(a),
        desk.order(a).cum_qty,
        desk.order(a).order_qty,
        desk.engine.row(1, ES).open_qty().0
    );
}

#[test]
fn a_conflicting_copy_whose_sum_is_above_ours_queries_the_venue() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(a, 0, ExecType::New);
    let mut r = trade_report(&desk, a, "X1", 4, 100);
    r.cum_qty = e9(4);
    desk.take(&r);
    let mut r = trade_report(&desk, a, "X1", 6, 100);
    r.cum_qty = e9(10);
    r.ord_status = OrdStatus::Filled as u8;
    assert_eq!(desk.take(&r), Disposition::Conflict);
    desk.time();
    let asked = desk.sent.0.iter().filter(|r| r.msg_type == MsgType::OrderStatus as u8).count();
    assert_eq!(asked, 1);
}

#[test]
fn an_order_that_never_left_and_ended_here_takes_no_fill() {
    let mut desk = TestDesk::open();
    let a = stop(&mut desk, "a", Side::Sell, 5, e9(95), |_| {});
    assert_eq!(desk.cancel("ca", "a"), Verdict::Accepted);
    assert_eq!(desk.status(a), OrdStatus::Canceled);
    let t = desk.fill(a, 5, e9(95));
    assert_eq!(desk.engine.position(1, ES).net_qty, 0, "{t:?} {:?}", desk.status(a));
}

#[test]
fn an_order_that_never_left_and_ended_here_is_not_brought_back() {
    let mut desk = TestDesk::open();
    let a = stop(&mut desk, "a", Side::Sell, 5, e9(95), |_| {});
    assert_eq!(desk.cancel("ca", "a"), Verdict::Accepted);
    let mut r = desk.report(a, 0, ExecType::Restated);
    r.leaves_qty = e9(5);
    let t = desk.take(&r);
    assert!(!desk.order(a).live(), "{t:?} {:?}", desk.status(a));
}

#[test]
fn a_gtc_order_done_for_the_day_and_filled_whole_ends_some_day() {
    let mut desk = TestDesk::open();
    let a = gtc(&mut desk, "a", 5);
    desk.tell(a, 0, ExecType::New);
    let mut r = desk.report(a, 0, ExecType::DoneForDay);
    r.transact_time_ns = START_NS;
    desk.take(&r);
    desk.fill(a, 5, e9(100));
    for (opened, day) in [(0, 1), (1, 2), (0, 2), (1, 3)] {
        let mut d = DayChange::ZERO;
        (d.header.kind, d.venue_id, d.opened, d.trade_day, d.proved) =
            (DayChange::KIND, 1, opened, day, 1);
        desk.now_ns += 3_600_000_000_000;
        desk.step(d.as_record());
    }
    assert!(!desk.order(a).live(), "{:?} leaves {}", desk.status(a), desk.order(a).leaves_qty());
}

#[test]
fn a_resting_order_that_a_new_day_does_not_allow_is_canceled_once_the_link_is_up() {
    let mut desk = TestDesk::open();
    let a = gtc(&mut desk, "a", 5);
    desk.tell(a, 0, ExecType::New);
    desk.link(LinkState::Down);
    let mut t = terms(ES, 1);
    t.flags |= FLAG_RESTRICTED;
    desk.fact(t);
    let mut d = DayChange::ZERO;
    (d.header.kind, d.venue_id, d.opened, d.trade_day) = (DayChange::KIND, 1, 1, 2);
    desk.fact(d);
    desk.link(LinkState::Up);
    desk.pass();
    assert_eq!(desk.sent_of(a, MsgType::Cancel), 1);
}

#[test]
fn the_proved_close_of_a_day_does_not_expire_a_new_self_that_was_never_acknowledged() {
    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Venue, "CME", 0, ReplaceRule::CancelNew as u8));
    let a = desk.place("a", Side::Buy, 10, e9(100));
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.replace("b", "a", 20, e9(100)), Verdict::Accepted);
    desk.tell(a, 2, ExecType::Canceled);
    desk.time();
    assert_eq!(desk.sent_of(a, MsgType::NewOrder), 2);
    let mut d = DayChange::ZERO;
    (d.header.kind, d.venue_id, d.opened, d.proved) = (DayChange::KIND, 1, 0, 1);
    desk.step(d.as_record());
    assert!(
        desk.order(a).live(),
        "{:?} open {}",
        desk.status(a),
        desk.engine.row(1, ES).open_qty().0
    );
}

#[test]
fn a_stop_price_at_the_end_of_numbers_is_refused() {
    let mut desk = TestDesk::open();
    let mut t = terms(ES, 1);
    t.band = 0;
    desk.fact(t);
    desk.quote(ES, e9(100), e9(100) + e9(1) / 4);
    let mut o = TestDesk::new_order("a", Side::Sell, 1, 0);
    o.ord_type = OrdType::Stop as u8;
    let mut t = offer();
    t.stop_px = i64::MAX - 1;
    assert_ne!(desk.submit_terms(&t, &o), Verdict::Accepted);
}

#[test]
fn a_child_that_the_venue_works_again_leaves_the_parent_whole() {
    let mut desk = TestDesk::open();
    let p = parent(&mut desk, "p", 10);
    let k = child(&mut desk, "k", p, 10);
    let r = trade_report(&desk, k, "X1", 6, 100);
    desk.take(&r);
    desk.tell(k, 0, ExecType::Canceled); // 4 back
    child(&mut desk, "k2", p, 4);
    // The venue restates the first child: it works 4 again
    let mut x = desk.report(k, 0, ExecType::Restated);
    (x.leaves_qty, x.ord_status) = (e9(4), OrdStatus::PartiallyFilled as u8);
    let t = desk.take(&x);
    desk.time();
    let held = desk.order(p).children_qty;
    assert!(
        held <= e9(10) || desk.sent_of(k, MsgType::Cancel) > 0,
        "{t:?} {} of 10 by children, {:?}",
        held / ONE,
        desk.status(k)
    );
}

const DAY: i64 = 86_400_000_000_000;
const HOUR: i64 = DAY / 24;

fn day(desk: &mut TestDesk, opened: u8, trade_day: u16) {
    let mut d = DayChange::ZERO;
    (d.header.kind, d.venue_id, d.opened, d.trade_day) = (DayChange::KIND, 1, opened, trade_day);
    desk.fact(d);
}

#[test]
fn a_fill_replayed_days_later_is_booked_once() {
    for days in 1..12u16 {
        let mut desk = TestDesk::open();
        day(&mut desk, 1, 100);
        let a = gtc(&mut desk, "a", 10);
        desk.now_ns += HOUR;
        let mut r = trade_report(&desk, a, "X1", 4, 100);
        (r.transact_time_ns, r.cum_qty) = (desk.now_ns, e9(4));
        assert_eq!(desk.take(&r), Disposition::Applied);
        for d in 1..=days {
            desk.now_ns += DAY;
            day(&mut desk, 1, 100 + d);
        }
        r.flags = REPORT_POSS_DUP;
        let t = desk.take(&r);
        assert_eq!(
            (t, desk.order(a).cum_qty),
            (Disposition::Duplicate, e9(4)),
            "{days} days later"
        );
    }
}

#[test]
fn a_fill_without_any_time_replayed_next_day_is_booked_once() {
    let mut desk = TestDesk::open();
    day(&mut desk, 1, 100);
    let a = gtc(&mut desk, "a", 10);
    let mut r = trade_report(&desk, a, "X1", 4, 100);
    r.cum_qty = e9(4);
    assert_eq!(desk.take(&r), Disposition::Applied);
    desk.now_ns += DAY;
    day(&mut desk, 1, 101);
    r.flags = REPORT_POSS_DUP;
    let t = desk.take(&r);
    assert_eq!((t, desk.order(a).cum_qty), (Disposition::Duplicate, e9(4)));
}

#[test]
fn a_leg_that_waits_for_recovery_is_not_sent_when_the_fill_that_made_it_due_was_busted() {
    let mut desk = TestDesk::open();
    let [a, b] = pair(&mut desk, Contingency::OtoFirst, (Side::Buy, 100), (Side::Sell, 101));
    let mut state = DeskState::ZERO;
    (state.header.kind, state.recovering) = (DeskState::KIND, 1);
    desk.fact(state);
    let r = trade_report(&desk, a, "X1", 5, 100);
    desk.take(&r);
    let mut c = desk.report(a, 0, ExecType::TradeCancel);
    c.exec_id = text("B1");
    offer_ids(&mut desk, &c, |i| i.exec_ref_id = text("X1"));
    desk.take(&c);
    assert_eq!(desk.engine.position(1, ES).net_qty, 0);
    state.recovering = 0;
    desk.fact(state);
    desk.time();
    assert_eq!(desk.sent_of(b, MsgType::NewOrder), 0, "an exit for a position that never was");
}

#[test]
fn a_reduce_only_order_follows_the_position_when_its_replace_is_accepted() {
    let mut desk = TestDesk::open();
    let b = desk.place("b", Side::Buy, 10, e9(100));
    desk.fill(b, 10, e9(100));
    let mut t = offer();
    t.exec_inst = EXEC_REDUCE_ONLY;
    assert_eq!(
        desk.submit_terms(&t, &TestDesk::new_order("r", Side::Sell, 5, e9(101))),
        Verdict::Accepted
    );
    let r = desk.newest();
    desk.tell(r, 0, ExecType::New);
    assert_eq!(desk.replace("r2", "r", 10, e9(101)), Verdict::Accepted);
    let s = desk.place("s", Side::Sell, 4, e9(100));
    desk.fill(s, 4, e9(100)); // 6 left: the order of 5 still fits, the one of 10 does not
    desk.time();
    desk.tell(r, 1, ExecType::Replaced);
    desk.time();
    let net = desk.engine.position(1, ES).net_qty;
    assert!(
        desk.order(r).leaves_qty() <= net || desk.sent_of(r, MsgType::Cancel) > 0,
        "net {} leaves {} {:?}",
        net / ONE,
        desk.order(r).leaves_qty() / ONE,
        desk.status(r)
    );
}

#[test]
fn a_reduce_only_order_restated_by_the_venue_to_more_than_the_position_is_canceled() {
    let mut desk = TestDesk::open();
    let b = desk.place("b", Side::Buy, 10, e9(100));
    desk.fill(b, 10, e9(100));
    let mut t = offer();
    t.exec_inst = EXEC_REDUCE_ONLY;
    assert_eq!(
        desk.submit_terms(&t, &TestDesk::new_order("r", Side::Sell, 5, e9(101))),
        Verdict::Accepted
    );
    let r = desk.newest();
    desk.tell(r, 0, ExecType::New);
    let mut x = desk.report(r, 0, ExecType::Restated);
    (x.last_qty, x.leaves_qty, x.ord_status) = (e9(20), e9(20), OrdStatus::New as u8);
    desk.take(&x);
    desk.time();
    assert!(desk.sent_of(r, MsgType::Cancel) > 0, "leaves {}", desk.order(r).leaves_qty() / ONE);
}

#[test]
fn one_price_releases_one_leg_of_an_oco_of_two_stops() {
    let mut desk = TestDesk::open();
    let a = stop(&mut desk, "a", Side::Sell, 5, e9(98), |t| t.contingency = Contingency::Oco as u8);
    let b = stop(&mut desk, "b", Side::Sell, 5, e9(97), |t| {
        t.contingency = Contingency::Oco as u8;
        t.group_seq = a;
    });
    desk.trade(ES, e9(96));
    assert_eq!(desk.sent_of(a, MsgType::NewOrder) + desk.sent_of(b, MsgType::NewOrder), 1);
}

#[test]
fn a_fill_replayed_after_the_clocks_changed_is_booked_once() {
    let mut desk = TestDesk::open();
    let venue = |offset: i32| {
        let mut d = definition(Entity::Venue, "CME", 0, ReplaceRule::InFlightCounted as u8);
        (d.flags, d.utc_offset_min, d.day_roll_min) = (VENUE_CALENDAR, offset, 16 * 60 + 45); // CME of examples/schedule.toml
        d
    };
    desk.fact(venue(-360));
    desk.now_ns = 20_000 * DAY + 21 * HOUR + HOUR * 5 / 6; // 15:50 in Chicago, winter
    desk.quote(ES, e9(100), e9(100) + e9(1) / 4);
    let a = gtc(&mut desk, "a", 10);
    let mut r = trade_report(&desk, a, "X1", 4, 100);
    (r.transact_time_ns, r.cum_qty) = (desk.now_ns, e9(4));
    assert_eq!(desk.take(&r), Disposition::Applied);
    desk.now_ns += 2 * DAY;
    desk.fact(venue(-300)); // the schedule's "clock" event
    r.flags = REPORT_POSS_DUP;
    let t = desk.take(&r);
    assert_eq!((t, desk.order(a).cum_qty), (Disposition::Duplicate, e9(4)));
}

/// Nothing binds but the numbers themselves.
fn unlimited(desk: &mut TestDesk) {
    let mut limits = account_limits(1);
    (limits.order_qty_max, limits.order_notional_max) = (i64::MAX, i64::MAX);
    (limits.gross_notional_max, limits.net_notional_max) = (i64::MAX, i64::MAX);
    desk.limit(limits);
    let mut instrument = terms(ES, 1);
    (instrument.qty_max, instrument.contract_multiplier, instrument.band) =
        (i64::MAX, 1, i64::MAX / 2);
    (instrument.tick, instrument.lot) = (1, 1);
    desk.fact(instrument);
    desk.quote(ES, 1, 2);
}

#[test]
fn open_quantity_without_a_limit_ends_before_the_last_number_and_is_given_back() {
    let mut desk = TestDesk::open();
    unlimited(&mut desk);
    let mut orders = Vec::new();
    loop {
        let mut order = TestDesk::new_order(&format!("n{}", orders.len()), Side::Buy, 0, 1);
        order.order_qty = 1 << 60;
        match desk.submit(&order) {
            Verdict::Accepted => orders.push(desk.newest()),
            verdict => break assert_eq!(verdict, Verdict::NetQtyLimit),
        }
        assert!(orders.len() < 9, "eight are all that fit in a number");
    }
    for seq in orders {
        desk.tell(seq, 0, ExecType::Canceled);
    }
    assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
    closing(&desk);
}

#[test]
fn orders_that_close_the_largest_position_are_bound_too_and_a_doubt_about_all_of_them_is_a_number()
{
    let mut desk = TestDesk::open();
    unlimited(&mut desk);
    let mut adjusted = PositionAdjusted::ZERO;
    (adjusted.header.kind, adjusted.account_id) = (PositionAdjusted::KIND, 1);
    (adjusted.instrument_id, adjusted.price, adjusted.net_qty) = (ES, 1, i64::MAX);
    desk.fact(adjusted);
    let mut close = |id: &str| {
        let mut order = TestDesk::new_order(id, Side::Sell, 0, 2);
        order.order_qty = 1 << 60;
        desk.submit(&order)
    };
    assert_eq!(
        [close("a"), close("b"), close("c")],
        [Verdict::Accepted, Verdict::Accepted, Verdict::NetQtyLimit]
    );
    let refusal = desk.refusal();
    assert_eq!((refusal.value, refusal.bound), (3 << 60, 1 << 61));
    for (seq, id) in [(1, "a"), (2, "b")] {
        desk.tell(seq, 0, ExecType::New);
        let mut r = ReplaceOrder::ZERO;
        (r.header.kind, r.cl_ord_id, r.orig_cl_ord_id) =
            (ReplaceOrder::KIND, text(&format!("r{id}")), text(id));
        (r.order_qty, r.price, r.session_id) = (1 << 60, 1, 1);
        assert_eq!(desk.step(r.as_record()), Verdict::Accepted);
        desk.lost(seq);
    }
    assert_eq!(desk.engine.row(1, ES).open_qty().1, 1 << 62);
    desk.assert_replay_equals();
}

/// A venue tells its whole history once more; by its own sums nothing of it is new (CORNERS 7, F14).
#[test]
fn a_fill_of_an_ended_order_replayed_after_its_memory_was_let_go_is_not_booked_again() {
    const DAY: i64 = 24 * 3600 * ONE;
    for whole in [true, false] {
        let mut desk = TestDesk::open();
        let day = |desk: &mut TestDesk, trade_day: u16| {
            let mut d = DayChange::ZERO;
            (d.header.kind, d.venue_id) = (DayChange::KIND, 1);
            (d.opened, d.trade_day) = (1, trade_day);
            desk.fact(d);
        };
        day(&mut desk, 100);
        let a = desk.place("a", Side::Buy, if whole { 10 } else { 20 }, e9(100));
        let mut r = trade_report(&desk, a, "X1", 10, 100);
        (r.trade_day, r.cum_qty, r.transact_time_ns) = (100, e9(10), desk.now_ns);
        assert_eq!(desk.take(&r), Disposition::Applied);
        if !whole {
            desk.tell(a, 0, ExecType::Canceled);
        }
        for d in 1..=7 {
            desk.now_ns += DAY;
            day(&mut desk, 100 + d);
        }
        assert!(desk.engine.order(a).is_some(), "still in the table");
        r.flags = REPORT_POSS_DUP;
        desk.take(&r);
        assert_eq!(desk.engine.row(1, ES).net_qty(), e9(10), "told twice is booked once");
        closing(&desk);
    }
}
