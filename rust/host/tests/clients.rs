//! A desk on its own thread: clients in rings, questions at the door, a real-time link, a fast killer.

mod common;

use common::*;
use host::{Attach, Client, Desk, Running};
use journal::{ControlFile, ControlState, DeskDir, Follow, Reader};
use layout::*;
use std::time::{Duration, Instant};

fn spawn(options: host::DeskOptions) -> Running {
    let set_up = |desk: &mut Desk| {
        setup(desk);
        Ok(())
    };
    Desk::spawn(options, set_up).expect("a running desk")
}

/// Follows the log until `found` says so; the ring is read as a client of another process would.
fn follow<T>(dir: &Dir, mut found: impl FnMut(&Record) -> Option<T>) -> T {
    let desk = DeskDir::open(dir.desk()).expect("the desk");
    let mut reader = Reader::open(desk.ring_path(), Follow::Committed).expect("the ring");
    reader.seek(1);
    let began = Instant::now();
    let mut records = vec![Record::ZERO; 256];
    loop {
        let count = reader.copy_next(&mut records).expect("not lapped");
        if let Some(value) = records[..count].iter().find_map(&mut found) {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "the event never came");
        std::thread::yield_now();
    }
}

#[test]
fn a_client_gets_its_verdict_as_an_event_with_its_number_and_its_own_session() {
    let dir = Dir::new("client");
    let running = spawn(options(&dir));
    let mut client =
        Client::attach(dir.desk(), Attach { slots: 64, ..Attach::to("S2") }).expect("attached");
    assert_eq!(client.session_id(), 2);
    let mut order = new_order("MINE", Side::Buy, 1, MID);
    order.session_id = 1; // a lie: the ring is bound to S2, which may trade A2 alone
    order.account_id = 1;
    let command_seq = client.push(order.as_record()).expect("room");
    let refused = follow(&dir, |record| OrderRefused::from_record(record).copied());
    assert_eq!(u64::from(refused.command_seq), command_seq);
    assert_eq!(refused.session_id, 2);
    assert_eq!(refused.verdict, Verdict::AccountNotEntitled.code());
    // What is no command is not taken from a client.
    let mut open = DeskState::ZERO;
    open.header.kind = DeskState::KIND;
    client.push(open.as_record()).expect("room");
    let status = wait_status(&dir, "\"foreign_commands\":1");
    assert!(
        status.contains("\"clients\":1") && status.contains("\"tier\":\"process\""),
        "{status}"
    );
    let twice = Client::attach(dir.desk(), Attach { slots: 64, ..Attach::to("S2") })
        .expect_err("one client a session");
    assert!(twice.to_string().contains("S2"), "{twice}");
    let unknown = Client::attach(dir.desk(), Attach { slots: 64, ..Attach::to("S9") })
        .expect_err("not defined")
        .to_string();
    assert!(unknown.contains("S9"), "{unknown}");
    drop(client);
    wait_status(&dir, "\"clients\":0");
    Client::attach(dir.desk(), Attach { slots: 64, ..Attach::to("S2") })
        .expect("the place is free again");
    running.stop().expect("an orderly end");
}

fn wait_status(dir: &Dir, wanted: &str) -> String {
    let began = Instant::now();
    loop {
        let status = host::ask(dir.desk(), "status").expect("an answer");
        if status.contains(wanted) {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "{wanted} never came: {status}");
    }
}

