//! The link's rules as claims, over public names: what is refused, what is replayed, what is ignored,
//! and that no bytes make either end panic.

use layout::*;
use proptest::prelude::*;
use wire::pylink::*;
use zerocopy::IntoBytes;

const VENUE: u16 = 3;

fn desk(epoch: u64) -> DeskEnd {
    DeskEnd::new(DeskConfig {
        venue_id: VENUE,
        epoch,
        log_id: 42,
        name: "desk".into(),
        heartbeat_ms: 1000,
        cancel_on_disconnect: true,
        lock_step: false,
        buffer_max: 1 << 16,
    })
}

fn venue() -> VenueEnd {
    let buffer_max = 1 << 16;
    VenueEnd::new(VenueEndConfig {
        venue_id: VENUE,
        lock_step: false,
        memory_max: 1000,
        buffer_max,
    })
}

fn order(link_seq: u32) -> Routed {
    let mut r = Routed::ZERO;
    r.header.kind = Routed::KIND;
    r.street_id = text(&format!("0001{link_seq:010}000"));
    (r.venue_id, r.link_seq, r.msg_type) = (VENUE, link_seq, MsgType::NewOrder.code());
    (r.side, r.ord_type, r.time_in_force) = (1, 2, 1);
    (r.price, r.order_qty) = (ONE, ONE);
    r
}

fn fill() -> ExecutionReport {
    let mut report = ExecutionReport::ZERO;
    (report.venue_id, report.exec_type) = (VENUE, ExecType::Trade.code());
    report
}

/// Moves everything both ways; what each end got out of it.
fn pump(desk: &mut DeskEnd, venue: &mut VenueEnd) -> (Vec<DeskEvent>, Vec<VenueEvent>) {
    let (mut at_desk, mut at_venue) = (Vec::new(), Vec::new());
    while !desk.unsent().is_empty() || !venue.unsent().is_empty() {
        let bytes = desk.unsent().to_vec();
        desk.sent(bytes.len());
        if venue.receive(&bytes, 0).is_ok() {
            while let Ok(Some(event)) = venue.next(0) {
                at_venue.push(event);
            }
        }
        let bytes = venue.unsent().to_vec();
        venue.sent(bytes.len());
        if desk.receive(&bytes, 0).is_ok() {
            while let Ok(Some(event)) = desk.next() {
                at_desk.push(event);
            }
        }
    }
    (at_desk, at_venue)
}

fn join(desk: &mut DeskEnd, venue: &mut VenueEnd, read: u32, given: u32) -> Vec<DeskEvent> {
    desk.disconnect();
    venue.disconnect();
    venue.connect(0);
    desk.connect(read, given, 0);
    pump(desk, venue).0
}

/// The error with which a venue refuses these bytes.
fn refused(venue: &mut VenueEnd, frames: &[Record]) -> LinkError {
    for frame in frames {
        venue.receive(frame.as_bytes(), 0).expect("room");
    }
    loop {
        match venue.next(0) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing was refused"),
            Err(error) => return error,
        }
    }
}

#[test]
fn messages_and_reports_arrive_once_and_in_order() {
    let (mut desk, mut venue) = (desk(1), venue());
    let events = join(&mut desk, &mut venue, 0, 0);
    assert!(matches!(events[..], [DeskEvent::Up(up), DeskEvent::CaughtUp] if up.venue_has == 0));
    for link_seq in 1..=3 {
        desk.send(&order(link_seq), 0).expect("in order");
    }
    let words = ReportText { rej_reason: 4, ..ReportText::ZERO };
    venue.report(&fill(), Some(&words));
    venue.report(&fill(), None);
    let (at_desk, at_venue) = pump(&mut desk, &mut venue);
    assert_eq!(at_venue.len(), 3);
    assert!(
        matches!(at_desk[0], DeskEvent::Report(r, Some(w)) if r.link_seq == 1 && w.rej_reason == 4)
    );
    assert!(matches!(at_desk[1], DeskEvent::Report(r, None) if r.link_seq == 2 && r.flags == 0));
    let error = desk.send(&order(5), 0).expect_err("4 is next");
    assert_eq!(error, LinkError::OutOfOrder { expected: 4, got: 5 });
}

