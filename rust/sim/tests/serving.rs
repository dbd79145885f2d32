//! The venue behind its link as a socket loop sees it: fencing, a second desk, cancel on disconnect,
//! queries, the live clock.

mod common;

use common::*;
use layout::*;
use sim::{VenueConfig, VenueServer};
use wire::pylink::*;

fn quiet() -> Vec<BookUpdate> {
    vec![
        add(1_000, 1, Side::Buy, 99 * ONE, 5),
        add(1_000, 2, Side::Sell, 101 * ONE, 6),
        trade(2_000, Side::Buy.code(), 101 * ONE, 1),
        add(3_600_000_000_000, 9, Side::Buy, 50 * ONE, 1),
    ]
}

/// One round of both sides over connection `conn`; whether it stays open.
fn round(desk: &mut TestDesk, server: &mut VenueServer, conn: u64) -> bool {
    let bytes = std::mem::take(&mut desk.to_venue);
    let mut out = Vec::new();
    let open = server.serve_step(conn, &bytes, 0, &mut out);
    desk.take(&out).is_ok() && open
}

/// A desk with one order resting at 100.
fn rested(config: VenueConfig) -> (TestDesk, VenueServer) {
    let mut server = VenueServer::new(config, quiet()).expect("a good configuration");
    let mut desk = TestDesk::new(1, 0);
    server.on_connect(1, 0);
    desk.connect();
    desk.wake_every_ns = 100_000_000;
    while desk.orders.get(&1).is_none_or(|order| order.ord_status == 0) {
        assert!(round(&mut desk, &mut server, 1));
        if desk.log.is_empty() && desk.open_phase {
            desk.submit(limit(1, Side::Buy, 100 * ONE, 4));
            desk.flush();
        }
    }
    (desk, server)
}

#[test]
fn a_higher_epoch_takes_over_and_the_old_desk_is_fenced_off() {
    let (mut old, mut server) = rested(config(1));
    let mut new = TestDesk::new(1, 0);
    (new.log, new.orders, new.link_seq_in) = (old.log.clone(), old.orders.clone(), old.link_seq_in);
    server.on_connect(2, 0);
    new.restart(); // epoch 2
    assert!(round(&mut new, &mut server, 2));
    assert_eq!(new.end.phase(), LinkPhase::Up);
    assert!(server.wants_close(1));
    old.submit(limit(2, Side::Buy, 100 * ONE, 1));
    old.flush();
    round(&mut old, &mut server, 1);
    assert_eq!(server.witness().counters.received, 1, "a fenced desk sends nothing");
}

#[test]
fn a_second_desk_of_the_same_epoch_is_refused_with_a_reason() {
    let (_, mut server) = rested(config(1));
    let mut second = TestDesk::new(1, 0);
    server.on_connect(2, 0);
    second.connect();
    let bytes = std::mem::take(&mut second.to_venue);
    server.on_bytes(2, &bytes, 0);
    assert!(server.wants_close(2) && !server.wants_close(1));
    let refusal = server.unsent(2).to_vec();
    let error = second.take(&refusal).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "refused by the venue: epoch 1 is not above 1, which this venue has seen"
    );
}

#[test]
fn orders_stay_at_a_disconnect_unless_the_desk_asked() {
    let (mut desk, mut server) = rested(config(1));
    desk.end.disconnect();
    server.on_disconnect(1, 0);
    assert_eq!(server.witness().orders[0].ord_status, "new");
}

