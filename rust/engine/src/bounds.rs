//! Limits that reach beyond one account and one order: sums over groups of accounts, over an
//! instrument, a sector and the whole desk; margin; the notional of a day; windows of instruments and
//! strategies, minutes and bursts of sessions and accounts; a trader's largest order; the same order
//! again. A desk that sets none of them pays for one look at `kinds`.
//!
//! Each scope is a node; an order belongs to those of its account, the groups above it, the desk, its
//! instrument and the sector of that. What the nodes have counted of a pair is kept beside them, so that
//! a change of the pair moves them by the difference to what the pair is now: they never drift, in
//! whatever order facts come. What must stay true (I24): a node's sums are the fold of `footprint` over
//! its pairs.

use crate::fills::FillRow;
use crate::number::{self, Factor};
use crate::order::Exposure;
use crate::risk::{Findings, RiskRow, Throttle, check, side_index};
use crate::{Engine, Order};
use arch::{Table, mutant};
use layout::{
    FLAG_MARK_SHORT, FLAG_UNIT_MARGIN, LimitRow, NewOrder, OrderAccepted, Scope, Side, Verdict,
};
use std::io;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Some node bounds sums over pairs: gross, net, margin or the notional of a day.
pub(crate) const SUMS: u32 = 1;
/// Some node has a window, a minute or a burst.
pub(crate) const RATES: u32 = 2;
/// Some trader has a largest order.
pub(crate) const TRADERS: u32 = 4;
/// Some account refuses what repeats.
pub(crate) const REPEATS: u32 = 8;
/// Some instrument wants its short sales marked.
pub(crate) const SHORTS: u32 = 16;

/// Accounts above one another, itself and the desk not counted.
pub(crate) const LEVELS_MAX: usize = 8;
/// For so long may a session or account send more than its window allows.
const BURST_NS: i64 = 10_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
const DAY_NS: i64 = 24 * 60 * MINUTE_NS;
/// "No limit" among sums; sums are below it.
const NONE: i128 = i128::MAX >> 1;
/// Entries of one set of the memory of repetitions.
const SET: usize = 4;

/// What one account in one instrument counts for: desk currency at 1e-6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub(crate) struct Footprint {
    /// The larger side, as in its account.
    pub gross: i128,
    /// Worst long and worst short, by `side_index`.
    pub worst: [i128; 2],
    /// What the position and its orders ask for as margin.
    pub margin: i128,
    /// Open buys and open sells together.
    pub open: i128,
}

/// One scope: its sums, its limits, its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C, align(64))]
pub(crate) struct Node {
    sums: Footprint,
    traded: i128,
    gross_max: i128,
    net_max: i128,
    margin_max: i128,
    day_max: i128,
    rate: Throttle,
    /// When the burst would be whole again, and what one order takes of it; 0: no burst.
    burst_ns: i64,
    burst_step_ns: i64,
    order_qty_max: i64,
    /// UTC day that `traded` is of.
    traded_day: u32,
    /// Account: the node above it, 0 for the desk.
    parent: u32,
    repeat_window_ns: i64,
    /// 1: limits were given; sums are judged.
    bound: u8,
    /// 1: accounts stand below it, or once did.
    above: u8,
    pad: [u8; 22],
}

/// The last order of its kind: instrument, side, price and quantity of an account, hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Twin {
    hash: u64,
    time_ns: i64,
}

/// Scopes of an order, for windows and sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scopes {
    pub account_id: u32,
    pub instrument_id: u32,
    pub session_id: u16,
    pub strategy_id: u16,
    pub trader_id: u16,
}

impl Scopes {
    pub(crate) fn of(c: &NewOrder) -> Self {
        Self {
            account_id: c.account_id,
            instrument_id: c.instrument_id,
            session_id: c.session_id,
            strategy_id: c.strategy_id,
            trader_id: c.trader_id,
        }
    }

    pub(crate) fn of_event(e: &OrderAccepted) -> Self {
        Self {
            account_id: e.account_id,
            instrument_id: e.instrument_id,
            session_id: e.session_id,
            strategy_id: e.strategy_id,
            trader_id: e.trader_id,
        }
    }
}

