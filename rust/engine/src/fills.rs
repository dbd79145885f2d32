//! The executions already booked: (venue, session day, order, exec_id) -> payload. Open addressing
//! over 32-byte rows, two to a line, never grown; read when a report is judged, written by `apply`.

use arch::Table;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// One booked execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct FillRow {
    /// ExecID(17), or a deterministic one where the venue gave none.
    pub exec_id: [u8; 16],
    /// Order, never 0.
    pub order_seq: u64,
    /// Low bits of the hash of price and quantity.
    pub payload: u32,
    /// Venue.
    pub venue_id: u16,
    /// Session day.
    pub trade_day: u16,
}

/// What is known of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not booked yet.
    No,
    /// Booked with the same price and quantity.
    Same,
    /// Booked with another price or quantity.
    Other,
}

/// The table of booked executions.
pub struct Fills {
    rows: Table<FillRow>,
    len: u64,
}

impl Fills {
    /// Room for `fills_max` executions, a power of two; at most 15 of 16 rows are used.
    pub fn new(fills_max: usize) -> std::io::Result<Self> {
        assert!(fills_max.is_power_of_two());
        Ok(Self { rows: Table::zeroed(fills_max)?, len: 0 })
    }

    #[inline]
    fn slot(&self, row: &FillRow) -> usize {
        let key = FillRow { payload: 0, ..*row };
        let hash = xxhash_rust::xxh3::xxh3_64(key.as_bytes()) as usize;
        let mask = self.rows.len() - 1;
        let mut at = hash & mask;
        while self.rows[at].order_seq != 0 && (FillRow { payload: 0, ..self.rows[at] }) != key {
            at = (at + 1) & mask; // ends: one row of sixteen is always free
        }
        at
    }

    /// Whether an execution is booked.
    #[inline]
    pub fn find(&self, row: &FillRow) -> Known {
        match self.rows[self.slot(row)] {
            FillRow { order_seq: 0, .. } => Known::No,
            found if found.payload == row.payload => Known::Same,
            _ => Known::Other,
        }
    }

    /// Books an execution; one that does not fit is not remembered, and `false` says so.
    #[inline]
    pub fn insert(&mut self, row: FillRow) -> bool {
        assert!(row.order_seq != 0);
        if self.len >= self.capacity() {
            return false;
        }
        let at = self.slot(&row);
        self.len += u64::from(self.rows[at].order_seq == 0);
        self.rows[at] = row;
        true
    }

    /// Executions booked.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none is booked.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Executions it has room for.
    pub fn capacity(&self) -> u64 {
        self.rows.len() as u64 / 16 * 15
    }

    /// Booked executions in the order of the table, for the state hash: it depends on the set and the
    /// order of arrival, which a replay repeats.
    pub fn rows(&self) -> impl Iterator<Item = &FillRow> {
        self.rows.iter().filter(|row| row.order_seq != 0)
    }
}

/// The row of a report. Session day: TradeDate(75) as told, else the venue's present day.
#[inline]
pub fn fill_row(report: &layout::ExecutionReport, order_seq: u64, present_day: u16) -> FillRow {
    let (px, qty) = (report.last_px as u64, report.last_qty as u64);
    let mix = (px ^ qty.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ qty;
    let mut exec_id = report.exec_id;
    if exec_id == [0; 16] {
        // No ExecID(17): a deterministic one of what identifies the fill at its venue.
        exec_id[..8].copy_from_slice(&(mix ^ report.transact_time_ns as u64).to_le_bytes());
        exec_id[8..].copy_from_slice(&report.cum_qty.to_le_bytes());
    }
    FillRow {
        exec_id,
        order_seq,
        payload: (mix >> 32) as u32 ^ mix as u32,
        venue_id: report.venue_id,
        trade_day: if report.trade_day != 0 { report.trade_day } else { present_day },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64, payload: u32) -> FillRow {
        FillRow {
            exec_id: layout::text(&format!("X{n}")),
            order_seq: n % 5 + 1,
            payload,
            venue_id: 1,
            trade_day: 9,
        }
    }

    #[test]
    fn a_booked_fill_is_known_and_another_payload_is_told_apart() {
        let mut fills = Fills::new(64).unwrap();
        for n in 0..60 {
            assert_eq!(fills.find(&row(n, 7)), Known::No);
            assert!(fills.insert(row(n, 7)));
            assert_eq!(fills.find(&row(n, 7)), Known::Same);
            assert_eq!(fills.find(&row(n, 8)), Known::Other);
        }
        assert!(!fills.insert(row(60, 7)), "a full table says so");
        assert_eq!(fills.rows().count(), 60);
    }

    #[test]
    fn one_exec_id_on_two_orders_venues_or_days_is_two_fills() {
        let mut fills = Fills::new(16).unwrap();
        fills.insert(row(1, 7));
        for other in [
            FillRow { order_seq: 99, ..row(1, 7) },
            FillRow { venue_id: 2, ..row(1, 7) },
            FillRow { trade_day: 10, ..row(1, 7) },
        ] {
            assert_eq!(fills.find(&other), Known::No);
        }
    }
}
