//! A desk for tests of the venue: the link's desk end, a seeded flow of orders, and what it learned
//! from reports. It plays by the link's rules and judges nothing.

#![allow(dead_code, missing_docs)] // each test binary uses its part

use layout::*;
use sim::random::Random;
use sim::{VenueConfig, VenueServer};
use std::collections::{BTreeMap, BTreeSet};
use wire::pylink::*;

pub const TICK: i64 = ONE / 4;
pub const INSTRUMENT: u32 = 7;

pub fn street(number: u64, revision: u16) -> [u8; 20] {
    text(&format!("0001{number:010}{revision:03}"))
}

pub fn routed(msg_type: MsgType, number: u64, revision: u16) -> Routed {
    let mut r = Routed::ZERO;
    r.header.kind = Routed::KIND;
    r.header.order_seq = number;
    r.street_id = street(number, revision);
    (r.venue_id, r.revision, r.msg_type) = (1, revision, msg_type.code());
    (r.instrument_id, r.account_id) = (INSTRUMENT, 1);
    (r.side, r.ord_type) = (Side::Buy.code(), OrdType::Limit.code());
    r.time_in_force = TimeInForce::Day.code();
    r
}

pub fn limit(number: u64, side: Side, price: i64, lots: i64) -> Routed {
    let mut r = routed(MsgType::NewOrder, number, 0);
    (r.side, r.price, r.order_qty) = (side.code(), price, lots * ONE);
    r
}

pub fn cancel(number: u64, revision: u16, orig: u16) -> Routed {
    let mut r = routed(MsgType::Cancel, number, revision);
    r.orig_street_id = street(number, orig);
    r
}

pub fn replace(number: u64, revision: u16, orig: u16, price: i64, lots: i64) -> Routed {
    let mut r = routed(MsgType::Replace, number, revision);
    r.orig_street_id = street(number, orig);
    (r.price, r.order_qty) = (price, lots * ONE);
    r
}

pub fn update(at_ns: i64, action: BookAction, order_ref: u64) -> BookUpdate {
    let mut u = BookUpdate::ZERO;
    u.header.kind = BookUpdate::KIND;
    (u.header.ingest_time_ns, u.transact_time_ns) = (at_ns, at_ns);
    (u.instrument_id, u.action, u.order_ref) = (INSTRUMENT, action.code(), order_ref);
    u.flags = BOOK_LAST;
    u
}

pub fn add(at_ns: i64, order_ref: u64, side: Side, price: i64, lots: i64) -> BookUpdate {
    let mut u = update(at_ns, BookAction::Add, order_ref);
    (u.side, u.price, u.qty) = (side.code(), price, lots * ONE);
    u
}

pub fn trade(at_ns: i64, aggressor: u8, price: i64, lots: i64) -> BookUpdate {
    let mut u = update(at_ns, BookAction::Trade, 0);
    (u.side, u.price, u.qty) = (aggressor, price, lots * ONE);
    u
}

pub fn reduce(at_ns: i64, order_ref: u64, lots: i64) -> BookUpdate {
    let mut u = update(at_ns, BookAction::Cancel, order_ref);
    u.qty = lots * ONE;
    u
}

/// What the desk believes of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Believed {
    pub cum_qty: i64,
    pub ord_status: u8,
    pub value: i128,
    pub closed: bool,
}

pub struct TestDesk {
    pub end: DeskEnd,
    pub random: Random,
    pub log: Vec<Routed>,
    pub orders: BTreeMap<u64, Believed>,
    pub exec_ids: BTreeSet<[u8; 16]>,
    pub doubled: u64,
    pub link_seq_in: u32,
    pub to_venue: Vec<u8>,
    pub mid_px: i64,
    pub turns: u64,
    pub ended: bool,
    pub frames_in: u64,
    pub commands_max: u64,
    pub open_phase: bool,
    pub wake_every_ns: i64,
    pub epoch: u64,
}

impl TestDesk {
    pub fn new(seed: u64, commands_max: u64) -> Self {
        Self {
            end: Self::link(1),
            random: Random::new(seed),
            log: Vec::new(),
            orders: BTreeMap::new(),
            exec_ids: BTreeSet::new(),
            doubled: 0,
            link_seq_in: 0,
            to_venue: Vec::new(),
            mid_px: 0,
            turns: 0,
            ended: false,
            frames_in: 0,
            commands_max,
            open_phase: false,
            wake_every_ns: i64::MAX,
            epoch: 1,
        }
    }