/// All nodes, one block a kind of scope.
pub(crate) struct Bounds {
    /// Kinds of limits that are in force anywhere.
    pub kinds: u32,
    nodes: Table<Node>,
    /// Where the blocks of instruments, sectors, sessions, strategies and traders begin.
    blocks: [usize; 5],
    times: Table<i64>,
    orders_max: usize,
    counted: Table<Footprint>,
    twins: Table<Twin>,
    /// The longest window of repetitions in force.
    repeat_longest_ns: i64,
    /// By order slot: the number of the order above 16 bits of its trader.
    traders: Table<u64>,
}

impl Bounds {
    pub(crate) fn new(c: &crate::EngineConfig) -> io::Result<Self> {
        let counts =
            [c.instruments_max, c.sectors_max, c.sessions_max, c.strategies_max, c.traders_max];
        let (mut blocks, mut end) = ([0; 5], c.accounts_max);
        for (block, count) in blocks.iter_mut().zip(counts) {
            *block = end;
            end += count;
        }
        let mut nodes: Table<Node> = Table::zeroed(end)?;
        nodes.iter_mut().for_each(Node::unbind);
        Ok(Self {
            kinds: 0,
            nodes,
            blocks,
            times: Table::zeroed(end * c.throttle_orders_max)?,
            orders_max: c.throttle_orders_max,
            counted: Table::zeroed(c.accounts_max * c.instruments_max)?,
            twins: Table::zeroed(c.orders_max)?,
            repeat_longest_ns: 0,
            traders: Table::zeroed(c.orders_max)?,
        })
    }

    fn instrument(&self, id: u32) -> usize {
        self.blocks[0] + id as usize
    }

    fn sector(&self, id: u32) -> usize {
        self.blocks[1] + id as usize
    }

    fn session(&self, id: u16) -> usize {
        self.blocks[2] + id as usize
    }

    fn strategy(&self, id: u16) -> usize {
        self.blocks[3] + id as usize
    }

    fn trader(&self, id: u16) -> usize {
        self.blocks[4] + id as usize
    }

    /// The nodes above an account, the desk last, each with the account number it has.
    fn above(&self, account_id: u32) -> impl Iterator<Item = usize> + '_ {
        let mut next = (account_id != 0).then(|| self.nodes[account_id as usize].parent as usize);
        std::iter::from_fn(move || {
            let node = next?;
            next = (node != 0).then(|| self.nodes[node].parent as usize);
            Some(node)
        })
    }

    /// Whether an account may stand below another: no circle, not too deep.
    pub(crate) fn takes_parent(&self, account_id: Option<u32>, parent_id: u32) -> bool {
        let mut chain = std::iter::once(parent_id as usize).chain(self.above(parent_id));
        let height = account_id.map_or(0, |id| self.height(id));
        parent_id == 0
            || account_id.is_none_or(|id| chain.all(|node| node != id as usize))
                && height + self.above(parent_id).count() < LEVELS_MAX
    }

    /// How many accounts stand below one another below an account.
    fn height(&self, account_id: u32) -> usize {
        let steps = |id: usize| {
            let mut above = self.above(id as u32);
            above.position(|node| node == account_id as usize).map_or(0, |at| at + 1)
        };
        (1..self.blocks[0]).map(steps).max().unwrap_or(0)
    }

    /// All that the log folds into here, for the hash of the state.
    pub(crate) fn put(&self, mut put: impl FnMut(&[u8])) {
        put(self.nodes.as_bytes());
        put(self.times.as_bytes());
        put(self.twins.as_bytes());
        put(self.traders.as_bytes());
    }
}

impl Node {
    fn unbind(&mut self) {
        (self.gross_max, self.net_max) = (NONE, NONE);
        (self.margin_max, self.day_max) = (NONE, NONE);
        (self.order_qty_max, self.repeat_window_ns) = (i64::MAX, 0);
        self.rate.open_ns = i64::MIN;
        (self.rate.orders_max, self.burst_step_ns, self.bound) = (0, 0, 0);
    }

    fn bounds_sums(&self) -> bool {
        self.gross_max < NONE || self.net_max < NONE
    }

    fn burst_is_spent(&self, now_ns: i64) -> bool {
        self.burst_step_ns != 0 && now_ns < self.burst_ns.saturating_sub(BURST_NS)
    }

    fn traded_on(&self, day: u32) -> i128 {
        if self.traded_day == day { self.traded } else { 0 }
    }
}

fn day_of(time_ns: i64) -> u32 {
    time_ns.div_euclid(DAY_NS).clamp(0, u32::MAX as i64) as u32
}