#[test]
fn the_ids_of_a_report_come_before_it_also_in_a_replay_and_never_for_one_that_is_known() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    let busted = ExecRef { exec_ref_id: text("E1"), ..ExecRef::ZERO };
    let bust = ExecutionReport { exec_id: text("E2"), ..fill() };
    venue.report_with(Some(&busted), &bust, None);
    venue.report(&fill(), None);
    let (first, _) = pump(&mut desk, &mut venue);
    let [DeskEvent::Ids(ids), DeskEvent::Report(report, None), DeskEvent::Report(..)] = first[..]
    else {
        panic!("{first:?}")
    };
    assert_eq!((ids.venue_id, ids.exec_id, ids.exec_ref_id), (VENUE, text("E2"), text("E1")));
    assert_eq!((report.link_seq, report.exec_id), (1, text("E2")));
    venue.disconnect();
    let again = join(&mut desk, &mut venue, 0, 0);
    assert!(matches!(again[1..3], [DeskEvent::Ids(_), DeskEvent::Report(r, _)] if r.link_seq == 1));
    venue.disconnect();
    let known = join(&mut desk, &mut venue, 2, 0);
    assert!(matches!(known[..], [DeskEvent::Up(_), DeskEvent::CaughtUp]));
    let answers: Vec<_> = venue.fills_since(0).collect();
    assert_eq!(answers[0].0.ids.expect("kept").exec_ref_id, text("E1"));
    venue.publish_behind(answers[0].0, answers[0].1.as_record(), None).expect("up");
    let (asked, _) = pump(&mut desk, &mut venue);
    assert!(matches!(asked[..], [DeskEvent::Ids(_), DeskEvent::Report(..)]));
}

#[test]
fn a_report_of_an_order_the_desk_never_sent_comes_behind_what_the_order_is_once_and_in_a_replay() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    let order = ForeignOrder { instrument_id: 7, side: 1, order_qty: 5, ..ForeignOrder::ZERO };
    let ids = ExecRef { trd_match_id: text("M1"), ..ExecRef::ZERO };
    let report = ExecutionReport { street_id: text("SCREEN-1"), exec_id: text("E1"), ..fill() };
    let words = ReportText { rej_reason: 4, ..ReportText::ZERO };
    let before = Before { foreign: Some(order), ids: Some(ids) };
    venue.report_behind(before, &report, Some(&words));
    // Cut anywhere, it comes whole and in order or not at all.
    let bytes = venue.unsent().to_vec();
    venue.sent(bytes.len());
    let mut seen = Vec::new();
    for byte in bytes {
        desk.receive(&[byte], 0).expect("room");
        while let Some(event) = desk.next().expect("good frames") {
            seen.push(event);
        }
    }
    let [DeskEvent::Foreign(told), DeskEvent::Ids(_), DeskEvent::Report(r, Some(_))] = seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((told.street_id, told.venue_id, told.instrument_id), (r.street_id, VENUE, 7));
    venue.disconnect();
    let again = join(&mut desk, &mut venue, 0, 0);
    assert!(matches!(
        again[1..4],
        [DeskEvent::Foreign(_), DeskEvent::Ids(_), DeskEvent::Report(..)]
    ));
    venue.disconnect();
    let known = join(&mut desk, &mut venue, 1, 0);
    assert!(matches!(known[..], [DeskEvent::Up(_), DeskEvent::CaughtUp]));
    let mut frame = *before.foreign.expect("told").as_record();
    frame.header.kind = ForeignOrder::KIND;
    ForeignOrder::view_mut(&mut frame).venue_id = VENUE;
    desk.receive(frame.as_bytes(), 0).expect("room");
    let mut other = *report.as_record();
    other.header.kind = ExecutionReport::KIND;
    desk.receive(other.as_bytes(), 0).expect("room");
    let wrong = desk.next().expect_err("another order's");
    assert!(matches!(wrong, LinkError::Malformed { field: "street_id", .. }), "{wrong}");
}

