//! A small desk for the engine's tests: one venue, two instruments, three accounts, a log in a
//! vector, and the fold of the live orders written a second time, plainly, to compare with.
#![allow(dead_code)] // each test file uses its part

use engine::{Engine, EngineConfig, Log, Order, Outbox, VecLog};
use layout::*;

/// Fixed-point of a whole number.
pub const fn e9(n: i64) -> i64 {
    n * ONE
}

#[derive(Default)]
pub struct Sent(pub Vec<Routed>);

impl Outbox for Sent {
    fn push(&mut self, routed: &Routed) {
        self.0.push(*routed);
    }
}

pub struct TestDesk {
    pub engine: Engine,
    pub log: VecLog,
    pub sent: Sent,
    pub now_ns: i64,
    pub exec: u64,
}

pub const ES: u32 = 1;
pub const FX: u32 = 2;
pub const START_NS: i64 = 1_000_000_000_000;

pub fn small_config() -> EngineConfig {
    EngineConfig {
        orders_max: 1 << 10,
        terms_max: 1 << 7,
        ids_max: 1 << 11,
        fills_max: 1 << 10,
        accounts_max: 4,
        instruments_max: 4,
        venues_max: 3,
        sessions_max: 4,
        strategies_max: 4,
        traders_max: 2,
        currencies_max: 4,
        throttle_orders_max: 16,
        log_reserve: 64,
        books_max: 1,
        book_orders_max: 256,
        book_levels_max: 64,
        ..EngineConfig::default()
    }
}

pub fn definition(entity: Entity, name: &str, parent_id: u32, level: u8) -> Definition {
    let mut d = Definition::ZERO;
    d.header.kind = Definition::KIND;
    (d.entity, d.name, d.parent_id, d.level) = (entity as u8, text(name), parent_id, level);
    d
}

pub fn terms(instrument_id: u32, currency_id: u16) -> InstrumentTerms {
    let mut t = InstrumentTerms::ZERO;
    t.header.kind = InstrumentTerms::KIND;
    (t.instrument_id, t.venue_id, t.currency_id) = (instrument_id, 1, currency_id);
    (t.tick, t.lot, t.qty_min, t.qty_max) = (e9(1) / 4, e9(1), e9(1), e9(1000));
    t.contract_multiplier = e9(50);
    t.band = 100_000; // ppm: 10 %
    t.flags = FLAG_BAND_PPM;
    t.reference_age_ms_max = 1000;
    t
}

pub fn account_limits(account_id: u32) -> LimitRow {
    let mut l = LimitRow::ZERO;
    l.header.kind = LimitRow::KIND;
    (l.scope, l.account_id) = (Scope::Account as u8, account_id);
    (l.order_qty_max, l.order_notional_max) = (e9(100), i64::MAX);
    (l.gross_notional_max, l.net_notional_max, l.net_qty_max) = (i64::MAX, i64::MAX, i64::MAX);
    l
}

/// Terms of session 1 that say nothing yet.
pub fn offer() -> OrderTerms {
    let mut t = OrderTerms::ZERO;
    (t.header.kind, t.session_id) = (OrderTerms::KIND, 1);
    t
}

impl TestDesk {
    /// Offers terms and sends the order they belong to.
    pub fn submit_terms(&mut self, terms: &OrderTerms, order: &NewOrder) -> Verdict {
        assert_eq!(self.step(terms.as_record()), Verdict::Accepted);
        let mut order = *order;
        order.tags |= TAG_TERMS;
        self.submit(&order)
    }

    /// Offers terms and sends the replace they belong to.
    pub fn replace_terms(
        &mut self,
        id: &str,
        orig: &str,
        terms: &OrderTerms,
        qty: i64,
        price: i64,
    ) -> Verdict {
        assert_eq!(self.step(terms.as_record()), Verdict::Accepted);
        let mut r = ReplaceOrder::ZERO;
        (r.header.kind, r.cl_ord_id, r.orig_cl_ord_id, r.session_id) =
            (ReplaceOrder::KIND, text(id), text(orig), 1);
        (r.order_qty, r.price, r.tags) = (e9(qty), price, TAG_TERMS);
        self.step(r.as_record())
    }