/// A limit as given: `i64::MAX` is none.
fn micro_of(units: i64) -> i128 {
    if units == i64::MAX { NONE } else { units as i128 * 1_000_000 }
}

/// A limit that says nothing with 0.
fn micro_or_none(units: i64) -> i128 {
    if units == 0 { NONE } else { micro_of(units) }
}

/// What repeats: account, instrument, side, price and quantity.
fn twin_hash(c: (u32, u32, u8), price: i64, qty: i64) -> u64 {
    let place = number::fold(
        number::KEYS[0] ^ (c.0 as u64) << 32 ^ c.1 as u64,
        number::KEYS[1] ^ c.2 as u64,
    );
    number::fold(place ^ price as u64, number::KEYS[2] ^ qty as u64) | 1 // 0 is an empty entry
}

impl Engine {
    // Limits ---------------------------------------------------------------------------------------

    /// Puts one row of limits in force, as far as it binds nodes; `present`: it is one, not the lack.
    pub(crate) fn bind(&mut self, scope: Scope, row: &LimitRow, present: bool) {
        let b = &self.bounds;
        let id = row.entity_id;
        let at = match scope {
            Scope::Desk => 0,
            Scope::Account => row.account_id as usize,
            Scope::Instrument => b.instrument(row.instrument_id),
            Scope::Sector => b.sector(id.into()),
            Scope::Session => b.session(id),
            Scope::Strategy => b.strategy(id),
            Scope::Trader => b.trader(id),
            Scope::Venue | Scope::AccountInstrument => return,
        };
        let own = matches!(scope, Scope::Account | Scope::Session);
        let sums =
            matches!(scope, Scope::Desk | Scope::Account | Scope::Instrument | Scope::Sector);
        let (first, len) = (at * b.orders_max, b.orders_max);
        let node = &mut self.bounds.nodes[at];
        node.unbind();
        if !present {
            return;
        }
        node.bound = 1;
        if sums {
            node.gross_max = micro_of(row.gross_notional_max);
            node.net_max = micro_of(row.net_notional_max);
        }
        if matches!(scope, Scope::Desk | Scope::Account) {
            node.margin_max = micro_or_none(row.margin_max);
            node.day_max = micro_or_none(row.day_notional_max);
            node.repeat_window_ns = row.repeat_window_ms as i64 * 1_000_000;
        }
        if scope == Scope::Trader {
            node.order_qty_max = row.order_qty_max;
        }
        // Sessions and accounts have their window in their own row; here is their minute.
        let (orders_max, window_ns) = match own {
            true => (row.minute_orders_max, MINUTE_NS),
            false => (row.orders_max, row.window_ns),
        };
        if own && row.burst > 1 && row.orders_max != 0 {
            node.burst_step_ns = row.window_ns / row.orders_max as i64;
        }
        node.rate.bound(&self.bounds.times, first, len, orders_max, window_ns);
    }

    /// Sees what kinds of limits there are; sums that nobody kept are counted.
    pub(crate) fn see_bounds(&mut self) {
        let b = &self.bounds;
        let accounts = self.config.accounts_max;
        let mut kinds = 0;
        for (at, node) in b.nodes.iter().enumerate().filter(|(_, node)| node.bound != 0) {
            // An account's own gross and net stand in its row.
            let leaf = (1..accounts).contains(&at) && node.above == 0;
            let sums = node.bounds_sums() && !leaf;
            let more = node.margin_max < NONE || node.day_max < NONE;
            kinds |= SUMS * u32::from(sums || more);
            kinds |= RATES * u32::from(node.rate.orders_max != 0 || node.burst_step_ns != 0);
            kinds |= TRADERS * u32::from(at >= b.blocks[4] && node.order_qty_max < i64::MAX);
            kinds |= REPEATS * u32::from(node.repeat_window_ns != 0);
        }
        let shorts = |i: &crate::risk::Instrument| i.flags & FLAG_MARK_SHORT != 0;
        kinds |= SHORTS * u32::from(self.instruments.iter().any(shorts));
        let longest_ns = b.nodes.iter().map(|node| node.repeat_window_ns).max();
        let begins = kinds & !self.bounds.kinds & SUMS != 0;
        self.bounds.repeat_longest_ns = longest_ns.unwrap_or(0);
        self.bounds.kinds = kinds;
        if begins {
            self.recount_all();
        }
    }

