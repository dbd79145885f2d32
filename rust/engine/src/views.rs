//! Read views of the state, for the host, for people and for proofs. Nothing here writes.

use crate::order::UNSURE;
use crate::risk::{Account, Instrument, RiskRow, Venue};
use crate::{Counters, Engine, EngineConfig, Order, Position, book};
use layout::{Definition, Entity, PositionLeg};
use xxhash_rust::xxh3::Xxh3;
use zerocopy::IntoBytes;

impl Engine {
    /// Capacities it was made with.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// An order by our number, while it is remembered.
    #[inline]
    pub fn order(&self, order_seq: u64) -> Option<&Order> {
        let order = &self.orders[self.slot(order_seq)];
        (order_seq != 0 && order.order_seq == order_seq).then_some(order)
    }

    /// The present ClOrdID(11) of an order.
    /// All zero for an order that a venue reopened after its ids were forgotten.
    pub fn cl_ord_id(&self, order: &Order) -> [u8; 36] {
        let row = self.dedup.row(order.id_row);
        if row.order_seq == order.order_seq { row.cl_ord_id } else { [0; 36] }
    }

    /// The order that a client id of a session names, if it is remembered.
    pub fn order_of(&self, session_id: u16, cl_ord_id: &[u8; 36]) -> Option<&Order> {
        let hash = crate::dedup::id_hash(cl_ord_id, session_id);
        let row = self.dedup.find(hash, session_id, cl_ord_id)?;
        self.order(self.dedup.row(row).order_seq)
    }

    /// Live orders, in the order of the table.
    pub fn live_orders(&self) -> impl Iterator<Item = &Order> {
        self.live.iter().enumerate().flat_map(move |(word, &bits)| {
            std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
                .take_while(|&bits| bits != 0)
                .map(move |bits| &self.orders[word * 64 + bits.trailing_zeros() as usize])
        })
    }

    /// Orders that reserve: the live ones, and those that have ended while fills of them were
    /// missing.
    pub fn reserving_orders(&self) -> impl Iterator<Item = &Order> {
        let ended = if self.owing_count == 0 { &[][..] } else { &self.orders[..] };
        self.live_orders().chain(ended.iter().filter(|order| order.owes()))
    }

