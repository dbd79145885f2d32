//! Which book a fill is booked in: an account keeps one position an instrument, or, hedging, a long
//! and a short leg apart, told by PositionEffect(77) of the order. Each book has its own chain of
//! fills; the risk row of the pair holds the sum of its books, which the checks of net read. Rows of
//! legs are written by `apply` alone; accounts that never hedged have none, and pay nothing for them.
//!
//! A leg may be closed beyond what is open by a venue's overfill alone: then it stands on the wrong
//! side of zero, flagged, until fills or an adjustment mend it. The mode changes only while nothing is
//! open; a bust that comes after that still moves the book its fill is in. What must stay true: the
//! row is the sum of its books, `closing_qty` and `opening` are folds of the live orders (I24).
//!
//! ```text
//!  chains: account x instrument ...  | hedging account x (long, short) x instrument ...
//! ```

use crate::number::{self, points, qty_fits, sum_fits};
use crate::order::Exposure;
use crate::position::{Ledger, Parts, enter, parts, unbook};
use crate::risk::{Account, Findings, RiskRow, check, side_index};
use crate::terms::{Fault, fault};
use crate::{Engine, Order};
use layout::{
    ACCOUNT_HEDGING, Definition, Disposition, ExecType, ExecutionReport, Header, LegAdjusted,
    PositionAdjusted, PositionEffect, PositionLeg, PositionSplit, Record, Routed, TAG_EFFECT_SHIFT,
    Typed, Verdict,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// One leg of a hedging account in an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Leg {
    /// Signed cost of what is open, points at 1e-18.
    pub cost: i128,
    /// Points of live orders that open more of it, worst case.
    pub opening: i128,
    /// Cash, fees and quantities of its fills.
    pub ledger: Ledger,
    /// What is open, signed: a long leg is above zero, a short one below.
    pub qty: i64,
    /// Quantity of live orders that close it, worst case.
    pub closing_qty: i64,
}

/// PositionEffect(77) as told in `tags`.
pub(crate) const fn effect(tags: u8) -> u8 {
    tags >> TAG_EFFECT_SHIFT & 3
}

/// Whether an order closes.
pub(crate) const fn closes(tags: u8) -> bool {
    effect(tags) == PositionEffect::Close as u8
}

/// The leg that an order of a hedging account belongs to: 0 long, 1 short.
const fn leg_index(buy: bool, tags: u8) -> usize {
    side_index(buy) ^ closes(tags) as usize
}

/// How far a leg stands on the wrong side of zero.
fn beyond(leg: usize, qty: i64) -> i64 {
    if leg == 0 { qty.saturating_neg().max(0) } else { qty.max(0) }
}

impl Leg {
    /// What can still be closed of it, given its place.
    fn size(&self, leg: usize) -> i64 {
        beyond(leg ^ 1, self.qty)
    }
}

impl Engine {
    // Books ---------------------------------------------------------------------------------------

    /// Whether an account keeps its legs apart.
    #[inline(always)]
    pub(crate) fn hedges(&self, account_id: u32) -> bool {
        self.accounts[account_id as usize].hedging != 0
    }

    fn leg_row(&self, legs: u32, instrument_id: u32, leg: usize) -> usize {
        ((legs as usize - 1) * 2 + leg) * self.config.instruments_max + instrument_id as usize
    }

    /// Both legs of an account in an instrument; empty ones for an account that never hedged, and where
    /// there is no such instrument: whoever explains a refusal asks about any number.
    pub(crate) fn both_legs(&self, account_id: u32, instrument_id: u32) -> [Leg; 2] {
        match self.accounts[account_id as usize].legs {
            0 => Default::default(),
            _ if instrument_id as usize >= self.config.instruments_max => Default::default(),
            legs => [0, 1].map(|leg| self.legs[self.leg_row(legs, instrument_id, leg)]),
        }
    }

    /// The chain that fills of an order are booked in.
    #[inline]
    pub(crate) fn chain_of(&self, order: &Order) -> usize {
        let account = &self.accounts[order.account_id as usize];
        if account.hedging == 0 {
            return self.pair(order.account_id, order.instrument_id);
        }
        let leg = leg_index(order.is_buy(), order.tags);
        self.rows.len() + self.leg_row(account.legs, order.instrument_id, leg)
    }

    /// Every chain that fills of an account in an instrument may be in.
    pub(crate) fn chains_of(&self, account_id: u32, instrument_id: u32) -> [Option<usize>; 3] {
        let legs = self.accounts[account_id as usize].legs;
        let of =
            |leg| (legs != 0).then(|| self.rows.len() + self.leg_row(legs, instrument_id, leg));
        [Some(self.pair(account_id, instrument_id)), of(0), of(1)]
    }

