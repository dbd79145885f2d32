//! The sampler: takes a seeded share of the day's own orders out of a tape and makes client commands of them.
//! Called once before a day by the demo and by tests. Orders of the opening snapshot are left alone.
//! A record becomes a command by what it and earlier records say, stamped with its own time; the only thing
//! taken from the whole day is how many of the seeded order numbers are needed to reach the size asked for.
//!
//! ```text
//! A -> new order     M -> replace     C -> cancel     C, M after F -> bookkeeping, no command
//! T of a sampled order that rests: its client moved it into the market -> replace to the trade's price
//! T of one that does not rest yet: stays in the market as an aggressor; what is left of it comes as A
//! ```

use std::collections::HashMap;

use layout::{BOOK_LAST, BOOK_SNAPSHOT, BookAction, BookUpdate, ONE, Side};

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// A new limit order.
    New,
    /// New price and quantity.
    Replace,
    /// Cancel.
    Cancel,
}

/// One command of a sampled order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowCommand {
    /// Time of the record it comes from (ts_recv), UTC ns.
    pub at_ns: i64,
    /// The order's number in the recording: names the order across its commands.
    pub order_ref: u64,
    /// What the client does.
    pub kind: FlowKind,
    /// The order's side.
    pub side: Side,
    /// Price; of a cancel the price it rests at.
    pub price: i64,
    /// Total OrderQty(38): what the recording had filled of it so far is included. Of a cancel the
    /// total as it stands.
    pub qty: i64,
}

/// What the plan took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanStats {
    /// Orders of the day that may be sampled.
    pub day_orders: u64,
    /// Commands that all of them would make.
    pub commands_reachable: u64,
    /// Orders that were sampled.
    pub sampled_orders: u64,
    /// Their share of `day_orders`.
    pub sampled_share: f64,
    /// New orders in the flow.
    pub new_orders: u64,
    /// Replaces in the flow, the crossing ones included.
    pub replaces: u64,
    /// Replaces that move an order into the market: rebuilt from T of a resting order.
    pub crossing: u64,
    /// Cancels in the flow.
    pub cancels: u64,
    /// Bookkeeping records of sampled orders, which became nothing.
    pub bookkeeping: u64,
    /// Fills of sampled orders in the recording.
    pub fills: u64,
    /// Whole units of those fills: recorded volume that has to find other takers.
    pub contracts: u64,
    /// Records that stayed in the market.
    pub market_records: u64,
}

impl PlanStats {
    /// Commands in the flow.
    pub fn commands(&self) -> u64 {
        self.new_orders + self.replaces + self.cancels
    }
}

/// A day split in two: what the market does by itself and what clients send.
#[derive(Clone, Debug, Default)]
pub struct TapePlan {
    /// The tape without the records of the sampled orders. An event whose last record was taken
    /// out ends at the last record that stayed.
    pub market: Vec<BookUpdate>,
    /// The commands, in the order of the recording.
    pub flow: Vec<FlowCommand>,
    /// What was taken.
    pub stats: PlanStats,
}

/// An order of the day as the recording has it so far.
#[derive(Clone, Copy)]
struct Track {
    side: Side,
    price: i64,
    leaves_qty: i64,
    cum_qty: i64,
    hit: bool, // a fill whose bookkeeping has not come yet
}

/// What one record of a sampled order is.
enum Step {
    Market,
    Nothing,
    Bookkeeping,
    Fill(i64),
    Command(FlowKind, Track),
    Crossing(Track),
}

fn step(orders: &mut HashMap<u64, Track>, u: &BookUpdate) -> Step {
    let action = BookAction::from_code(u.action);
    if action == Some(BookAction::Add) {
        let Some(side) = Side::from_code(u.side) else { return Step::Nothing };
        let track = Track { side, price: u.price, leaves_qty: u.qty, cum_qty: 0, hit: false };
        orders.insert(u.order_ref, track);
        return Step::Command(FlowKind::New, track);
    }
    let Some(track) = orders.get_mut(&u.order_ref) else { return Step::Market };
    match action {
        Some(BookAction::Trade) => {
            if track.price == u.price {
                return Step::Nothing; // the replace that led here was seen
            }
            track.price = u.price;
            Step::Crossing(*track)
        }
        Some(BookAction::Fill) => {
            track.cum_qty = track.cum_qty.saturating_add(u.qty);
            track.leaves_qty = (track.leaves_qty - u.qty).max(0);
            track.hit = true;
            Step::Fill(u.qty)
        }
        Some(BookAction::Modify) => {
            let bookkeeping = core::mem::take(&mut track.hit) && track.price == u.price;
            track.price = u.price;
            track.leaves_qty = u.qty;
            if bookkeeping { Step::Bookkeeping } else { Step::Command(FlowKind::Replace, *track) }
        }
        Some(BookAction::Cancel) => {
            let track = *track;
            orders.remove(&u.order_ref);
            if track.hit { Step::Bookkeeping } else { Step::Command(FlowKind::Cancel, track) }
        }
        _ => Step::Nothing,
    }
}