#[test]
fn ids_of_another_report_or_of_none_fail_the_link() {
    let ids = ExecRef { venue_id: VENUE, exec_id: text("E2"), ..ExecRef::ZERO };
    for (next, field) in [(fill(), "exec_id"), (ExecutionReport::ZERO, "")] {
        let (mut desk, mut venue) = (desk(1), venue());
        join(&mut desk, &mut venue, 0, 0);
        let mut frame = *ids.as_record();
        frame.header.kind = ExecRef::KIND;
        desk.receive(frame.as_bytes(), 0).expect("room");
        assert_eq!(desk.next(), Ok(None)); // the report is still to come
        let mut after = *next.as_record();
        after.header.kind = if field.is_empty() { Quote::KIND } else { ExecutionReport::KIND };
        desk.receive(after.as_bytes(), 0).expect("room");
        match desk.next() {
            Err(LinkError::Malformed { field: told, .. }) => assert_eq!(told, field),
            Err(LinkError::Unexpected { .. }) => assert_eq!(field, ""),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_resume_replays_what_was_not_read_and_flags_only_what_was_sent_before() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    venue.report(&fill(), None);
    venue.report(&fill(), None);
    let lost = venue.unsent().len();
    venue.sent(lost); // handed to the kernel, never read
    venue.disconnect();
    venue.report(&fill(), None); // filled while nobody is there
    let events = join(&mut desk, &mut venue, 1, 0);
    let flags = |event: &DeskEvent| match event {
        DeskEvent::Report(report, _) => Some((report.link_seq, report.flags)),
        _ => None,
    };
    let seen: Vec<_> = events.iter().filter_map(flags).collect();
    assert_eq!(seen, [(2, REPORT_POSS_DUP), (3, 0)]);
    assert_eq!(events.last(), Some(&DeskEvent::CaughtUp));
}

#[test]
fn a_message_never_received_is_gap_filled_and_not_sent_by_guess() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    desk.send(&order(1), 0).expect("in order");
    pump(&mut desk, &mut venue);
    // Numbers 2 and 3 were given and the link dropped before they left.
    let events = join(&mut desk, &mut venue, 0, 3);
    assert!(matches!(events[0], DeskEvent::Up(up) if up.venue_has == 1 && up.desk_sent == 3));
    desk.send(&order(4), 0).expect("the hole is filled");
    let (_, at_venue) = pump(&mut desk, &mut venue);
    assert_eq!(at_venue[0], VenueEvent::GapFilled { first: 2, last: 3 });
    assert!(matches!(at_venue[1], VenueEvent::Routed(r) if r.link_seq == 4));
    assert_eq!((venue.gap_filled(), venue.link_seq_in()), (2, 4));
}

#[test]
fn a_message_held_by_the_kill_switch_leaves_only_its_number() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    desk.gap_fill_to(2, 0).expect("up");
    desk.send(&order(3), 0).expect("in order");
    let (_, at_venue) = pump(&mut desk, &mut venue);
    assert_eq!(at_venue[0], VenueEvent::GapFilled { first: 1, last: 2 });
    assert_eq!(at_venue.len(), 2);
}

#[test]
fn a_number_seen_before_is_ignored_and_a_missing_one_fails_the_link() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    let frames = [order(1), order(1), order(3)].map(|r| *r.as_record());
    assert_eq!(refused(&mut venue, &frames), LinkError::Gap { expected: 2, got: 3 });
    assert_eq!(venue.duplicates(), 1);
    let (at_desk, _) = pump(&mut desk, &mut venue);
    assert!(at_desk.is_empty());
    assert_eq!(desk.phase(), LinkPhase::Failed, "the desk is told why");
}