    /// The row of a chain.
    pub(crate) fn pair_of(&self, chain: usize) -> usize {
        let Some(row) = chain.checked_sub(self.rows.len()) else { return chain };
        let account_id = self.hedgers[row / (2 * self.config.instruments_max)];
        self.pair(account_id, (row % self.config.instruments_max) as u32)
    }

    /// Account and instrument of a row.
    pub(crate) fn ids_of(&self, pair: usize) -> (u32, u32) {
        let instruments = self.config.instruments_max;
        ((pair / instruments) as u32, (pair % instruments) as u32)
    }

    /// PositionEffect(77), as `tags` tell it, of an order of this side whose fills are in a chain.
    pub(crate) fn tags_of(&self, chain: usize, buy: bool) -> u8 {
        let Some(row) = chain.checked_sub(self.rows.len()) else { return 0 };
        let opens = row / self.config.instruments_max % 2 == leg_index(buy, 0);
        let effect = if opens { PositionEffect::Open } else { PositionEffect::Close };
        (effect as u8) << TAG_EFFECT_SHIFT
    }

    /// Net quantity and open cost of the book of a chain.
    #[inline]
    pub(crate) fn book_of(&self, chain: usize) -> (i64, i128) {
        if let Some(row) = chain.checked_sub(self.rows.len()) {
            let leg = &self.legs[row];
            return (leg.qty, leg.cost);
        }
        let account_id = (chain / self.config.instruments_max) as u32;
        let row = &self.rows[chain];
        if self.accounts[account_id as usize].legs == 0 {
            return (row.net_qty, row.open_cost);
        }
        let legs = self.both_legs(account_id, (chain % self.config.instruments_max) as u32);
        let net = legs.iter().fold(i128::from(row.net_qty), |net, leg| net - i128::from(leg.qty));
        (net as i64, row.open_cost - legs[0].cost - legs[1].cost)
    }

    /// Writes a book, and what it makes of its row.
    pub(crate) fn set_book(&mut self, chain: usize, (net, cost): (i64, i128)) {
        let (old_net, old_cost) = self.book_of(chain);
        if let Some(row) = chain.checked_sub(self.rows.len()) {
            (self.legs[row].qty, self.legs[row].cost) = (net, cost);
        }
        let pair = self.pair_of(chain);
        let row = &mut self.rows[pair];
        let sum = i128::from(row.net_qty) + i128::from(net) - i128::from(old_net);
        row.net_qty = i64::try_from(sum).expect("judged before it was logged");
        row.open_cost += cost - old_cost;
    }

    /// The ledger of the leg that a chain is of.
    pub(crate) fn leg_ledger(&mut self, chain: usize) -> Option<&mut Ledger> {
        let row = chain.checked_sub(self.rows.len())?;
        Some(&mut self.legs[row].ledger)
    }

    /// Takes an execution back out of its ledgers and enters what it has become.
    pub(crate) fn rebook(
        &mut self,
        chain: usize,
        (qty, px, fee): (i64, i64, i64),
        new: Option<(i64, i64, i64)>,
    ) {
        let pair = self.pair_of(chain);
        for ledger in [Some(pair), None] {
            let ledger = match ledger {
                Some(pair) => Some(&mut self.ledgers[pair]),
                None => self.leg_ledger(chain),
            };
            let Some(ledger) = ledger else { continue };
            unbook(ledger, qty, px, fee);
            if let Some((px, qty, fee)) = new {
                enter(ledger, qty, px, fee);
            }
        }
    }

    /// Takes the money of an opening balance or adjustment out of its ledgers.
    pub(crate) fn pay_adjustment(&mut self, chain: usize, value: i128) {
        let pair = self.pair_of(chain);
        self.ledgers[pair].cash -= value;
        if let Some(ledger) = self.leg_ledger(chain) {
            ledger.cash -= value;
        }
    }

    // Range ---------------------------------------------------------------------------------------

    /// Whether a quantity at a price leaves every sum of a chain's book in its range.
    #[inline]
    pub(crate) fn book_takes(&self, chain: usize, signed: i64, px: i64) -> bool {
        let pair = self.pair_of(chain);
        let qty = |net: i64| qty_fits(i128::from(net) + i128::from(signed));
        qty(self.rows[pair].net_qty)
            && sum_fits(self.ledgers[pair].cash - points(px, signed))
            && (chain == pair && self.hedgers.is_empty() || {
                let leg = chain.checked_sub(self.rows.len()).map(|row| self.legs[row].ledger.cash);
                qty(self.book_of(chain).0) && sum_fits(leg.unwrap_or(0) - points(px, signed))
            })
    }