    /// Every order still remembered, live or closed, in the order of the table.
    pub fn all_orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(|order| order.order_seq != 0)
    }

    /// Number of live orders.
    pub fn live_count(&self) -> u64 {
        self.live_count
    }

    /// Live orders that still wait for the cancel that a mass cancel or a kill asked for.
    pub fn asked_count(&self) -> u64 {
        self.asked_count
    }

    /// Whether any sent message of an order has an unknown outcome.
    pub fn unsure(order: &Order) -> bool {
        order.flight & UNSURE != 0
    }

    /// Whether a cancel was asked for and not sent yet.
    pub fn cancel_asked(order: &Order) -> bool {
        order.is_asked()
    }

    /// Position of an account in an instrument.
    pub fn position(&self, account_id: u32, instrument_id: u32) -> Position {
        let pair = self.pair(account_id, instrument_id);
        let (row, ledger) = (&self.rows[pair], &self.ledgers[pair]);
        Position {
            leg: PositionLeg::Net,
            account_id,
            instrument_id,
            net_qty: row.net_qty,
            open_cost: row.open_cost,
            realised: ledger.cash + row.open_cost,
            fees: ledger.fees,
            traded_qty: (ledger.buy_qty, ledger.sell_qty),
        }
    }

    /// Positions that were ever touched, by account and instrument.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        (0..self.config.accounts_max as u32).flat_map(move |account_id| {
            (0..self.config.instruments_max as u32).filter_map(move |instrument_id| {
                let ledger = &self.ledgers[self.pair(account_id, instrument_id)];
                let touched = *ledger != crate::position::Ledger::default();
                touched.then(|| self.position(account_id, instrument_id))
            })
        })
    }

    /// One leg of a position; `None` for an account that never hedged. Beyond both legs, a position
    /// holds what belongs to fills from before the account hedged, or since.
    pub fn leg(&self, account_id: u32, instrument_id: u32, leg: PositionLeg) -> Option<Position> {
        let account = self.accounts.get(account_id as usize)?;
        let [long, short] = self.both_legs(account_id, instrument_id);
        let found = match leg {
            PositionLeg::Net => return None,
            PositionLeg::Long => long,
            PositionLeg::Short => short,
        };
        (account.legs != 0).then_some(Position {
            leg,
            account_id,
            instrument_id,
            net_qty: found.qty,
            open_cost: found.cost,
            realised: found.ledger.cash + found.cost,
            fees: found.ledger.fees,
            traded_qty: (found.ledger.buy_qty, found.ledger.sell_qty),
        })
    }

    /// Quantity of live orders that close a leg and points of those that open more of it, worst case.
    pub fn leg_orders(&self, account_id: u32, instrument_id: u32, leg: PositionLeg) -> (i64, i128) {
        let [long, short] = self.both_legs(account_id, instrument_id);
        let found = if leg == PositionLeg::Short { short } else { long };
        (found.closing_qty, found.opening)
    }

    /// The risk row of an account in an instrument.
    pub fn row(&self, account_id: u32, instrument_id: u32) -> &RiskRow {
        &self.rows[self.pair(account_id, instrument_id)]
    }

    /// An instrument; number 0 is none.
    pub fn instrument(&self, instrument_id: u32) -> &Instrument {
        &self.instruments[instrument_id as usize]
    }

    /// An account; number 0 is none.
    pub fn account(&self, account_id: u32) -> &Account {
        &self.accounts[account_id as usize]
    }

    /// An account's sums in desk currency at 1e-6: gross, worst long, worst short.
    pub fn account_sums(&self, account_id: u32) -> (i128, i128, i128) {
        let account = &self.accounts[account_id as usize];
        (account.gross, account.worst[0], account.worst[1])
    }

    /// A venue; number 0 is none.
    pub fn venue(&self, venue_id: u16) -> &Venue {
        &self.venues[venue_id as usize]
    }

    /// The shadow book of an instrument that gets market by order.
    pub fn book(&self, instrument_id: u32) -> Option<&book::Book> {
        match self.instruments.get(instrument_id as usize)?.book {
            0 => None,
            book => self.books.get(book as usize - 1),
        }
    }

    /// What a name means.
    pub fn definition(&self, entity: Entity, name: &[u8; 36]) -> Option<&Definition> {
        self.names.get(&(entity as u8, *name)).map(|&index| &self.definitions[index as usize])
    }

    /// The number of a name; `None` while it is not defined.
    pub fn id_of(&self, entity: Entity, name: &str) -> Option<u32> {
        self.definition(entity, &layout::text(name)).map(|d| d.id)
    }

    /// All definitions, oldest first.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Terms of an instrument as defined.
    pub fn terms(&self, instrument_id: u32) -> &layout::InstrumentTerms {
        &self.terms[instrument_id as usize]
    }

    /// Epoch of the last start on this log.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// event_seq of the last record folded.
    pub fn event_seq(&self) -> u64 {
        self.event_seq
    }

    /// Time of the last record folded; `i64::MIN` before the first.
    pub fn time_ns(&self) -> i64 {
        self.time_ns
    }

    /// Epoch of the kill switch that the log has seen.
    pub fn control_epoch(&self) -> u64 {
        self.control_epoch
    }

    /// Kill mode of the whole desk, as a code.
    pub fn desk_mode(&self) -> u8 {
        self.desk_mode
    }

    /// Kill mode of one scope, as a code; 0 for a scope or number that is not there.
    pub fn mode_in(&self, scope: layout::Scope, id: u32) -> u8 {
        use layout::Scope;
        let id = id as usize;
        match scope {
            Scope::Desk => Some(self.desk_mode),
            Scope::Account => self.accounts.get(id).map(|x| x.mode),
            Scope::Instrument => self.instruments.get(id).map(|x| x.mode),
            Scope::Venue => self.venues.get(id).map(|x| x.mode),
            Scope::Session => self.sessions.get(id).map(|x| x.mode),
            Scope::Strategy => self.strategies.get(id).map(|x| x.mode),
            Scope::AccountInstrument | Scope::Sector | Scope::Trader => None,
        }
        .unwrap_or(0)
    }

    /// Whether new orders wait for recovery and reconciliation to end.
    pub fn recovering(&self) -> bool {
        self.recovering != 0
    }

    /// Version of the limits in force.
    pub fn limits_version(&self) -> u64 {
        self.limits_version
    }

    /// Counters outside the state.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Hash (xxh3) of all that the log folds into: orders, positions, reserves, ids, fills, throttles,
    /// limits, definitions, kill modes, epoch and sequence; never books, quotes, caches or counters.
    pub fn state_hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        let mut put = |bytes: &[u8]| hash.update(bytes);
        for number in [
            self.epoch,
            self.event_seq,
            self.time_ns as u64,
            self.control_epoch,
            self.desk_mode as u64,
            self.recovering as u64,
            self.limits_version,
            self.next_order_seq,
            self.live_count,
            self.asked_count,
            self.due_count,
            self.reducing_count,
        ] {
            put(number.as_bytes());
        }
        self.all_orders().for_each(|order| put(order.as_bytes()));
        self.dedup.rows().for_each(|row| put(row.as_bytes()));
        for terms in self.order_terms.iter().filter(|terms| terms.order_seq != 0) {
            put(terms.as_bytes());
        }
        put(&self.days);
        put(self.closed_seq.as_bytes());
        self.fills.rows().for_each(|row| put(row.as_bytes()));
        self.fills.chains().for_each(|chain| put(chain.as_bytes()));
        put(self.queries.as_bytes());
        self.asked_qty.iter().filter(|&&qty| qty != 0).for_each(|qty| put(qty.as_bytes()));
        self.asked_word.iter().filter(|&&word| word != 0).for_each(|word| put(word.as_bytes()));
        put(self.vacant_count.as_bytes());
        for definition in &self.definitions {
            // The header is the log's; the event_seq it stands at is hashed with the log itself.
            put(&definition.as_bytes()[32..]);
        }
        self.terms.iter().filter(|t| t.tick != 0).for_each(|t| put(&t.as_bytes()[32..]));
        for i in self.instruments.iter() {
            put(i.factor.as_bytes());
            put(&[i.defined, i.mode, i.phase]);
            put(i.order_qty_max.as_bytes());
        }
        self.accounts.iter().for_each(|row| put(row.as_bytes()));
        self.sessions.iter().for_each(|row| put(row.as_bytes()));
        self.venues.iter().for_each(|row| put(row.as_bytes()));
        self.strategies.iter().for_each(|row| put(row.as_bytes()));
        self.traders.iter().for_each(|row| put(row.as_bytes()));
        self.currencies.iter().for_each(|row| put(row.as_bytes()));
        self.limits.put(&mut put);
        for (row, ledger) in self.rows.iter().zip(self.ledgers.iter()) {
            let sums = [row.open_cost, row.open[0], row.open[1]];
            let quantities = [row.net_qty, row.open_qty[0], row.open_qty[1]];
            if sums != [0; 3] || quantities != [0; 3] || *ledger != Default::default() {
                put(sums.as_bytes());
                put(quantities.as_bytes());
                put(ledger.as_bytes());
            }
        }
        self.legs
            .iter()
            .filter(|leg| **leg != Default::default())
            .for_each(|leg| put(leg.as_bytes()));
        put(self.hedgers.as_bytes());
        put(self.session_sends.as_bytes());
        put(self.account_sends.as_bytes());
        self.bounds.put(put);
        hash.digest()
    }
}