    /// Folds where an account stands in the tree.
    pub(crate) fn fold_parent(&mut self, account_id: u32, parent_id: u32) {
        let node = &mut self.bounds.nodes[account_id as usize];
        if core::mem::replace(&mut node.parent, parent_id) != parent_id {
            self.bounds.nodes[parent_id as usize].above = 1;
            self.recount_all();
            self.see_bounds();
        }
    }

    /// Counts every pair anew: groups or sectors have changed, or nobody counted before.
    pub(crate) fn recount_all(&mut self) {
        if self.bounds.kinds & SUMS == 0 {
            return;
        }
        self.bounds.nodes.iter_mut().for_each(|node| node.sums = Footprint::default());
        self.bounds.counted.iter_mut().for_each(|counted| *counted = Footprint::default());
        for account_id in 0..self.config.accounts_max as u32 {
            for instrument_id in 0..self.config.instruments_max as u32 {
                self.recount(account_id, instrument_id);
            }
        }
    }

    // Sums -----------------------------------------------------------------------------------------

    /// What a pair counts for, with so much more on one side.
    fn footprint(
        &self,
        (account_id, instrument_id): (u32, u32),
        more: Option<((bool, u8), Exposure)>,
    ) -> Footprint {
        let mut row = self.rows[self.pair(account_id, instrument_id)];
        let i = &self.instruments[instrument_id as usize];
        let factor = &i.factor;
        let gross = match more {
            None => self.row_sums(account_id, instrument_id).0,
            Some((of, more)) => {
                let side = side_index(of.0);
                row.open[side] += more.points;
                row.open_qty[side] = row.open_qty[side].saturating_add(more.qty);
                self.gross_with((account_id, instrument_id), of, more.points)
            }
        };
        let gross = factor.micro(gross);
        Footprint {
            gross,
            worst: [factor.micro(row.worst_long()), factor.micro(row.worst_short())],
            margin: margin_of(i.margin, i.flags, &i.unit_factor, &row, gross),
            open: factor.micro(row.open[0]) + factor.micro(row.open[1]),
        }
    }

    /// Gross of a pair with so many points more on one side, by the account's position mode.
    pub(crate) fn gross_with(&self, pair: (u32, u32), of: (bool, u8), points: i128) -> i128 {
        if self.hedges(pair.0) {
            return self.gross_apart(pair.0, pair.1, of, points).1;
        }
        let mut row = self.rows[self.pair(pair.0, pair.1)];
        row.open[side_index(of.0)] += points;
        row.gross()
    }

    /// Carries what a pair is now into the sums above it.
    #[inline(never)]
    pub(crate) fn recount(&mut self, account_id: u32, instrument_id: u32) {
        let now = self.footprint((account_id, instrument_id), None);
        let pair = self.pair(account_id, instrument_id);
        let was = core::mem::replace(&mut self.bounds.counted[pair], now);
        if was == now {
            return;
        }
        let sector = self.instruments[instrument_id as usize].sector_id;
        let b = &mut self.bounds;
        let mut chain = [0; LEVELS_MAX + 2];
        let mut count = 0;
        for node in b.above(account_id) {
            chain[count] = node;
            count += 1;
        }
        let (instrument, sector) = (b.instrument(instrument_id), b.sector(sector));
        let ends = [account_id as usize, instrument, sector];
        for &node in chain[..count].iter().chain(&ends) {
            let sums = &mut b.nodes[node].sums;
            sums.gross += now.gross - was.gross;
            sums.worst[0] += now.worst[0] - was.worst[0];
            sums.worst[1] += now.worst[1] - was.worst[1];
            sums.margin += now.margin - was.margin;
            sums.open += now.open - was.open;
            mutant!(sums_above_forget_what_ends => if now.gross < was.gross {
                sums.gross += was.gross - now.gross;
            });
        }
    }

    /// A fill counts for the day on which it was booked.
    pub(crate) fn count_traded(&mut self, pair: (u32, u32), points: i128, day: u32) {
        let micro = self.instruments[pair.1 as usize].factor.micro(points);
        let b = &mut self.bounds;
        let mut node = pair.0 as usize;
        loop {
            let row = &mut b.nodes[node];
            if row.traded_day < day {
                (row.traded, row.traded_day) = (0, day);
            }
            if row.traded_day == day {
                row.traded = (row.traded + micro).max(0);
            }
            if node == 0 {
                break;
            }
            node = row.parent as usize;
        }
    }