    /// Whether a known fill may become another, 0 and 0 for none: quantity signed.
    pub(crate) fn amend_fits(&self, at: u32, qty: i64, px: i64) -> bool {
        let fill = self.fills.row(at);
        let (chain, pair) = (fill.chain as usize, self.pair_of(fill.chain as usize));
        let shift = i128::from(qty) - i128::from(fill.last_qty);
        let more = points(px, qty) - points(fill.last_px, fill.last_qty);
        let leg = chain.checked_sub(self.rows.len()).map(|row| self.legs[row].ledger.cash);
        self.fills.amend_fits(at, qty, self.book_of(chain).0)
            && qty_fits(i128::from(self.rows[pair].net_qty) + shift)
            && sum_fits(self.ledgers[pair].cash - more)
            && sum_fits(leg.unwrap_or(0) - more)
    }

    /// Whether an opening balance or adjustment may be taken: in range, of a book that the mode keeps
    /// or that is still open, and no leg further beyond zero than it is.
    pub(crate) fn adjustment_fits(&self, e: &PositionAdjusted) -> bool {
        let c = &self.config;
        if e.account_id as usize >= c.accounts_max || e.instrument_id as usize >= c.instruments_max
        {
            return false;
        }
        let chain = self.pair(e.account_id, e.instrument_id);
        points(e.price, e.net_qty).abs() < number::POINTS_MAX
            && (!self.hedges(e.account_id) || self.book_of(chain).0 != 0)
            && self.book_takes(chain, e.net_qty, e.price)
    }

    /// As `adjustment_fits`, of a leg.
    pub(crate) fn leg_adjustment_fits(&self, e: &LegAdjusted) -> bool {
        let c = &self.config;
        if e.account_id as usize >= c.accounts_max || e.instrument_id as usize >= c.instruments_max
        {
            return false;
        }
        let Some(chain) = self.chain_of_leg(e) else { return false };
        let (leg, was) = (e.position_leg as usize - 1, self.book_of(chain).0);
        points(e.price, e.net_qty).abs() < number::POINTS_MAX
            && (self.hedges(e.account_id) || was != 0)
            && self.book_takes(chain, e.net_qty, e.price)
            && beyond(leg, was.saturating_add(e.net_qty)) <= beyond(leg, was)
    }

    /// The chain of the leg that an adjustment names; `None` where there is none.
    pub(crate) fn chain_of_leg(&self, e: &LegAdjusted) -> Option<usize> {
        let leg = match PositionLeg::from_code(e.position_leg)? {
            PositionLeg::Net => return None,
            PositionLeg::Long => 1,
            PositionLeg::Short => 2,
        };
        self.chains_of(e.account_id, e.instrument_id)[leg]
    }

    // Through zero --------------------------------------------------------------------------------

    /// What is told of a fill that takes its book through zero or closes more of a leg than there is;
    /// `None` for every other report.
    #[inline]
    pub(crate) fn split_of(
        &self,
        report: &ExecutionReport,
        order_seq: u64,
        disposition: Disposition,
    ) -> Option<PositionSplit> {
        use Disposition::{Applied, Late, Overfill};
        let books = matches!(disposition, Applied | Late | Overfill)
            && report.exec_type == ExecType::Trade as u8;
        let order = &if books { self.order_or_forgotten(order_seq)? } else { return None };
        let chain = self.chain_of(order);
        let before = self.book_of(chain);
        let signed = order.signed(report.last_qty);
        let found = parts(before, signed, report.last_px, report.fee);
        let leg = (chain >= self.rows.len()).then(|| leg_index(order.is_buy(), order.tags));
        let over = leg.is_some_and(|leg| {
            beyond(leg, before.0.saturating_add(signed)) > beyond(leg, before.0)
        });
        if found.is_none() && !over {
            return None;
        }
        let mut told = split(order, report, found);
        (told.over_close, told.position_leg) = (u8::from(over), leg.map_or(0, |leg| leg as u8 + 1));
        Some(told)
    }

    /// A split agrees with what the fold has made of its fill.
    #[cold]
    pub(crate) fn check_split(&self, e: &PositionSplit) {
        let order = self.order_or_forgotten(e.header.order_seq).expect("its fill was booked");
        let (net, cost) = self.book_of(self.chain_of(&order));
        assert!(e.open_qty > 0);
        if e.close_qty != 0 {
            assert!(net.unsigned_abs() == e.open_qty as u64);
            assert!(cost == points(e.last_px, net));
        }
    }

