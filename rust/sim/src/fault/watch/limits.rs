//! The limits, as the log alone shows them: what is surely open of each order, what each position has
//! cost, and whether an order that was let out had room. Part of `Watch`. What must stay true: it counts
//! an order as open only while nothing in the log may have ended it, and by the smaller of its terms, so
//! what it finds beyond a limit is beyond it in truth (I10, I25, I27); no sum of the engine is asked.

use super::Watch;
use crate::random::Random;
use layout::*;
use std::collections::{BTreeMap, BTreeSet};

/// What a contract is worth, as `run` defines every instrument.
pub(crate) const MULTIPLIER: i64 = 50;
pub(super) const TICK: i64 = ONE / 4;
/// A price times a quantity of 1, both at 1e-9.
const POINT: i128 = ONE as i128 * ONE as i128;

/// The limits of every account, in lots (1e-9) and in whole units of the desk's currency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub order_qty: i64,
    pub order_notional: i64,
    pub net_qty: i64,
    pub instrument_gross: i64,
    pub gross: i64,
    pub net: i64,
    pub band: i64,
    /// Orders of an account in its window.
    pub orders: u32,
}

impl Bounds {
    /// Limits that hardly ever bind.
    pub const WIDE: Self = Self {
        order_qty: 100 * ONE,
        order_notional: i64::MAX,
        net_qty: i64::MAX,
        instrument_gross: i64::MAX,
        gross: i64::MAX,
        net: i64::MAX,
        band: 20 * ONE,
        orders: 24,
    };

    /// Limits that bind all day; which of them does so first is chance.
    pub fn draw(random: &mut Random) -> Self {
        let mut within = |least: u64, most: u64| (least + random.below(most - least)) as i64;
        let lot = 100 * MULTIPLIER; // of about the price at which a day begins
        Self {
            order_qty: within(4, 9) * ONE,
            order_notional: within(4, 10) * lot + lot / 2,
            net_qty: within(6, 24) * ONE,
            instrument_gross: within(8, 30) * lot,
            gross: within(16, 60) * lot,
            net: within(10, 40) * lot,
            band: within(2, 9) * TICK,
            orders: within(8, 24) as u32,
        }
    }
}

/// An order of which nothing in the log says that it may have ended.
#[derive(Clone, Copy)]
struct Sure {
    account_id: u32,
    instrument_id: u32,
    buy: bool,
    price: i64,
    order_qty: i64,
    /// A replace on its way: its revision and its terms.
    pending: Option<(u16, i64, i64)>,
}

/// What is open on the sides of one instrument: buys, sells; quantities and points.
#[derive(Clone, Copy, Default)]
struct Sides {
    qty: [i128; 2],
    points: [i128; 2],
}

#[derive(Clone)]
pub(super) struct Limits {
    pub bounds: Bounds,
    sure: BTreeMap<u64, Sure>,
    /// The order accepted in the present group of events: its price and its quantity.
    pub accepted: Option<(u64, i64, i64)>,
    /// What the open position of a row has cost.
    costs: BTreeMap<(u32, u32), (i128, i128)>,
    /// Accounts of which a fill was undone: what their positions have cost is not followed further.
    undone: BTreeSet<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::within(Bounds::WIDE)
    }
}

impl Limits {
    pub fn within(bounds: Bounds) -> Self {
        let (sure, costs, undone) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { bounds, sure, accepted: None, costs, undone }
    }

    /// A fill moves the cost of a position: what closes takes its part of it, what opens adds.
    pub fn fill(&mut self, row: (u32, u32), buy: bool, px: i64, qty: i64) {
        let signed = if buy { i128::from(qty) } else { -i128::from(qty) };
        let (net, cost) = self.costs.entry(row).or_default();
        let closes = if net.signum() == -signed.signum() { net.abs().min(signed.abs()) } else { 0 };
        if closes > 0 {
            *cost -= *cost * closes / net.abs();
        }
        *cost += signed.signum() * (signed.abs() - closes) * i128::from(px);
        *net += signed;
    }

    /// A fill was undone.
    pub fn undo(&mut self, account_id: u32) {
        self.undone.insert(account_id);
    }
}

impl Watch {
    /// Follows what is open by one more event, and judges what it lets out.
    pub(super) fn follow_open(&mut self, record: &Record) -> Option<String> {
        let order_seq = record.header.order_seq;
        if let Some(e) = OrderAccepted::from_record(record) {
            self.limits.accepted = Some((order_seq, e.price, e.order_qty));
            return self.check_reference(e);
        }
        if let Some(e) = Routed::from_record(record) {
            return self.goes_out(e);
        }
        if let Some(e) = ReplaceAccepted::from_record(record) {
            return self.replaced_by(e);
        }
        if let Some(e) = Triggered::from_record(record) {
            self.limits.accepted = None;
            if e.outcome == TriggerOutcome::Released.code() {
                self.surely_open(order_seq, e.price, e.order_qty);
            }
            return None;
        }
        if let Some(e) = ExecutionReport::from_record(record) {
            self.hear_of_open(e);
        } else if let Some(e) = DroppedUnsent::from_record(record) {
            match MsgType::from_code(e.msg_type) {
                Some(MsgType::Replace) => {
                    self.limits.sure.entry(order_seq).and_modify(|sure| sure.pending = None);
                }
                Some(MsgType::Cancel) => {}
                _ => drop(self.limits.sure.remove(&order_seq)),
            }
        } else if CancelAccepted::from_record(record).is_some_and(|e| e.closed != 0)
            || Moved::from_record(record)
                .is_some_and(|e| e.outcome != TriggerOutcome::Released.code())
        {
            self.limits.sure.remove(&order_seq);
        } else if DayChange::from_record(record).is_some() {
            self.limits.sure.clear();
        }
        None
    }

