//! The paths, each written once: the desk it needs, a batch of its inputs, one operation, what the
//! venue says after it. Driven by `cases` for percentiles, by `benches/means.rs` for means and by
//! `benches/counts.rs` for instructions. What must stay true: `draw` and `settle` are never timed nor
//! counted, and every operation is asked whether it did what the path says.

use crate::desk::{BID, Desk, Fault, Scratch, Shape, TICK};
use engine::Log;
use host::RingLog;
use journal::{ControlFile, ControlState, DeskDir, NewDesk, Ring};
use layout::*;
use std::hint::black_box;
use std::marker::PhantomData;

/// Inputs drawn at once and timed after it.
pub const BATCH: usize = 64;
/// Commands whose lines are fetched ahead of the one that is judged.
pub const AHEAD: usize = 8;
/// Orders between two times at which all ids of a hot desk run out.
pub(crate) const HOT_ROUND: usize = 512;
/// Live orders of a hot desk.
const HOT_LIVE: usize = 256;

/// How large a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Seconds in all, not minutes: what tests run.
    pub small: bool,
}

impl Size {
    pub(crate) fn of(self, full: usize, small: usize) -> usize {
        if self.small { small } else { full }
    }
}

/// One arrow, or a chain of them, of the desk's picture.
pub trait Path: Sized {
    /// Name of the case.
    const CASE: &'static str;
    /// Durability tier, in the words of the interface; `-` where no log takes part.
    const TIER: &'static str = "process";
    /// Operations timed one by one: full and small size. A multiple of `BATCH`.
    const SAMPLES: (usize, usize);
    /// What one operation takes.
    type Input;

    /// The path, warm, with room for `ops` operations.
    fn open(size: Size, ops: usize) -> Result<Self, Fault>;
    /// What it runs on: sizes, order of access, cold or hot, paced or not.
    fn data(&self) -> String;
    /// Puts the next `BATCH` inputs in place of the last.
    fn draw(&mut self, batch: &mut Vec<Self::Input>);
    /// One operation: whether it came out as the path says.
    fn one(&mut self, input: &Self::Input) -> bool;
    /// A batch in one go: how many came out as the path says.
    #[inline(always)]
    fn whole(&mut self, batch: &[Self::Input]) -> usize {
        batch.iter().filter(|input| self.one(input)).count()
    }
    /// What happens between batches: the venue's answers, segments, room for the next.
    fn settle(&mut self, batch: &[Self::Input]);
}

/// A path under way: the batch in hand, and a fresh desk whenever the last one's room is used up. For
/// drivers that do not know how many operations they will ask for.
pub struct Drive<P: Path> {
    path: P,
    batch: Vec<P::Input>,
    size: Size,
    room: usize,
    left: usize,
}

impl<P: Path> Drive<P> {
    /// The path with its first batch drawn. `room`: operations of one desk, at least two batches.
    pub fn open(size: Size, room: usize) -> Result<Self, Fault> {
        assert!(room >= 2 * BATCH);
        let mut path = P::open(size, room)?;
        let mut batch = Vec::with_capacity(BATCH);
        path.draw(&mut batch);
        Ok(Self { path, batch, size, room, left: room - BATCH })
    }

    /// The batch in hand, one operation after the other.
    #[inline(always)]
    pub fn each(&mut self) {
        let right = self.batch.iter().filter(|input| self.path.one(input)).count();
        assert!(right == BATCH);
    }

    /// The batch in hand, in one go.
    #[inline(always)]
    pub fn whole(&mut self) {
        assert!(self.path.whole(&self.batch) == BATCH);
    }

    /// Puts the next batch in place of the one that was run.
    pub fn next(&mut self) {
        self.path.settle(&self.batch);
        if self.left < BATCH {
            self.path = P::open(self.size, self.room).expect("as before");
            self.left = self.room;
        }
        self.path.draw(&mut self.batch);
        self.left -= BATCH;
    }
}

/// New orders on a desk that grows to `live` orders and stays there.
struct Decide {
    desk: Desk,
    live: usize,
    sent: u64,
}

impl Decide {
    fn draw(&mut self, batch: &mut Vec<NewOrder>) {
        batch.clear();
        batch.extend((0..BATCH).map(|_| self.desk.order()));
        self.sent = self.desk.outbox.count;
    }

