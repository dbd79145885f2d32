//! Orders pegged here to best bid, best offer or the midpoint, with an offset. A pegged order goes out as a
//! limit order at the price of the moment and is replaced when that price has moved: by `peg_ticks` at
//! least, `peg_interval_ns` after the last time at the soonest, one change in flight at a time, within
//! every check of a replace, the throttles included. The price lies on the tick on the passive side and
//! never beyond Price(44) of the command (0: the band alone bounds it). A reference that is absent, stale,
//! crossed or locked prices nothing: the order stays where it is. So does one whose replace the gate
//! refuses, and one that something is in flight for. Pegs are the desk's, never the venue's.
//!
//! Each new price is an event with bid and offer as they were. Called by the pipeline with each quote.

use crate::order::{DIFFERS, Order};
use crate::{Engine, Log, Outbox};
use arch::mutant;
use layout::{NO_PRICE, OrdStatus, OrderTerms, OwnCause, PegType};

/// What a price is pegged to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peg {
    peg_type: u8,
    offset: i64,
    worst_px: i64,
}

impl Peg {
    /// The peg of terms whose `stop_px` is the worst price.
    pub(crate) fn of(t: &OrderTerms) -> Self {
        Self { peg_type: t.peg_type, offset: t.peg_offset, worst_px: t.stop_px }
    }
}

impl Engine {
    /// The price of a pegged order and the reference it comes from; `None` while there is no reference.
    pub(crate) fn peg_price(&self, instrument_id: u32, buy: bool, peg: &Peg) -> Option<(i64, i64)> {
        let i = self.instruments.get(instrument_id as usize)?;
        let (bid, ask) = (i.bid, i.ask);
        if i.reference_faults != 0 || bid == NO_PRICE || ask == NO_PRICE {
            return None;
        }
        // Twice the midpoint is whole where the midpoint is not.
        let twice = match PegType::from_code(peg.peg_type)? {
            PegType::Bid => 2 * bid as i128,
            PegType::Ask => 2 * ask as i128,
            PegType::Mid => bid as i128 + ask as i128,
            PegType::None => return None,
        };
        let wanted = twice + 2 * peg.offset as i128;
        let step = 2 * i.tick.value as i128;
        let ticks = if buy { wanted.div_euclid(step) } else { -(-wanted).div_euclid(step) };
        let price = i64::try_from(ticks * i.tick.value as i128).ok()?;
        let worst_px = peg.worst_px;
        mutant!(peg_beyond_its_worst: worst_px = 0);
        let price = match worst_px {
            0 => price,
            worst if buy => price.min(i.inward(worst, buy)),
            worst => price.max(i.inward(worst, buy)),
        };
        Some((price, (twice / 2) as i64))
    }

    /// Best bid and offer of an instrument have moved, or the time has come: prices its pegged orders
    /// anew.
    #[cold]
    pub(crate) fn price_pegs<L: Log, O: Outbox>(
        &mut self,
        instrument_id: u32,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        if self.recovering != 0 || self.unsound(instrument_id, now_ns) {
            return;
        }
        let mut at = self.pegs.first(instrument_id as usize);
        while let Some(row) = at {
            at = self.pegs.next(row);
            let order = self.orders[self.slot(self.pegs.order_seq(row))];
            if log.room() > self.config.log_reserve {
                self.price_peg(&order, row, now_ns, log, outbox);
            }
        }
    }

    fn price_peg<L: Log, O: Outbox>(
        &mut self,
        order: &Order,
        row: usize,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        mutant!(peg_left_behind => return);
        let terms = &self.order_terms[row];
        let peg = Peg { peg_type: terms.peg_type, offset: terms.trail, worst_px: terms.stop_px };
        let next_ns = terms.pegged_ns.saturating_add(self.config.peg_interval_ns);
        let Some((price, _)) = self.peg_price(order.instrument_id, order.is_buy(), &peg) else {
            return;
        };
        let tick = self.instruments[order.instrument_id as usize].tick.value;
        let least = tick.saturating_mul(self.config.peg_ticks);
        if price.saturating_sub(order.price).saturating_abs() < least {
            return;
        }
        let rests = [OrdStatus::New as u8, OrdStatus::PartiallyFilled as u8].contains(&order.base);
        if now_ns < next_ns || !rests || order.flight & !DIFFERS != 0 {
            // Looked at again when it may move, at the latest.
            let again_ns = next_ns.max(now_ns.saturating_add(self.config.peg_interval_ns / 4 + 1));
            self.wake_by(if now_ns < next_ns { next_ns } else { again_ns });
            return;
        }
        let to = (price, order.order_qty);
        self.replace_own(order, to, OwnCause::Peg, now_ns, log, outbox);
    }

    /// Prices what had to wait.
    pub(crate) fn wake_pegs<L: Log, O: Outbox>(
        &mut self,
        now_ns: i64,
        log: &mut L,
        outbox: &mut O,
    ) {
        for instrument_id in 1..self.instruments.len() {
            if self.pegs.len(instrument_id) != 0 {
                self.price_pegs(instrument_id as u32, now_ns, log, outbox);
            }
        }
    }
}
