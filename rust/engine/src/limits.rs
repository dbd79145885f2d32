//! Limits as data: every row in force, beside it the row that is staged, and which change of a row is
//! looser. Rows are staged by `limit_row` events, a few between decisions, into places that no decision
//! reads; one `limits_activated` puts all of them in force at once. Written by `apply` alone, on the
//! engine thread. What must stay true: between staging and activation every order is judged by the old
//! rows, from the activation on by the new ones, and a staging that a crash cut off is forgotten whole.

use crate::risk::Throttle;
use crate::{Engine, EngineConfig};
use arch::{Table, mutant};
use layout::{Entity, Header, LIMIT_REMOVED, LimitRow, Record, Scope, Typed};
use std::io;
use xxhash_rust::xxh3::xxh3_64;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Limits of one account in one instrument as given; `present` 0: none of its own.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
pub struct Cell {
    pub(crate) order_qty_max: i64,
    pub(crate) order_notional_max: i64,
    pub(crate) net_qty_max: i64,
    pub(crate) gross_notional_max: i64,
    pub(crate) present: u64,
}

impl Cell {
    fn of(row: &LimitRow) -> Self {
        Self {
            order_qty_max: row.order_qty_max,
            order_notional_max: row.order_notional_max,
            net_qty_max: row.net_qty_max,
            gross_notional_max: row.gross_notional_max,
            present: u64::from(!is_removed(row)),
        }
    }

    fn row(&self, account_id: u32, instrument_id: u32) -> LimitRow {
        let mut row = absent(Scope::AccountInstrument);
        (row.account_id, row.instrument_id) = (account_id, instrument_id);
        row.order_qty_max = self.order_qty_max;
        row.order_notional_max = self.order_notional_max;
        row.net_qty_max = self.net_qty_max;
        row.gross_notional_max = self.gross_notional_max;
        row
    }
}

/// A row as it was and as it is told last; `turn` says which of them is in force.
#[derive(Clone, Copy, Debug, FromBytes, Immutable)]
#[repr(C)]
struct Versions<T> {
    rows: [T; 2],
    /// The turn from which on the second holds.
    turn: u64,
}

impl<T: Copy> Versions<T> {
    #[inline(always)]
    fn in_force(&self, turn: u64) -> &T {
        let new = self.turn <= turn;
        mutant!(staged_limits_bind_early: new = true);
        &self.rows[usize::from(new)]
    }

    fn newest(&self) -> &T {
        &self.rows[1]
    }

    /// Puts a row beside the one in force; `true`: it is the first of this turn.
    fn stage(&mut self, row: T, turn: u64) -> bool {
        let first = self.turn <= turn;
        if first {
            self.rows[0] = self.rows[1];
        }
        (self.rows[1], self.turn) = (row, turn + 1);
        first
    }

    fn forget(&mut self) {
        (self.rows[1], self.turn) = (self.rows[0], 0);
    }
}

/// What says how many rows of a scope there can be, and which one a row is.
type Place = (Scope, fn(&EngineConfig) -> usize, fn(&LimitRow) -> u32);

/// The scopes but that of single pairs, a line each: rows that are few, and are worked into what
/// decisions read when they come into force.
const WIDE: &[Place] = &[
    (Scope::Account, |c| c.accounts_max, |row| row.account_id),
    (Scope::Instrument, |c| c.instruments_max, |row| row.instrument_id),
    (Scope::Session, |c| c.sessions_max, |row| row.entity_id as u32),
    (Scope::Strategy, |c| c.strategies_max, |row| row.entity_id as u32),
    (Scope::Trader, |c| c.traders_max, |row| row.entity_id as u32),
    (Scope::Sector, |c| c.sectors_max, |row| row.entity_id as u32),
    (Scope::Desk, |_| 1, |_| 0),
];

/// When a value is looser than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looser {
    /// A maximum: the higher.
    Higher,
    /// A length of time: the shorter.
    Lower,
}

/// One limit of a row: its name, its value (no limit: `i64::MAX`), and when it is looser.
#[derive(Debug)]
pub struct LimitField {
    /// Name, as in the record.
    pub name: &'static str,
    /// Value of a row.
    pub value: fn(&LimitRow) -> i64,
    /// When it is looser.
    pub looser: Looser,
}