    /// Number of the order accepted last.
    pub fn newest(&self) -> u64 {
        let accepted = |r: &&Record| r.header.kind == OrderAccepted::KIND;
        self.log.records.iter().rev().find(accepted).expect("an order").header.order_seq
    }

    /// A trade of the market.
    pub fn trade(&mut self, instrument_id: u32, price: i64) {
        let mut u = BookUpdate::ZERO;
        (u.header.kind, u.instrument_id) = (BookUpdate::KIND, instrument_id);
        (u.action, u.price, u.qty) = (BookAction::Trade as u8, price, ONE);
        self.step(u.as_record());
    }

    /// Time passes to now.
    pub fn time(&mut self) {
        let mut t = TimeInput::ZERO;
        t.header.kind = TimeInput::KIND;
        self.step(t.as_record());
    }

    /// Ten seconds pass, and the desk does what it has to.
    pub fn pass(&mut self) {
        for _ in 0..5 {
            self.now_ns += 2_000_000_000;
            self.time();
        }
    }

    /// A query's answer.
    pub fn tell_status(&mut self, order_seq: u64, told: OrdStatus) -> Disposition {
        let mut r = self.report(order_seq, 0, ExecType::OrderStatus);
        r.ord_status = told as u8;
        self.take(&r)
    }

    /// Messages of a type that were sent for an order.
    pub fn sent_of(&self, order_seq: u64, msg_type: MsgType) -> usize {
        let of = |r: &&Routed| r.header.order_seq == order_seq && r.msg_type == msg_type as u8;
        self.sent.0.iter().filter(of).count()
    }

    /// Open for business: quotes at 100.00 / 100.25 in both instruments, generous limits.
    pub fn open() -> Self {
        Self::with(small_config())
    }

    pub fn with(config: EngineConfig) -> Self {
        let engine = Engine::new(&config).expect("memory");
        let mut desk = Self {
            engine,
            log: VecLog::default(),
            sent: Sent::default(),
            now_ns: START_NS,
            exec: 0,
        };
        let mut epoch = EpochStarted::ZERO;
        (epoch.header.kind, epoch.epoch, epoch.log_id) = (EpochStarted::KIND, 1, 77);
        desk.fact(epoch);
        desk.fact(definition(Entity::Currency, "USD", 0, 0));
        desk.fact(definition(Entity::Venue, "CME", 0, ReplaceRule::InFlightCounted as u8));
        for name in ["ES", "FX"] {
            desk.fact(definition(Entity::Instrument, name, 0, 0));
        }
        for name in ["A1", "A2", "A3"] {
            desk.fact(definition(Entity::Account, name, 0, AccountLevel::Account as u8));
        }
        desk.fact(definition(Entity::Session, "S1", 0, 0));
        desk.fact(definition(Entity::Session, "S2", 2, 0)); // account A2 alone
        desk.fact(definition(Entity::Strategy, "maker", 0, 0));
        let mut rate = Rate::ZERO;
        (rate.header.kind, rate.currency_id, rate.rate) = (Rate::KIND, 1, ONE);
        desk.fact(rate);
        desk.fact(terms(ES, 1));
        desk.fact(terms(FX, 1));
        for account_id in 1..=2 {
            desk.fact(account_limits(account_id));
        }
        desk.activate();
        desk.link(LinkState::Up);
        desk.phase(Phase::Open);
        let mut state = DeskState::ZERO;
        state.header.kind = DeskState::KIND;
        desk.fact(state);
        desk.quote(ES, e9(100), e9(100) + e9(1) / 4);
        desk.quote(FX, e9(100), e9(100) + e9(1) / 4);
        desk
    }

    pub fn step(&mut self, record: &Record) -> Verdict {
        self.engine.step(record, self.now_ns, &mut self.log, &mut self.sent)
    }

    pub fn fact<T: Typed>(&mut self, record: T) {
        assert_eq!(self.step(record.as_record()), Verdict::Accepted, "kind {}", T::RECORD_KIND);
    }

    pub fn activate(&mut self) {
        let mut a = LimitsActivated::ZERO;
        a.header.kind = LimitsActivated::KIND;
        a.limits_version = self.engine.limits_version() + 1;
        self.fact(a);
    }

    pub fn limit(&mut self, row: LimitRow) {
        self.fact(row);
        self.activate();
    }

