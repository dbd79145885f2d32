//! The venue's matching against a model that sorts a plain list at every step, the opening, the
//! rules of cancel and replace, and that no message makes the venue panic.

mod common;

use common::*;
use layout::*;
use proptest::prelude::*;
use sim::random::{Latency, Random};
use sim::venue::Due;
use sim::{SimVenue, VenueConfig, VenueServer, Witness};

/// One order of the model, recorded or ours, in one list.
#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    own: bool,
    side: Side,
    price: i64,
    left: i64,
    spoken_for: i64, // recorded: taken by us, or absorbed by the trade under way
    rank: u64,
}

/// The fill model of the docs, written as slowly and plainly as it reads.
#[derive(Default)]
struct Model {
    book: Vec<Entry>,
    absorbed: Vec<(u64, i64)>,
    cum: std::collections::BTreeMap<u64, i64>,
    rank: u64,
}

fn through(side: Side, limit: i64, price: i64) -> bool {
    if side == Side::Buy { price <= limit } else { price >= limit }
}

impl Model {
    /// Indexes of the other side within the limit, first to trade first.
    fn queue(&self, side: Side, limit: i64) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.book.len())
            .filter(|&i| self.book[i].side != side && through(side, limit, self.book[i].price))
            .collect();
        let sign = if side == Side::Buy { 1 } else { -1 };
        rows.sort_by_key(|&i| (sign * self.book[i].price, self.book[i].rank));
        rows
    }

    fn push(&mut self, id: u64, own: bool, side: Side, price: i64, left: i64) {
        self.rank += 1;
        self.book.push(Entry { id, own, side, price, left, spoken_for: 0, rank: self.rank });
    }

    fn free(&self, at: usize) -> i64 {
        let absorbed =
            self.absorbed.iter().find(|row| row.0 == self.book[at].id).map_or(0, |r| r.1);
        (self.book[at].left - self.book[at].spoken_for - absorbed).max(0)
    }

    fn give(&mut self, at: usize, qty: i64) {
        self.book[at].left -= qty;
        *self.cum.entry(self.book[at].id).or_default() += qty;
    }

    fn sweep(&mut self) {
        self.book.retain(|entry| entry.left > 0);
    }

    fn tape(&mut self, u: &BookUpdate) {
        let side = Side::from_code(u.side);
        let at = self.book.iter().position(|e| !e.own && e.id == u.order_ref);
        match BookAction::from_code(u.action).expect("the tape is good") {
            BookAction::Trade => {
                let (mut left, side) = (u.qty, side.expect("no auctions here"));
                for at in self.queue(side, u.price) {
                    let own = self.book[at].own;
                    let qty = left.min(if own { self.book[at].left } else { self.free(at) });
                    left -= qty;
                    if own {
                        self.give(at, qty)
                    } else {
                        self.absorbed.push((self.book[at].id, qty))
                    }
                }
            }
            BookAction::Add => {
                self.push(u.order_ref, false, side.expect("a side"), u.price, u.qty);
                self.meet(self.book.len() - 1);
            }
            BookAction::Modify => {
                let at = at.expect("it rests");
                let entry = self.book[at].clone();
                self.book[at].left = u.qty;
                if entry.price != u.price || u.qty > entry.left {
                    self.rank += 1;
                    self.book[at].rank = self.rank;
                    self.book[at].price = u.price;
                    self.meet(at);
                }
            }
            _ => self.book[at.expect("it rests")].left -= u.qty,
        }
        if u.flags & BOOK_LAST != 0 {
            self.absorbed.clear();
        }
        self.sweep();
    }

    /// A recorded order at `at` came to rest: ours that it passes trade with it.
    fn meet(&mut self, at: usize) {
        let (side, price) = (self.book[at].side, self.book[at].price);
        for other in self.queue(side, price) {
            if self.book[other].own {
                let qty = self.book[other].left.min(self.free(at));
                self.book[at].spoken_for += qty;
                self.give(other, qty);
            }
        }
    }

    fn own(&mut self, r: &Routed, id: u64, order_qty: i64) {
        let side = Side::from_code(r.side).expect("a side");
        let market = r.ord_type == OrdType::Market.code();
        let edge = if side == Side::Buy { i64::MAX } else { i64::MIN };
        let limit = if market { edge } else { r.price };
        let rows = self.queue(side, limit);
        let before_own: Vec<usize> =
            rows.iter().copied().take_while(|&i| !self.book[i].own).collect();
        let there: i64 = before_own.iter().map(|&i| self.free(i)).sum();
        if r.time_in_force == TimeInForce::Fok.code() && there < order_qty {
            return;
        }
        let mut left = order_qty;
        for &at in &before_own {
            let qty = left.min(self.free(at));
            self.book[at].spoken_for += qty;
            *self.cum.entry(id).or_default() += qty;
            left -= qty;
        }
        let met_own = left > 0 && before_own.len() < rows.len();
        let waits = [TimeInForce::Day.code(), TimeInForce::Gtc.code()].contains(&r.time_in_force);
        if left > 0 && !met_own && waits && !market {
            self.push(id, true, side, r.price, left);
        }
    }

    fn cancel(&mut self, id: u64) {
        self.book.retain(|entry| !entry.own || entry.id != id);
    }

    fn replace(&mut self, r: &Routed, id: u64, was: i64) {
        let Some(at) = self.book.iter().position(|e| e.own && e.id == id) else { return };
        let cum = self.cum.get(&id).copied().unwrap_or(0);
        let entry = self.book[at].clone();
        if r.order_qty <= cum {
            return self.cancel(id);
        }
        if entry.price == r.price && r.order_qty <= was {
            self.book[at].left = r.order_qty - cum;
            return;
        }
        self.cancel(id);
        let mut again = *r;
        (again.side, again.ord_type) = (entry.side.code(), OrdType::Limit.code());
        again.time_in_force = TimeInForce::Day.code();
        self.own(&again, id, r.order_qty - cum);
    }
}