    /// As `count_traded`, where anyone asks.
    #[inline]
    pub(crate) fn traded(&mut self, pair: (u32, u32), points: i128) {
        if self.bounds.kinds & SUMS != 0 {
            self.count_traded(pair, points.abs(), day_of(self.time_ns));
        }
    }

    /// A fill has become another, or none: what it traded counts to the day on which it was booked.
    #[cold]
    pub(crate) fn retrade(&mut self, fill: &FillRow, more: i128) {
        if self.bounds.kinds & SUMS != 0 {
            let pair = self.ids_of(self.pair_of(fill.chain as usize));
            self.count_traded(pair, more, fill.booked_day.into());
        }
    }

    /// The sums above a pair with so much more on one side. What reduces the position is bound by none.
    #[inline(never)]
    pub(crate) fn check_sums<F: Findings>(
        &self,
        f: &mut F,
        pair: (u32, u32),
        (buy, tags): (bool, u8),
        more: Exposure,
        now_ns: i64,
    ) -> bool {
        let row = &self.rows[self.pair(pair.0, pair.1)];
        if (more.qty <= 0 && more.points <= 0) || self.reduces(row, pair, (buy, tags), more.qty) {
            return false;
        }
        let now = self.footprint(pair, Some(((buy, tags), more)));
        let was = self.bounds.counted[self.pair(pair.0, pair.1)];
        let (side, today) = (side_index(buy), day_of(now_ns));
        let gross = |node: &Node| node.sums.gross + now.gross - was.gross;
        let net = |node: &Node| node.sums.worst[side] + now.worst[side] - was.worst[side];
        let b = &self.bounds;
        for at in b.above(pair.0) {
            let node = &b.nodes[at];
            check!(f, net(node), node.net_max, GroupNetLimit);
            check!(f, gross(node), node.gross_max, GroupGrossLimit);
        }
        let node = &b.nodes[b.instrument(pair.1)];
        check!(f, net(node), node.net_max, SymbolNetLimit);
        check!(f, gross(node), node.gross_max, SymbolGrossLimit);
        let sector = self.instruments[pair.1 as usize].sector_id;
        let node = &b.nodes[b.sector(sector)];
        check!(f, net(node), node.net_max, SectorNetLimit);
        check!(f, gross(node), node.gross_max, SectorGrossLimit);
        for at in std::iter::once(pair.0 as usize).chain(b.above(pair.0)) {
            let node = &b.nodes[at];
            let margin = node.sums.margin + now.margin - was.margin;
            let day = node.traded_on(today) + node.sums.open + now.open - was.open;
            mutant!(day_forgets_what_is_open: day = node.traded_on(today));
            check!(f, margin, node.margin_max, MarginLimit);
            check!(f, day, node.day_max, DayNotionalLimit);
        }
        false
    }

    // Windows ---------------------------------------------------------------------------------------

    /// Windows of instrument and strategy, minutes and bursts of session and account.
    #[inline(never)]
    pub(crate) fn check_rates<F: Findings>(&self, f: &mut F, of: &Scopes, now_ns: i64) -> bool {
        let b = &self.bounds;
        let full = |at: usize| now_ns < b.nodes[at].rate.open_ns;
        check!(f, full(b.instrument(of.instrument_id)), ThrottleSymbol);
        check!(f, full(b.strategy(of.strategy_id)), ThrottleStrategy);
        let own = [b.session(of.session_id), of.account_id as usize];
        check!(f, own.iter().any(|&at| full(at)), ThrottleMinute);
        check!(f, own.iter().any(|&at| b.nodes[at].burst_is_spent(now_ns)), ThrottleBurst);
        false
    }

    /// One more message in every window beyond those of its session's and account's own rows.
    #[inline(never)]
    pub(crate) fn count_rates(&mut self, of: &Scopes, now_ns: i64) {
        let b = &mut self.bounds;
        let (instrument, strategy) = (b.instrument(of.instrument_id), b.strategy(of.strategy_id));
        let own = [b.session(of.session_id), of.account_id as usize];
        let len = b.orders_max;
        for at in [instrument, strategy, own[0], own[1]] {
            let node = &mut b.nodes[at];
            node.rate.count(&mut b.times, at * len, len, now_ns);
            if node.burst_step_ns != 0 {
                node.burst_ns = node.burst_ns.max(now_ns).saturating_add(node.burst_step_ns);
            }
        }
    }