#[test]
fn two_people_release_at_the_door_and_bad_requests_are_told_why() {
    let dir = Dir::new("door");
    let running = spawn(options(&dir));
    let ask = |line: &str| host::ask(dir.desk(), line).expect("an answer");
    control_file(&dir).engage(Scope::Venue, 1, KillMode::CancelOnly).expect("engaged");
    let answer = ask("release scope=venue id=1 as=ann reason=the drill is over");
    let hash = answer.split('"').find(|word| word.starts_with("0x")).expect("a hash");
    assert!(ask(&format!("release as=ann approve={hash}")).contains("another person"));
    assert!(ask(&format!("release as=tom approve={hash}")).contains("role"));
    assert!(ask(&format!("release as=bob approve={hash}")).contains("\"ok\":true"));
    for (line, why) in [
        ("fly", "allowed are"),
        ("", "allowed are"),
        ("release as=ann", "scope=... is missing"),
        ("release scope=moon as=ann", "moon"),
        ("attach session=S1 slots=3", "power of two"),
        ("attach session=S1 slots=many", "not a number"),
    ] {
        let answer = ask(line);
        assert!(answer.contains("\"ok\":false") && answer.contains(why), "{line}: {answer}");
    }
    running.stop().expect("an orderly end");
    let gone = host::ask(dir.desk(), "status").expect_err("nobody is there").to_string();
    assert!(gone.contains("pyoms run"), "{gone}");
}

fn control_file(dir: &Dir) -> ControlFile {
    match ControlFile::open(&DeskDir::open(dir.desk()).expect("the desk")) {
        ControlState::Sound(file) => file,
        ControlState::Killed { why } => panic!("{why}"),
    }
}

fn live_venue(dir: &Dir) -> Venue {
    let config = sim::VenueConfig { lock_step: false, end_ns: Some(i64::MAX), ..venue_config(1) };
    Venue::start(dir, config, tape(1, 400, 1_000))
}

#[test]
fn a_killer_against_a_desk_under_load_sees_nothing_new_after_the_acknowledgement() {
    // I1, F25: ten kills while a client keeps sending new orders on a real-time link.
    let dir = Dir::new("load");
    let venue = live_venue(&dir);
    let running = spawn(host::DeskOptions { journal: host::JournalMode::Thread, ..live(&dir) });
    wait_status(&dir, "\"open\":true");
    let mut client =
        Client::attach(dir.desk(), Attach { slots: 1024, ..Attach::to("S1") }).expect("attached");
    let file = control_file(&dir);
    let (mut number, mut after_ack) = (0u64, 0);
    for round in 0..10 {
        let killer = {
            let file = file.clone();
            std::thread::spawn(move || {
                let epoch = file.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
                file.wait_acknowledged(epoch, Duration::from_secs(10))
            })
        };
        while !killer.is_finished() {
            number += 1;
            let order = new_order(&format!("L{number}"), Side::Buy, 1, MID - 20 * TICK);
            while client.push(order.as_record()).is_err() {
                std::thread::yield_now();
            }
        }
        let ack = killer.join().expect("the killer");
        assert!(ack.is_whole(), "{:?}", ack.waiting);
        let row = ack.answered.iter().find(|s| s.venue_id == 1).expect("the link's row");
        // More load against the engaged switch, then a look at the venue once all is quiet.
        for _ in 0..50 {
            number += 1;
            let order = new_order(&format!("L{number}"), Side::Buy, 1, MID - 20 * TICK);
            while client.push(order.as_record()).is_err() {
                std::thread::yield_now();
            }
        }
        wait_status(&dir, "\"live_orders\":0,");
        after_ack += venue.server().creating_after(row.sent_seq as u32);
        let answer =
            host::ask(dir.desk(), "release scope=desk as=ann reason=again").expect("asked");
        let hash = answer.split('"').find(|word| word.starts_with("0x")).expect("a hash");
        let approve = format!("release as=bob approve={hash}");
        assert!(host::ask(dir.desk(), &approve).expect("answered").contains("true"), "{round}");
    }
    assert_eq!(after_ack, 0);
    assert_eq!(venue.server().witness().counters.duplicate_sends, 0);
    running.stop().expect("an orderly end");
}