    fn link(epoch: u64) -> DeskEnd {
        DeskEnd::new(DeskConfig {
            venue_id: 1,
            epoch,
            log_id: 77,
            name: "test".into(),
            heartbeat_ms: 0,
            cancel_on_disconnect: false,
            lock_step: true,
            buffer_max: BUFFER_MAX,
        })
    }

    /// A new run of the desk: a higher epoch, the log and what was folded from it.
    pub fn restart(&mut self) {
        self.epoch += 1;
        self.end = Self::link(self.epoch);
        self.to_venue.clear();
        self.connect();
    }

    pub fn connect(&mut self) {
        self.end.connect(self.link_seq_in, self.log.len() as u32, 0);
        self.flush();
    }

    pub fn flush(&mut self) {
        self.to_venue.extend_from_slice(self.end.unsent());
        self.end.sent(self.end.unsent().len());
    }

    /// Appends to the log, then sends.
    pub fn submit(&mut self, mut r: Routed) {
        r.link_seq = self.log.len() as u32 + 1;
        self.log.push(r);
        if r.msg_type == MsgType::NewOrder.code() {
            self.orders.entry(r.header.order_seq).or_default();
        }
        if self.end.phase() == LinkPhase::Up {
            self.end.send(&r, 0).expect("in order");
        }
    }

    /// Takes bytes and acts on every event; `false` when the link failed.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.end.receive(bytes, 0)?;
        while let Some(event) = self.end.next()? {
            self.frames_in += 1;
            self.link_seq_in = self.end.link_seq_in();
            match event {
                DeskEvent::Up(up) => {
                    // Proved never received: sent now, with the old numbers, in order.
                    for at in up.venue_has as usize..self.log.len() {
                        let r = self.log[at];
                        self.end.send(&r, 0)?;
                    }
                }
                DeskEvent::Report(report, _) => self.learn(&report),
                DeskEvent::Phase(change) => self.open_phase = change.phase == Phase::Open.code(),
                DeskEvent::Book(u) if u.action == BookAction::Trade.code() => self.mid_px = u.price,
                DeskEvent::Turn(turn) => {
                    self.turns += 1;
                    self.ended |= turn.ended == 1;
                    self.act();
                    let wake_ns = turn.now_ns.saturating_add(self.wake_every_ns);
                    self.end.turn_done(
                        turn.turn,
                        if self.ended { i64::MAX } else { wake_ns },
                        0,
                    )?;
                }
                _ => {}
            }
        }
        self.flush();
        Ok(())
    }

    fn learn(&mut self, report: &ExecutionReport) {
        if report.flags & REPORT_QUERIED != 0 {
            return;
        }
        if !self.exec_ids.insert(report.exec_id) {
            self.doubled += 1;
            return;
        }
        let number: u64 = text_of(&report.street_id)[4..14].parse().expect("ours");
        let Some(order) = self.orders.get_mut(&number) else { return }; // a cancel of nothing
        if report.exec_type == ExecType::Trade.code() {
            order.value += i128::from(report.last_px) * i128::from(report.last_qty);
            order.cum_qty += report.last_qty;
            assert_eq!(order.cum_qty, report.cum_qty);
        }
        let refused = [ExecType::CancelRejected.code(), ExecType::ReplaceRejected.code()];
        if !refused.contains(&report.exec_type) {
            order.ord_status = report.ord_status;
            order.closed = report.leaves_qty == 0;
        }
    }

    /// A few random commands around the last trade.
    fn act(&mut self) {
        if self.mid_px == 0 {
            return;
        }
        for _ in 0..self.random.below(4) {
            if self.log.len() as u64 >= self.commands_max {
                return;
            }
            let number = self.orders.len() as u64 + 1;
            let known = 1 + self.random.below(number);
            let offset = self.random.below(9) as i64 - 4;
            let lots = 1 + self.random.below(5) as i64;
            let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
            let price = self.mid_px + offset * TICK;
            match self.random.below(10) {
                0..6 => {
                    let mut r = limit(number, side, price, lots);
                    r.account_id = 1 + self.random.below(3) as u32;
                    let terms =
                        [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];
                    r.time_in_force = terms[self.random.below(4) as usize].code();
                    self.submit(r);
                }
                6..8 => self.submit(cancel(known, 1 + self.log.len() as u16 % 900, 0)),
                _ => {
                    let r = replace(known, 1 + self.log.len() as u16 % 900, 0, price, lots);
                    self.submit(r);
                }
            }
        }
    }

    /// What the desk believes against the venue's own record.
    pub fn agrees_with(&self, server: &VenueServer) {
        let witness = server.witness();
        assert_eq!(self.doubled, 0, "no report is applied twice");
        for order in &witness.orders {
            let number: u64 = order.street_id[4..14].parse().expect("ours");
            let believed = &self.orders[&number];
            assert_eq!(believed.cum_qty, order.cum_qty, "{order:?}");
            assert_eq!(believed.value, order.value, "{order:?}");
            let status = OrdStatus::from_code(believed.ord_status).map(|s| s.name());
            assert_eq!(status, Some(order.ord_status), "{order:?}");
        }
        assert_eq!(witness.orders.len(), self.orders.len());
        assert_eq!(witness.counters.duplicate_sends, 0);
    }
}