    #[inline(always)]
    fn one(&mut self, order: &NewOrder) -> bool {
        self.desk.step(order.as_record()) == Verdict::Accepted
    }

    #[inline(always)]
    fn whole(&mut self, orders: &[NewOrder]) -> usize {
        for order in &orders[..AHEAD] {
            self.desk.engine.prefetch(order);
        }
        let mut accepted = 0;
        for (at, order) in orders.iter().enumerate() {
            if let Some(next) = orders.get(at + AHEAD) {
                self.desk.engine.prefetch(next);
            }
            accepted += usize::from(self.one(order));
        }
        accepted
    }

    fn settle(&mut self) {
        let desk = &mut self.desk;
        assert!(desk.outbox.count - self.sent == BATCH as u64);
        let last = desk.outbox.newest().header.order_seq;
        desk.live.extend(last + 1 - BATCH as u64..=last);
        desk.end(desk.live.len().saturating_sub(self.live));
        desk.pump();
    }
}

/// A new order, everything in cache.
pub struct DecideHot {
    decide: Decide,
    drawn: usize,
}

impl Path for DecideHot {
    const CASE: &'static str = "decide_hot";
    const SAMPLES: (usize, usize) = (1 << 20, 1 << 14);
    type Input = NewOrder;

    fn open(_: Size, _: usize) -> Result<Self, Fault> {
        let desk = Desk::open(Shape::HOT)?;
        Ok(Self { decide: Decide { desk, live: HOT_LIVE, sent: 0 }, drawn: 0 })
    }
    fn data(&self) -> String {
        "hot, unpaced: 16 instruments x 4 accounts, 256 live, 1,024 ids, ring 1 MiB".into()
    }
    fn draw(&mut self, batch: &mut Vec<NewOrder>) {
        // A round stays within the ids that no round before has left to forget.
        if self.drawn % HOT_ROUND == 0 {
            self.decide.desk.forget(HOT_ROUND, HOT_LIVE);
        }
        self.drawn += BATCH;
        self.decide.draw(batch);
    }
    #[inline(always)]
    fn one(&mut self, order: &NewOrder) -> bool {
        self.decide.one(order)
    }
    #[inline(always)]
    fn whole(&mut self, orders: &[NewOrder]) -> usize {
        self.decide.whole(orders)
    }
    fn settle(&mut self, _: &[NewOrder]) {
        self.decide.settle();
    }
}

/// A new order among many: every access its own cache miss.
pub struct DecideRandom {
    decide: Decide,
    ids: usize,
}

impl Path for DecideRandom {
    const CASE: &'static str = "decide_random";
    const SAMPLES: (usize, usize) = (1 << 20, 1 << 13);
    type Input = NewOrder;

    fn open(size: Size, ops: usize) -> Result<Self, Fault> {
        let live = size.of(1_000_000, 8_000);
        let ids = size.of(10_000_000, 40_000).max(ops + live);
        let mut desk = Desk::open(Shape::random(ids))?;
        desk.grow(ids - ops, live);
        Ok(Self { decide: Decide { desk, live, sent: 0 }, ids })
    }
    fn data(&self) -> String {
        format!(
            "random, unpaced: 1,000 instruments x 100 accounts, {} live, {} ids, ring 8 MiB; \
             ops_per_s with prefetch {AHEAD} ahead, percentiles without",
            self.decide.live, self.ids
        )
    }
    fn draw(&mut self, batch: &mut Vec<NewOrder>) {
        self.decide.draw(batch);
    }
    #[inline(always)]
    fn one(&mut self, order: &NewOrder) -> bool {
        self.decide.one(order)
    }
    #[inline(always)]
    fn whole(&mut self, orders: &[NewOrder]) -> usize {
        self.decide.whole(orders)
    }
    fn settle(&mut self, _: &[NewOrder]) {
        self.decide.settle();
    }
}

/// A desk of the random kind that has room for `more` orders and ids beyond its growth.
fn random_desk(size: Size, more: usize) -> Result<(Desk, String), Fault> {
    let (ids, live) = (size.of(2_000_000, 40_000), size.of(1_000_000, 8_000));
    let mut desk = Desk::open(Shape::random(ids + more))?;
    desk.grow(ids, live);
    let data = format!(
        "random, unpaced: 1,000 instruments x 100 accounts, {live} live, {ids} ids, ring 8 MiB"
    );
    Ok((desk, data))
}

