//! The link is cut at every frame in either direction; the desk resumes from its log. No report is
//! lost or applied twice, no order is doubled, and both sides agree at the end.

mod common;

use common::*;
use layout::*;
use sim::{VenueConfig, VenueServer};

struct Cut {
    bytes_to_desk: usize,
    bytes_to_venue: usize,
    restart: bool,
}

/// A day in which the link is cut once; the bytes past the cut are lost. Returns the bytes that
/// flowed each way until the end.
fn day_with(cut: Option<Cut>) -> (usize, usize) {
    let tape = small_tape(11, 160, 50_000_000);
    let config = VenueConfig { outage_ns: 300_000_000, ..config(4) };
    let mut server = VenueServer::new(config, tape).expect("a good configuration");
    let mut desk = TestDesk::new(6, 150);
    let (mut conn, mut out) = (1, Vec::new());
    let (mut in_flow, mut out_flow) = (0, 0);
    server.on_connect(conn, 0);
    desk.connect();
    let mut cut = cut;
    while !server.is_over() {
        let mut bytes = std::mem::take(&mut desk.to_venue);
        if let Some(c) = cut.as_ref().filter(|c| out_flow + bytes.len() > c.bytes_to_venue) {
            bytes.truncate(c.bytes_to_venue - out_flow);
            server.on_bytes(conn, &bytes, 0);
            server.on_disconnect(conn, 0);
            desk.end.disconnect();
            conn += 1;
            server.on_connect(conn, 0);
            if c.restart {
                desk.restart()
            } else {
                desk.connect()
            }
            cut = None;
            continue;
        }
        out_flow += bytes.len();
        out.clear();
        assert!(server.serve_step(conn, &bytes, 0, &mut out), "{:?}", server.take_note());
        if let Some(c) = cut.as_ref().filter(|c| in_flow + out.len() > c.bytes_to_desk) {
            let part = c.bytes_to_desk - in_flow;
            desk.take(&out[..part]).expect("good frames");
            let bytes = std::mem::take(&mut desk.to_venue);
            server.on_bytes(conn, &bytes, 0);
            server.on_disconnect(conn, 0);
            desk.end.disconnect();
            conn += 1;
            server.on_connect(conn, 0);
            if c.restart {
                desk.restart()
            } else {
                desk.connect()
            }
            cut = None;
            continue;
        }
        in_flow += out.len();
        desk.take(&out).expect("good frames");
    }
    assert!(cut.is_none(), "the cut was never reached");
    desk.agrees_with(&server);
    let witness = server.witness();
    assert_eq!(witness.counters.received, desk.log.len() as u64, "each message arrives once");
    assert_eq!(witness.counters.gap_filled, 0);
    (in_flow, out_flow)
}

#[test]
fn a_link_cut_at_any_frame_loses_and_doubles_nothing() {
    let (in_flow, out_flow) = day_with(None);
    assert!(in_flow / RECORD_SIZE > 500 && out_flow / RECORD_SIZE > 300, "{in_flow} {out_flow}");
    for frame in 0..in_flow / RECORD_SIZE {
        let bytes_to_desk = frame * RECORD_SIZE + frame % 3 * 41; // also in the middle of one
        let cut = Cut { bytes_to_desk, bytes_to_venue: usize::MAX, restart: frame % 2 == 0 };
        day_with(Some(cut));
    }
    for frame in 0..out_flow / RECORD_SIZE {
        let bytes_to_venue = frame * RECORD_SIZE + frame % 3 * 41;
        let cut = Cut { bytes_to_venue, bytes_to_desk: usize::MAX, restart: frame % 2 == 0 };
        day_with(Some(cut));
    }
}

#[test]
fn an_order_fills_while_the_desk_is_gone_and_the_fill_is_replayed() {
    let tape = vec![
        add(1_000, 1, Side::Buy, 99 * ONE, 1),
        add(1_000, 2, Side::Sell, 101 * ONE, 1),
        trade(2_000, Side::Buy.code(), 101 * ONE, 1), // opens
        trade(5_000_000_000, Side::Sell.code(), 98 * ONE, 9),
        add(90_000_000_000, 3, Side::Buy, 97 * ONE, 1),
    ];
    let mut server = VenueServer::new(config(1), tape).expect("a good configuration");
    let mut desk = TestDesk::new(1, 0);
    let mut out = Vec::new();
    server.on_connect(1, 0);
    desk.connect();
    while desk.orders.get(&1).is_none_or(|order| order.ord_status == 0) {
        let bytes = std::mem::take(&mut desk.to_venue);
        out.clear();
        server.serve_step(1, &bytes, 0, &mut out);
        desk.take(&out).expect("good frames");
        if desk.log.is_empty() && desk.open_phase {
            desk.submit(limit(1, Side::Buy, 100 * ONE, 4));
            desk.flush();
        }
    }
    let bytes = std::mem::take(&mut desk.to_venue);
    server.on_bytes(1, &bytes, 0);
    assert_eq!(desk.orders[&1].cum_qty, 0);
    server.on_disconnect(1, 0); // 30 s go by
    assert_eq!(server.witness().orders[0].cum_qty, 4 * ONE);
    desk.end.disconnect();
    desk.restart();
    server.on_connect(2, 0);
    let bytes = std::mem::take(&mut desk.to_venue);
    out.clear();
    server.serve_step(2, &bytes, 0, &mut out);
    desk.take(&out).expect("good frames");
    assert_eq!(desk.orders[&1].cum_qty, 4 * ONE);
    desk.agrees_with(&server);
}