    /// As `count_rates`, where there are such windows.
    #[inline(always)]
    pub(crate) fn count_rates_of(&mut self, of: &Scopes, now_ns: i64) {
        if self.bounds.kinds & RATES != 0 {
            self.count_rates(of, now_ns);
        }
    }

    /// The scopes of an order that is known.
    pub(crate) fn scopes_of(&self, order: &Order) -> Scopes {
        Scopes {
            account_id: order.account_id,
            instrument_id: order.instrument_id,
            session_id: order.session_id,
            strategy_id: order.strategy_id,
            trader_id: self.trader_of(order.order_seq),
        }
    }

    // One order -------------------------------------------------------------------------------------

    /// Whether its trader is known, and may send one so large.
    #[inline(always)]
    pub(crate) fn check_trader<F: Findings>(&self, f: &mut F, trader_id: u16, qty: i64) -> bool {
        let known = self.traders.get(trader_id as usize).is_some_and(|t| t.defined != 0);
        check!(f, !known, TraderUnknown);
        if self.bounds.kinds & TRADERS != 0 && known {
            let most = self.bounds.nodes[self.bounds.trader(trader_id)].order_qty_max;
            check!(f, qty > most, TraderQtyLimit);
        }
        false
    }

    /// Largest order of a trader.
    pub(crate) fn trader_qty_max(&self, trader_id: u16) -> i64 {
        match (trader_id as usize) < self.traders.len() {
            true => self.bounds.nodes[self.bounds.trader(trader_id)].order_qty_max,
            false => i64::MAX,
        }
    }

    /// Who sent an order, 0 for none told.
    pub(crate) fn trader_of(&self, order_seq: u64) -> u16 {
        let found = self.bounds.traders[self.slot(order_seq)];
        if found >> 16 == order_seq { found as u16 } else { 0 }
    }

    /// What is not for sale yet of what is held; a sell beyond it is a short sale.
    pub(crate) fn long_left(&self, account_id: u32, instrument_id: u32) -> i64 {
        let row = &self.rows[self.pair(account_id, instrument_id)];
        row.net_qty.saturating_sub(row.open_qty[1]).max(0)
    }

    /// Whether a sell that is no short sale sells what is not there. `qty`: beyond what it has reserved.
    pub(crate) fn check_short<F: Findings>(
        &self,
        f: &mut F,
        (account_id, instrument_id): (u32, u32),
        side: u8,
        qty: i64,
    ) -> bool {
        let marked = self.instruments[instrument_id as usize].flags & FLAG_MARK_SHORT != 0;
        if !marked || side != Side::Sell as u8 || qty <= 0 {
            return false;
        }
        check!(f, qty > self.long_left(account_id, instrument_id), ShortUnmarked);
        false
    }

    /// When the same order came last, within the window of its account: its age in nanoseconds.
    pub(crate) fn repeated(&self, c: &NewOrder, now_ns: i64) -> Option<i64> {
        let window_ns = self.repeat_window_ns(c.account_id);
        if window_ns == 0 || c.parent_order_seq != 0 {
            return None; // a parent's slices are equal by their nature
        }
        let hash = twin_hash((c.account_id, c.instrument_id, c.side), c.price, c.order_qty);
        let found = self.twins(hash).iter().find(|twin| twin.hash == hash)?;
        let age_ns = now_ns.saturating_sub(found.time_ns);
        (age_ns < window_ns).then_some(age_ns)
    }

    /// Whether the memory of repetitions has no entry that may be forgotten for this order.
    pub(crate) fn repeats_full(&self, c: &NewOrder, now_ns: i64) -> bool {
        let window_ns = self.repeat_window_ns(c.account_id);
        if window_ns == 0 || c.parent_order_seq != 0 {
            return false;
        }
        let hash = twin_hash((c.account_id, c.instrument_id, c.side), c.price, c.order_qty);
        let longest_ns = self.bounds.repeat_longest_ns;
        let young =
            |twin: &Twin| twin.hash != hash && twin.hash != 0 && now_ns - twin.time_ns < longest_ns;
        self.twins(hash).iter().all(young)
    }

