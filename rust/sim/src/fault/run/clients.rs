//! The clients of the simulated desk: orders plain and with terms, children, cancels, replaces, mass
//! cancels, nonsense, and commands sent again. Part of `Run`.

use super::super::venue::FaultVenue;
use super::{ACCOUNTS, INSTRUMENTS, Run, SESSIONS, STRATEGIES, VENUES};
use layout::*;

impl Run {
    fn id(&mut self) -> [u8; 36] {
        self.ids += 1;
        text(&format!("C{}", self.ids))
    }

    pub(super) fn new_order(&mut self) -> Record {
        let mut o = NewOrder::ZERO;
        o.header.kind = NewOrder::KIND;
        o.cl_ord_id = self.id();
        let random = &mut self.random;
        o.session_id = 1 + random.below(2) as u16;
        o.account_id = 1 + random.below(ACCOUNTS.into()) as u32;
        o.instrument_id = 1 + random.below(INSTRUMENTS.into()) as u32;
        o.strategy_id = random.below(u64::from(STRATEGIES) + 1) as u16;
        o.side = [Side::Buy, Side::Sell, Side::SellShort][random.below(3) as usize].code();
        let market = random.below(12) == 0;
        o.ord_type = if market { OrdType::Market } else { OrdType::Limit }.code();
        o.time_in_force = match random.below(8) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            2 => TimeInForce::Gtc,
            _ => TimeInForce::Day,
        }
        .code();
        o.order_qty = (1 + random.below(9) as i64) * ONE;
        let venue = &self.venues[(o.instrument_id as usize - 1) % VENUES];
        let away = random.below(17) as i64 - 8;
        o.price = if market { 0 } else { venue.mid[o.instrument_id as usize] + away * ONE / 4 };
        if random.below(24) == 0 {
            o.tags = TAG_PARENT;
            o.order_qty *= 8;
        }
        if o.account_id == self.ways[0].hedges {
            let effect = match random.below(16) {
                0 => PositionEffect::None, // refused
                1..=10 => PositionEffect::Open,
                _ => PositionEffect::Close,
            };
            o.tags |= effect.code() << TAG_EFFECT_SHIFT;
        }
        if random.below(40) == 0 {
            // Nonsense of every field: refused, never a panic.
            match random.below(12) {
                0 => o.order_qty = i64::MIN,
                1 => o.price = i64::MAX,
                2 => o.instrument_id = u32::MAX,
                3 => o.account_id = u32::MAX,
                4 => o.session_id = u16::MAX,
                5 => o.side = 77,
                6 => o.ord_type = 99,
                7 => o.cl_ord_id = [0xff; 36],
                8 => o.venue_id = u16::MAX,
                9 => o.strategy_id = u16::MAX,
                10 => o.trader_id = u16::MAX,
                _ => o.parent_order_seq = u64::MAX,
            }
            self.count("nonsense");
        }
        *o.as_record()
    }

    /// An order with terms, its offer submitted before it: held for a price or a leg, timed, in a
    /// group, post-only, reduce-only or an iceberg; combinations that nobody takes among them.
    fn terms_order(&mut self) -> Record {
        let record = self.new_order();
        let Some(order) = NewOrder::from_record(&record) else { return record };
        if self.shape.pegs && self.random.below(3) == 0 {
            return self.pegged_order(*order);
        }
        let (mut order, mut terms) = (*order, OrderTerms::ZERO);
        terms.header.kind = OrderTerms::KIND;
        let (random, tick) = (&mut self.random, ONE / 4);
        let venue = &self.venues[(order.instrument_id as usize).wrapping_sub(1) % VENUES];
        let mid = venue.mid.get(order.instrument_id as usize).copied().unwrap_or(100 * ONE);
        let types = [
            OrdType::Stop,
            OrdType::StopLimit,
            OrdType::MarketIfTouched,
            OrdType::LimitIfTouched,
            OrdType::TrailingStop,
            OrdType::Limit,
            OrdType::Limit,
        ];
        let ord_type = types[random.below(types.len() as u64) as usize];
        order.ord_type = ord_type.code();
        order.tags = order.tags & !TAG_PARENT | TAG_TERMS;
        let limited =
            [OrdType::StopLimit, OrdType::LimitIfTouched, OrdType::Limit].contains(&ord_type);
        order.price = match limited {
            true if order.price == 0 => mid,
            true => order.price,
            false => 0,
        };
        if ord_type == OrdType::TrailingStop {
            let ppm = random.below(2) == 0;
            terms.exec_inst |= if ppm { EXEC_TRAIL_PPM } else { 0 };
            let ticks = 1 + random.below(6) as i64;
            terms.trail = if ppm { ticks * 2_500 } else { ticks * tick };
        } else if ord_type != OrdType::Limit {
            terms.stop_px = mid + (random.below(13) as i64 - 6) * tick;
        }
        if ord_type != OrdType::Limit && random.below(2) == 0 {
            terms.exec_inst |= EXEC_BY_QUOTE;
        }
        match random.below(10) {
            0 => terms.exec_inst |= EXEC_POST_ONLY,
            1 => terms.exec_inst |= EXEC_REDUCE_ONLY,
            2 => terms.max_floor = ONE,
            3 => terms.min_qty = ONE,
            _ => {}
        }
        match random.below(5) {
            0 => {
                order.time_in_force = TimeInForce::Gtd.code();
                let now_ns = self.watch.time_ns();
                terms.expire_time_ns = now_ns + random.below(400_000_000) as i64;
            }
            1 => {
                order.time_in_force = TimeInForce::Gtd.code();
                terms.expire_day = venue.trade_day + random.below(2) as u16;
            }
            2 => order.time_in_force = TimeInForce::Gtc.code(),
            _ => {}
        }
        self.join_group(&mut order, &mut terms);
        terms.session_id = order.session_id;
        self.submit(*terms.as_record());
        *order.as_record()
    }

    /// An order pegged to bid, offer or the middle, now and then with a worst price.
    fn pegged_order(&mut self, mut order: NewOrder) -> Record {
        let (random, tick) = (&mut self.random, ONE / 4);
        order.ord_type = OrdType::Pegged.code();
        order.tags = order.tags & !TAG_PARENT | TAG_TERMS;
        order.time_in_force = [TimeInForce::Day, TimeInForce::Gtc][random.below(2) as usize].code();
        order.price = if random.below(2) == 0 { 0 } else { order.price };
        let mut terms = OrderTerms::ZERO;
        terms.header.kind = OrderTerms::KIND;
        terms.session_id = order.session_id;
        terms.peg_type = 1 + random.below(3) as u8;
        terms.peg_offset = (random.below(7) as i64 - 3) * tick;
        terms.exec_inst = if random.below(16) == 0 { EXEC_REDUCE_ONLY } else { 0 };
        self.submit(*terms.as_record());
        *order.as_record()
    }

    /// A limit order for an auction, or one that goes out a part at a time.
    fn shaped_order(&mut self) -> Record {
        let record = self.new_order();
        let Some(order) = NewOrder::from_record(&record) else { return record };
        let (mut order, mut terms) = (*order, OrderTerms::ZERO);
        terms.header.kind = OrderTerms::KIND;
        let calling = self.venues.iter().position(FaultVenue::in_auction);
        if let Some(at) = calling {
            order.instrument_id = at as u32 + 1;
        }
        let venue = &self.venues[(order.instrument_id as usize).wrapping_sub(1) % VENUES];
        let mid = venue.mid.get(order.instrument_id as usize).copied().unwrap_or(100 * ONE);
        (order.ord_type, order.tags) =
            (OrdType::Limit.code(), order.tags & !TAG_PARENT | TAG_TERMS);
        order.price = if order.price == 0 { mid } else { order.price };
        let lasts = [TimeInForce::Day, TimeInForce::Gtc];
        order.time_in_force = match self.random.below(4) {
            0..=2 if calling.is_some() => TimeInForce::AtOpen,
            0 | 1 => TimeInForce::AtClose,
            _ => {
                terms.max_floor = ONE;
                lasts[self.random.below(2) as usize]
            }
        }
        .code();
        terms.session_id = order.session_id;
        self.submit(*terms.as_record());
        *order.as_record()
    }

    /// Every third such order founds a group or joins one that waits for legs.
    fn join_group(&mut self, order: &mut NewOrder, terms: &mut OrderTerms) {
        let all =
            [Contingency::Oco, Contingency::OtoFirst, Contingency::OtoFull, Contingency::Bracket];
        let pick = self.random.below(6);
        if pick > 3 {
            return;
        }
        terms.contingency = all[self.random.below(4) as usize].code();
        if terms.contingency == Contingency::OtoFirst.code() && !self.shape.sends_parts {
            terms.contingency = Contingency::OtoFull.code();
        }
        let Some(desk) = &self.desk else { return };
        let engine = desk.engine();
        let first = |o: &&engine::Order| {
            o.cum_qty == 0
                && engine.order_terms(o.order_seq).is_some_and(|t| t.group_seq == o.order_seq)
        };
        let firsts: Vec<_> = engine.live_orders().filter(first).take(8).copied().collect();
        if pick == 0 || firsts.is_empty() {
            return;
        }
        let leg = firsts[self.random.below(firsts.len() as u64) as usize];
        let contingency = engine.order_terms(leg.order_seq).map_or(0, |t| t.contingency);
        if contingency == Contingency::Oco.code() || terms.contingency == Contingency::Oco.code() {
            terms.contingency = contingency;
        }
        terms.group_seq = leg.order_seq;
        (order.session_id, order.account_id) = (leg.session_id, leg.account_id);
        if self.random.below(2) == 0 {
            (order.instrument_id, order.side) = (leg.instrument_id, leg.side);
        }
    }

    /// Some order of the desk's, live more often than not.
    fn some_order(&mut self) -> Option<engine::Order> {
        let desk = self.desk.as_ref()?;
        let engine = desk.engine();
        if self.random.below(8) == 0 {
            let last = self.watch.records.len() as u64;
            let order_seq = 1 + self.random.below(last.max(1));
            return engine.order(order_seq).copied();
        }
        let live = engine.live_count();
        let at = self.random.below(live.max(1));
        engine.live_orders().nth(at as usize).copied()
    }

    pub(super) fn command(&mut self) -> Record {
        let record = match self.random.below(100) {
            40..=45 if self.ways[0].auctions => self.shaped_order(),
            0..=9 if self.venues.iter().any(FaultVenue::in_auction) => self.shaped_order(),
            0..=39 => self.new_order(),
            40..=49 => self.terms_order(),
            50..=54 => self.child(),
            55..=72 => self.cancel(),
            73..=88 => self.replace(),
            89..=90 => self.mass_cancel(),
            _ => return self.retry(),
        };
        if self.sent.len() < 512 {
            self.sent.push(record);
        } else {
            let at = self.random.below(512) as usize;
            self.sent[at] = record;
        }
        record
    }

    /// A command again: the same, or another under its id.
    fn retry(&mut self) -> Record {
        if self.sent.is_empty() {
            return self.new_order();
        }
        let at = self.random.below(self.sent.len() as u64) as usize;
        let mut record = self.sent[at];
        if self.random.below(3) == 0 {
            if record.header.kind == NewOrder::KIND {
                let order = NewOrder::view_mut(&mut record);
                order.order_qty = order.order_qty.wrapping_add(ONE);
            }
        } else {
            self.count("retry");
        }
        record
    }

    fn child(&mut self) -> Record {
        let record = self.new_order();
        let parent = self.desk.as_ref().and_then(|desk| {
            let mut parents = desk.engine().live_orders().filter(|o| o.is_parent());
            parents.next().copied()
        });
        let (Some(parent), Some(order)) = (parent, NewOrder::from_record(&record)) else {
            return record;
        };
        let mut order = *order;
        (order.account_id, order.instrument_id) = (parent.account_id, parent.instrument_id);
        (order.side, order.strategy_id) = (parent.side, parent.strategy_id);
        (order.session_id, order.parent_order_seq) = (parent.session_id, parent.order_seq);
        order.tags = parent.tags & !TAG_PARENT;
        *order.as_record()
    }

    fn cancel(&mut self) -> Record {
        let mut c = CancelOrder::ZERO;
        c.header.kind = CancelOrder::KIND;
        c.cl_ord_id = self.id();
        c.session_id = 1 + self.random.below(2) as u16;
        match self.some_order() {
            Some(order) => {
                (c.header.order_seq, c.session_id) = (order.order_seq, order.session_id);
            }
            None => c.orig_cl_ord_id = text("NOBODY"),
        }
        *c.as_record()
    }

    fn replace(&mut self) -> Record {
        let mut r = ReplaceOrder::ZERO;
        r.header.kind = ReplaceOrder::KIND;
        r.cl_ord_id = self.id();
        r.session_id = 1;
        if let Some(order) = self.some_order() {
            (r.header.order_seq, r.session_id) = (order.order_seq, order.session_id);
            r.price = order.price + (self.random.below(9) as i64 - 4) * ONE / 4;
            r.order_qty = order.order_qty + (self.random.below(7) as i64 - 3) * ONE;
            if order.base == OrdStatus::Held.code() {
                self.replace_held(&order, &mut r);
            }
        }
        *r.as_record()
    }

    /// A held order: sometimes another stop price, and no limit price where it has none.
    fn replace_held(&mut self, order: &engine::Order, r: &mut ReplaceOrder) {
        let desk = self.desk.as_ref();
        let held = desk.and_then(|desk| desk.engine().order_terms(order.order_seq).copied());
        let Some(held) = held else { return };
        r.price = if held.limit_px == 0 { 0 } else { held.limit_px };
        if self.random.below(2) == 0 {
            let mut terms = OrderTerms::ZERO;
            terms.header.kind = OrderTerms::KIND;
            terms.session_id = r.session_id;
            terms.stop_px = held.stop_px + (self.random.below(5) as i64 - 2) * ONE / 4;
            r.tags = TAG_TERMS;
            self.submit(*terms.as_record());
        }
    }

    fn mass_cancel(&mut self) -> Record {
        let mut m = MassCancel::ZERO;
        m.header.kind = MassCancel::KIND;
        m.cl_ord_id = self.id();
        m.session_id = 1 + self.random.below(SESSIONS.into()) as u16;
        match self.random.below(5) {
            0 => m.account_id = 1 + self.random.below(ACCOUNTS.into()) as u32,
            1 => m.instrument_id = 1 + self.random.below(INSTRUMENTS.into()) as u32,
            2 => m.venue_id = 1 + self.random.below(VENUES as u64) as u16,
            3 => m.strategy_id = 1,
            _ => m.side = Side::Sell.code(),
        }
        self.count("mass_cancel");
        *m.as_record()
    }
}
