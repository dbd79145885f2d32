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
        *street = Street { open: true, now_ns: street.now_ns, ..Street::default() };
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
    _dir: Dir,
}

impl Scene {
    fn new(name: &str) -> Self {
        let (dir, town) = (Dir::new(name), Town::default());
        let link = VenueLink {
            name: "SIM".into(),
            socket_path: "street".into(),
            cancel_on_disconnect: false,
            lock_step: false,
            heartbeat_ms: 0,
        };
        let world: Arc<dyn World> = Arc::new(town.clone());
        let options = DeskOptions { venues: vec![link], world: Some(world), ..options(&dir) };
        let mut desk = Desk::open(options).expect("a desk");
        setup(&mut desk);
        let (memory_max, buffer_max) = (1 << 10, 1 << 16);
        let config = VenueEndConfig { venue_id: 1, lock_step: false, memory_max, buffer_max };
        let end = VenueEnd::new(config);
        let (open, fills, heard, asked, strangers) = Default::default();
        let mut scene = Self { town, desk, end, open, fills, heard, asked, strangers, _dir: dir };
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
        let (open, bytes) = {
            let mut street = self.town.street();
            (street.open, std::mem::take(&mut street.to_venue))
        };
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