    // Reserve and sums ----------------------------------------------------------------------------

    /// Moves what live orders may still do to the leg of an order.
    pub(crate) fn reserve_leg(
        &mut self,
        (account_id, instrument_id): (u32, u32),
        (buy, tags): (bool, u8),
        more: Exposure,
    ) {
        let legs = self.accounts[account_id as usize].legs;
        let row = self.leg_row(legs, instrument_id, leg_index(buy, tags));
        let leg = &mut self.legs[row];
        if closes(tags) {
            leg.closing_qty = leg.closing_qty.saturating_add(more.qty);
        } else {
            leg.opening += more.points;
        }
        assert!(leg.closing_qty >= 0);
        assert!(leg.opening >= 0);
    }

    /// Points of the long and of the short side where legs do not offset each other, orders that open
    /// included.
    fn sides_apart(&self, account_id: u32, instrument_id: u32) -> [i128; 2] {
        let legs = self.both_legs(account_id, instrument_id);
        let net = self.book_of(self.pair(account_id, instrument_id)).1;
        let mut sides = legs.map(|leg| leg.opening);
        for cost in [net, legs[0].cost, legs[1].cost] {
            sides[usize::from(cost < 0)] += cost.abs();
        }
        sides
    }

    /// What a row counts for in its account: gross, worst long and worst short. Gross is the larger
    /// side (DESIGN §7); a hedging account's sides are its legs, which do not offset each other.
    pub(crate) fn row_sums(&self, account_id: u32, instrument_id: u32) -> (i128, i128, i128) {
        let row = &self.rows[self.pair(account_id, instrument_id)];
        let gross = if self.hedges(account_id) {
            let sides = self.sides_apart(account_id, instrument_id);
            sides[0].max(sides[1])
        } else {
            row.gross()
        };
        (gross, row.worst_long(), row.worst_short())
    }

    /// Gross of a hedging account's row as it is and with one more order.
    pub(crate) fn gross_apart(
        &self,
        account_id: u32,
        instrument_id: u32,
        (buy, tags): (bool, u8),
        more: i128,
    ) -> (i128, i128) {
        let mut sides = self.sides_apart(account_id, instrument_id);
        let was = sides[0].max(sides[1]);
        if !closes(tags) {
            sides[side_index(buy)] += more;
        }
        (was, sides[0].max(sides[1]))
    }

    // Gate ----------------------------------------------------------------------------------------

    /// Whether an order only takes from what is open (DESIGN §7), with `more` beyond what is reserved:
    /// it and the live orders of its side stay between the position and zero, or, hedging, it and those
    /// that close its leg stay within the leg.
    #[inline(always)]
    pub(crate) fn reduces(
        &self,
        row: &RiskRow,
        (account_id, instrument_id): (u32, u32),
        (buy, tags): (bool, u8),
        more: i64,
    ) -> bool {
        if crate::gate::at(&self.accounts, account_id as usize).hedging != 0 {
            return closes(tags) && more <= self.leg_left(account_id, instrument_id, buy, tags, 0);
        }
        let side = side_index(buy);
        row.signed_net(side).saturating_add(row.open_qty[side]).saturating_add(more) <= 0
    }

    /// What no live order closes yet of the leg that an order belongs to; below zero when orders close
    /// more. `own`: what the order itself has reserved there.
    pub(crate) fn leg_left(
        &self,
        account_id: u32,
        instrument_id: u32,
        buy: bool,
        tags: u8,
        own: i64,
    ) -> i64 {
        let leg = leg_index(buy, tags);
        let found = &self.both_legs(account_id, instrument_id)[leg];
        found.size(leg).saturating_sub(found.closing_qty).saturating_add(own)
    }

    /// What a hedging account's order must say and may close, `more` beyond what it has reserved;
    /// judged behind the catalogue's other checks.
    pub(crate) fn check_leg(
        &self,
        (account_id, instrument_id): (u32, u32),
        (buy, tags): (bool, u8),
        more: i64,
    ) -> Result<(), Fault> {
        if !self.hedges(account_id) {
            return Ok(());
        }
        match PositionEffect::from_code(effect(tags)) {
            Some(PositionEffect::Open) => Ok(()),
            Some(PositionEffect::Close) => {
                let left = self.leg_left(account_id, instrument_id, buy, tags, 0);
                if more > left && more > 0 {
                    return fault(Verdict::CloseExceedsLeg, more, left.max(0));
                }
                Ok(())
            }
            _ => fault(Verdict::PositionEffectInvalid, effect(tags) as i64, 0),
        }
    }