/// Runs desk and venue to the end of the day in one process.
pub fn run(desk: &mut TestDesk, server: &mut VenueServer) {
    server.on_connect(1, 0);
    desk.connect();
    let mut out = Vec::new();
    while !server.is_over() {
        let bytes = std::mem::take(&mut desk.to_venue);
        out.clear();
        let open = server.serve_step(1, &bytes, 0, &mut out);
        let taken = desk.take(&out);
        assert!(open && taken.is_ok(), "{taken:?} {:?}", server.take_note());
    }
}

pub fn config(seed: u64) -> VenueConfig {
    VenueConfig {
        seed,
        fee_per_contract: ONE,
        orders_max: 1 << 15,
        step_min_ns: 20_000_000,
        ..VenueConfig::default()
    }
}

/// A seeded tape of a small market around 100, one record in `every_ns`.
pub fn small_tape(seed: u64, records: usize, every_ns: i64) -> Vec<BookUpdate> {
    let (mut random, mut tape) = (Random::new(seed), Vec::new());
    let mut resting: Vec<(u64, Side, i64, i64)> = Vec::new();
    let mid_px = 100 * ONE;
    for number in 0..records as u64 {
        let at_ns = (1 + number as i64) * every_ns;
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let sign = if side == Side::Buy { -1 } else { 1 };
        let pick = random.below(10);
        if pick < 5 || resting.is_empty() {
            let price = mid_px + sign * TICK * (1 + random.below(4) as i64);
            let lots = 1 + random.below(6) as i64;
            tape.push(add(at_ns, number + 1, side, price, lots));
            resting.push((number + 1, side, price, lots));
        } else if pick < 6 {
            let at = random.below(resting.len() as u64) as usize;
            let (order_ref, _, _, lots) = resting.swap_remove(at);
            tape.push(reduce(at_ns, order_ref, lots));
        } else if pick < 7 {
            let at = random.below(resting.len() as u64) as usize;
            let sign = if resting[at].1 == Side::Buy { -1 } else { 1 };
            resting[at].2 = mid_px + sign * TICK * (1 + random.below(4) as i64);
            resting[at].3 = 1 + random.below(6) as i64;
            let mut change = add(at_ns, resting[at].0, resting[at].1, resting[at].2, resting[at].3);
            change.action = BookAction::Modify.code();
            tape.push(change);
        } else {
            // An aggressor of `side` hits the best of the other one: T, F, then the bookkeeping.
            let better = |a: &i64, b: &i64| if side == Side::Buy { a.cmp(b) } else { b.cmp(a) };
            let best = resting.iter().filter(|r| r.1 != side).map(|r| r.2).min_by(better);
            let Some(price) = best else { continue };
            let at = resting.iter().position(|r| r.1 != side && r.2 == price).expect("it is there");
            let lots = 1 + random.below(resting[at].3 as u64) as i64;
            let mut print = trade(at_ns, side.code(), price, lots);
            print.flags = 0;
            tape.push(print);
            tape.push(reduce(at_ns, resting[at].0, lots));
            resting[at].3 -= lots;
            if resting[at].3 == 0 {
                resting.remove(at);
            }
        }
    }
    tape
}