#[test]
fn an_older_epoch_another_log_and_another_layout_are_refused() {
    let mut venue = venue();
    let mut hello = LinkHello::ZERO;
    hello.header.kind = LinkHello::KIND;
    (hello.layout_hash, hello.epoch, hello.log_id) = (LAYOUT_HASH, 5, 42);
    hello.venue_id = VENUE;
    assert_eq!(venue.admits(&hello), Ok(()));
    join(&mut desk(5), &mut venue, 0, 0);
    let seen = 5;
    assert_eq!(venue.admits(&hello), Err(LinkError::EpochOld { seen, got: 5 }), "one at a time");
    venue.disconnect();
    assert_eq!(venue.admits(&hello), Ok(()), "the same run may come back");
    let older = LinkHello { epoch: 4, ..hello };
    assert_eq!(venue.admits(&older), Err(LinkError::EpochOld { seen, got: 4 }));
    let other = LinkHello { log_id: 43, ..hello };
    assert_eq!(venue.admits(&other), Err(LinkError::OtherLog { ours: 42, theirs: 43 }));
    let layout = LinkHello { layout_hash: 1, ..hello };
    assert!(matches!(venue.admits(&layout), Err(LinkError::LayoutDiffers { theirs: 1, .. })));
    let further = LinkHello { link_seq_in: 9, ..hello };
    let forgot = LinkError::VenueForgot { desk_has: 9, venue_sent: 0 };
    assert_eq!(venue.admits(&further), Err(forgot));
    let events = join(&mut desk(4), &mut venue, 0, 0);
    assert!(events.is_empty());
    assert_eq!(venue.epoch(), 5);
}

#[test]
fn a_refusal_reaches_the_desk_with_its_reason() {
    let mut venue = venue();
    join(&mut desk(5), &mut venue, 0, 0);
    let mut old = desk(4);
    venue.disconnect();
    venue.connect(0);
    old.connect(0, 0, 0);
    let bytes = old.unsent().to_vec();
    venue.receive(&bytes, 0).expect("room");
    venue.next(0).expect_err("older");
    old.receive(venue.unsent(), 0).expect("room");
    let LinkError::Refused { text } = old.next().expect_err("refused") else { panic!() };
    assert_eq!(text, "epoch 4 is not above 5, which this venue has seen");
}

type Spoil = fn(&mut Routed);

#[test]
fn a_malformed_field_is_named() {
    let table: [(&str, Spoil); 6] = [
        ("msg_type", |r| r.msg_type = 99),
        ("venue_id", |r| r.venue_id = 9),
        ("link_seq", |r| r.link_seq = 0),
        ("side", |r| r.side = 9),
        ("street_id", |r| r.street_id[1] = b'\n'),
        ("street_id", |r| r.street_id = [0; 20]),
    ];
    for (name, spoil) in table {
        let (mut desk, mut venue) = (desk(1), venue());
        join(&mut desk, &mut venue, 0, 0);
        let mut bad = order(1);
        spoil(&mut bad);
        let error = refused(&mut venue, &[*bad.as_record()]);
        assert!(matches!(error, LinkError::Malformed { field, .. } if field == name), "{error}");
        assert_eq!(venue.link_seq_in(), 0, "a bad message has no number");
    }
}

#[test]
fn silence_fails_the_link_and_heartbeats_keep_it() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    let second = 1_000_000_000;
    for now in 1..20 {
        desk.tick(now * second).expect("alive");
        venue.tick(now * second).expect("alive");
        let (there, back) = (desk.unsent().to_vec(), venue.unsent().to_vec());
        desk.sent(there.len());
        venue.sent(back.len());
        venue.receive(&there, now * second).expect("room");
        desk.receive(&back, now * second).expect("room");
        assert_eq!(venue.next(0), Ok(None));
        assert_eq!(desk.next(), Ok(None));
    }
    assert_eq!(desk.tick(22 * second), Ok(()));
    assert!(matches!(desk.tick(23 * second), Err(LinkError::Silent { .. })));
    assert!(matches!(venue.tick(23 * second), Err(LinkError::Silent { .. })));
}

