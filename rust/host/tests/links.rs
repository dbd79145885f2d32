//! One link, byte by byte, in a world of the test's own: a venue's end driven by hand, a clock that
//! moves when told. What was found by seeds of the fault simulator is told here as a story.

mod common;

use common::{Dir, cancel, new_order, options, setup};
use host::{Desk, DeskOptions, VenueLink, Wire, World};
use layout::*;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use wire::pylink::{Before, LinkPhase, VenueEnd, VenueEndConfig, VenueEvent};

/// Both directions of the connection, and the time.
#[derive(Debug, Default)]
struct Street {
    to_desk: Vec<u8>,
    to_venue: Vec<u8>,
    open: bool,
    refuses: bool,
    now_ns: i64,
    connects: u64,
}

#[derive(Clone, Debug, Default)]
struct Town(Arc<Mutex<Street>>);

impl Town {
    fn street(&self) -> MutexGuard<'_, Street> {
        self.0.lock().expect("no test panics with it")
    }
}

impl World for Town {
    fn wall_ns(&self) -> i64 {
        1_700_000_000_000_000_000 + self.mono_ns()
    }
    fn mono_ns(&self) -> i64 {
        self.street().now_ns
    }
    fn disk(&self) -> Box<dyn journal::Disk> {
        Box::new(journal::RealDisk)
    }
    fn connect(&self, _: &Path) -> io::Result<Box<dyn Wire>> {
        let mut street = self.street();
        if street.refuses {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let (now_ns, connects) = (street.now_ns, street.connects + 1);
        *street = Street { open: true, now_ns, connects, ..Street::default() };
        Ok(Box::new(self.clone()))
    }
}

impl Wire for Town {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Read for Town {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut street = self.street();
        let size = buffer.len().min(street.to_desk.len());
        if size == 0 {
            return if street.open { Err(ErrorKind::WouldBlock.into()) } else { Ok(0) };
        }
        buffer[..size].copy_from_slice(&street.to_desk[..size]);
        street.to_desk.drain(..size);
        Ok(size)
    }
}

impl Write for Town {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut street = self.street();
        if !street.open {
            return Err(ErrorKind::BrokenPipe.into());
        }
        street.to_venue.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A desk, the venue's end of its link, and the orders open there.
struct Scene {
    town: Town,
    desk: Desk,
    end: VenueEnd,
    open: Vec<[u8; 20]>,
    fills: Vec<ExecutionReport>,
    heard: Vec<Routed>,
    asked: Vec<[u8; 20]>,
    strangers: Vec<ForeignOrder>,
    /// Connections that the venue has seen, and questions for open orders that it was asked.
    joined: u64,
    open_queries: u64,
    /// Its cancel on disconnect spares what is open.
    spares: bool,
    _dir: Dir,
}

impl Scene {
    fn new(name: &str) -> Self {
        Self::with(name, VenueLink { cancel_on_disconnect: false, ..VenueLink::default() })
    }

    fn with(name: &str, link: VenueLink) -> Self {
        let (dir, town) = (Dir::new(name), Town::default());
        let link = VenueLink { name: "SIM".into(), socket_path: "street".into(), ..link };
        let world: Arc<dyn World> = Arc::new(town.clone());
        let options = DeskOptions { venues: vec![link], world: Some(world), ..options(&dir) };
        let mut desk = Desk::open(options).expect("a desk");
        setup(&mut desk);
        let (memory_max, buffer_max) = (1 << 10, 1 << 16);
        let config = VenueEndConfig { venue_id: 1, lock_step: false, memory_max, buffer_max };
        let end = VenueEnd::new(config);
        let (open, fills, heard, asked, strangers) = Default::default();
        let (joined, open_queries) = (0, 0);
        let mut scene = Self {
            town,
            desk,
            end,
            open,
            fills,
            heard,
            asked,
            strangers,
            joined,
            open_queries,
            spares: false,
            _dir: dir,
        };
        let mut phase = PhaseChange::ZERO;
        (phase.venue_id, phase.phase) = (1, Phase::Open.code());
        scene.end.phase_change(&phase);
        scene.settle();
        assert!(scene.desk.is_open());
        scene
    }