/// A fill that ends a random order.
pub struct ReportFill {
    desk: Desk,
    data: String,
    fills: u64,
}

impl Path for ReportFill {
    const CASE: &'static str = "report_fill";
    const SAMPLES: (usize, usize) = (1 << 19, 1 << 12);
    type Input = ExecutionReport;

    fn open(size: Size, ops: usize) -> Result<Self, Fault> {
        let (desk, data) = random_desk(size, ops)?;
        Ok(Self { desk, data: data + "; each fill ends its order", fills: 0 })
    }
    fn data(&self) -> String {
        self.data.clone()
    }
    fn draw(&mut self, batch: &mut Vec<ExecutionReport>) {
        self.desk.place(BATCH);
        batch.clear();
        for _ in 0..BATCH {
            let order_seq = self.desk.draw_live();
            batch.push(self.desk.word(order_seq, ExecType::Trade));
        }
    }
    #[inline(always)]
    fn one(&mut self, report: &ExecutionReport) -> bool {
        self.desk.report(report) == Disposition::Applied
    }
    fn settle(&mut self, batch: &[ExecutionReport]) {
        self.fills += batch.len() as u64;
        assert!(self.desk.engine.counters().fills == self.fills);
        self.desk.pump();
    }
}

/// Partial fills in a burst, everything in cache.
pub struct ReportBurst {
    desk: Desk,
    orders: usize,
}

impl Path for ReportBurst {
    const CASE: &'static str = "report_burst";
    const SAMPLES: (usize, usize) = (1 << 19, 1 << 12);
    type Input = ExecutionReport;

    fn open(_: Size, _: usize) -> Result<Self, Fault> {
        let desk = Desk::open(Shape { fills_max: 1 << 21, ..Shape::HOT })?;
        Ok(Self { desk, orders: 0 })
    }
    fn data(&self) -> String {
        "hot, unpaced: 16 instruments x 4 accounts; bursts of 64 partial fills of 8 orders".into()
    }
    fn draw(&mut self, batch: &mut Vec<ExecutionReport>) {
        if self.orders % HOT_ROUND == 0 {
            self.desk.forget(HOT_ROUND, 0);
        }
        self.orders += BATCH / 8;
        batch.clear();
        for _ in 0..BATCH / 8 {
            let mut order = self.desk.order();
            order.order_qty = 8 * ONE;
            assert!(self.desk.step(order.as_record()) == Verdict::Accepted);
            let order_seq = self.desk.outbox.newest().header.order_seq;
            for _ in 0..8 {
                let mut word = self.desk.word(order_seq, ExecType::Trade);
                word.last_qty = ONE;
                batch.push(word);
            }
        }
    }
    #[inline(always)]
    fn one(&mut self, report: &ExecutionReport) -> bool {
        self.desk.report(report) == Disposition::Applied
    }
    fn settle(&mut self, _: &[ExecutionReport]) {
        self.desk.pump();
    }
}

/// A kind of change: the command, and the venue's answer to it.
pub trait Changing {
    /// Name of the case.
    const CASE: &'static str;
    /// What the venue says to it.
    const ANSWER: ExecType;
    /// The command for an order.
    fn command(desk: &mut Desk, order_seq: u64) -> Record;
}

/// A cancel.
pub struct Canceling;

impl Changing for Canceling {
    const CASE: &'static str = "cancel";
    const ANSWER: ExecType = ExecType::Canceled;
    fn command(desk: &mut Desk, order_seq: u64) -> Record {
        *desk.cancel(order_seq).as_record()
    }
}

/// A replace: one more.
pub struct Replacing;

impl Changing for Replacing {
    const CASE: &'static str = "replace";
    const ANSWER: ExecType = ExecType::Replaced;
    fn command(desk: &mut Desk, order_seq: u64) -> Record {
        *desk.replace(order_seq).as_record()
    }
}

/// Changes of random live orders; the venue's answers and new orders come between batches.
pub struct Changes<C> {
    desk: Desk,
    data: String,
    kind: PhantomData<C>,
}