/// A maximum for which 0 means none.
fn or_none(max: i64) -> i64 {
    if max == 0 { i64::MAX } else { max }
}

/// Every limit of a row, a line each.
pub const FIELDS: &[LimitField] = &[
    LimitField {
        name: "orders_max",
        value: |row| or_none(row.orders_max.into()),
        looser: Looser::Higher,
    },
    LimitField {
        name: "window_ns",
        value: |row| if row.orders_max == 0 { 0 } else { row.window_ns },
        looser: Looser::Lower,
    },
    LimitField { name: "order_qty_max", value: |row| row.order_qty_max, looser: Looser::Higher },
    LimitField {
        name: "order_notional_max",
        value: |row| row.order_notional_max,
        looser: Looser::Higher,
    },
    LimitField { name: "net_qty_max", value: |row| row.net_qty_max, looser: Looser::Higher },
    LimitField {
        name: "gross_notional_max",
        value: |row| row.gross_notional_max,
        looser: Looser::Higher,
    },
    LimitField {
        name: "net_notional_max",
        value: |row| row.net_notional_max,
        looser: Looser::Higher,
    },
    LimitField {
        name: "day_notional_max",
        value: |row| or_none(row.day_notional_max),
        looser: Looser::Higher,
    },
    LimitField { name: "margin_max", value: |row| or_none(row.margin_max), looser: Looser::Higher },
    LimitField {
        name: "minute_orders_max",
        value: |row| or_none(row.minute_orders_max.into()),
        looser: Looser::Higher,
    },
    LimitField {
        name: "concentration_bp_max",
        value: |row| or_none(row.concentration_bp_max.into()),
        looser: Looser::Higher,
    },
    LimitField {
        name: "repeat_window_ms",
        value: |row| row.repeat_window_ms.into(),
        looser: Looser::Lower,
    },
    LimitField {
        name: "burst",
        value: |row| if row.orders_max == 0 { 1 } else { row.burst.max(1).into() },
        looser: Looser::Higher,
    },
];

/// So many basis points of a limit, whole units; 0 of them, or no limit: none.
fn share_of(units: i64, basis_points: u16) -> i64 {
    match (units, basis_points) {
        (i64::MAX, _) | (_, 0) => i64::MAX,
        (units, share) => (units as i128 * share as i128 / 10_000) as i64,
    }
}

/// Whether a row takes its limits away.
pub fn is_removed(row: &LimitRow) -> bool {
    row.scope & LIMIT_REMOVED != 0
}

/// The scope of a row, of one that takes limits away too.
pub fn scope_of(row: &LimitRow) -> Option<Scope> {
    Scope::from_code(row.scope & !LIMIT_REMOVED)
}

/// What holds without a row: an account without one may send nothing, all else is not limited.
pub fn absent(scope: Scope) -> LimitRow {
    let most = if scope == Scope::Account { 0 } else { i64::MAX };
    let mut row = LimitRow::ZERO;
    (row.header.kind, row.scope) = (LimitRow::KIND, scope.code());
    (row.order_qty_max, row.order_notional_max, row.net_qty_max) = (most, most, most);
    (row.gross_notional_max, row.net_notional_max) = (most, most);
    row
}

/// The limits that `new` loosens against what is in force; to take a row away loosens all of it.
pub fn loosened(old: Option<&LimitRow>, new: &LimitRow) -> Vec<&'static LimitField> {
    let Some(scope) = scope_of(new) else { return Vec::new() };
    let none = absent(scope);
    let was = old.unwrap_or(&none);
    let looser = |field: &&LimitField| {
        let (was, is) = ((field.value)(was), (field.value)(new));
        match field.looser {
            Looser::Higher => is > was,
            Looser::Lower => is < was,
        }
    };
    mutant!(taking_a_limit_away_is_no_loosening => if is_removed(new) { return Vec::new() });
    if is_removed(new) {
        let free = absent(Scope::AccountInstrument); // says no limit in every field
        let bound =
            |field: &&LimitField| old.is_some() && (field.value)(was) != (field.value)(&free);
        return FIELDS.iter().filter(|f| f.looser == Looser::Higher).filter(bound).collect();
    }
    FIELDS.iter().filter(looser).collect()
}