#[test]
fn the_disk_tier_sends_only_what_is_on_disk_and_stops_in_order() {
    // I2 at tier disk: the message goes when its event is durable.
    let dir = Dir::new("disk");
    let venue = live_venue(&dir);
    let journal = host::JournalMode::Thread;
    let options = host::DeskOptions { tier: Tier::Disk, journal, ..live(&dir) };
    let running = spawn(options);
    wait_status(&dir, "\"open\":true");
    let mut client =
        Client::attach(dir.desk(), Attach { slots: 1024, ..Attach::to("S1") }).expect("attached");
    for number in 0..200 {
        let order = new_order(&format!("D{number}"), Side::Buy, 1, MID - 20 * TICK);
        client.push(order.as_record()).expect("room");
    }
    wait_status(&dir, "\"live_orders\":200,");
    follow(&dir, |record| {
        let report = ExecutionReport::from_record(record)?;
        (report.exec_type == ExecType::New.code() && report.header.order_seq == 200).then_some(())
    });
    running.stop().expect("an orderly end");
    assert_eq!(venue.server().witness().counters.new_orders, 200);
    let engine = host::replay(dir.desk(), &engine_config(), None).expect("a whole log");
    assert_eq!(engine.live_count(), 200);
}

/// A desk with an open venue and one resting order of a client on S1.
fn resting(name: &str, attach: Attach<'_>, policy: bool) -> (Dir, Venue, Running, Client) {
    let dir = Dir::new(name);
    let venue = live_venue(&dir);
    let sessions = vec![host::SessionPolicy { name: "S1".into(), cancel_on_disconnect: policy }];
    let running = spawn(host::DeskOptions { sessions, ..live(&dir) });
    wait_status(&dir, "\"open\":true");
    let mut client = Client::attach(dir.desk(), attach).expect("attached");
    client.push(new_order("R1", Side::Buy, 1, MID - 20 * TICK).as_record()).expect("room");
    wait_status(&dir, "\"live_orders\":1,");
    (dir, venue, running, client)
}

#[test]
fn a_client_that_is_gone_is_named_and_its_orders_are_canceled() {
    let maker = Attach { name: "maker", ..Attach::to("S1") };
    let (dir, venue, running, mut client) = resting("gone", maker, true);
    // A command in the ring that the desk has not looked at may or may not be taken; one pushed
    // after the connection closed never is.
    client.push(new_order("R2", Side::Buy, 1, MID - 20 * TICK).as_record()).expect("room");
    drop(client);
    let status = wait_status(&dir, "\"live_orders\":0,");
    for wanted in ["\"session\":\"S1\"", "\"name\":\"maker\"", "\"cancels\":\"accepted\""] {
        assert!(status.contains(wanted), "{wanted}: {status}");
    }
    assert!(venue.server().witness().counters.cancels >= 1);
    let _again = Client::attach(dir.desk(), Attach::to("S1")).expect("the session is free");
    assert!(wait_status(&dir, "\"clients\":1").contains("\"clients_lost\":[]"));
    running.stop().expect("an orderly end");
}

#[test]
fn a_client_that_falls_silent_is_cut_off_and_nothing_it_sends_later_is_taken() {
    let watched = Attach { silence_ms: 50, ..Attach::to("S1") };
    let (dir, _venue, running, mut client) = resting("silent", watched, true);
    let status = wait_status(&dir, "silent for more than 50 ms");
    assert!(status.contains("\"clients\":0"), "{status}");
    wait_status(&dir, "\"live_orders\":0,");
    client.push(new_order("R9", Side::Buy, 1, MID - 20 * TICK).as_record()).expect("room");
    let cut = client.check().expect_err("the desk has let go").to_string();
    assert!(cut.contains("closed"), "{cut}");
    let status = wait_status(&dir, "\"live_orders\":0,");
    assert!(status.contains("\"commands\":2,"), "one order and the mass cancel: {status}");
    running.stop().expect("an orderly end");
}

#[test]
fn a_client_that_falls_silent_before_its_first_command_is_cut_off_too() {
    let dir = Dir::new("mute");
    let running = spawn(live(&dir));
    let watched = Attach { silence_ms: 50, ..Attach::to("S1") };
    let mut client = Client::attach(dir.desk(), watched).expect("attached");
    client.beat();
    wait_status(&dir, "silent for more than 50 ms");
    running.stop().expect("an orderly end");
}

