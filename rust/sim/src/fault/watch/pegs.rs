//! Pegged orders: each price that the desk gives one must follow from what it is pegged to, by the rule
//! alone: reference and offset, on the tick on the passive side, never beyond the worst price. Part of
//! `Watch`; `run` holds the venues' orders against the same rule when all is quiet.

use super::Watch;
use super::limits::TICK;
use layout::*;

/// What an order is pegged to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peg {
    peg_type: u8,
    offset: i64,
    /// 0 for none.
    worst_px: i64,
    buy: bool,
}

impl Peg {
    /// Its price by this bid and this offer.
    pub fn price(&self, bid: i64, ask: i64) -> i64 {
        let twice = match PegType::from_code(self.peg_type) {
            Some(PegType::Bid) => 2 * bid,
            Some(PegType::Ask) => 2 * ask,
            _ => bid + ask,
        };
        let wanted = twice + 2 * self.offset;
        let below = wanted.div_euclid(2 * TICK) * TICK;
        let exact = wanted.rem_euclid(2 * TICK) == 0;
        match (self.buy, self.worst_px) {
            (true, 0) => below,
            (true, worst) => below.min(worst),
            (false, worst) => (if exact { below } else { below + TICK }).max(worst),
        }
    }
}

impl Watch {
    /// The price of a pegged order by one more event.
    pub(super) fn follow_pegs(&mut self, record: &Record) -> Option<String> {
        let order_seq = record.header.order_seq;
        if let Some(e) = OrderTerms::from_record(record) {
            if e.peg_type == PegType::None.code() {
                return None;
            }
            let buy = self.orders.get(&order_seq)?.side == Side::Buy.code();
            let (offset, worst_px) = (e.peg_offset, e.stop_px);
            let peg = Peg { peg_type: e.peg_type, offset, worst_px, buy };
            self.pegs.insert(order_seq, peg);
            self.tell("pegged");
            let (_, price, _) = self.limits.accepted.filter(|accepted| accepted.0 == order_seq)?;
            let due = peg.price(e.reference_px, e.reference_px);
            return (price != due)
                .then(|| format!("order {order_seq} is pegged at {price} where {due} is due"));
        }
        let e = ReplaceAccepted::from_record(record)?;
        if e.why != OwnCause::Peg.code() {
            return None;
        }
        let Some(peg) = self.pegs.get(&order_seq) else {
            return Some(format!("order {order_seq} is no pegged order and was priced as one"));
        };
        let at = |ticks: i32| e.price + i64::from(ticks) * TICK;
        let due = peg.price(at(e.bid_ticks), at(e.ask_ticks));
        self.tell("peg_moved");
        let told = e.bid_ticks != NO_TICKS && e.ask_ticks != NO_TICKS;
        (!told || due != e.price)
            .then(|| format!("order {order_seq} follows its peg to {} where {due} is due", e.price))
    }
}