/// Whether two rows say the same of the same.
pub fn same(a: &LimitRow, b: &LimitRow) -> bool {
    bare(a).as_bytes() == bare(b).as_bytes()
}

/// A row without what the log adds to it.
fn bare(row: &LimitRow) -> LimitRow {
    let mut bare = *row;
    (bare.header, bare.limits_version) = (Header::ZERO, 0);
    bare.header.kind = LimitRow::KIND;
    bare
}

/// A row's part of the hash of all of them; none where there is no row.
fn hash_of(row: Option<&LimitRow>) -> u64 {
    match row {
        Some(row) if !is_removed(row) => xxh3_64(&bare(row).as_bytes()[size_of::<Header>()..]),
        _ => 0,
    }
}

/// Every row of limits.
pub(crate) struct Limits {
    /// Activations so far: what was staged in a turn holds from the next one on.
    turn: u64,
    /// Sum of the hashes of the rows in force, and of those there will be.
    hash: u64,
    staged_hash: u64,
    cells: Table<Versions<Cell>>,
    wide: Vec<Versions<LimitRow>>,
    /// Where the scopes of `WIDE` begin in `wide`.
    firsts: [usize; WIDE.len()],
    /// What is staged, each place once.
    staged_cells: Vec<u32>,
    staged_wide: Vec<u32>,
}

impl Limits {
    pub(crate) fn new(config: &EngineConfig) -> io::Result<Self> {
        let pairs = config.accounts_max * config.instruments_max;
        let mut firsts = [0; WIDE.len()];
        let mut count = 0;
        for (first, (_, max, _)) in firsts.iter_mut().zip(WIDE) {
            *first = count;
            count += max(config);
        }
        Ok(Self {
            turn: 0,
            hash: 0,
            staged_hash: 0,
            cells: Table::zeroed(pairs)?,
            wide: vec![Versions { rows: [LimitRow::ZERO; 2], turn: 0 }; count],
            firsts,
            staged_cells: Vec::with_capacity(pairs),
            staged_wide: Vec::with_capacity(count),
        })
    }

    /// The limits of one account in one instrument, as given.
    #[inline(always)]
    pub(crate) fn cell(&self, pair: usize) -> &Cell {
        self.cells[pair].in_force(self.turn)
    }

    fn place(&self, row: &LimitRow) -> Option<usize> {
        let scope = scope_of(row)?;
        let at = WIDE.iter().position(|(of, _, _)| *of == scope)?;
        Some(self.firsts[at] + (WIDE[at].2)(row) as usize)
    }

    /// The row of the same scope in force.
    fn found(&self, row: &LimitRow, pair: usize) -> Option<LimitRow> {
        if scope_of(row) == Some(Scope::AccountInstrument) {
            let cell = self.cell(pair);
            return (cell.present != 0).then(|| cell.row(row.account_id, row.instrument_id));
        }
        let found = *self.wide[self.place(row)?].in_force(self.turn);
        is_there(&found).then_some(found)
    }

    /// The largest order that the instrument's own row allows.
    pub(crate) fn instrument_qty_max(&self, instrument_id: u32) -> i64 {
        let mut row = absent(Scope::Instrument);
        row.instrument_id = instrument_id;
        mutant!(new_terms_forget_the_limit => return i64::MAX);
        self.found(&row, 0).map_or(i64::MAX, |row| row.order_qty_max)
    }

    /// Puts a row beside what is in force.
    pub(crate) fn stage(&mut self, row: &LimitRow, pair: usize) {
        let turn = self.turn;
        if scope_of(row) == Some(Scope::AccountInstrument) {
            let cell = &mut self.cells[pair];
            let old = cell.newest();
            let old = (old.present != 0).then(|| old.row(row.account_id, row.instrument_id));
            self.staged_hash = self.staged_hash.wrapping_sub(hash_of(old.as_ref()));
            let new = Cell::of(row);
            if cell.stage(new, turn) {
                self.staged_cells.push(pair as u32);
            }
            let new = (new.present != 0).then(|| new.row(row.account_id, row.instrument_id));
            self.staged_hash = self.staged_hash.wrapping_add(hash_of(new.as_ref()));
            return;
        }
        let Some(at) = self.place(row) else { return };
        let wide = &mut self.wide[at];
        let old = Some(wide.newest()).filter(|row| is_there(row));
        let old = hash_of(old);
        self.staged_hash = self.staged_hash.wrapping_sub(old).wrapping_add(hash_of(Some(row)));
        if wide.stage(bare(row), turn) {
            self.staged_wide.push(at as u32);
        }
    }