/// A cancel of a random order.
pub type Cancel = Changes<Canceling>;
/// A replace of a random order.
pub type Replace = Changes<Replacing>;

impl<C: Changing> Path for Changes<C> {
    const CASE: &'static str = C::CASE;
    const SAMPLES: (usize, usize) = (1 << 18, 1 << 11);
    type Input = (u64, Record);

    fn open(size: Size, ops: usize) -> Result<Self, Fault> {
        let (desk, data) = random_desk(size, 2 * ops)?;
        Ok(Self { desk, data, kind: PhantomData })
    }
    fn data(&self) -> String {
        self.data.clone()
    }
    fn draw(&mut self, batch: &mut Vec<Self::Input>) {
        batch.clear();
        for _ in 0..BATCH {
            let order_seq = self.desk.draw_live();
            batch.push((order_seq, C::command(&mut self.desk, order_seq)));
        }
    }
    #[inline(always)]
    fn one(&mut self, (_, command): &Self::Input) -> bool {
        self.desk.step(command) == Verdict::Accepted
    }
    fn settle(&mut self, batch: &[Self::Input]) {
        for &(order_seq, _) in batch {
            let word = self.desk.word(order_seq, C::ANSWER);
            assert!(self.desk.report(&word) == Disposition::Applied);
            if self.desk.engine.order(order_seq).is_some_and(|order| order.live()) {
                self.desk.live.push(order_seq);
            } else {
                self.desk.place(1);
            }
        }
        self.desk.pump();
    }
}

/// Stops of one instrument and side: one at each tick, the nearest two ticks from the market.
#[derive(Clone, Copy, Default)]
struct Ladder {
    /// Triggers drawn and not settled: so many rungs are spoken for.
    drawn: i64,
}

/// A million stops held over 1,000 instruments, each a tick farther from the market than the one
/// before.
struct Held {
    desk: Desk,
    rungs: usize,
    ladders: Vec<Ladder>,
}

impl Held {
    const INSTRUMENTS: usize = 1_000;

    fn open(size: Size, ops: usize, trailing: usize) -> Result<Self, Fault> {
        let rungs = size.of(500, 4);
        let held = Self::INSTRUMENTS * (2 * rungs + trailing);
        let mut shape = Shape::random(held + ops);
        shape.terms_max = (held * 5 / 4).next_power_of_two();
        let ladders = vec![Ladder::default(); 2 * Self::INSTRUMENTS];
        let mut held = Self { desk: Desk::open(shape)?, rungs, ladders };
        for rung in 0..rungs {
            for ladder in 0..held.ladders.len() {
                held.place(ladder, rung as i64);
            }
            held.desk.pump();
        }
        Ok(held)
    }

    fn stop_px(ladder: usize, rung: i64) -> i64 {
        if ladder % 2 == 0 { BID + (rung + 3) * TICK } else { BID - (rung + 2) * TICK }
    }

    fn place(&mut self, ladder: usize, rung: i64) {
        let mut order = self.desk.order();
        order.instrument_id = 1 + ladder as u32 / 2;
        order.side = if ladder % 2 == 0 { Side::Buy } else { Side::Sell } as u8;
        (order.ord_type, order.price) = (OrdType::Stop as u8, 0);
        let mut terms = OrderTerms::ZERO;
        terms.stop_px = Self::stop_px(ladder, rung);
        self.desk.place_terms(&mut order, terms);
    }

    /// One trailing stop of an instrument, two hundred ticks behind its last trade.
    fn trail(&mut self, instrument_id: u32) {
        let mut order = self.desk.order();
        (order.instrument_id, order.price) = (instrument_id, 0);
        order.ord_type = OrdType::TrailingStop as u8;
        let mut terms = OrderTerms::ZERO;
        terms.trail = 200 * TICK;
        self.desk.place_terms(&mut order, terms);
    }

    fn data(&self) -> String {
        format!(
            "random, unpaced: {} held stops over 1,000 instruments x 100 accounts, ring 8 MiB",
            self.rungs * self.ladders.len()
        )
    }
}