fn plain(start_ns: i64) -> VenueConfig {
    let none = Latency { floor_ns: 0, median_ns: 0 };
    VenueConfig {
        start_ns: Some(start_ns),
        open_ns: Some(start_ns),
        latency_in: none,
        latency_out: none,
        orders_max: 1 << 12,
        ..VenueConfig::default()
    }
}

fn compare(venue: &SimVenue, model: &Model, seed: u64) -> Result<(), TestCaseError> {
    for order in &venue.witness().orders {
        let id = 1_000_000 + order.street_id[4..14].parse::<u64>().expect("ours");
        let (cum, rests) = (
            model.cum.get(&id).copied().unwrap_or(0),
            model.book.iter().find(|e| e.own && e.id == id).map_or(0, |e| e.left),
        );
        prop_assert_eq!(order.cum_qty, cum, "cum of {:?}, seed {}", order, seed);
        prop_assert_eq!(order.leaves_qty, rests, "leaves of {:?}, seed {}", order, seed);
    }
    prop_assert_eq!(venue.crossing(), 0);
    Ok(())
}

/// One random message of ours, told to the venue and to the model.
fn play(random: &mut Random, venue: &mut SimVenue, model: &mut Model, sent: &mut Vec<(u16, i64)>) {
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    let price = 100 * ONE + (random.below(11) as i64 - 5) * TICK;
    let lots = 1 + random.below(8) as i64;
    let known = random.below(sent.len() as u64 + 1);
    if known == 0 || random.below(10) < 6 {
        let number = sent.len() as u64 + 1;
        let mut r = limit(number, side, price, lots);
        let terms = [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];
        r.time_in_force = terms[random.below(4) as usize].code();
        if random.below(8) == 0 {
            (r.ord_type, r.price) = (OrdType::Market.code(), 0);
        }
        sent.push((0, r.order_qty));
        venue.receive(&r);
        return model.own(&r, 1_000_000 + number, r.order_qty);
    }
    let (revision, was) = sent[known as usize - 1];
    let rests = model.book.iter().any(|e| e.own && e.id == 1_000_000 + known);
    if random.below(2) == 0 {
        venue.receive(&cancel(known, 500, revision));
        return model.cancel(1_000_000 + known);
    }
    let r = replace(known, revision + 1, revision, price, lots);
    venue.receive(&r);
    if rests {
        model.replace(&r, 1_000_000 + known, was);
        sent[known as usize - 1] = (revision + 1, r.order_qty);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn matching_agrees_with_a_plain_list(seed in any::<u64>()) {
        let tape = small_tape(seed, 150, 1_000);
        let mut venue = SimVenue::new(plain(1), tape.clone()).expect("a good configuration");
        let (mut model, mut random, mut sent) = (Model::default(), Random::new(!seed), Vec::new());
        for (index, update) in tape.iter().enumerate() {
            model.tape(update);
            if tape.get(index + 1).is_some_and(|next| next.header.ingest_time_ns == update.header.ingest_time_ns) {
                continue; // the event goes on
            }
            venue.run_to(update.header.ingest_time_ns, &mut |_| {});
            for _ in 0..random.below(3) {
                play(&mut random, &mut venue, &mut model, &mut sent);
                venue.run_to(venue.now_ns(), &mut |_| {});
                compare(&venue, &model, seed)?;
            }
            compare(&venue, &model, seed)?;
        }
        let counters = venue.witness().counters;
        prop_assert!(counters.passive_volume <= counters.tape_volume);
        prop_assert_eq!(counters.self_trades, 0);
        let added: i64 = tape.iter().filter(|u| [1, 2].contains(&u.action)).map(|u| u.qty).sum();
        prop_assert!(counters.taken_volume <= added);
    }

    #[test]
    fn no_message_makes_the_venue_panic(
        rows in prop::collection::vec((1u8..8, any::<[i64; 3]>(), any::<[u8; 8]>(), 0u64..9), 1..60),
        prevent in any::<bool>(),
    ) {
        let config = VenueConfig { prevent_self_trades: prevent, ..plain(1) };
        let mut server = VenueServer::new(config, small_tape(3, 60, 50_000_000)).expect("good");
        let mut desk = TestDesk::new(1, 0);
        let mut out = Vec::new();
        server.on_connect(1, 0);
        desk.connect();
        for (msg_type, numbers, codes, number) in rows {
            let bytes = std::mem::take(&mut desk.to_venue);
            out.clear();
            server.serve_step(1, &bytes, 0, &mut out);
            let _ = desk.take(&out);
            let mut r = routed(MsgType::NewOrder, number, u16::from(codes[0] % 4));
            r.msg_type = msg_type;
            r.orig_street_id = street(number, u16::from(codes[1] % 4));
            (r.price, r.order_qty) = (numbers[0], numbers[1]);
            if codes[2] < 200 {
                (r.price, r.order_qty) = (100 * ONE, numbers[1].rem_euclid(9) * ONE);
            }
            (r.side, r.ord_type, r.time_in_force) = (codes[3] % 5, codes[4] % 8, codes[5] % 8);
            r.account_id = u32::from(codes[6] % 3);
            (r.exec_inst, r.max_floor) = (codes[0], numbers[2]);
            (r.expire_time_ns, r.expire_day) = (numbers[2] >> (codes[1] % 64), codes[2].into());
            if codes[6] < 200 {
                r.max_floor = i64::from(codes[6] % 4) * ONE;
                (r.expire_time_ns, r.expire_day) = (0, 0);
            }
            r.instrument_id = if codes[7] < 20 { 99 } else { INSTRUMENT };
            if desk.end.phase() == wire::pylink::LinkPhase::Up {
                r.link_seq = desk.end.next_out();
                desk.end.send(&r, 0).expect("in order");
            }
            let _ = desk.end.query(QueryKind::Open, street(number, 0), 0, 0);
            let _ = desk.end.query(QueryKind::Fills, street(number, 0), number as u32, 0);
            desk.flush();
        }
        let filled: i128 = server.witness().orders.iter().map(|o| i128::from(o.cum_qty)).sum();
        prop_assert_eq!(filled, i128::from(server.witness().counters.volume)
            + i128::from(server.witness().counters.self_trades));
    }

    #[test]
    fn no_bytes_make_the_server_panic(
        parts in prop::collection::vec((0u64..4, prop::collection::vec(any::<u8>(), 0..200)), 0..30),
    ) {
        let mut server = VenueServer::new(plain(1), small_tape(3, 20, 50_000_000)).expect("good");
        for conn in 0..3 {
            server.on_connect(conn, 0);
        }
        let mut out = Vec::new();
        for (conn, bytes) in parts {
            server.serve_step(conn, &bytes, 0, &mut out);
            server.on_disconnect(conn + 1, 0);
        }
    }
}

/// Runs a venue to `until_ns` after `messages`, each at its time; the reports it sent.
fn story(tape: Vec<BookUpdate>, messages: &[(i64, Routed)]) -> (Vec<ExecutionReport>, Witness) {
    let config = VenueConfig { open_ns: None, ..plain(1) };
    let mut venue = SimVenue::new(config, tape).expect("a good configuration");
    let mut reports = Vec::new();
    let mut keep = |due| {
        if let Due::Report(report, _) | Due::Answer(report, _) = due {
            reports.push(report);
        }
    };
    for (at_ns, r) in messages {
        venue.run_to(*at_ns, &mut keep);
        venue.receive(r);
    }
    venue.run_to(venue.end_ns() + 1, &mut keep);
    (reports, venue.witness())
}

fn says(report: &ExecutionReport) -> (&'static str, &'static str, i64, i64) {
    let exec_type = ExecType::from_code(report.exec_type).expect("a code").name();
    let ord_status = OrdStatus::from_code(report.ord_status).expect("a code").name();
    (exec_type, ord_status, report.cum_qty / ONE, report.leaves_qty / ONE)
}

/// A book of 5 bid at 99 and 5 offered at 101, open from 2,000 ns by a trade of 1 at 101.
fn quiet() -> Vec<BookUpdate> {
    vec![
        add(1_000, 1, Side::Buy, 99 * ONE, 5),
        add(1_000, 2, Side::Sell, 101 * ONE, 6),
        trade(2_000, Side::Buy.code(), 101 * ONE, 1),
        reduce(2_000, 2, 1),
        add(1_000_000, 9, Side::Buy, 50 * ONE, 1),
    ]
}

#[test]
fn our_order_waits_behind_what_rested_before_it() {
    let mut tape = quiet();
    tape.insert(4, trade(5_000, Side::Sell.code(), 99 * ONE, 4));
    tape.insert(5, reduce(5_000, 1, 4));
    tape.insert(6, trade(6_000, Side::Sell.code(), 99 * ONE, 3));
    tape.insert(7, reduce(6_000, 1, 1));
    let (_, witness) = story(tape, &[(3_000, limit(1, Side::Buy, 99 * ONE, 5))]);
    assert_eq!(witness.orders[0].cum_qty, 2 * ONE, "4 + 1 went to the recorded order first");
}

#[test]
fn a_contract_taken_once_is_not_taken_twice() {
    let mut r = limit(1, Side::Buy, 101 * ONE, 3);
    let mut again = limit(2, Side::Buy, 101 * ONE, 9);
    (r.time_in_force, again.time_in_force) = (TimeInForce::Ioc.code(), TimeInForce::Ioc.code());
    let (_, witness) = story(quiet(), &[(3_000, r), (4_000, again)]);
    let cum: Vec<_> = witness.orders.iter().map(|o| o.cum_qty / ONE).collect();
    assert_eq!(cum, [3, 2]);
}

#[test]
fn bookkeeping_within_an_event_frees_what_it_books_and_no_more() {
    let part = |u: BookUpdate| BookUpdate { flags: 0, ..u };
    let mut tape = quiet(); // 5 offered at 101
    let event = [
        part(trade(5_000, Side::Buy.code(), 101 * ONE, 2)),
        part(reduce(5_000, 2, 2)),
        part(trade(5_000, Side::Buy.code(), 101 * ONE, 2)), // 3 are left before ours
        part(trade(5_000, Side::Buy.code(), 101 * ONE, 2)), // 1 is left, then 1 of ours
        reduce(5_000, 2, 3),
    ];
    tape.splice(4..4, event);
    let (_, witness) = story(tape, &[(3_000, limit(1, Side::Sell, 101 * ONE, 5))]);
    assert_eq!(witness.orders[0].cum_qty, ONE);
}

#[test]
fn nothing_matches_before_the_opening_and_crossing_orders_take_part_in_it() {
    let tape = vec![
        add(1_000, 1, Side::Buy, 102 * ONE, 3),
        add(1_000, 2, Side::Sell, 100 * ONE, 3),
        BookUpdate { flags: 0, ..trade(9_000, 0, 101 * ONE, 3) },
        BookUpdate { flags: 0, ..reduce(9_000, 1, 3) },
        reduce(9_000, 2, 3),
        add(1_000_000, 9, Side::Buy, 50 * ONE, 1),
    ];
    let messages = [
        (2_000, limit(1, Side::Buy, 103 * ONE, 2)), // before the recorded 102
        (2_000, limit(2, Side::Buy, 101 * ONE, 2)), // behind it: reached by nothing
        (2_000, limit(3, Side::Sell, 105 * ONE, 2)), // does not cross
    ];
    let (reports, witness) = story(tape, &messages);
    let cum: Vec<_> = witness.orders.iter().map(|o| o.cum_qty / ONE).collect();
    assert_eq!(cum, [2, 0, 0]);
    let fill = reports.iter().find(|r| r.exec_type == ExecType::Trade.code()).expect("a fill");
    assert_eq!((fill.last_px, fill.transact_time_ns), (101 * ONE, 9_000));
}

#[test]
fn cancel_and_replace_follow_fix() {
    let day = [
        (3_000, limit(1, Side::Buy, 100 * ONE, 4)),
        (3_001, limit(1, Side::Buy, 100 * ONE, 4)), // the same street id again
        (3_002, replace(1, 1, 0, 101 * ONE, 9)),    // crosses: takes the 5 offered
        (3_003, replace(1, 2, 0, 99 * ONE, 9)),     // not the present id
        (3_004, replace(1, 3, 1, 101 * ONE, 5)),    // down to what is filled
        (3_005, cancel(1, 4, 3)),                   // too late
        (3_006, cancel(7, 1, 0)),                   // unknown
        (3_007, limit(2, Side::Sell, 110 * ONE, 1)),
        (3_008, cancel(2, 1, 0)),
        (3_009, limit(3, Side::Sell, 110 * ONE, 1)),
    ];
    let (reports, witness) = story(quiet(), &day);
    let said: Vec<_> = reports.iter().map(says).collect();
    assert_eq!(
        said,
        [
            ("new", "new", 0, 4),
            ("order_status", "new", 0, 4),
            ("replaced", "new", 0, 9),
            ("trade", "partially_filled", 5, 4),
            ("replace_rejected", "partially_filled", 5, 4),
            ("replaced", "filled", 5, 0),
            ("cancel_rejected", "filled", 5, 0),
            ("cancel_rejected", "rejected", 0, 0),
            ("new", "new", 0, 1),
            ("canceled", "canceled", 0, 0),
            ("new", "new", 0, 1),
            ("expired", "expired", 0, 0),
        ]
    );
    assert_eq!(witness.counters.duplicate_sends, 1);
    assert_eq!(witness.orders.len(), 3);
}

#[test]
fn our_orders_do_not_trade_with_each_other() {
    let mut other = limit(2, Side::Sell, 100 * ONE, 1);
    other.account_id = 2;
    let (_, witness) =
        story(quiet(), &[(3_000, limit(1, Side::Buy, 100 * ONE, 1)), (4_000, other)]);
    assert_eq!(witness.counters.self_trades, 0);
    assert_eq!(witness.counters.self_trades_prevented, 1);
    assert_eq!(witness.orders[1].ord_status, "canceled", "the newer one");
}

#[test]
fn a_message_meets_the_recording_up_to_its_arrival_and_no_further() {
    let mut tape = quiet();
    tape.insert(4, trade(5_000, Side::Sell.code(), 98 * ONE, 50));
    let at = |at_ns| {
        story(tape.clone(), &[(at_ns, limit(1, Side::Buy, 100 * ONE, 1))]).1.orders[0].cum_qty
    };
    assert_eq!(at(4_999), ONE);
    assert_eq!(at(5_000), 0, "the trade of that time is before it");
}

/// A message changed in place.
fn with(mut routed: Routed, change: impl FnOnce(&mut Routed)) -> Routed {
    change(&mut routed);
    routed
}

/// The words of every refusal of a story, in order.
fn refusals(tape: Vec<BookUpdate>, messages: &[(i64, Routed)]) -> Vec<String> {
    let config = VenueConfig { open_ns: None, trade_day: 100, ..plain(1) };
    let mut venue = SimVenue::new(config, tape).expect("a good configuration");
    let mut words = Vec::new();
    let mut keep = |due| {
        if let Due::Report(report, Some(text)) = due
            && [ExecType::Rejected.code(), ExecType::ReplaceRejected.code()]
                .contains(&report.exec_type)
        {
            words.push(text_of(&text.text).to_string());
        }
    };
    for (at_ns, r) in messages {
        venue.run_to(*at_ns, &mut keep);
        venue.receive(r);
    }
    venue.run_to(venue.end_ns() + 1, &mut keep);
    words
}

#[test]
fn a_term_that_the_venue_cannot_keep_is_refused_with_words_and_never_ignored() {
    let order = |number| limit(number, Side::Buy, 98 * ONE, 4);
    let gtd = |r: &mut Routed| r.time_in_force = TimeInForce::Gtd.code();
    let cases: Vec<(Routed, &str)> = vec![
        (with(order(1), |r| r.time_in_force = TimeInForce::AtClose.code()), "at_close: no closing"),
        (with(order(2), |r| r.time_in_force = TimeInForce::AtOpen.code()), "at_open: the opening"),
        (with(order(3), gtd), "gtd: one of expire_time, expire_date"),
        (with(with(order(4), gtd), |r| r.expire_time_ns = 3_000), "expire_time has passed"),
        (with(with(order(5), gtd), |r| r.expire_day = 99), "expire_date has passed"),
        (
            with(with(order(6), gtd), |r| (r.expire_day, r.expire_time_ns) = (100, 9_000)),
            "gtd: one of expire_time",
        ),
        (with(order(7), |r| r.expire_day = 100), "an expiry without gtd"),
        (with(order(8), |r| r.max_floor = 5 * ONE), "max_floor out of range"),
        (with(order(9), |r| r.max_floor = -1), "max_floor out of range"),
        (
            with(order(10), |r| {
                (r.ord_type, r.price, r.max_floor) = (OrdType::Market.code(), 0, ONE);
            }),
            "max_floor and post_only are for limit",
        ),
    ];
    let messages: Vec<_> = cases.iter().map(|(r, _)| (3_000, *r)).collect();
    let said = refusals(quiet(), &messages);
    assert_eq!(said.len(), cases.len(), "{said:?}");
    for (words, (_, wanted)) in said.iter().zip(&cases) {
        assert!(words.starts_with(wanted), "{words} is not {wanted}");
    }
}

#[test]
fn a_post_only_order_never_takes_not_when_new_not_when_replaced_and_not_after_the_opening() {
    let post = |r: &mut Routed| r.exec_inst = EXEC_POST_ONLY;
    let day = [
        (1_500, with(limit(1, Side::Buy, 102 * ONE, 2), post)), // pre-open: it will cross
        (3_000, with(limit(2, Side::Buy, 101 * ONE, 1), post)), // the 5 offered at 101
        (3_001, with(limit(3, Side::Buy, 100 * ONE, 1), post)),
        (3_002, replace(3, 1, 0, 101 * ONE, 1)),
        (3_003, replace(3, 2, 0, 98 * ONE, 1)),
        (3_004, with(limit(4, Side::Sell, 98 * ONE, 1), post)), // ours at 98, recorded at 99
    ];
    let (reports, witness) = story(quiet(), &day);
    let said: Vec<_> = reports.iter().map(says).collect();
    assert_eq!(
        said,
        [
            ("new", "new", 0, 2),
            ("canceled", "canceled", 0, 0),
            ("rejected", "rejected", 0, 0),
            ("new", "new", 0, 1),
            ("replace_rejected", "new", 0, 1),
            ("replaced", "new", 0, 1),
            ("rejected", "rejected", 0, 0),
            ("expired", "expired", 0, 0),
        ]
    );
    assert_eq!(witness.counters.taken_volume, 0);
}

#[test]
fn an_iceberg_shows_its_floor_and_what_it_shows_anew_stands_behind_the_others() {
    // Ours: 6 at 99, 2 shown, behind the recorded 5; then a recorded 1 joins behind us.
    let iceberg = with(limit(1, Side::Buy, 99 * ONE, 6), |r| r.max_floor = 2 * ONE);
    let mut tape = quiet();
    let sell = Side::Sell.code();
    tape.splice(
        4..4,
        [
            add(4_000, 3, Side::Buy, 99 * ONE, 1),
            trade(5_000, sell, 99 * ONE, 6), // 5 recorded, 1 of ours
            reduce(5_000, 1, 5),
            trade(6_000, sell, 99 * ONE, 1), // our shown 2 are gone: 2 new ones behind the 1
            trade(7_000, sell, 99 * ONE, 1), // the recorded 1
            reduce(7_000, 3, 1),
            trade(8_000, sell, 99 * ONE, 3), // 2 shown, 1 of what follows
        ],
    );
    let cum_at = |until: i64| {
        let mut tape = tape.clone();
        tape.retain(|u| u.header.ingest_time_ns <= until || u.order_ref == 9);
        story(tape, &[(3_000, iceberg)]).1.orders[0].cum_qty / ONE
    };
    assert_eq!([5_000, 6_000, 7_000, 8_000].map(cum_at), [1, 2, 2, 5]);
    // All of it counts as open, and a replace takes of what is kept back first.
    let (reports, witness) =
        story(tape, &[(3_000, iceberg), (4_500, replace(1, 1, 0, 99 * ONE, 3))]);
    let said: Vec<_> = reports.iter().map(says).collect();
    assert_eq!(said[..2], [("new", "new", 0, 6), ("replaced", "new", 0, 3)]);
    assert_eq!(witness.orders[0].cum_qty, 3 * ONE);
    assert_eq!(witness.counters.passive_volume, 3 * ONE);
}

#[test]
fn a_recorded_order_that_comes_through_an_iceberg_meets_all_of_it() {
    let iceberg = with(limit(1, Side::Buy, 100 * ONE, 6), |r| r.max_floor = 2 * ONE);
    let mut tape = quiet();
    tape.insert(4, add(5_000, 7, Side::Sell, 100 * ONE, 5));
    let (_, witness) = story(tape, &[(3_000, iceberg)]);
    assert_eq!(witness.orders[0].cum_qty, 5 * ONE);
    assert_eq!(witness.counters.taken_volume, 5 * ONE);
}

#[test]
fn a_good_till_date_order_expires_before_a_trade_of_the_same_moment_or_at_the_close_of_its_date() {
    let mut tape = quiet();
    tape.insert(4, trade(5_000, Side::Sell.code(), 98 * ONE, 50));
    let gtd = |number, change: fn(&mut Routed)| {
        let order = limit(number, Side::Buy, 98 * ONE, 2);
        with(order, |r| {
            r.time_in_force = TimeInForce::Gtd.code();
            change(r);
        })
    };
    let config = VenueConfig { open_ns: None, trade_day: 100, ..plain(1) };
    let mut venue = SimVenue::new(config, tape).expect("a good configuration");
    let mut reports = Vec::new();
    let mut keep = |due| {
        if let Due::Report(report, _) = due {
            reports.push((report.exec_type, report.transact_time_ns));
        }
    };
    venue.run_to(3_000, &mut keep);
    venue.receive(&gtd(1, |r| r.expire_time_ns = 5_000)); // the moment of the trade
    venue.receive(&gtd(2, |r| r.expire_time_ns = 5_001)); // one later: it trades
    venue.receive(&with(gtd(3, |r| r.expire_day = 100), |r| r.price = 50 * ONE));
    venue.receive(&with(gtd(4, |r| r.expire_day = 101), |r| r.price = 50 * ONE));
    let end_ns = venue.end_ns();
    venue.run_to(end_ns + 1, &mut keep);
    let statuses: Vec<_> = venue.witness().orders.iter().map(|o| o.ord_status).collect();
    assert_eq!(statuses, ["expired", "filled", "expired", "new"]);
    let expired: Vec<_> =
        reports.iter().filter(|(what, _)| *what == ExecType::Expired.code()).collect();
    assert_eq!(expired, [&(ExecType::Expired.code(), 5_000), &(ExecType::Expired.code(), end_ns)]);
}

#[test]
fn orders_for_the_opening_take_part_in_it_and_what_is_left_of_them_ends() {
    let at_open = |r: &mut Routed| r.time_in_force = TimeInForce::AtOpen.code();
    let market = |r: &mut Routed| {
        (r.ord_type, r.price) = (OrdType::Market.code(), 0);
        r.time_in_force = TimeInForce::AtOpen.code();
    };
    let day = [
        (1_500, with(limit(1, Side::Buy, 101 * ONE, 2), at_open)), // crosses the 5 offered
        (1_501, with(limit(2, Side::Buy, 98 * ONE, 2), at_open)),  // does not
        (1_502, with(limit(3, Side::Buy, 0, 9), market)),          // takes what is left: 3
        (1_503, replace(3, 1, 0, 0, 8)),
    ];
    let (reports, witness) = story(quiet(), &day);
    assert!(reports.iter().all(|r| r.transact_time_ns >= 1_500));
    let found: Vec<_> = witness.orders.iter().map(|o| (o.ord_status, o.cum_qty / ONE)).collect();
    assert_eq!(found, [("filled", 2), ("expired", 0), ("canceled", 3)]);
}

#[test]
fn the_hello_says_which_terms_the_venue_keeps() {
    let mut server = VenueServer::new(plain(1), quiet()).expect("a good configuration");
    let mut desk = TestDesk::new(1, 0);
    server.on_connect(1, 0);
    desk.connect();
    let (bytes, mut out) = (std::mem::take(&mut desk.to_venue), Vec::new());
    server.serve_step(1, &bytes, 0, &mut out);
    desk.take(&out).expect("a hello");
    assert_eq!(desk.end.venue_supports(), sim::venue::SUPPORTS);
}