    /// Forgets what was staged: the start of a run, behind a crash between staging and activation.
    pub(crate) fn forget_staged(&mut self) {
        mutant!(half_a_staging_survives_a_crash => return);
        for pair in self.staged_cells.drain(..) {
            self.cells[pair as usize].forget();
        }
        for at in self.staged_wide.drain(..) {
            self.wide[at as usize].forget();
        }
        self.staged_hash = self.hash;
    }

    /// What is staged holds from here on.
    fn turn_over(&mut self) {
        self.turn += 1;
        self.hash = self.staged_hash;
        self.staged_cells.clear();
    }

    /// Feeds what replays must agree on: rows in force, what is staged, and how much.
    pub(crate) fn put(&self, put: &mut impl FnMut(&[u8])) {
        put([self.hash, self.staged_hash].as_bytes());
        put([self.staged_cells.len() as u64, self.staged_wide.len() as u64].as_bytes());
        let cells = self.cells.iter().map(|cell| cell.in_force(self.turn));
        cells.filter(|cell| cell.present != 0).for_each(|cell| put(cell.as_bytes()));
        let wide = self.wide.iter().map(|row| row.in_force(self.turn));
        wide.filter(|row| is_there(row)).for_each(|row| put(row.as_bytes()));
    }
}

/// Whether a place of `wide` holds a row.
fn is_there(row: &LimitRow) -> bool {
    row.header.kind != 0 && !is_removed(row)
}

impl Engine {
    /// What stands between a row and the tables: its scope is one of limits, and its numbers fit.
    pub fn limit_row_fits(&self, row: &LimitRow) -> bool {
        let c = &self.config;
        let within = |id: u32, max: usize| (id as usize) < max;
        let scope = scope_of(row);
        let ours = WIDE.iter().any(|(of, _, _)| Some(*of) == scope);
        let bursting = Throttle::bursting(row.orders_max, row.burst);
        (ours || scope == Some(Scope::AccountInstrument))
            && within(row.account_id, c.accounts_max)
            && within(row.instrument_id, c.instruments_max)
            && self.names_entity(row)
            && bursting.max(row.minute_orders_max) as usize <= c.throttle_orders_max
            && row.window_ns >= 0
            && row.margin_max >= 0
            && row.day_notional_max >= 0
            && row.concentration_bp_max <= 10_000
    }

    /// Whether the session, strategy, trader or sector that a row names has a place; others name none.
    fn names_entity(&self, row: &LimitRow) -> bool {
        let (c, id) = (&self.config, row.entity_id as usize);
        match scope_of(row) {
            Some(Scope::Session) => id < c.sessions_max,
            Some(Scope::Strategy) => id < c.strategies_max,
            Some(Scope::Trader) => id < c.traders_max,
            Some(Scope::Sector) => id != 0 && id < c.sectors_max,
            _ => id == 0,
        }
    }

    /// Whether what a row is about is defined.
    pub fn limit_row_known(&self, row: &LimitRow) -> bool {
        let entity = row.entity_id as usize;
        let account = self.accounts[row.account_id as usize].defined != 0;
        let instrument = self.instruments[row.instrument_id as usize].defined != 0;
        match scope_of(row) {
            Some(Scope::Account) => account,
            Some(Scope::Instrument) => instrument,
            Some(Scope::AccountInstrument) => account && instrument,
            Some(Scope::Session) => self.sessions[entity].defined != 0,
            Some(Scope::Strategy) => self.strategies[entity].defined != 0,
            Some(Scope::Trader) => self.traders[entity].defined != 0,
            Some(Scope::Sector) => entity as u32 <= self.counts[Entity::Sector as usize],
            Some(Scope::Desk) => true,
            Some(Scope::Venue) | None => false,
        }
    }

    pub(crate) fn apply_limit_row(&mut self, row: &LimitRow) {
        let pair = self.pair(row.account_id, row.instrument_id);
        self.limits.stage(row, pair);
    }

