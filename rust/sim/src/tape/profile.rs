//! What a tape looks like in numbers: rates, sizes, spread. So a synthetic day can be shown beside a recording.
//! Called by the demo and by tests; folds the tape through a book of its own.

use core::fmt::Write as _;

use layout::{BOOK_SNAPSHOT, BookAction, BookUpdate, ONE};

use super::{bookkeeping, day_book};

/// Rates, sizes and spread of a tape. Sizes in whole units, spreads in whole units of price.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Profile {
    /// Orders in the opening snapshot.
    pub snapshot_orders: u64,
    /// Records before the first trade, per second.
    pub pre_open_per_s: f64,
    /// Records at which the book was crossed or locked, flagged last.
    pub crossed_records: u64,
    /// Seconds from the first to the last of them.
    pub crossed_s: f64,
    /// Seconds from the first trade to the end.
    pub open_s: f64,
    /// Records from the first trade on, per second.
    pub records_per_s: f64,
    /// Records in the busiest second.
    pub busiest_s: u64,
    /// Adds per second from the first trade on; so are the next four.
    pub adds_per_s: f64,
    /// Modifies per second.
    pub modifies_per_s: f64,
    /// Cancels per second.
    pub cancels_per_s: f64,
    /// Trades per second.
    pub trades_per_s: f64,
    /// Units traded per second.
    pub contracts_per_s: f64,
    /// Share of cancels and modifies that are bookkeeping of fills.
    pub bookkeeping_share: f64,
    /// Mean size of an add.
    pub add_qty_mean: f64,
    /// Size that nine of ten adds do not exceed.
    pub add_qty_p90: f64,
    /// Mean size of a trade.
    pub trade_qty_mean: f64,
    /// Size that nine of ten trades do not exceed.
    pub trade_qty_p90: f64,
    /// Mean spread over records flagged last, in price.
    pub spread_mean: f64,
    /// Share of them with the narrowest spread seen.
    pub spread_narrowest_share: f64,
    /// Mean number of orders at the best bid and offer.
    pub top_orders_mean: f64,
    /// Mean size at the best bid and offer.
    pub top_qty_mean: f64,
    /// Orders resting at the end.
    pub resting_orders: u64,
}