    /// The exposure checks of a hedging account: net limits on long less short, as everywhere; gross
    /// limits on its sides apart, which a close never adds to.
    #[cold]
    pub(crate) fn check_exposure_apart<F: Findings>(
        &self,
        f: &mut F,
        account: &Account,
        (account_id, instrument_id): (u32, u32),
        (buy, tags): (bool, u8),
        more: Exposure,
    ) -> bool {
        let row = &self.rows[self.pair(account_id, instrument_id)];
        let factor = &self.instruments[instrument_id as usize].factor;
        let side = side_index(buy);
        let worst_qty = row.worst_qty(side, more.qty);
        check!(f, row.open_too_large(side, more.qty), NetQtyLimit);
        if more.qty <= 0 && more.points <= 0 {
            return false;
        }
        let nets = worst_qty > 0;
        let worst = account.worst[side] + row.weigh(factor, side, more.points).side;
        let (was, is) = self.gross_apart(account_id, instrument_id, (buy, tags), more.points);
        let gross = account.gross + factor.micro(is) - factor.micro(was);
        check!(f, nets && worst_qty > row.net_qty_max, NetQtyLimit);
        check!(f, !closes(tags) && is > row.gross_points_max, InstrumentGrossLimit);
        check!(f, nets && worst > account.net_max, AccountNetLimit);
        check!(f, !closes(tags) && gross > account.gross_max, AccountGrossLimit);
        false
    }

    /// Says in the message of a hedging account's new order which leg it belongs to.
    pub(crate) fn tell_effect(&self, slot: &mut Record, account_id: u32, tags: u8) {
        if self.hedges(account_id) {
            Routed::view_mut(slot).position_effect = effect(tags);
        }
    }

    // Mode ----------------------------------------------------------------------------------------

    /// Whether an account may be defined like this: its mode changes only while it has no live order
    /// and no open position, and legs are kept for so many accounts.
    pub(crate) fn judge_mode(&self, known: Option<u32>, flags: u8) -> Verdict {
        let account = crate::gate::at(&self.accounts, known.unwrap_or(0) as usize);
        let hedging = u8::from(flags & ACCOUNT_HEDGING != 0);
        if hedging == account.hedging {
            return Verdict::Accepted;
        }
        if let Some(account_id) = known
            && self.in_use(account_id)
        {
            return Verdict::PositionModeInUse;
        }
        if hedging != 0 && account.legs == 0 && self.hedgers.len() == self.config.hedging_max {
            return Verdict::DefinitionTableFull;
        }
        Verdict::Accepted
    }

    fn in_use(&self, account_id: u32) -> bool {
        self.reserving_orders().any(|order| order.account_id == account_id)
            || (0..self.config.instruments_max as u32).any(|instrument_id| {
                let chains = self.chains_of(account_id, instrument_id);
                chains.into_iter().flatten().any(|chain| self.book_of(chain).0 != 0)
            })
    }

    /// Folds the mode of a defined account.
    pub(crate) fn fold_mode(&mut self, e: &Definition) {
        let account = &mut self.accounts[e.id as usize];
        account.hedging = u8::from(e.flags & ACCOUNT_HEDGING != 0);
        if account.hedging != 0 && account.legs == 0 {
            assert!(self.hedgers.len() < self.config.hedging_max);
            self.hedgers.push(e.id);
            account.legs = self.hedgers.len() as u32;
        }
    }
}

/// The record of a fill's parts; without any the whole of it opens.
#[cold]
fn split(order: &Order, report: &ExecutionReport, found: Option<Parts>) -> PositionSplit {
    let (open_qty, open_fee) = (report.last_qty, report.fee);
    let whole = Parts { close_qty: 0, open_qty, close_fee: 0, open_fee, realised: 0 };
    let parts = found.unwrap_or(whole);
    PositionSplit {
        header: Header { kind: PositionSplit::KIND, order_seq: order.order_seq, ..Header::ZERO },
        exec_id: report.exec_id,
        close_qty: parts.close_qty,
        open_qty: parts.open_qty,
        last_px: report.last_px,
        close_fee: parts.close_fee,
        open_fee: parts.open_fee,
        realised_low: parts.realised as u64,
        realised_high: (parts.realised >> 64) as i64,
        account_id: order.account_id,
        instrument_id: order.instrument_id,
        side: order.side,
        ..PositionSplit::ZERO
    }
}