    /// The window of an account, or of the desk where that is longer.
    pub(crate) fn repeat_window_ns(&self, account_id: u32) -> i64 {
        let of = |at: usize| self.bounds.nodes[at].repeat_window_ns;
        of(0).max(of(account_id as usize))
    }

    fn twins(&self, hash: u64) -> &[Twin] {
        let first = self.set_of(hash);
        &self.bounds.twins[first..first + SET]
    }

    fn set_of(&self, hash: u64) -> usize {
        (hash >> 20) as usize % (self.bounds.twins.len() / SET) * SET
    }

    /// Remembers an accepted order for those that repeat it, and its trader.
    #[inline(never)]
    pub(crate) fn remember_order(&mut self, e: &OrderAccepted) {
        let (order_seq, time_ns) = (e.header.order_seq, e.header.ingest_time_ns);
        let slot = self.slot(order_seq);
        self.bounds.traders[slot] = order_seq << 16 | e.trader_id as u64;
        if self.bounds.kinds & REPEATS == 0 || self.repeat_window_ns(e.account_id) == 0 {
            return;
        }
        let market = e.ord_type == layout::OrdType::Market as u8;
        let price = if market { 0 } else { e.price };
        let hash = twin_hash((e.account_id, e.instrument_id, e.side), price, e.order_qty);
        let first = self.set_of(hash);
        let set = &mut self.bounds.twins[first..first + SET];
        let at = set.iter().position(|twin| twin.hash == hash).unwrap_or_else(|| {
            let oldest = (0..SET).min_by_key(|&at| (set[at].hash != 0, set[at].time_ns));
            oldest.expect("a set has entries")
        });
        set[at] = Twin { hash, time_ns };
    }

    /// Value and limit behind a refusal of these checks.
    #[cold]
    pub(crate) fn bound_numbers(
        &self,
        verdict: Verdict,
        pair: (u32, u32),
        of: (bool, u8),
        more: Exposure,
        now_ns: i64,
    ) -> (i64, i64) {
        let mut found = Numbers { verdict, found: None };
        self.check_sums(&mut found, pair, of, more, now_ns);
        let (value, bound) = found.found.unwrap_or((0, 0));
        (number::whole_units(value), number::whole_units(bound))
    }

    /// Count and limit of the window that is full.
    #[cold]
    pub(crate) fn rate_numbers(&self, verdict: Verdict, of: &Scopes, now_ns: i64) -> i64 {
        let b = &self.bounds;
        let own = [b.session(of.session_id), of.account_id as usize];
        let most = |at: usize| b.nodes[at].rate.orders_max as i64;
        match verdict {
            Verdict::ThrottleSymbol => most(b.instrument(of.instrument_id)),
            Verdict::ThrottleStrategy => most(b.strategy(of.strategy_id)),
            Verdict::ThrottleMinute => {
                let full = own.into_iter().find(|&at| now_ns < b.nodes[at].rate.open_ns);
                full.map_or(0, most)
            }
            _ => {
                let throttles = [
                    self.sessions[of.session_id as usize].throttle,
                    self.accounts[of.account_id as usize].throttle,
                ];
                let spent = (0..2).find(|&n| b.nodes[own[n]].burst_is_spent(now_ns));
                spent.map_or(0, |n| throttles[n].window_ns / b.nodes[own[n]].burst_step_ns.max(1))
            }
        }
    }
}

/// Margin of a row: so much of its gross, or an amount for each unit that it may come to hold.
fn margin_of(margin: i64, flags: u32, unit: &Factor, row: &RiskRow, gross: i128) -> i128 {
    if margin == 0 {
        return 0;
    }
    if flags & FLAG_UNIT_MARGIN == 0 {
        return gross.saturating_mul(margin as i128) / 1_000_000;
    }
    let long = row.net_qty.saturating_add(row.open_qty[0]);
    let short = row.open_qty[1].saturating_sub(row.net_qty);
    unit.micro(number::points(margin, long.max(short).max(0)))
}

/// Finds value and bound of one verdict among the sums.
struct Numbers {
    verdict: Verdict,
    found: Option<(i128, i128)>,
}

impl Findings for Numbers {
    fn note(&mut self, _: bool, _: Verdict) -> bool {
        false
    }

    fn over(&mut self, value: i128, bound: i128, verdict: Verdict) -> bool {
        if value > bound && verdict == self.verdict && self.found.is_none() {
            self.found = Some((value, bound));
        }
        false
    }
}