    /// A report of the order that `street_id` names.
    fn report(
        &self,
        street_id: [u8; 20],
        exec_type: ExecType,
        status: OrdStatus,
    ) -> ExecutionReport {
        let mut report = ExecutionReport::ZERO;
        (report.street_id, report.venue_id) = (street_id, 1);
        (report.exec_type, report.ord_status) = (exec_type.code(), status.code());
        (report.trade_day, report.transact_time_ns) = (19_000, self.town.wall_ns());
        report
    }

    /// One round: the desk polls, its bytes cross, the venue hears, its bytes cross.
    fn round(&mut self) {
        self.town.street().now_ns += 5_000_000;
        self.desk.poll().expect("a living desk");
        let (open, connects, bytes) = {
            let mut street = self.town.street();
            (street.open, street.connects, std::mem::take(&mut street.to_venue))
        };
        if connects != self.joined {
            self.joined = connects;
            if self.end.phase() != LinkPhase::Idle && self.end.disconnect() && !self.spares {
                self.cancel_all();
            }
        }
        if open && self.end.phase() == LinkPhase::Idle {
            self.end.connect(0);
        }
        if !bytes.is_empty() {
            self.end.receive(&bytes, 0).expect("a joined desk");
            while let Some(event) = self.end.next(0).expect("good frames") {
                self.hear(&event);
            }
        }
        let bytes = self.end.unsent().to_vec();
        self.end.sent(bytes.len());
        self.town.street().to_desk.extend_from_slice(&bytes);
    }

    fn hear(&mut self, event: &VenueEvent) {
        match event {
            VenueEvent::Routed(routed) => {
                self.heard.push(*routed);
                if routed.msg_type == MsgType::NewOrder.code() {
                    self.open.push(routed.street_id);
                    let ack = self.report(routed.street_id, ExecType::New, OrdStatus::New);
                    self.end.report(&ack, None);
                }
            }
            VenueEvent::Query(query) => {
                let of_open = query.query_kind == QueryKind::Open.code();
                self.open_queries += u64::from(of_open);
                if query.query_kind == QueryKind::Order.code() {
                    self.asked.push(query.street_id);
                }
                let mut answers = Vec::new();
                let found = |id: &[u8; 20], status| {
                    let mut report = self.report(*id, ExecType::OrderStatus, status);
                    report.cum_qty =
                        self.fills.iter().filter(|f| f.street_id == *id).map(|f| f.last_qty).sum();
                    report
                };
                match QueryKind::from_code(query.query_kind).expect("checked by the end") {
                    QueryKind::Fills => answers.clone_from(&self.fills),
                    QueryKind::Open => {
                        answers.extend(self.open.iter().map(|id| found(id, OrdStatus::New)));
                    }
                    QueryKind::Order => {
                        let is_open = self.open.contains(&query.street_id);
                        let status = if is_open { OrdStatus::New } else { OrdStatus::Canceled };
                        answers.push(found(&query.street_id, status));
                    }
                }
                let mut done = LinkQueryEnd::ZERO;
                done.header.kind = LinkQueryEnd::KIND;
                (done.query_id, done.count) = (query.query_id, answers.len() as u32);
                for mut answer in answers {
                    answer.header.kind = ExecutionReport::KIND;
                    answer.flags |= REPORT_QUERIED;
                    let stranger = |f: &&ForeignOrder| f.street_id == answer.street_id;
                    let foreign = self.strangers.iter().find(stranger).copied();
                    let before = Before { foreign, ids: None };
                    self.end.publish_behind(before, answer.as_record(), None).expect("room");
                }
                self.end.publish(done.as_record(), None).expect("room");
            }
            _ => {}
        }
    }

    /// The venue ends every order that it has.
    fn cancel_all(&mut self) {
        for id in std::mem::take(&mut self.open) {
            let ended = self.report(id, ExecType::Canceled, OrdStatus::Canceled);
            self.end.report(&ended, None);
        }
    }

    fn settle(&mut self) {
        for _ in 0..64 {
            self.round();
        }
    }

