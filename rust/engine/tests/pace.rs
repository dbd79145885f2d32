//! The pace of the desk's own cancels: what a venue takes a second, oldest order first, a mass cancel
//! before them where it takes one; and nothing of a mass cancel outside its scope or under a halt.

mod common;
use common::*;
use engine::Engine;
use layout::*;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// Cancels that left: the order and the time.
fn cancels(desk: &TestDesk) -> Vec<(u64, i64)> {
    let sent = desk.sent.0.iter().filter(|m| m.msg_type == MsgType::Cancel as u8);
    sent.map(|m| (m.header.order_seq, m.header.ingest_time_ns)).collect()
}

fn masses(desk: &TestDesk) -> Vec<(u16, u32, u32)> {
    let sent = desk.sent.0.iter().filter(|m| m.msg_type == MsgType::MassCancel as u8);
    sent.map(|m| (m.venue_id, m.account_id, m.instrument_id)).collect()
}

/// So many orders at the venue, acknowledged.
fn resting(desk: &mut TestDesk, count: u64) -> Vec<u64> {
    let place = |n| desk.place(&format!("a{n}"), Side::Buy, 1, e9(100));
    let seqs: Vec<u64> = (0..count).map(place).collect();
    for &seq in &seqs {
        desk.tell(seq, 0, ExecType::New);
    }
    seqs
}

/// The desk is looked after every `step_ns` until nothing waits any more.
fn run_out(desk: &mut TestDesk, step_ns: i64) {
    for _ in 0..100_000 {
        if desk.engine.asked_count() == 0 {
            return;
        }
        desk.now_ns += step_ns;
        desk.time();
    }
    panic!("{} cancels never went", desk.engine.asked_count());
}

/// Most cancels within any second.
fn busiest(sent: &[(u64, i64)]) -> usize {
    let within = |&(_, from): &(u64, i64)| {
        sent.iter().filter(|&&(_, at)| (from..from + SECOND).contains(&at)).count()
    };
    sent.iter().map(within).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_second_sees_more_cancels_of_a_kill_than_the_venue_takes_and_the_oldest_go_first(
        per_s in 1u32..200, count in 1u64..300, step_ms in 1i64..400
    ) {
        let mut desk = TestDesk::open();
        desk.engine.set_pace(1, per_s, false);
        let seqs = resting(&mut desk, count);
        let began_ns = desk.now_ns;
        desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
        run_out(&mut desk, step_ms * 1_000_000);
        let sent = cancels(&desk);
        prop_assert_eq!(sent.iter().map(|s| s.0).collect::<Vec<_>>(), seqs);
        prop_assert!(busiest(&sent) <= per_s as usize, "{} of {per_s}", busiest(&sent));
        // As fast as the venue takes them, but for a twentieth and the time between two looks.
        let took_ns = sent.last().map_or(0, |s| s.1 - began_ns);
        let fair_ns = count as i64 * (SECOND + 50_000_000) / i64::from(per_s);
        let looks_ns = (1 + count as i64) * step_ms * 1_000_000;
        prop_assert!(took_ns <= fair_ns + looks_ns, "{took_ns} ns for {count}");
        closing(&desk);
    }
}

#[test]
fn a_venue_without_a_pace_gets_all_cancels_at_once_and_another_waits_alone() {
    let mut desk = TestDesk::open();
    resting(&mut desk, 30);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    desk.time();
    assert_eq!(cancels(&desk).len(), 30);
    closing(&desk);
}

#[test]
fn a_cancel_of_a_client_never_waits_and_counts_for_what_the_venue_takes() {
    let mut desk = TestDesk::open();
    desk.engine.set_pace(1, 1, false);
    let seqs = resting(&mut desk, 4);
    assert_eq!(desk.cancel("c1", "a1"), Verdict::Accepted);
    assert_eq!(desk.cancel("c2", "a2"), Verdict::Accepted);
    assert_eq!(cancels(&desk).len(), 2, "a client's own go at once");
    let asked_ns = desk.now_ns;
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    run_out(&mut desk, 10_000_000);
    let sent = cancels(&desk);
    assert_eq!(sent[2..].iter().map(|s| s.0).collect::<Vec<_>>(), [seqs[0], seqs[3]]);
    assert!(sent[2].1 - asked_ns >= SECOND, "the venue's second is used up by the client's two");
    closing(&desk);
}