/// Splits a tape of one instrument. Order numbers are drawn in a seeded order until their commands
/// are at least `commands_min`; a day that has fewer gives all, as `stats.commands()` then shows.
pub fn plan(updates: &[BookUpdate], seed: u64, commands_min: u64) -> TapePlan {
    let mut plan = TapePlan::default();
    let chosen = choose(updates, seed, commands_min, &mut plan.stats);
    let mut orders: HashMap<u64, Track> = HashMap::new();
    let (mut open, mut contracts) = (0, 0i128); // records of the present event that stayed
    for u in updates {
        let step = match chosen.contains_key(&u.order_ref) {
            true => step(&mut orders, u),
            false => Step::Market,
        };
        let mut send = |kind, track: Track| {
            plan.flow.push(FlowCommand {
                at_ns: u.header.ingest_time_ns,
                order_ref: u.order_ref,
                kind,
                side: track.side,
                price: track.price,
                qty: track.cum_qty.saturating_add(track.leaves_qty),
            });
        };
        match step {
            Step::Market => {
                plan.market.push(*u);
                let whole = u.flags & (BOOK_LAST | BOOK_SNAPSHOT) != 0;
                open = if whole { 0 } else { open + 1 };
                continue;
            }
            Step::Nothing => {}
            Step::Bookkeeping => plan.stats.bookkeeping += 1,
            Step::Fill(qty) => {
                plan.stats.fills += 1;
                contracts += i128::from(qty);
            }
            Step::Command(kind, track) => {
                match kind {
                    FlowKind::New => plan.stats.new_orders += 1,
                    FlowKind::Replace => plan.stats.replaces += 1,
                    FlowKind::Cancel => plan.stats.cancels += 1,
                }
                send(kind, track);
            }
            Step::Crossing(track) => {
                plan.stats.replaces += 1;
                plan.stats.crossing += 1;
                send(FlowKind::Replace, track);
            }
        }
        if u.flags & BOOK_LAST != 0 {
            if open > 0
                && let Some(last) = plan.market.last_mut()
            {
                last.flags |= BOOK_LAST;
            }
            open = 0;
        }
    }
    plan.stats.contracts = (contracts / i128::from(ONE)) as u64;
    plan.stats.market_records = plan.market.len() as u64;
    plan
}

/// The sampled order numbers with their counts of commands.
fn choose(
    updates: &[BookUpdate],
    seed: u64,
    commands_min: u64,
    stats: &mut PlanStats,
) -> HashMap<u64, u64> {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    let mut orders = HashMap::new();
    for u in updates.iter().filter(|u| u.flags & BOOK_SNAPSHOT == 0) {
        if u.action == BookAction::Add.code() || orders.contains_key(&u.order_ref) {
            let count = counts.entry(u.order_ref).or_default();
            if let Step::Command(..) | Step::Crossing(_) = step(&mut orders, u) {
                *count += 1;
            }
        }
    }
    stats.day_orders = counts.len() as u64;
    stats.commands_reachable = counts.values().sum();
    let mut drawn: Vec<(u64, u64)> = counts.keys().map(|&r| (mix(seed ^ mix(r)), r)).collect();
    drawn.sort_unstable();
    let (mut chosen, mut commands) = (HashMap::new(), 0);
    for (_, order_ref) in drawn {
        if commands >= commands_min {
            break;
        }
        commands += counts[&order_ref];
        chosen.insert(order_ref, counts[&order_ref]);
    }
    stats.sampled_orders = chosen.len() as u64;
    stats.sampled_share = chosen.len() as f64 / counts.len().max(1) as f64;
    chosen
}

/// SplitMix64: spreads a number over all bits.
pub(super) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