    /// The connection ends; what was under way is gone.
    fn cut(&mut self) {
        let mut street = self.town.street();
        street.open = false;
        street.to_venue.clear();
        street.to_desk.clear();
        drop(street);
        self.end.disconnect();
    }

    /// A live order that the venue has acknowledged, and its id there.
    fn order(&mut self, id: &str) -> (u64, [u8; 20]) {
        let order = new_order(id, Side::Buy, 10, common::MID);
        assert_eq!(self.desk.submit(order.as_record()), Verdict::Accepted);
        self.settle();
        let routed = self.heard.last().expect("it went out");
        let order_seq = routed.header.order_seq;
        assert_eq!(self.status(order_seq), OrdStatus::New);
        (order_seq, routed.street_id)
    }

    fn status(&self, order_seq: u64) -> OrdStatus {
        self.desk.engine().order(order_seq).expect("remembered").ord_status()
    }
}

#[test]
fn an_order_whose_end_was_never_told_is_asked_for_when_the_venue_counts_other_open_orders() {
    // CORNERS 34: the desk holds an acknowledged order, nothing of it in doubt; the venue has ended
    // it and the report is lost for good. Without the question the link never comes up again.
    let mut scene = Scene::new("lost-end");
    let (lost, lost_id) = scene.order("LOST");
    let (kept, kept_id) = scene.order("KEPT");
    scene.open.retain(|id| *id != lost_id);
    scene.cut();
    scene.settle();
    assert_eq!(scene.status(lost), OrdStatus::Canceled);
    assert_eq!(scene.status(kept), OrdStatus::New);
    assert!(scene.desk.is_open());
    assert!(scene.asked.contains(&lost_id) && scene.asked.contains(&kept_id));
}

/// The venue has filled 3 of 10 and counts them in a report; the report of the fill itself is lost.
fn with_gap(name: &str) -> (Scene, u64) {
    let mut scene = Scene::new(name);
    let (order_seq, street_id) = scene.order("GAP");
    let mut fill = scene.report(street_id, ExecType::Trade, OrdStatus::PartiallyFilled);
    (fill.exec_id, fill.last_px, fill.last_qty) = (text("V1"), common::MID, 3 * ONE);
    (fill.cum_qty, fill.leaves_qty) = (3 * ONE, 7 * ONE);
    let mut told = scene.report(street_id, ExecType::OrderStatus, OrdStatus::PartiallyFilled);
    (told.cum_qty, told.leaves_qty) = (fill.cum_qty, fill.leaves_qty);
    scene.fills.push(fill);
    scene.desk.hold_outbox(true);
    scene.end.report(&told, None);
    (scene, order_seq)
}

/// Records of the log that are questions about an order, and such that say one never left.
fn questions(scene: &Scene) -> (usize, usize) {
    let status = MsgType::OrderStatus.code();
    let mut reader = scene.desk.ring_view().reader(journal::Follow::Published, 1);
    let mut log = vec![Record::ZERO; 1 << 12];
    let count = reader.copy_next(&mut log).expect("a large ring");
    assert!(count as u64 == scene.desk.published_seq());
    let (mut asked, mut dropped) = (0, 0);
    for record in &log[..count] {
        asked += usize::from(Routed::from_record(record).is_some_and(|r| r.msg_type == status));
        let unsent = DroppedUnsent::from_record(record);
        dropped += usize::from(unsent.is_some_and(|r| r.msg_type == status));
    }
    (asked, dropped)
}

#[test]
fn a_status_request_that_waits_when_the_link_goes_down_is_dropped_once() {
    let (mut scene, order_seq) = with_gap("lost-question");
    scene.round();
    scene.round();
    scene.desk.submit(cancel("X", 999).as_record()); // any step sees to questions
    assert_eq!(questions(&scene), (1, 0));
    scene.cut();
    scene.town.street().refuses = true;
    scene.round();
    assert_eq!(questions(&scene), (1, 1));
    scene.desk.hold_outbox(false);
    scene.town.street().refuses = false;
    scene.settle();
    assert!(scene.desk.is_open());
    assert_eq!(scene.desk.engine().order(order_seq).expect("live").cum_qty, 3 * ONE);
}

#[test]
fn no_status_request_is_asked_while_its_link_is_being_lost() {
    // The link ends behind the report, while a new order waits: dropping it is a step, and a step
    // sees to questions. Asked then, the question was dropped in turn, asked again, and so on.
    let (mut scene, order_seq) = with_gap("no-question");
    let waits = new_order("WAITS", Side::Buy, 1, common::MID);
    assert_eq!(scene.desk.submit(waits.as_record()), Verdict::Accepted);
    let bytes = scene.end.unsent().to_vec();
    scene.end.disconnect();
    {
        let mut street = scene.town.street();
        street.to_desk.extend_from_slice(&bytes);
        (street.open, street.refuses) = (false, true);
    }
    scene.round();
    assert_eq!(questions(&scene), (0, 0));
    scene.desk.hold_outbox(false);
    scene.town.street().refuses = false;
    scene.settle();
    assert_eq!(questions(&scene), (1, 0)); // kept, and asked of the venue that is back
    let status = MsgType::OrderStatus.code();
    assert!(scene.heard.iter().any(|routed| routed.msg_type == status));
    assert_eq!(scene.desk.engine().order(order_seq).expect("live").cum_qty, 3 * ONE);
}

#[test]
fn an_order_held_here_keeps_no_link_from_coming_up() {
    // The venue never had it: it is neither counted among what must be open there nor asked for.
    let mut scene = Scene::new("held");
    let mut terms = OrderTerms::ZERO;
    terms.header.kind = OrderTerms::KIND;
    (terms.session_id, terms.stop_px) = (1, 120 * ONE);
    assert_eq!(scene.desk.submit(terms.as_record()), Verdict::Accepted);
    let mut stop = new_order("STOP", Side::Buy, 1, 125 * ONE);
    (stop.ord_type, stop.tags) = (OrdType::StopLimit.code(), TAG_TERMS);
    assert_eq!(scene.desk.submit(stop.as_record()), Verdict::Accepted);
    let held = scene.desk.engine().live_orders().next().expect("it waits").order_seq;
    assert_eq!(scene.status(held), OrdStatus::Held);
    scene.cut();
    scene.settle();
    assert!(scene.desk.is_open(), "{:?}", scene.desk.status().links[0].error);
    assert_eq!(scene.status(held), OrdStatus::Held);
    assert!(scene.asked.is_empty());
}

#[test]
fn a_bust_names_its_fill_over_the_link_and_reverses_it() {
    // CORNERS 24: ExecRefID(19) has no room in the report and comes in a frame before it.
    let mut scene = Scene::new("bust");
    let (order_seq, street_id) = scene.order("B");
    let mut fill = scene.report(street_id, ExecType::Trade, OrdStatus::PartiallyFilled);
    (fill.exec_id, fill.last_px, fill.last_qty) = (text("V1"), common::MID, 3 * ONE);
    (fill.cum_qty, fill.leaves_qty) = (3 * ONE, 7 * ONE);
    scene.end.report(&fill, None);
    scene.settle();
    assert_eq!(scene.desk.engine().position(1, 1).net_qty, 3 * ONE);
    let mut bust = scene.report(street_id, ExecType::TradeCancel, OrdStatus::New);
    (bust.exec_id, bust.leaves_qty) = (text("V2"), 10 * ONE);
    let ids = ExecRef { exec_ref_id: text("V1"), ..ExecRef::ZERO };
    scene.end.report_with(Some(&ids), &bust, None);
    scene.settle();
    assert_eq!(scene.desk.engine().position(1, 1).net_qty, 0);
    assert_eq!(scene.desk.engine().order(order_seq).expect("live").cum_qty, 0);
}

/// The venue SIM from now on, with an account that adopts and with flags.
fn define_venue(scene: &mut Scene, account_id: u32, flags: u8) {
    let rule = ReplaceRule::InFlightCounted.code();
    let mut venue = common::definition(Entity::Venue, "SIM", account_id, rule);
    venue.flags = flags;
    assert_eq!(scene.desk.submit(venue.as_record()), Verdict::Accepted);
}

#[test]
fn an_order_typed_at_the_venue_is_found_when_the_link_comes_up_and_adopted_by_word_alone() {
    // CORNERS 33: 10 to buy, of which 3 have filled while the desk was away.
    let mut scene = Scene::new("stranger");
    let id = text("SCREEN-1");
    let mut order = ForeignOrder { street_id: id, instrument_id: 1, ..ForeignOrder::ZERO };
    (order.side, order.ord_type) = (Side::Buy.code(), OrdType::Limit.code());
    (order.time_in_force, order.price) = (TimeInForce::Day.code(), common::MID);
    order.order_qty = 10 * ONE;
    scene.strangers.push(order);
    scene.open.push(id);
    let mut fill = scene.report(id, ExecType::Trade, OrdStatus::PartiallyFilled);
    (fill.exec_id, fill.last_px, fill.last_qty) = (text("V1"), common::MID, 3 * ONE);
    (fill.cum_qty, fill.leaves_qty) = (3 * ONE, 7 * ONE);
    scene.fills.push(fill);
    scene.cut();
    scene.settle();
    assert!(!scene.desk.is_open(), "flagged: both count other open orders, for a person to see");
    assert_eq!(scene.desk.engine().live_count(), 0);
    assert_eq!(scene.desk.engine().position(1, 1).net_qty, 0);

    define_venue(&mut scene, 1, 0);
    scene.settle();
    assert!(scene.desk.is_open(), "{:?}", scene.desk.status().links[0].error);
    let adopted = *scene.desk.engine().live_orders().next().expect("adopted");
    assert_eq!((adopted.account_id, adopted.cum_qty), (1, 3 * ONE));
    assert_eq!(scene.desk.engine().position(1, 1).net_qty, 3 * ONE);
    // The stream tells the fill again, and another round polls it: once.
    scene.end.report(&fill, None);
    scene.cut();
    scene.settle();
    assert_eq!(scene.desk.engine().position(1, 1).net_qty, 3 * ONE);

    scene.desk.engage(Scope::Account, 1, KillMode::CancelOnly).expect("engaged");
    scene.settle();
    let cancel = scene.heard.last().expect("it went out");
    assert_eq!((cancel.msg_type, cancel.orig_street_id), (MsgType::Cancel.code(), id));
}

#[test]
fn an_overfill_stops_the_venue_where_its_definition_says_so_and_is_booked_either_way() {
    // CORNERS 8.
    for (flags, mode) in [(0, KillMode::Open), (VENUE_OVERFILL_STOPS, KillMode::CancelOnly)] {
        let mut scene = Scene::new("overfill");
        define_venue(&mut scene, 0, flags);
        let (other, _) = scene.order("OTHER");
        let (_, street_id) = scene.order("OVER");
        let mut fill = scene.report(street_id, ExecType::Trade, OrdStatus::Filled);
        (fill.exec_id, fill.last_px, fill.last_qty) = (text("V1"), common::MID, 12 * ONE);
        scene.end.report(&fill, None);
        scene.settle();
        assert_eq!(scene.desk.engine().position(1, 1).net_qty, 12 * ONE);
        assert_eq!(scene.desk.engine().mode_in(Scope::Venue, 1), mode.code());
        let canceled = scene.status(other) == OrdStatus::PendingCancel;
        assert_eq!(canceled, flags != 0, "what is left there is asked back");
    }
}

/// A kill of the desk over one order, at a venue that says nothing to cancels.
fn killed(name: &str, link: VenueLink) -> (Scene, u64, [u8; 20]) {
    let mut scene = Scene::with(name, link);
    let (order_seq, street_id) = scene.order("A");
    scene.desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    (scene, order_seq, street_id)
}

fn progress(scene: &Scene) -> host::KillProgress {
    scene.desk.kill_progress().expect("engaged")
}

/// Rounds of 5 ms for so long.
fn rounds(scene: &mut Scene, ms: u64) {
    (0..ms / 5).for_each(|_| scene.round());
}

#[test]
fn a_kill_that_a_venue_does_not_confirm_in_time_drops_its_session_and_cancel_on_disconnect_acts() {
    let link = VenueLink { kill_confirm_ms_max: 200, ..VenueLink::default() };
    let (mut scene, order_seq, _) = killed("unconfirmed", link);
    rounds(&mut scene, 150);
    assert_eq!((scene.joined, scene.status(order_seq)), (1, OrdStatus::PendingCancel));
    assert_eq!((progress(&scene).left_open, progress(&scene).confirmed), (1, false));
    assert!(!scene.desk.status().links[0].kill_overdue);
    rounds(&mut scene, 100);
    assert_eq!(scene.joined, 2, "dropped, and back to ask what became of it");
    rounds(&mut scene, 500);
    assert_eq!((scene.joined, scene.status(order_seq)), (2, OrdStatus::Canceled), "once");
    let done = progress(&scene);
    assert!(done.confirmed, "{done:?}");
    assert_eq!((done.left_open, done.cancels_sent, done.cancels_confirmed), (0, 1, 1));
    assert!(scene.desk.status().not_covered.is_empty());
    assert_eq!(scene.desk.engine().desk_mode(), KillMode::CancelOnly.code(), "latched");
}

#[test]
fn what_a_dropped_session_does_not_cover_is_named_and_its_session_is_kept() {
    for (cancel_on_disconnect, time_in_force) in [(false, "day"), (true, "gtc")] {
        let link =
            VenueLink { cancel_on_disconnect, kill_confirm_ms_max: 200, ..VenueLink::default() };
        let mut scene = Scene::with("spared", link);
        let mut order = new_order("A", Side::Buy, 10, common::MID);
        if time_in_force == "gtc" {
            order.time_in_force = TimeInForce::Gtc.code();
        }
        assert_eq!(scene.desk.submit(order.as_record()), Verdict::Accepted);
        scene.settle();
        let order_seq = scene.heard[0].header.order_seq;
        scene.desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
        rounds(&mut scene, 150);
        assert!(scene.desk.status().not_covered.is_empty(), "the venue has its time");
        scene.spares = true; // as some do with good-till orders
        rounds(&mut scene, 600);
        let dropped = scene.joined > 1;
        assert_eq!(dropped, cancel_on_disconnect, "dropping helps nobody without it");
        assert_eq!(scene.desk.status().not_covered, [order_seq], "{time_in_force}");
        assert!(scene.desk.status().links[0].kill_overdue);
        let left = progress(&scene);
        assert_eq!((left.left_open, left.confirmed), (1, false));
    }
}

#[test]
fn zero_open_is_the_venues_word_and_an_order_that_nobody_here_knows_counts_as_open() {
    let link = VenueLink { cancel_on_disconnect: false, mass_cancel: true, ..VenueLink::default() };
    let (mut scene, order_seq, street_id) = killed("strangers", link);
    let stranger = text("STRANGER");
    let masses = |scene: &Scene| {
        scene.heard.iter().filter(|m| m.msg_type == MsgType::MassCancel.code()).count()
    };
    rounds(&mut scene, 50);
    assert_eq!(masses(&scene), 1, "before any single cancel");
    assert!(scene.heard.iter().all(|m| m.msg_type != MsgType::Cancel.code()));
    let asked = scene.open_queries;
    scene.open = vec![stranger];
    let ended = scene.report(street_id, ExecType::Canceled, OrdStatus::Canceled);
    scene.end.report(&ended, None);
    rounds(&mut scene, 100);
    assert_eq!(scene.status(order_seq), OrdStatus::Canceled);
    assert!(scene.open_queries > asked, "our own have ended: now the venue is asked");
    let open = progress(&scene);
    assert_eq!((open.left_open, open.unknown_open, open.confirmed), (1, 1, false));
    assert!(masses(&scene) > 1, "the only cancel that reaches it, again");
    scene.open.clear();
    rounds(&mut scene, 100);
    let done = progress(&scene);
    assert_eq!((done.left_open, done.confirmed), (0, true), "{done:?}");
    let asked = scene.open_queries;
    rounds(&mut scene, 200);
    assert_eq!(scene.open_queries, asked, "confirmed: nobody asks any more");
}

#[test]
fn a_kill_of_one_account_keeps_the_session_that_others_trade_on() {
    let link = VenueLink { kill_confirm_ms_max: 100, ..VenueLink::default() };
    let mut scene = Scene::with("narrow", link);
    let (order_seq, _) = scene.order("A");
    scene.desk.engage(Scope::Account, 1, KillMode::CancelOnly).expect("engaged");
    rounds(&mut scene, 500);
    assert_eq!(scene.joined, 1);
    assert_eq!(progress(&scene).left_open, 1);
    assert_eq!(scene.desk.status().not_covered, [order_seq], "it is named instead");
    let mut other = new_order("B", Side::Buy, 1, common::MID);
    other.account_id = 2;
    assert_eq!(scene.desk.submit(other.as_record()), Verdict::Accepted);
}

#[test]
fn a_kill_over_a_restart_is_followed_again_until_it_is_confirmed() {
    let link = VenueLink { kill_confirm_ms_max: 200, ..VenueLink::default() };
    let dir = Dir::new("followed");
    let desk = Desk::open(options(&dir)).expect("a desk");
    drop(desk);
    let desk = journal::DeskDir::open(dir.desk()).expect("the desk");
    let journal::ControlState::Sound(file) = journal::ControlFile::open(&desk) else {
        panic!("a sound file")
    };
    file.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    let desk = Desk::open(DeskOptions { venues: vec![link], ..options(&dir) });
    let desk = desk.expect("a desk again");
    let first = desk.kill_progress().expect("followed from the start");
    assert_eq!((first.left_open, first.confirmed), (0, false), "the venue was not asked yet");
}

#[test]
fn a_control_file_that_is_spoiled_under_a_running_desk_kills_it_and_it_says_so() {
    // I5. Written to in place, as by a stray hand: the mapping sees it. The rest within a second.
    use std::os::unix::fs::{FileExt, PermissionsExt};
    for damage in ["noise", "one word", "header", "replaced", "link", "mode", "gone"] {
        let mut scene = Scene::new("spoiled");
        let (order_seq, street_id) = scene.order("A");
        let path = scene._dir.desk().join("control");
        let size = std::fs::metadata(&path).expect("there").len() as usize;
        let aside = scene._dir.desk().join("aside");
        let write = |bytes: &[u8], at: usize| {
            let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
            file.write_all_at(bytes, at as u64).expect("written");
        };
        match damage {
            "noise" => write(&vec![0xa5; size], 0),
            "one word" => write(&(9u64 << 56 | 1).to_le_bytes(), CONTROL_DESK_WORD),
            "header" => write(&[0xff; 8], 40),
            "mode" => {
                let open = std::fs::Permissions::from_mode(0o666);
                std::fs::set_permissions(&path, open).expect("set");
            }
            "gone" => std::fs::remove_file(&path).expect("removed"),
            _ => {
                std::fs::rename(&path, &aside).expect("moved");
                match damage {
                    "link" => std::os::unix::fs::symlink(&aside, &path).expect("linked"),
                    _ => drop(std::fs::copy(&aside, &path).expect("copied")),
                }
            }
        }
        rounds(&mut scene, 1_500);
        let mode = scene.desk.engine().desk_mode();
        assert!(mode >= KillMode::CancelOnly.code(), "{damage}");
        assert!(scene.desk.status().control_fault.is_some(), "{damage}: it says so");
        let refused = scene.desk.submit(new_order("B", Side::Buy, 1, common::MID).as_record());
        assert_eq!(refused, Verdict::Killed, "{damage}");
        let cancel = scene.heard.last().expect("it went out");
        assert_eq!((cancel.msg_type, cancel.orig_street_id), (MsgType::Cancel.code(), street_id));
        assert_eq!(scene.status(order_seq), OrdStatus::PendingCancel, "{damage}");
        let hash = scene.desk.request_release(Scope::Desk, 0, "ann", "restored").expect("asked");
        scene.desk.approve_release(hash, "bob").expect("approved");
        assert_eq!(scene.desk.engine().desk_mode(), KillMode::Open.code(), "{damage}");
        rounds(&mut scene, 1_500);
        assert_eq!(scene.desk.status().control_fault, None, "{damage}");
    }
}