fn trade(instrument_id: u32, price: i64) -> BookUpdate {
    let mut u = BookUpdate::ZERO;
    (u.header.kind, u.instrument_id) = (BookUpdate::KIND, instrument_id);
    (u.action, u.price, u.qty) = (BookAction::Trade as u8, price, ONE);
    u
}

/// A trade of the market between the stops: it releases none.
pub struct HeldQuiet {
    held: Held,
    trailing: usize,
    event_seq: u64,
}

impl Path for HeldQuiet {
    const CASE: &'static str = "held_quiet";
    const SAMPLES: (usize, usize) = (1 << 20, 1 << 12);
    type Input = BookUpdate;

    fn open(size: Size, _: usize) -> Result<Self, Fault> {
        let trailing = size.of(50, 2);
        let mut held = Held::open(size, 0, trailing)?;
        for instrument_id in 1..=Held::INSTRUMENTS as u32 {
            let last = trade(instrument_id, BID);
            assert!(held.desk.step(last.as_record()) == Verdict::Accepted);
            for _ in 0..trailing {
                held.trail(instrument_id);
            }
            held.desk.pump();
            // Both ends of what the market does below, so that every trail has followed them.
            for price in [BID + 2 * TICK, BID - TICK] {
                held.desk.step(trade(instrument_id, price).as_record());
            }
        }
        held.desk.pump();
        let event_seq = held.desk.engine.event_seq();
        Ok(Self { held, trailing, event_seq })
    }
    fn data(&self) -> String {
        let trailing = self.trailing * Held::INSTRUMENTS;
        self.held.data() + &format!(", {trailing} trailing ones beside them; trades between them")
    }
    fn draw(&mut self, batch: &mut Vec<BookUpdate>) {
        batch.clear();
        for _ in 0..BATCH {
            let instrument_id = 1 + self.held.desk.seeded.below(Held::INSTRUMENTS as u64) as u32;
            let price = BID + (self.held.desk.seeded.below(4) as i64 - 1) * TICK;
            batch.push(trade(instrument_id, price));
        }
    }
    #[inline(always)]
    fn one(&mut self, update: &BookUpdate) -> bool {
        self.held.desk.step(update.as_record()) == Verdict::Accepted
    }
    fn settle(&mut self, _: &[BookUpdate]) {
        // Every stop stands as it stood: what changes is an event.
        assert!(self.held.desk.engine.event_seq() == self.event_seq);
    }
}

/// A trade that meets one stop, which is judged and goes out as a market order.
pub struct HeldTrigger {
    held: Held,
    sent: u64,
}

impl Path for HeldTrigger {
    const CASE: &'static str = "held_trigger";
    const SAMPLES: (usize, usize) = (1 << 18, 1 << 11);
    type Input = (usize, BookUpdate);

    fn open(size: Size, ops: usize) -> Result<Self, Fault> {
        let mut held = Held::open(size, ops, 0)?;
        held.desk.pump();
        Ok(Self { sent: held.desk.outbox.count, held })
    }
    fn data(&self) -> String {
        self.held.data() + "; each trade meets the nearest stop of a random side"
    }
    fn draw(&mut self, batch: &mut Vec<Self::Input>) {
        batch.clear();
        self.sent = self.held.desk.outbox.count;
        while batch.len() < BATCH {
            let ladder = self.held.desk.seeded.below(self.held.ladders.len() as u64) as usize;
            let rung = self.held.ladders[ladder].drawn;
            if rung < self.held.rungs as i64 {
                self.held.ladders[ladder].drawn += 1;
                let price = Held::stop_px(ladder, rung);
                batch.push((ladder, trade(1 + ladder as u32 / 2, price)));
            }
        }
    }
    #[inline(always)]
    fn one(&mut self, (_, update): &Self::Input) -> bool {
        let before = self.held.desk.outbox.count;
        self.held.desk.step(update.as_record()) == Verdict::Accepted
            && self.held.desk.outbox.count == before + 1
    }
    fn settle(&mut self, batch: &[Self::Input]) {
        let Held { desk, ladders, .. } = &mut self.held;
        let sent: Vec<_> = desk.outbox.latest(BATCH).copied().collect();
        assert!(desk.outbox.count - self.sent == BATCH as u64 && sent.len() == batch.len());
        for (routed, (ladder, update)) in sent.iter().zip(batch) {
            let order_seq = routed.header.order_seq;
            let stop_px = desk.engine.order_terms(order_seq).map(|terms| terms.stop_px);
            assert!(stop_px == Some(update.price) && routed.instrument_id == update.instrument_id);
            let word = desk.word(order_seq, ExecType::Canceled);
            assert!(desk.report(&word) == Disposition::Applied);
            ladders[*ladder].drawn = 0;
        }
        for (ladder, update) in batch {
            let rung = (0..).find(|&rung| Held::stop_px(*ladder, rung) == update.price);
            self.held.place(*ladder, rung.expect("it was drawn"));
        }
        self.held.desk.pump();
    }
}