#[test]
fn a_query_finds_open_orders_and_says_when_it_ends() {
    let (mut desk, mut server) = rested(config(1));
    let query_id = desk.end.query(QueryKind::Open, [0; 20], 0, 0).expect("up");
    let unknown = desk.end.query(QueryKind::Order, street(99, 0), 0, 0).expect("up");
    desk.flush();
    let (mut seen, mut ends) = (Vec::new(), Vec::new());
    while ends.len() < 2 {
        let bytes = std::mem::take(&mut desk.to_venue);
        let mut out = Vec::new();
        assert!(server.serve_step(1, &bytes, 0, &mut out));
        desk.end.receive(&out, 0).expect("room");
        while let Some(event) = desk.end.next().expect("good frames") {
            match event {
                DeskEvent::Report(r, _) => seen.push((r.exec_type, r.street_id, r.leaves_qty)),
                DeskEvent::QueryEnd(end) => ends.push((end.query_id, end.count)),
                DeskEvent::Turn(turn) => desk.end.turn_done(turn.turn, i64::MAX, 0).expect("up"),
                _ => {}
            }
        }
        desk.flush();
    }
    assert_eq!(seen[0], (ExecType::OrderStatus.code(), street(1, 0), 4 * ONE));
    assert_eq!(seen[1].0, ExecType::UnknownOrder.code());
    assert_eq!(ends, [(query_id, 1), (unknown, 1)]);
}

#[test]
fn a_joining_desk_gets_the_recorded_book_without_our_orders() {
    let (mut desk, mut server) = rested(config(1));
    desk.end.disconnect();
    server.on_disconnect(1, 0);
    server.on_connect(2, 0);
    desk.restart();
    let bytes = std::mem::take(&mut desk.to_venue);
    let mut out = Vec::new();
    server.serve_step(2, &bytes, 0, &mut out);
    desk.end.receive(&out, 0).expect("room");
    let mut shown = Vec::new();
    while let Some(event) = desk.end.next().expect("good frames") {
        if let DeskEvent::Book(u) = event {
            shown.push((u.action, u.order_ref, u.flags));
        }
    }
    let (clear, add) = (BookAction::Clear.code(), BookAction::Add.code());
    let last = BOOK_SNAPSHOT | BOOK_LAST;
    assert_eq!(shown[..3], [(clear, 0, BOOK_SNAPSHOT), (add, 1, BOOK_SNAPSHOT), (add, 2, last)]);
}

#[test]
fn the_live_clock_runs_the_day_at_its_speed_up_without_turns() {
    let config = VenueConfig { lock_step: false, speed_up: 1000, ..config(1) };
    let mut server = VenueServer::new(config, quiet()).expect("a good configuration");
    let mut end = DeskEnd::new(DeskConfig {
        venue_id: 1,
        epoch: 1,
        log_id: 1,
        name: "live".into(),
        heartbeat_ms: 0,
        cancel_on_disconnect: false,
        lock_step: false,
        buffer_max: BUFFER_MAX,
    });
    server.on_connect(1, 5);
    end.connect(0, 0, 5);
    server.on_bytes(1, end.unsent(), 5);
    let (mut books, mut now_ns) = (0, 5);
    while !server.is_over() {
        server.advance(now_ns);
        end.receive(server.unsent(1), 0).expect("room");
        server.sent(1, server.unsent(1).len());
        while let Some(event) = end.next().expect("good frames") {
            books += u32::from(matches!(event, DeskEvent::Book(_)));
        }
        now_ns += 100_000_000;
    }
    assert_eq!(books, 4);
    assert!((3_600_000_000..4_000_000_000).contains(&now_ns), "an hour in 3.6 s: {now_ns}");
}

#[test]
fn a_bad_configuration_is_refused_by_key_and_bound() {
    let words = |json: &str| VenueServer::from_json(json, quiet()).err().expect("bad").to_string();
    assert!(words(r#"{"sead": 1}"#).contains("unknown field `sead`"));
    assert!(
        words(r#"{"step_min_ns": 0}"#).contains("step_min_ns 0 and speed_up 1 must be above 0")
    );
    assert!(words(r#"{"start_ns": 10, "open_ns": 5}"#).contains("start 10, open 5"));
    assert!(
        VenueServer::from_json("{}", Vec::new()).err().expect("bad").to_string().contains("empty")
    );
}