#[test]
fn orders_outlive_their_client_where_the_session_says_so() {
    let (dir, _venue, running, client) = resting("leave", Attach::to("S1"), false);
    drop(client);
    let status = wait_status(&dir, "left by configuration");
    assert!(status.contains("\"live_orders\":1,"), "{status}");
    running.stop().expect("an orderly end");
}

#[test]
fn a_sleeping_client_is_woken_by_events_by_quotes_and_by_the_end_of_the_desk() {
    let dir = Dir::new("sleeps");
    let running = spawn(live(&dir));
    let mut client = Client::attach(dir.desk(), Attach::to("S1")).expect("attached");
    let long = PATIENCE * 10;
    let began = Instant::now();
    assert_eq!(client.quote(1).expect("on the board").bid_px, NO_PRICE);
    let _venue = live_venue(&dir);
    // By the board alone: events are said to be seen already.
    loop {
        let version = client.version();
        let quote = client.quote(1).expect("on the board");
        if client.is_open() && quote.bid_px != NO_PRICE {
            assert!(quote.bid_px < quote.ask_px && quote.instrument_id == 1);
            break;
        }
        client.wait(u64::MAX, version, long).expect("the desk lives");
    }
    assert!(client.quote(1 << 20).is_none());
    let seen = client.committed_seq();
    client.push(new_order("R2", Side::Buy, 1, MID - 20 * TICK).as_record()).expect("room");
    while client.committed_seq() == seen {
        client.wait(seen, client.version(), long).expect("the desk lives");
    }
    let stopper = std::thread::spawn(move || running.stop());
    while client.wait(client.committed_seq(), client.version(), long).is_ok() {}
    assert!(began.elapsed() < PATIENCE, "it was woken, it did not time out");
    stopper.join().expect("stopped").expect("an orderly end");
    drop(dir);
}

#[test]
fn a_client_that_reads_nothing_and_fills_its_ring_holds_up_nobody() {
    let stuck = Attach { slots: 2, ..Attach::to("S2") };
    let (dir, _venue, running, mut client) = resting("unread", Attach::to("S1"), true);
    let mut idle = Client::attach(dir.desk(), stuck).expect("attached");
    let mut sent = 0;
    for number in 0..20_000 {
        let order = new_order(&format!("U{number}"), Side::Buy, 1, MID);
        sent += u32::from(idle.push(order.as_record()).is_ok());
        if number % 100 == 0 {
            let own = new_order(&format!("O{number}"), Side::Buy, 1, MID - 20 * TICK);
            while client.push(own.as_record()).is_err() {
                std::thread::yield_now();
            }
        }
    }
    assert!(sent >= 2);
    wait_status(&dir, "\"live_orders\":201,");
    running.stop().expect("an orderly end");
}

#[test]
fn a_halt_drops_the_session_so_that_the_venue_cancels_and_names_what_is_not_covered() {
    for covered in [true, false] {
        let dir = Dir::new("halt");
        let venue = live_venue(&dir);
        let mut options = live(&dir);
        options.venues[0].cancel_on_disconnect = covered;
        let running = spawn(options);
        wait_status(&dir, "\"open\":true");
        let mut client = Client::attach(dir.desk(), Attach::to("S1")).expect("attached");
        client.push(new_order("H1", Side::Buy, 1, MID - 20 * TICK).as_record()).expect("room");
        follow(&dir, |record| {
            let report = ExecutionReport::from_record(record)?;
            (report.exec_type == ExecType::New.code()).then_some(())
        });
        let file = control_file(&dir);
        let epoch = file.engage(Scope::Desk, 0, KillMode::Halt).expect("engaged");
        assert!(file.wait_acknowledged(epoch, Duration::from_secs(10)).is_whole());
        match covered {
            true => {
                let status = wait_status(&dir, "\"live_orders\":0,");
                assert!(status.contains("\"not_covered\":[]"), "{status}");
            }
            false => {
                let status = wait_status(&dir, "\"not_covered\":[1]");
                assert!(status.contains("\"live_orders\":1,"), "{status}");
            }
        }
        let server = venue.server();
        let (cancels, open) = (server.witness().counters.cancels, server.witness().orders);
        drop(server);
        assert_eq!(cancels, 0, "a halt lets no cancel pass");
        assert_eq!(open.iter().any(|order| order.leaves_qty != 0), !covered);
        running.stop().expect("an orderly end");
    }
}