#[test]
fn a_slow_reader_is_cut_off_and_loses_no_report() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    for _ in 0..900 {
        venue.report(&fill(), None); // more than the outbox holds: they wait in memory
    }
    assert!(venue.backlog() > 0);
    assert!(matches!(
        venue.publish(Quote::ZERO.as_record(), None),
        Err(LinkError::OutboxFull { .. })
    ));
    let events = join(&mut desk, &mut venue, 0, 0);
    let reports = events.iter().filter(|e| matches!(e, DeskEvent::Report(..))).count();
    assert_eq!(reports, 900);
}

#[test]
fn what_was_forgotten_is_refused_and_not_skipped() {
    let config =
        VenueEndConfig { venue_id: VENUE, lock_step: false, memory_max: 10, buffer_max: 1 << 16 };
    let (mut desk, mut venue) = (desk(1), VenueEnd::new(config));
    join(&mut desk, &mut venue, 0, 0);
    for _ in 0..30 {
        venue.report(&fill(), None);
    }
    venue.disconnect();
    venue.connect(0);
    desk.connect(5, 0, 0);
    venue.receive(desk.unsent(), 0).expect("room");
    assert_eq!(venue.next(0), Err(LinkError::TooOld { asked: 6, oldest: 21 }));
}

#[test]
fn frames_cut_anywhere_read_the_same() {
    let (mut desk, mut venue) = (desk(1), venue());
    join(&mut desk, &mut venue, 0, 0);
    let words = ReportText::ZERO;
    for _ in 0..5 {
        venue.report(&fill(), Some(&words));
    }
    let bytes = venue.unsent().to_vec();
    let mut seen = 0;
    for byte in bytes {
        desk.receive(&[byte], 0).expect("room");
        while let Some(event) = desk.next().expect("good frames") {
            seen += u32::from(matches!(event, DeskEvent::Report(_, Some(_))));
        }
    }
    assert_eq!(seen, 5);
}

fn frame() -> impl Strategy<Value = [u8; 128]> {
    let kinds = prop::sample::select(vec![
        110u16, 111, 112, 113, 117, 118, 120, 240, 260, 300, 301, 302, 303, 304, 305, 0, 65_535,
    ]);
    let bytes = prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 128);
    (kinds, bytes, any::<bool>()).prop_map(|(kind, bytes, ours)| {
        let mut frame: [u8; 128] = bytes.try_into().expect("128 bytes");
        frame[24..26].copy_from_slice(&kind.to_le_bytes());
        if ours {
            let layout = offset_of_u64(kind == LinkHello::KIND);
            frame[32..40].copy_from_slice(&layout.to_le_bytes());
        }
        frame
    })
}

fn offset_of_u64(hello: bool) -> u64 {
    if hello { LAYOUT_HASH } else { 1 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_an_end_panic(
        frames in prop::collection::vec(frame(), 0..24),
        noise in prop::collection::vec(any::<u8>(), 0..300),
        joined in any::<bool>(),
        chunk in 1usize..300,
    ) {
        let (mut desk, mut venue) = (desk(1), venue());
        if joined {
            join(&mut desk, &mut venue, 0, 0);
        } else {
            desk.connect(0, 0, 0);
            venue.connect(0);
        }
        let bytes: Vec<u8> = frames.concat().into_iter().chain(noise).collect();
        for part in bytes.chunks(chunk) {
            if desk.receive(part, 0).is_ok() {
                while let Ok(Some(_)) = desk.next() {}
            }
            if venue.receive(part, 0).is_ok() {
                while let Ok(Some(event)) = venue.next(0) {
                    if let VenueEvent::Query(query) = event {
                        let _ = venue.fills_since(query.since_link_seq).count();
                    }
                }
            }
        }
        prop_assert!(desk.unsent().len() <= 1 << 16);
        prop_assert!(venue.unsent().len() <= 1 << 16);
    }
}