    pub fn link(&mut self, state: LinkState) {
        let mut l = LinkChange::ZERO;
        (l.header.kind, l.venue_id, l.state) = (LinkChange::KIND, 1, state as u8);
        self.fact(l);
    }

    pub fn phase(&mut self, phase: Phase) {
        let mut p = PhaseChange::ZERO;
        (p.header.kind, p.venue_id, p.phase) = (PhaseChange::KIND, 1, phase as u8);
        self.fact(p);
    }

    pub fn quote(&mut self, instrument_id: u32, bid_px: i64, ask_px: i64) {
        let mut q = Quote::ZERO;
        (q.header.kind, q.instrument_id) = (Quote::KIND, instrument_id);
        (q.bid_px, q.ask_px, q.bid_qty, q.ask_qty) = (bid_px, ask_px, ONE, ONE);
        self.step(q.as_record());
    }

    pub fn kill(&mut self, scope: Scope, target_id: u32, mode: KillMode) -> Verdict {
        let mut c = Control::ZERO;
        (c.header.kind, c.scope, c.target_id, c.mode) =
            (Control::KIND, scope as u8, target_id, mode as u8);
        c.control_epoch = self.engine.control_epoch() + 1;
        self.step(c.as_record())
    }

    pub fn new_order(id: &str, side: Side, qty: i64, price: i64) -> NewOrder {
        let mut o = NewOrder::ZERO;
        (o.header.kind, o.header.event_seq) = (NewOrder::KIND, 5);
        (o.cl_ord_id, o.session_id, o.account_id, o.instrument_id) = (text(id), 1, 1, ES);
        (o.side, o.ord_type) = (side as u8, OrdType::Limit as u8);
        o.time_in_force = TimeInForce::Day as u8;
        (o.order_qty, o.price, o.strategy_id) = (e9(qty), price, 1);
        o
    }

    pub fn submit(&mut self, order: &NewOrder) -> Verdict {
        self.step(order.as_record())
    }

    /// Sends a plain order and gives its number.
    pub fn place(&mut self, id: &str, side: Side, qty: i64, price: i64) -> u64 {
        assert_eq!(self.submit(&Self::new_order(id, side, qty, price)), Verdict::Accepted);
        self.sent.0.last().expect("routed").header.order_seq
    }

    pub fn cancel(&mut self, id: &str, orig: &str) -> Verdict {
        let mut c = CancelOrder::ZERO;
        (c.header.kind, c.cl_ord_id, c.orig_cl_ord_id, c.session_id) =
            (CancelOrder::KIND, text(id), text(orig), 1);
        self.step(c.as_record())
    }

    pub fn replace(&mut self, id: &str, orig: &str, qty: i64, price: i64) -> Verdict {
        let mut r = ReplaceOrder::ZERO;
        (r.header.kind, r.cl_ord_id, r.orig_cl_ord_id, r.session_id) =
            (ReplaceOrder::KIND, text(id), text(orig), 1);
        (r.order_qty, r.price) = (e9(qty), price);
        self.step(r.as_record())
    }

    /// A report of the venue on the newest message of an order, or on `revision`.
    pub fn report(&self, order_seq: u64, revision: u16, exec_type: ExecType) -> ExecutionReport {
        let epoch = self.engine.order(order_seq).map_or(1, |o| o.epoch);
        let mut r = ExecutionReport::ZERO;
        r.header.kind = ExecutionReport::KIND;
        r.street_id = engine::street::encode(engine::street::Street { epoch, order_seq, revision });
        (r.venue_id, r.exec_type) = (1, exec_type as u8);
        r
    }

    pub fn take(&mut self, report: &ExecutionReport) -> Disposition {
        self.engine.step_report(report, None, self.now_ns, &mut self.log)
    }

    pub fn tell(&mut self, order_seq: u64, revision: u16, exec_type: ExecType) -> Disposition {
        let report = self.report(order_seq, revision, exec_type);
        self.take(&report)
    }

    pub fn fill(&mut self, order_seq: u64, qty: i64, px: i64) -> Disposition {
        self.exec += 1;
        let mut r = self.report(order_seq, 0, ExecType::Trade);
        (r.exec_id, r.last_qty, r.last_px) = (text(&format!("E{}", self.exec)), e9(qty), px);
        self.take(&r)
    }