    fn surely_open(&mut self, order_seq: u64, price: i64, order_qty: i64) {
        let Some(shadow) = self.orders.get(&order_seq) else { return };
        let sure = Sure {
            account_id: shadow.account_id,
            instrument_id: shadow.instrument_id,
            buy: shadow.side == Side::Buy.code(),
            price,
            order_qty,
            pending: None,
        };
        self.limits.sure.insert(order_seq, sure);
    }

    /// A report may end an order, whatever the desk makes of it, or settle its replace.
    fn hear_of_open(&mut self, e: &ExecutionReport) {
        let order_seq = e.header.order_seq;
        let Some(sure) = self.limits.sure.get_mut(&order_seq) else { return };
        let applied = e.disposition == Disposition::Applied.code();
        let revision = engine::street::decode(&e.street_id).map(|street| street.revision);
        let cum_qty = self.orders.get(&order_seq).map_or(0, |shadow| shadow.cum_qty);
        let part = e.leaves_qty == 0 && cum_qty < sure.order_qty; // what is left may never go out
        let of_pending = sure.pending.filter(|pending| Some(pending.0) == revision);
        match (ExecType::from_code(e.exec_type), of_pending) {
            (Some(ExecType::New | ExecType::PendingNew), _) => {}
            (Some(ExecType::Trade), _) if !part => {}
            (Some(ExecType::CancelRejected | ExecType::Suspended | ExecType::Stopped), _) => {}
            (Some(ExecType::Replaced), Some((_, price, order_qty))) if applied => {
                (sure.price, sure.order_qty, sure.pending) = (price, order_qty, None);
            }
            (Some(ExecType::ReplaceRejected), Some(_)) if applied => sure.pending = None,
            _ => drop(self.limits.sure.remove(&order_seq)),
        }
    }

    /// A new order leaves: behind its acceptance every limit holds with it; behind a trigger or a move
    /// it is open from now on, but what was filled meanwhile may have gone beyond.
    fn goes_out(&mut self, e: &Routed) -> Option<String> {
        let order_seq = e.header.order_seq;
        let accepted = self.limits.accepted.take().filter(|accepted| accepted.0 == order_seq);
        let (_, price, order_qty) = accepted.filter(|_| e.msg_type == MsgType::NewOrder.code())?;
        self.surely_open(order_seq, price, order_qty);
        self.check_limits(order_seq, price, order_qty).or_else(|| self.check_children(order_seq))
    }

    fn replaced_by(&mut self, e: &ReplaceAccepted) -> Option<String> {
        let order_seq = e.header.order_seq;
        let sure = *self.limits.sure.get(&order_seq)?;
        if e.held != 0 || e.by_cancel != 0 || sure.pending.is_some() {
            self.limits.sure.remove(&order_seq);
            return None;
        }
        let cum_qty = self.orders.get(&order_seq)?.cum_qty;
        let open = |price: i64, order_qty: i64| {
            let qty = (order_qty - cum_qty).max(0);
            (qty, i128::from(price) * i128::from(qty))
        };
        let (old, new) = (open(sure.price, sure.order_qty), open(e.price, e.order_qty));
        let mut wrong = self.check_order(order_seq, e.price, e.order_qty);
        if new.0 > old.0 || new.1 > old.1 {
            // With its new terms, as if they held already.
            self.surely_open(order_seq, e.price, e.order_qty);
            wrong = wrong.or_else(|| self.check_exposure(order_seq));
            wrong = wrong.or_else(|| self.check_children(order_seq));
        }
        let pending = Some((e.revision, e.price, e.order_qty));
        self.limits.sure.insert(order_seq, Sure { pending, ..sure });
        wrong
    }