#[test]
fn a_mass_cancel_goes_before_any_single_cancel_and_names_the_scope_of_the_kill() {
    // scope               its number  named: account, instrument
    let table = [
        (Scope::Desk, 0, Some((0, 0))),
        (Scope::Venue, 1, Some((0, 0))),
        (Scope::Venue, 2, None),
        (Scope::Account, 1, Some((1, 0))),
        (Scope::Instrument, ES, Some((0, ES))),
        (Scope::Session, 1, None),
        (Scope::Strategy, 1, None),
    ];
    for (scope, id, named) in table {
        let mut desk = TestDesk::open();
        desk.engine.set_pace(1, 0, true);
        let seqs = resting(&mut desk, 3);
        let before = desk.sent.0.len();
        desk.kill(scope, id, KillMode::CancelOnly);
        let told = named.map(|(account_id, instrument_id)| (1, account_id, instrument_id));
        assert_eq!(masses(&desk), told.into_iter().collect::<Vec<_>>(), "{scope:?}");
        if named.is_some() {
            assert_eq!(desk.sent.0[before].msg_type, MsgType::MassCancel as u8, "{scope:?}");
            assert!(cancels(&desk).is_empty(), "{scope:?}: the venue has its time to answer");
            let asked_ns = desk.now_ns;
            run_out(&mut desk, 10_000_000);
            assert!(cancels(&desk)[0].1 - asked_ns >= 100_000_000, "{scope:?}");
            assert_eq!(cancels(&desk).iter().map(|s| s.0).collect::<Vec<_>>(), seqs, "{scope:?}");
            assert_eq!(desk.engine.counters().kill_cancels, 4, "{scope:?}");
        }
        closing(&desk);
    }
}

#[test]
fn what_a_mass_cancel_has_canceled_gets_no_single_cancel() {
    let mut desk = TestDesk::open();
    desk.engine.set_pace(1, 0, true);
    let seqs = resting(&mut desk, 3);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    desk.tell(seqs[0], 0, ExecType::Canceled);
    desk.tell(seqs[2], 0, ExecType::Canceled);
    run_out(&mut desk, 10_000_000);
    assert_eq!(cancels(&desk).iter().map(|s| s.0).collect::<Vec<_>>(), [seqs[1]]);
    closing(&desk);
}

#[test]
fn a_mass_cancel_waits_for_its_link_and_passes_no_halt() {
    let mut desk = TestDesk::open();
    desk.engine.set_pace(1, 0, true);
    resting(&mut desk, 2);
    desk.link(LinkState::Down);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    assert!(masses(&desk).is_empty());
    desk.link(LinkState::Up);
    assert_eq!(masses(&desk), [(1, 0, 0)]);
    desk.link(LinkState::Down);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    desk.kill(Scope::Desk, 0, KillMode::Halt);
    desk.link(LinkState::Up);
    assert_eq!(masses(&desk).len(), 1, "halt: nothing leaves");
    closing(&desk);
}

#[test]
fn a_recovered_desk_sends_what_a_kill_still_owes_at_the_pace_it_is_given() {
    let mut desk = TestDesk::open();
    desk.engine.set_pace(1, 1, true);
    resting(&mut desk, 3);
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    desk.engine = {
        let mut again = Engine::new(desk.engine.config()).expect("memory");
        desk.log.records.iter().for_each(|record| again.apply(record));
        again
    };
    desk.engine.set_pace(1, 1, false);
    desk.now_ns += SECOND;
    desk.time();
    run_out(&mut desk, 10_000_000);
    let sent = cancels(&desk);
    assert_eq!((sent.len(), busiest(&sent)), (3, 1));
    closing(&desk);
}