    /// A day after its end the slot of an order goes to another one.
    pub fn forget(&mut self, order_seq: u64) {
        self.now_ns += 24 * 3600 * ONE;
        for n in 0..self.engine.config().orders_max {
            if self.engine.order(order_seq).is_none() {
                break;
            }
            self.now_ns += ONE * 2;
            self.quote(ES, e9(100), e9(100) + ONE / 4);
            let seq = self.place(&format!("{order_seq}-{n}"), Side::Buy, 1, e9(100));
            self.tell(seq, 0, ExecType::Canceled);
        }
        assert!(self.engine.order(order_seq).is_none());
    }

    /// The outcome of what is in flight becomes unknown.
    pub fn lost(&mut self, order_seq: u64) {
        let mut u = OutcomeUnknown::ZERO;
        (u.header.kind, u.header.order_seq, u.venue_id) = (OutcomeUnknown::KIND, order_seq, 1);
        self.fact(u);
    }

    pub fn order(&self, order_seq: u64) -> &Order {
        self.engine.order(order_seq).expect("remembered")
    }

    pub fn status(&self, order_seq: u64) -> OrdStatus {
        self.order(order_seq).ord_status()
    }

    pub fn last(&self) -> &Record {
        self.log.records.last().expect("an event")
    }

    pub fn last_report(&self) -> &ExecutionReport {
        let mut reports = self.log.records.iter().rev();
        reports.find_map(ExecutionReport::from_record).expect("a report")
    }

    pub fn refusal(&self) -> Refusal {
        *Refusal::from_record(self.last()).expect("a refusal")
    }

    /// I18: the log folded anew gives this state, bit for bit.
    pub fn assert_replay_equals(&self) {
        let mut again = Engine::new(self.engine.config()).expect("memory");
        for record in &self.log.records {
            again.apply(record);
        }
        assert_eq!(again.state_hash(), self.engine.state_hash());
    }

    /// I24, I23 and the sums of accounts, by a plain fold over the live orders.
    pub fn assert_sums_are_folds(&self) {
        let engine = &self.engine;
        let config = engine.config();
        let mut live = 0;
        for account_id in 0..config.accounts_max as u32 {
            let (mut gross, mut long, mut short) = (0, 0, 0);
            let mut parts = 0; // values between two micro units, of which the factor takes either
            for instrument_id in 0..config.instruments_max as u32 {
                let (mut qty, mut points) = ([0i128; 2], [0i128; 2]);
                for order in engine.reserving_orders() {
                    if (order.account_id, order.instrument_id) == (account_id, instrument_id) {
                        let exposure = order.exposure(engine.venue(order.venue_id).replace_rule());
                        let side = usize::from(!order.is_buy());
                        qty[side] += exposure.qty as i128;
                        points[side] += exposure.points;
                        live += u64::from(order.live());
                    }
                }
                let row = engine.row(account_id, instrument_id);
                assert_eq!((row.open_qty().0 as i128, row.open_qty().1 as i128), (qty[0], qty[1]));
                assert_eq!(row.open_points(), (points[0], points[1]));
                let cost = row.open_cost();
                let (l, s) = (cost + points[0], points[1] - cost);
                // 50 USD a point, rate 1: micro = points x 50 / 1e12, towards zero.
                let micro = |p: i128| p * 50 / 1_000_000_000_000;
                parts += i128::from(l * 50 % 1_000_000_000_000 != 0)
                    + i128::from(s * 50 % 1_000_000_000_000 != 0);
                gross += micro(l.max(s).max(0));
                long += micro(l);
                short += micro(s);
            }
            let sums = engine.account_sums(account_id);
            // Beyond 2^61 micro units the factor is exact to one part in 2^61 alone.
            let near = |a: i128, b: i128| (a - b).abs() <= parts + (b.abs() >> 59);
            assert!(
                near(sums.0, gross) && near(sums.1, long) && near(sums.2, short),
                "account {account_id}: {sums:?}, folded {:?}",
                (gross, long, short)
            );
        }
        assert_eq!(engine.live_count(), live);
        let asked = engine.live_orders().filter(|o| Engine::cancel_asked(o)).count();
        assert_eq!(engine.asked_count(), asked as u64);
        for order in engine.all_orders().filter(|o| o.is_parent()) {
            let (mut held, mut filled, mut points) = (0i128, 0i128, 0i128);
            for o in engine.all_orders().filter(|o| o.parent_order_seq == order.order_seq) {
                held += o.committed_qty(engine.venue(o.venue_id).replace_rule()) as i128;
                filled += o.cum_qty as i128;
                points += o.cum_points;
            }
            assert_eq!(order.children_qty as i128, held, "I10");
            assert_eq!((order.cum_qty as i128, order.cum_points), (filled, points), "I10");
            assert!(!order.live() || order.cum_qty < order.order_qty, "filled whole, it is over");
        }
    }
}