    /// I27: bid and offer were there, not crossed, fresh, and the price within its band of them.
    fn check_reference(&self, e: &OrderAccepted) -> Option<String> {
        let bounds = self.limits.bounds;
        if e.tags & TAG_TERMS != 0 {
            return None;
        }
        let order_seq = e.header.order_seq;
        if e.bid_ticks == NO_TICKS || e.ask_ticks == NO_TICKS {
            return Some(format!("I27: order {order_seq} was accepted without a reference"));
        }
        let bid = e.price + i64::from(e.bid_ticks) * TICK;
        let ask = e.price + i64::from(e.ask_ticks) * TICK;
        if bid <= 0 || ask <= bid || e.reference_age_ms > 1_000 {
            let age = e.reference_age_ms;
            return Some(format!("I27: order {order_seq} by a reference {bid} {ask} of {age} ms"));
        }
        let within = (bid - bounds.band..=ask + bounds.band).contains(&e.price);
        (!within).then(|| format!("I27: order {order_seq} at {} is outside its band", e.price))
    }

    fn check_limits(&self, order_seq: u64, price: i64, order_qty: i64) -> Option<String> {
        let order = self.check_order(order_seq, price, order_qty);
        order.or_else(|| self.check_exposure(order_seq))
    }

    /// The limits of one order.
    fn check_order(&self, order_seq: u64, price: i64, order_qty: i64) -> Option<String> {
        let bounds = self.limits.bounds;
        if order_qty > bounds.order_qty {
            return Some(format!("I25: order {order_seq} has quantity {order_qty}"));
        }
        let worth = units(i128::from(price) * i128::from(order_qty));
        (worth > bounds.order_notional.into())
            .then(|| format!("I25: order {order_seq} is worth {worth}"))
    }

    /// I25: the worst case of the order's side, with this order in it.
    fn check_exposure(&self, order_seq: u64) -> Option<String> {
        let bounds = self.limits.bounds;
        if bounds.net_qty == i64::MAX {
            return None; // nothing binds
        }
        let Sure { account_id, instrument_id, buy, .. } = *self.limits.sure.get(&order_seq)?;
        let mut open: BTreeMap<u32, Sides> = BTreeMap::new();
        for (order_seq, sure) in &self.limits.sure {
            if sure.account_id != account_id {
                continue;
            }
            let (mut price, mut order_qty) = (sure.price, sure.order_qty);
            if let Some((_, new_price, new_qty)) = sure.pending {
                (price, order_qty) = (price.min(new_price), order_qty.min(new_qty));
            }
            let cum_qty = self.orders.get(order_seq).map_or(0, |shadow| shadow.cum_qty);
            let qty = i128::from((order_qty - cum_qty).max(0));
            let sides = open.entry(sure.instrument_id).or_default();
            sides.qty[usize::from(!sure.buy)] += qty;
            sides.points[usize::from(!sure.buy)] += qty * i128::from(price);
        }
        let (side, sign) = (usize::from(!buy), if buy { 1 } else { -1 });
        let net = self.holdings.get(&(account_id, instrument_id)).map_or(0, |held| held.net);
        let worst = sign * net + open.get(&instrument_id).map_or(0, |sides| sides.qty[side]);
        if worst <= 0 {
            return None; // it only reduces the position
        }
        let told = |what: &str, worst: i128| {
            Some(format!("I25: order {order_seq} makes the worst {what} of its account {worst}"))
        };
        if worst > bounds.net_qty.into() {
            return told("position", worst);
        }
        if self.limits.undone.contains(&account_id) {
            return None;
        }
        let (mut gross, mut net) = (0, 0);
        let rows = self.limits.costs.keys().filter(|row| row.0 == account_id).map(|row| row.1);
        for id in rows.chain(open.keys().copied()).collect::<BTreeSet<u32>>() {
            let cost = self.limits.costs.get(&(account_id, id)).map_or(0, |row| row.1);
            let sides = open.get(&id).copied().unwrap_or_default();
            let (long, short) = (cost + sides.points[0], sides.points[1] - cost);
            let larger = units(long.max(short).max(0));
            if id == instrument_id && larger > bounds.instrument_gross.into() {
                return told("gross in an instrument", larger);
            }
            (gross, net) = (gross + larger, net + units(if buy { long } else { short }));
        }
        if gross > bounds.gross.into() {
            return told("gross", gross);
        }
        if net > bounds.net.into() { told("net", net) } else { None }
    }

    /// I10: all that a parent's children have filled and have open, with this one.
    fn check_children(&self, order_seq: u64) -> Option<String> {
        let parent = self.orders.get(&order_seq).map_or(0, |shadow| shadow.parent);
        let most = self.orders.get(&parent)?.order_qty;
        let mut held = 0;
        for child in self.children.get(&parent)? {
            let cum_qty = self.orders.get(child).map_or(0, |shadow| shadow.cum_qty);
            let least = |sure: &Sure| {
                sure.pending.map_or(sure.order_qty, |pending| pending.2.min(sure.order_qty))
            };
            let open = self.limits.sure.get(child).map_or(0, least);
            held += cum_qty.max(open);
        }
        (held > most).then(|| format!("I10: children of {parent} hold {held} of its {most}"))
    }
}

/// Points in whole units of the desk's currency, at a rate of 1, downwards: a limit is never found
/// exceeded by a part of a unit.
fn units(points: i128) -> i128 {
    (points * i128::from(MULTIPLIER)).div_euclid(POINT)
}