/// A refusal, late in the order of precedence, with its numbers logged.
pub struct Refuse {
    desk: Desk,
    drawn: usize,
}

impl Path for Refuse {
    const CASE: &'static str = "refuse";
    const SAMPLES: (usize, usize) = (1 << 18, 1 << 12);
    type Input = NewOrder;

    fn open(_: Size, _: usize) -> Result<Self, Fault> {
        Ok(Self { desk: Desk::open(Shape::HOT)?, drawn: 0 })
    }
    fn data(&self) -> String {
        "hot, unpaced: price above its band; the refusal and its numbers are logged".into()
    }
    fn draw(&mut self, batch: &mut Vec<NewOrder>) {
        if self.drawn % HOT_ROUND == 0 {
            self.desk.forget(HOT_ROUND, HOT_LIVE);
        }
        self.drawn += BATCH;
        batch.clear();
        batch.extend((0..BATCH).map(|_| self.desk.order_above_band()));
    }
    #[inline(always)]
    fn one(&mut self, order: &NewOrder) -> bool {
        self.desk.step(order.as_record()) == Verdict::PriceAboveBand
    }
    fn settle(&mut self, _: &[NewOrder]) {
        self.desk.pump();
    }
}

/// One record into the ring, with its checksum.
pub struct Append {
    log: RingLog,
    record: Record,
}

impl Path for Append {
    const CASE: &'static str = "append";
    const TIER: &'static str = "memory";
    const SAMPLES: (usize, usize) = (1 << 20, 1 << 14);
    type Input = ();

    fn open(_: Size, _: usize) -> Result<Self, Fault> {
        let log = RingLog { ring: Ring::memory(1 << 16, 77, 1)?, bounds: () };
        let mut append = Self { log, record: Record::ZERO };
        (0..1 << 16).for_each(|_| assert!(append.one(&())));
        Ok(append)
    }
    fn data(&self) -> String {
        "unpaced: one record of 128 bytes with its checksum, ring 8 MiB".into()
    }
    fn draw(&mut self, batch: &mut Vec<()>) {
        batch.resize(BATCH, ());
    }
    #[inline(always)]
    fn one(&mut self, (): &()) -> bool {
        self.record.header.order_seq += 1;
        *self.log.slot(0) = self.record;
        self.log.publish(1);
        true
    }
    fn settle(&mut self, _: &[()]) {
        assert!(self.log.last(0).header.order_seq == self.record.header.order_seq);
    }
}

/// A read of the kill switch's desk word.
pub struct KillRead {
    control: ControlFile,
    word: u64,
    _scratch: Scratch,
}

impl Path for KillRead {
    const CASE: &'static str = "kill_read";
    const TIER: &'static str = "-";
    const SAMPLES: (usize, usize) = (1 << 18, 1 << 12);
    type Input = ();

    fn open(_: Size, _: usize) -> Result<Self, Fault> {
        let scratch = Scratch::new()?;
        let desk = DeskDir::create(scratch.path().join("desk"), &NewDesk::default())?;
        let ControlState::Sound(control) = ControlFile::open(&desk) else {
            return Err("the control file of a new desk is not sound".into());
        };
        Ok(Self { word: control.word(), control, _scratch: scratch })
    }
    fn data(&self) -> String {
        "hot, unpaced: the desk word, mapped".into()
    }
    fn draw(&mut self, batch: &mut Vec<()>) {
        batch.resize(BATCH, ());
    }
    #[inline(always)]
    fn one(&mut self, (): &()) -> bool {
        black_box(&self.control).word() == self.word
    }
    fn settle(&mut self, _: &[()]) {}
}