/// What every story ends with: the sums are folds, and the log folded anew gives the same.
pub fn closing(desk: &TestDesk) {
    desk.assert_sums_are_folds();
    desk.assert_replay_equals();
}

/// A parent of session 1 to buy at 100.
pub fn parent(desk: &mut TestDesk, id: &str, qty: i64) -> u64 {
    let mut parent = TestDesk::new_order(id, Side::Buy, qty, e9(100));
    parent.tags = TAG_PARENT;
    assert_eq!(desk.submit(&parent), Verdict::Accepted);
    desk.newest()
}

/// A child of a parent, to buy at 100.
pub fn child(desk: &mut TestDesk, id: &str, of: u64, qty: i64) -> u64 {
    let mut child = TestDesk::new_order(id, Side::Buy, qty, e9(100));
    child.parent_order_seq = of;
    assert_eq!(desk.submit(&child), Verdict::Accepted);
    desk.newest()
}

/// A good-till-cancel order to buy at 100.
pub fn gtc(desk: &mut TestDesk, id: &str, qty: i64) -> u64 {
    let mut o = TestDesk::new_order(id, Side::Buy, qty, e9(100));
    o.time_in_force = TimeInForce::Gtc as u8;
    assert_eq!(desk.submit(&o), Verdict::Accepted);
    desk.newest()
}

/// Price x quantity in the scale of costs.
pub fn points(px: i64, qty: i64) -> i128 {
    e9(px) as i128 * e9(qty) as i128
}

/// A fill under an id of its own, not told yet.
pub fn trade_report(desk: &TestDesk, seq: u64, id: &str, qty: i64, px: i64) -> ExecutionReport {
    let mut r = desk.report(seq, 0, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px) = (text(id), e9(qty), e9(px));
    r
}

/// The further ids of a report that follows.
pub fn offer_ids(desk: &mut TestDesk, r: &ExecutionReport, f: impl FnOnce(&mut ExecRef)) {
    let mut ids = ExecRef::ZERO;
    (ids.header.kind, ids.exec_id, ids.venue_id) = (ExecRef::KIND, r.exec_id, 1);
    f(&mut ids);
    assert_eq!(desk.step(ids.as_record()), Verdict::Accepted);
}

/// The venue takes a fill back, or makes it another, quantity and price; `own` is the id of that word,
/// empty for none, and `leaves` what it then works of the order.
pub fn amend(
    desk: &mut TestDesk,
    seq: u64,
    own: &str,
    of: &str,
    new: Option<(i64, i64)>,
    leaves: i64,
) -> Disposition {
    let kind = if new.is_some() { ExecType::TradeCorrect } else { ExecType::TradeCancel };
    let mut r = desk.report(seq, 0, kind);
    (r.exec_id, r.leaves_qty) = (text(own), e9(leaves));
    (r.last_qty, r.last_px) = new.map_or((0, 0), |(qty, px)| (e9(qty), e9(px)));
    offer_ids(desk, &r, |ids| ids.exec_ref_id = text(of));
    desk.take(&r)
}

/// A log that remembers how much room it is told to have.
pub struct NarrowLog(pub VecLog, pub u64);

impl Log for NarrowLog {
    fn next_seq(&self) -> u64 {
        self.0.next_seq()
    }
    fn slot(&mut self, index: usize) -> &mut Record {
        self.0.slot(index)
    }
    fn publish(&mut self, count: usize) {
        self.0.publish(count);
        self.1 -= count as u64;
    }
    fn last(&self, index: usize) -> &Record {
        self.0.last(index)
    }
    fn room(&self) -> u64 {
        self.1
    }
}
