//! Orders that have left the table, by what their fills still tell of them: the account, the instrument,
//! the side, the parent. A late fill of such an order is booked and flagged (CORNERS 3), a fill that we
//! have is known as one, and a bust or correct reaches the parent that still counts it. An order of
//! which no fill is remembered is nobody's: its reports are flagged and change nothing. Called by the
//! judgement of reports and by `apply`.

use crate::order::closed;
use crate::report::Taken;
use crate::{Engine, Order, fills, foreign};
use layout::{Disposition, ExecRef, ExecType, ExecutionReport, OrdStatus, Side};

impl Engine {
    /// An order that is not in the table, as its fills tell it: closed, of a quantity that nobody knows.
    pub(crate) fn forgotten(&self, order_seq: u64) -> Option<Order> {
        let fill = self.fills.of_order(order_seq)?;
        let (pair, buy) = (self.pair_of(fill.chain as usize), fill.last_qty > 0);
        let (account_id, instrument_id) = self.ids_of(pair);
        Some(Order {
            order_seq,
            account_id,
            instrument_id,
            venue_id: fill.venue_id,
            side: if buy { Side::Buy } else { Side::Sell } as u8,
            tags: self.tags_of(fill.chain as usize, buy),
            base: OrdStatus::Canceled as u8,
            order_qty: i64::MAX, // so no fill is beyond it
            parent_order_seq: self.parent_of(fill),
            ..Order::default()
        })
    }

    /// An order by our number, as far as anything is remembered of it.
    pub(crate) fn order_or_forgotten(&self, order_seq: u64) -> Option<Order> {
        self.order(order_seq).copied().or_else(|| self.forgotten(order_seq))
    }

    /// The parent of a fill's order, 0 for none and for one that is forgotten too.
    pub(crate) fn parent_of(&self, fill: &fills::FillRow) -> u64 {
        let parent = &self.orders[self.slot(fill.parent().into())];
        let known = parent.is_parent() && parent.order_seq as u32 == fill.parent();
        if known && fill.parent() != 0 { parent.order_seq } else { 0 }
    }

    /// Judges a report of an order that has left the table.
    #[cold]
    pub(crate) fn judge_forgotten(
        &self,
        order_seq: u64,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Taken {
        let nobody = Taken { order_seq: 0, disposition: Disposition::UnknownOrder };
        let venue = report.venue_id != 0 && (report.venue_id as usize) < self.venues.len();
        if order_seq == 0 || !venue || report.fee == i64::MIN {
            return nobody;
        }
        let taken = |disposition| Taken { order_seq, disposition };
        match ExecType::from_code(report.exec_type) {
            Some(ExecType::TradeCancel | ExecType::TradeCorrect) => {
                match self.judge_amend(None, order_seq, report, ids) {
                    Disposition::UnknownExec => nobody,
                    disposition => taken(disposition),
                }
            }
            Some(ExecType::Trade) => match self.forgotten(order_seq) {
                Some(order) if order.venue_id == report.venue_id => {
                    match self.judge_trade(&order, report, ids) {
                        // Booked it could not be remembered, and its copy would be booked again; of a
                        // day of which nothing is remembered it may be such a copy.
                        Disposition::Late | Disposition::Overfill
                            if self.fills.is_full() || self.is_of_old(report) =>
                        {
                            taken(Disposition::Gap)
                        }
                        disposition => taken(disposition),
                    }
                }
                _ => nobody,
            },
            _ => nobody,
        }
    }

    /// Books a fill of an order that has left the table: into its account's book and into its parent.
    #[cold]
    pub(crate) fn book_forgotten(&mut self, e: &ExecutionReport, ids: Option<&ExecRef>) {
        let order = self.forgotten(e.header.order_seq).expect("judged before it was logged");
        assert!(closed(order.base));
        let chain = self.chain_of(&order);
        let signed = order.signed(e.last_qty);
        let remembered = self.remember_fill(e, ids, &order, chain);
        assert!(remembered);
        self.counters.fills += 1;
        self.rebook(chain, (0, 0, 0), Some((e.last_px, signed, e.fee)));
        let now = crate::position::carry(self.book_of(chain), signed, e.last_px);
        self.move_book(chain, now);
        let points = crate::number::points(e.last_px, e.last_qty);
        self.traded((order.account_id, order.instrument_id), points);
        let parent = order.parent_order_seq;
        self.fill_parent_of(parent, e.last_qty, points, e.header.ingest_time_ns);
    }

    /// What a child that has left the table has filled more or less, its parent has.
    pub(crate) fn fill_parent_of(&mut self, parent: u64, qty: i64, points: i128, time_ns: i64) {
        if parent != 0 && (qty, points) != (0, 0) {
            let slot = self.slot(parent);
            self.orders[slot].children_qty += qty; // it is closed: it takes what it has filled
            self.fill_parent(slot, qty, points, time_ns);
        }
    }

    /// Whether the id of an order found at its venue is kept beyond its TTL: while a fill of it is
    /// remembered, or it would be adopted anew and its fills booked twice.
    pub(crate) fn keeps_foreign_id(&self, session_id: u16, order_seq: u64) -> bool {
        foreign::venue_of(session_id) < self.venues.len()
            && self.fills.of_order(order_seq).is_some()
    }
}