/// A desk on this thread, and a client with a ring of four slots that it takes from when polled.
fn inline(name: &str) -> (Dir, Desk, Client) {
    let dir = Dir::new(name);
    let mut desk = Desk::open(options(&dir)).expect("a desk");
    setup(&mut desk);
    let path = dir.desk();
    let attaching = std::thread::spawn(move || {
        Client::attach(path, Attach { slots: 4, ..Attach::to("S1") }).expect("attached")
    });
    while !attaching.is_finished() {
        desk.poll().expect("a round");
    }
    (dir, desk, attaching.join().expect("attached"))
}

/// A stop, and the terms that it carries; it is held, so no reference is asked for.
fn stop(id: &str) -> (OrderTerms, NewOrder) {
    let mut offer = OrderTerms::ZERO;
    offer.header.kind = OrderTerms::KIND;
    offer.stop_px = MID;
    let mut order = new_order(id, Side::Buy, 1, 0);
    (order.ord_type, order.tags) = (OrdType::Stop.code(), TAG_TERMS);
    (offer, order)
}

fn verdict_of(dir: &Dir, desk: &mut Desk, id: &str) -> Verdict {
    while desk.poll().expect("a round") {}
    follow(dir, |record| {
        let refused = OrderRefused::from_record(record).filter(|e| e.cl_ord_id == text(id));
        let accepted = OrderAccepted::from_record(record).filter(|e| e.cl_ord_id == text(id));
        let code = refused.map(|e| e.verdict).or(accepted.map(|_| 0));
        code.and_then(Verdict::from_code)
    })
}

#[test]
fn terms_that_find_no_room_with_their_order_leave_nothing_for_the_next_one() {
    let (dir, mut desk, mut client) = inline("offer-full");
    for number in 0..3 {
        let order = new_order(&format!("P{number}"), Side::Buy, 1, MID);
        client.push(order.as_record()).expect("room");
    }
    let (offer, order) = stop("STOP");
    let full = client.push_with(offer.as_record(), order.as_record()).expect_err("one slot");
    assert!(full.to_string().contains("full"), "{full}");
    client.push(new_order("P3", Side::Buy, 1, MID).as_record()).expect("the slot is still free");
    for number in 0..4 {
        let verdict = verdict_of(&dir, &mut desk, &format!("P{number}"));
        assert_eq!(verdict, Verdict::MarketClosed, "a plain order, and judged as one");
    }
    let command_seq = client.push_with(offer.as_record(), order.as_record()).expect("room");
    assert_eq!(verdict_of(&dir, &mut desk, "STOP"), Verdict::Accepted);
    let told = follow(&dir, |record| OrderAccepted::from_record(record).copied());
    assert_eq!(u64::from(told.command_seq), command_seq, "the order's own number");
    let held = desk.engine().order(told.header.order_seq).expect("live");
    assert_eq!(held.ord_status(), OrdStatus::Held);
    desk.close().expect("an orderly end");
}