/// Measures a tape of one instrument. Records that do not fit the book are left out of its views.
pub fn profile(updates: &[BookUpdate]) -> Profile {
    let mut p = Profile::default();
    let mut book = day_book();
    let day: Vec<_> = updates.iter().filter(|u| u.flags & BOOK_SNAPSHOT == 0).collect();
    let trade = BookAction::Trade.code();
    let opened = day.iter().position(|u| u.action == trade).unwrap_or(day.len());
    let seconds = |from: usize, to: usize| match (day.get(from), to.checked_sub(1)) {
        (Some(first), Some(last)) if last > from => {
            (day[last].header.ingest_time_ns - first.header.ingest_time_ns) as f64 / 1e9
        }
        _ => 0.0,
    };
    let rate = |count: f64, s: f64| if s > 0.0 { count / s } else { 0.0 };
    let count = |action: BookAction| {
        day[opened..].iter().filter(|u| u.action == action.code()).count() as f64
    };
    let sizes = |action: BookAction| {
        let of = |u: &&&BookUpdate| u.action == action.code();
        let mut sizes: Vec<i64> = day[opened..].iter().filter(of).map(|u| u.qty).collect();
        sizes.sort_unstable();
        let sum: f64 = sizes.iter().map(|&q| q as f64).sum();
        let p90 = sizes.get(sizes.len() * 9 / 10).map_or(0.0, |&q| q as f64);
        (sum / sizes.len().max(1) as f64 / ONE as f64, p90 / ONE as f64, sum / ONE as f64)
    };
    p.snapshot_orders = (updates.len() - day.len()) as u64;
    p.pre_open_per_s = rate(opened as f64, seconds(0, opened));
    p.open_s = seconds(opened, day.len());
    p.records_per_s = rate((day.len() - opened) as f64, p.open_s);
    p.adds_per_s = rate(count(BookAction::Add), p.open_s);
    p.modifies_per_s = rate(count(BookAction::Modify), p.open_s);
    p.cancels_per_s = rate(count(BookAction::Cancel), p.open_s);
    p.trades_per_s = rate(count(BookAction::Trade), p.open_s);
    (p.add_qty_mean, p.add_qty_p90, _) = sizes(BookAction::Add);
    let contracts;
    (p.trade_qty_mean, p.trade_qty_p90, contracts) = sizes(BookAction::Trade);
    p.contracts_per_s = rate(contracts, p.open_s);
    let changes = count(BookAction::Modify) + count(BookAction::Cancel);
    p.bookkeeping_share = rate(bookkeeping(updates).iter().filter(|&&b| b).count() as f64, changes);
    let (mut second, mut in_second) = (0, 0);
    let (mut crossed, mut spreads) = (None, Vec::new());
    let (mut top_orders, mut top_qty) = (0.0, 0.0);
    let mut at = 0;
    for u in updates {
        let refused = book.apply(u).is_err();
        if u.flags & BOOK_SNAPSHOT != 0 || refused {
            continue;
        }
        at += 1;
        let now = u.header.ingest_time_ns;
        in_second = if now / ONE == second { in_second + 1 } else { 1 };
        second = now / ONE;
        p.busiest_s = p.busiest_s.max(in_second);
        let (Some(bid), Some(ask), true) = (book.best_bid(), book.best_ask(), book.is_whole())
        else {
            continue;
        };
        if bid.price >= ask.price {
            p.crossed_records += 1;
            let first = *crossed.get_or_insert(now);
            p.crossed_s = (now - first) as f64 / 1e9;
        } else if at > opened {
            spreads.push(ask.price - bid.price);
            top_orders += f64::from(bid.count + ask.count) / 2.0;
            top_qty += (bid.qty + ask.qty) as f64 / ONE as f64 / 2.0;
        }
    }
    let n = spreads.len().max(1) as f64;
    let narrowest = spreads.iter().min().copied().unwrap_or(0);
    p.spread_mean = spreads.iter().map(|&s| s as f64).sum::<f64>() / n / ONE as f64;
    p.spread_narrowest_share = spreads.iter().filter(|&&s| s == narrowest).count() as f64 / n;
    p.top_orders_mean = top_orders / n;
    p.top_qty_mean = top_qty / n;
    p.resting_orders = book.order_count() as u64;
    p
}

impl Profile {
    /// The rows in the order in which they are shown: what, and how much.
    pub fn rows(&self) -> [(&'static str, f64); 22] {
        [
            ("orders in the snapshot", self.snapshot_orders as f64),
            ("records/s before the opening", self.pre_open_per_s),
            ("records crossed or locked", self.crossed_records as f64),
            ("seconds crossed or locked", self.crossed_s),
            ("seconds open", self.open_s),
            ("records/s", self.records_per_s),
            ("records in the busiest second", self.busiest_s as f64),
            ("adds/s", self.adds_per_s),
            ("modifies/s", self.modifies_per_s),
            ("cancels/s", self.cancels_per_s),
            ("trades/s", self.trades_per_s),
            ("contracts/s", self.contracts_per_s),
            ("bookkeeping share of C and M", self.bookkeeping_share),
            ("size of an add, mean", self.add_qty_mean),
            ("size of an add, p90", self.add_qty_p90),
            ("size of a trade, mean", self.trade_qty_mean),
            ("size of a trade, p90", self.trade_qty_p90),
            ("spread, mean", self.spread_mean),
            ("share at the narrowest spread", self.spread_narrowest_share),
            ("orders at the best price, mean", self.top_orders_mean),
            ("size at the best price, mean", self.top_qty_mean),
            ("orders resting at the end", self.resting_orders as f64),
        ]
    }
}

impl core::fmt::Display for Profile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.rows().iter().try_for_each(|(what, value)| writeln!(f, "{what:<32}{value:>14.3}"))
    }
}

/// Profiles as columns of one table, each under its name.
pub fn side_by_side(columns: &[(&str, &Profile)]) -> String {
    let mut table = format!("{:<32}", "");
    for (name, _) in columns {
        let _ = write!(table, "{name:>14}"); // writing to a String does not fail
    }
    table.push('\n');
    for (i, (what, _)) in Profile::default().rows().iter().enumerate() {
        let _ = write!(table, "{what:<32}");
        for (_, profile) in columns {
            let _ = write!(table, "{:>14.3}", profile.rows()[i].1);
        }
        table.push('\n');
    }
    table
}
