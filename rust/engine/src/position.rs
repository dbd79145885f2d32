//! Positions of an account in an instrument: exact cash and cost in points x units at 1e-18, average
//! cost, a partial close moves `floor(cost x closed / open)`, so that realised + open cost = cash
//! exactly (DESIGN §2). Written by `apply`; multiplied by the contract multiplier when shown. What must
//! stay true: no sum saturates, since what would leave its range is refused before it is logged.

use crate::number::{points, share_floor};
use crate::risk::RiskRow;
use arch::mutant;
use layout::PositionLeg;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The cold half of a position; net and open cost lie in the risk row, which the gate reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Ledger {
    /// Cash from fills in points at 1e-18: sells positive, buys negative.
    pub cash: i128,
    /// Fees in the instrument's currency at 1e-9.
    pub fees: i128,
    /// Quantity bought.
    pub buy_qty: i128,
    /// Quantity sold.
    pub sell_qty: i128,
}

/// A position as people see it; points at 1e-18 still without the contract multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The whole of it, or one leg of a hedging account.
    pub leg: PositionLeg,
    /// Account.
    pub account_id: u32,
    /// Instrument.
    pub instrument_id: u32,
    /// Net quantity, signed.
    pub net_qty: i64,
    /// Signed cost of the open position.
    pub open_cost: i128,
    /// Realised, before fees: cash + open cost.
    pub realised: i128,
    /// Fees, in currency at 1e-9.
    pub fees: i128,
    /// Quantity bought and sold.
    pub traded_qty: (i128, i128),
}

impl Position {
    /// Unrealised at a mark, points at 1e-18.
    pub fn unrealised(&self, mark_px: i64) -> i128 {
        points(mark_px, self.net_qty) - self.open_cost
    }
}

/// Books one fill: through zero it closes what was open at its average cost and opens the rest.
#[inline]
pub(crate) fn book(row: &mut RiskRow, ledger: &mut Ledger, buy: bool, qty: i64, px: i64, fee: i64) {
    let signed = if buy { qty } else { -qty };
    enter(ledger, signed, px, fee);
    (row.net_qty, row.open_cost) = carry((row.net_qty, row.open_cost), signed, px);
}

/// Takes the money of a fill into the ledger.
#[inline]
pub(crate) fn enter(ledger: &mut Ledger, signed: i64, px: i64, fee: i64) {
    mutant!(fee_with_the_wrong_sign: fee = -fee);
    ledger.cash -= points(px, signed);
    ledger.fees += fee as i128;
    let qty = (signed as i128).abs();
    *(if signed > 0 { &mut ledger.buy_qty } else { &mut ledger.sell_qty }) += qty;
}

/// Takes the money of a fill back out of the ledger; net and open cost are the refold's.
pub(crate) fn unbook(ledger: &mut Ledger, signed: i64, px: i64, fee: i64) {
    mutant!(bust_keeps_its_cash: px = 0);
    ledger.cash += points(px, signed);
    ledger.fees -= fee as i128;
    let qty = (signed as i128).abs();
    *(if signed > 0 { &mut ledger.buy_qty } else { &mut ledger.sell_qty }) -= qty;
}

/// Net and open cost after a signed quantity at a price. The sum was found to fit before it was logged.
#[inline]
pub(crate) fn carry((net, cost): (i64, i128), signed: i64, px: i64) -> (i64, i128) {
    let now = net.checked_add(signed).expect("judged before it was logged");
    mutant!(through_zero_keeps_its_cost => if now.signum() != net.signum() { return (now, cost) });
    let cost = if net == 0 || (net > 0) == (signed > 0) {
        cost + points(px, signed)
    } else if signed.unsigned_abs() < net.unsigned_abs() {
        cost - share_floor(cost, signed.abs(), net.abs())
    } else {
        points(px, now)
    };
    (now, cost)
}

/// A fill that takes a position through zero, as its close and its open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub close_qty: i64,
    pub open_qty: i64,
    pub close_fee: i64,
    pub open_fee: i64,
    /// What the close realises before fees; the open realises nothing.
    pub realised: i128,
}

/// The parts of a fill on a position; `None` unless it closes all that is open and opens the other way.
#[inline]
pub(crate) fn parts((net, cost): (i64, i128), signed: i64, px: i64, fee: i64) -> Option<Parts> {
    let (open, qty) = (net.unsigned_abs(), signed.unsigned_abs());
    if net == 0 || (net > 0) == (signed > 0) || qty <= open {
        return None;
    }
    let close_qty = open as i64; // below a quantity that is an i64 itself
    let close_fee = (fee as i128 * open as i128).div_euclid(qty as i128) as i64;
    Some(Parts {
        close_qty,
        open_qty: (qty - open) as i64,
        close_fee,
        open_fee: fee - close_fee,
        realised: points(px, net) - cost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> RiskRow {
        zerocopy::FromZeros::new_zeroed()
    }

    proptest! {
        #[test]
        fn realised_and_unrealised_is_the_cash_flow_and_the_mark(
            fills in proptest::collection::vec((any::<bool>(), 1i64..10_000, -50_000i64..50_000), 0..60), mark in -50_000i64..50_000
        ) {
            let (mut row, mut ledger, mut cash, mut net) = (row(), Ledger::default(), 0i128, 0i64);
            for (buy, qty, px) in fills {
                book(&mut row, &mut ledger, buy, qty, px, 0);
                let signed = if buy { qty } else { -qty };
                cash -= px as i128 * signed as i128;
                net += signed;
                prop_assert_eq!(row.net_qty, net);
                prop_assert!(net != 0 || row.open_cost == 0, "a flat position costs nothing");
            }
            prop_assert_eq!(ledger.cash, cash);
            let realised = ledger.cash + row.open_cost;
            prop_assert_eq!(realised + points(mark, net) - row.open_cost, cash + mark as i128 * net as i128);
        }
    }

    #[test]
    fn a_long_that_sells_through_zero_realises_all_and_opens_short_at_the_fill() {
        let (mut row, mut ledger) = (row(), Ledger::default());
        book(&mut row, &mut ledger, true, 10, 100, 0);
        book(&mut row, &mut ledger, false, 15, 110, 0);
        assert_eq!((row.net_qty, row.open_cost), (-5, -550));
        assert_eq!(ledger.cash + row.open_cost, 100);
    }

    #[test]
    fn a_partial_close_moves_the_floor_of_the_cost() {
        let (mut row, mut ledger) = (row(), Ledger::default());
        book(&mut row, &mut ledger, true, 1, 10, 0);
        book(&mut row, &mut ledger, true, 2, 11, 0); // cost 32 for 3
        book(&mut row, &mut ledger, false, 1, 12, 0); // floor(32/3) = 10 leaves
        assert_eq!((row.net_qty, row.open_cost), (2, 22));
        assert_eq!(ledger.cash + row.open_cost, 2); // 12 - 10
    }
}