#[test]
fn terms_whose_command_does_not_follow_or_does_not_take_them_are_forgotten() {
    let (dir, mut desk, mut client) = inline("offer-alone");
    let (offer, order) = stop("STOP");
    client.push(offer.as_record()).expect("room");
    assert_eq!(desk.poll().ok(), Some(true));
    client.push(new_order("A", Side::Buy, 1, MID).as_record()).expect("room");
    assert_eq!(verdict_of(&dir, &mut desk, "A"), Verdict::MarketClosed, "alone in the ring");
    client.push_with(offer.as_record(), cancel("C", 99).as_record()).expect("room");
    client.push(new_order("B", Side::Buy, 1, MID).as_record()).expect("room");
    assert_eq!(verdict_of(&dir, &mut desk, "B"), Verdict::MarketClosed, "before a cancel");
    let mut foreign = DeskState::ZERO;
    foreign.header.kind = DeskState::KIND;
    client.push_with(offer.as_record(), foreign.as_record()).expect("room");
    client.push(new_order("D", Side::Buy, 1, MID).as_record()).expect("room");
    assert_eq!(verdict_of(&dir, &mut desk, "D"), Verdict::MarketClosed, "before no command");
    // The order's own flag without terms is refused, whoever offered some before.
    client.push(order.as_record()).expect("room");
    assert_eq!(verdict_of(&dir, &mut desk, "STOP"), Verdict::TermsMissing);
    desk.close().expect("an orderly end");
}

#[test]
fn days_phases_and_clocks_are_told_at_the_door_and_only_a_person_proves_a_close() {
    let dir = Dir::new("days");
    let person = |name: &str, risk| host::Person { name: name.into(), risk, uid: None };
    let people = vec![person("alice", true), person("carol", false)];
    let running = spawn(host::DeskOptions { people, ..options(&dir) });
    let ask = |request: &str| host::ask(dir.desk(), request).expect("an answer");
    // request                                                          answer
    let table = [
        ("day venue=SIM trade_day=20000 opened=1", "\"ok\":true"),
        ("phase venue=SIM phase=auction at_ns=7", "\"ok\":true"),
        ("clock venue=SIM utc_offset_min=-300", "\"ok\":true"),
        ("day venue=SIM trade_day=20000 opened=0", "\"ok\":true"),
        ("day venue=SIM trade_day=20000 opened=0 proved_by=alice", "\"ok\":true"),
        ("day venue=SIM trade_day=20000 opened=1 proved_by=alice", "opened must be 0"),
        ("day venue=SIM trade_day=20000 opened=0 proved_by=carol", "has not the role risk"),
        ("day venue=SIM trade_day=20000 opened=0 proved_by=eve", "none of the desk's people"),
        ("day venue=SIM trade_day=65536 opened=0", "allowed are 0 to 65535"),
        ("day venue=X trade_day=1 opened=0", "venue \\\"X\\\" is not defined"),
        ("phase venue=SIM phase=lunch at_ns=7", "allowed are unknown, pre_open, open"),
        ("clock venue=SIM utc_offset_min=1441", "allowed are -1440 to 1440"),
    ];
    for (request, wanted) in table {
        let answer = ask(request);
        assert!(answer.contains(wanted), "{request}: {answer}");
    }
    running.stop().expect("an orderly end");
    let (mut days, mut phases, mut clocks) = (vec![], vec![], vec![]);
    let log = journal::open_log(&DeskDir::open(dir.desk()).expect("the desk")).expect("the log");
    for record in log.slices().flatten() {
        days.extend(
            DayChange::from_record(record)
                .map(|d| (d.opened, d.proved, text_of(&d.person).to_string())),
        );
        phases.extend(PhaseChange::from_record(record).map(|p| (p.phase, p.transact_time_ns)));
        let venue = Definition::from_record(record).filter(|d| d.entity == Entity::Venue.code());
        clocks.extend(venue.map(|d| d.utc_offset_min));
    }
    assert_eq!(days, [(1, 0, String::new()), (0, 0, String::new()), (0, 1, "alice".into())]);
    assert_eq!(phases.last(), Some(&(Phase::Auction.code(), 7)));
    assert_eq!(clocks, [0, -300]);
}