    /// All that is staged comes into force: cells by the turn alone, wider rows, which are few, by
    /// being worked into the rows that decisions read.
    pub(crate) fn apply_limits(&mut self, limits_version: u64) {
        self.limits_version = limits_version;
        self.limits.turn_over();
        for at in 0..self.limits.staged_wide.len() {
            let place = self.limits.staged_wide[at] as usize;
            let row = *self.limits.wide[place].newest();
            let scope = scope_of(&row).expect("judged before it was logged");
            if is_removed(&row) {
                let mut none = absent(scope);
                (none.account_id, none.instrument_id) = (row.account_id, row.instrument_id);
                none.entity_id = row.entity_id;
                self.apply_wide(scope, &none, false);
            } else {
                self.apply_wide(scope, &row, true);
            }
        }
        self.limits.staged_wide.clear();
        self.see_bounds();
        self.stale_limits();
    }

    /// Works one row into what decisions read; `present`: it is a row, and not the lack of one.
    fn apply_wide(&mut self, scope: Scope, row: &LimitRow, present: bool) {
        let cap = self.config.throttle_orders_max;
        let micro = |units: i64| match units {
            i64::MAX => i128::MAX >> 1,
            units => units as i128 * 1_000_000,
        };
        match scope {
            Scope::Account => {
                let account = &mut self.accounts[row.account_id as usize];
                account.limited = present.into();
                let max = Throttle::bursting(row.orders_max, row.burst);
                let first = row.account_id as usize * cap;
                account.throttle.bound(&self.account_sends, first, cap, max, row.window_ns);
                account.order_qty_max = row.order_qty_max;
                account.order_notional_max = row.order_notional_max;
                account.gross_max = micro(row.gross_notional_max);
                account.net_max = micro(row.net_notional_max);
                account.share_max = share_of(row.gross_notional_max, row.concentration_bp_max);
            }
            Scope::Session => {
                let session = &mut self.sessions[row.entity_id as usize];
                let max = Throttle::bursting(row.orders_max, row.burst);
                let first = row.entity_id as usize * cap;
                session.throttle.bound(&self.session_sends, first, cap, max, row.window_ns);
            }
            Scope::Instrument => {
                self.instruments[row.instrument_id as usize].order_qty_max = row.order_qty_max;
            }
            _ => {}
        }
        self.bind(scope, row, present);
    }

    /// The row of limits in force for what `row` is about; `None` where there is none.
    pub fn limit_in_force(&self, row: &LimitRow) -> Option<LimitRow> {
        assert!(self.limit_row_fits(row));
        self.limits.found(row, self.pair(row.account_id, row.instrument_id))
    }

    /// Every row of limits in force: accounts, instruments, sessions, then accounts in instruments.
    pub fn limit_rows(&self) -> impl Iterator<Item = LimitRow> + '_ {
        let limits = &self.limits;
        let wide = limits.wide.iter().map(|row| *row.in_force(limits.turn)).filter(is_there);
        let width = self.config.instruments_max;
        let cells = limits.cells.iter().enumerate().filter_map(move |(pair, cell)| {
            let cell = cell.in_force(limits.turn);
            let (account_id, instrument_id) = ((pair / width) as u32, (pair % width) as u32);
            (cell.present != 0).then(|| cell.row(account_id, instrument_id))
        });
        wide.chain(cells)
    }

    /// Rows of limits that there can be.
    pub fn limits_max(&self) -> usize {
        self.limits.wide.len() + self.limits.cells.len()
    }

    /// Hash of all rows of limits in force, whatever order they came in; 0 where there is none.
    pub fn limits_hash(&self) -> u64 {
        self.limits.hash
    }

    /// Hash of the rows of limits as they will be when what is staged comes into force.
    pub(crate) fn staged_limits_hash(&self) -> u64 {
        self.limits.staged_hash
    }

    /// Rows of limits that are staged and not in force.
    pub fn staged_limits(&self) -> usize {
        self.limits.staged_cells.len() + self.limits.staged_wide.len()
    }

    /// The log's record of a row that is to be staged.
    pub fn limit_record(row: &LimitRow, limits_version: u64) -> Record {
        let mut record = bare(row);
        record.limits_version = limits_version;
        *record.as_record()
    }
}
