//! What cannot be done yet: cancels, questions, moves, legs and timers that wait for a link, for the
//! kill switch or for an answer. They cost the others nothing, and go as soon as they can.

mod common;
use common::*;
use engine::EngineConfig;
use layout::*;

fn looks(desk: &TestDesk) -> u64 {
    desk.engine.counters().looks
}

fn cancels(desk: &TestDesk) -> Vec<u64> {
    let sent = desk.sent.0.iter().filter(|m| m.msg_type == MsgType::Cancel as u8);
    sent.map(|m| m.header.order_seq).collect()
}

/// Many inputs of every day, none of which lets anything go.
fn quiet_inputs(desk: &mut TestDesk) {
    for n in 0..100 {
        desk.quote(ES, e9(100), e9(100) + (n % 2) * ONE / 4 + ONE / 4);
        desk.trade(ES, e9(100));
        desk.time();
    }
}

fn mass_cancel(desk: &mut TestDesk, id: &str) {
    let mut m = MassCancel::ZERO;
    (m.header.kind, m.cl_ord_id, m.session_id) = (MassCancel::KIND, text(id), 1);
    assert_eq!(desk.step(m.as_record()), Verdict::Accepted);
}

#[test]
fn a_cancel_that_cannot_go_is_looked_at_once_and_goes_when_its_link_or_the_switch_allows() {
    let mut desk = TestDesk::open();
    let seqs: Vec<u64> =
        (0..40).map(|n| desk.place(&format!("a{n}"), Side::Buy, 1, e9(100))).collect();
    desk.link(LinkState::Down);
    mass_cancel(&mut desk, "m");
    quiet_inputs(&mut desk);
    assert_eq!((looks(&desk), desk.engine.asked_count()), (40, 40));
    assert!(!desk.engine.work_due(desk.now_ns), "nobody spins for what cannot go");
    desk.kill(Scope::Desk, 0, KillMode::Halt);
    desk.link(LinkState::Up);
    quiet_inputs(&mut desk);
    assert!(cancels(&desk).is_empty(), "halt: nothing leaves");
    assert!(looks(&desk) <= 40 * 3, "once for each change");
    desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    desk.time();
    assert_eq!(cancels(&desk), seqs, "oldest first");
    assert!(looks(&desk) <= 40 * 4);
    closing(&desk);
}

#[test]
fn a_cancel_asked_for_behind_one_in_flight_goes_when_that_is_refused() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 1, e9(100));
    desk.tell(a, 0, ExecType::New);
    desk.cancel("c", "a");
    mass_cancel(&mut desk, "m");
    quiet_inputs(&mut desk);
    assert_eq!((looks(&desk), cancels(&desk).len()), (0, 1));
    desk.tell(a, 1, ExecType::CancelRejected);
    desk.time();
    assert_eq!((looks(&desk), cancels(&desk).len()), (1, 2));
    closing(&desk);
}

#[test]
fn what_waits_is_tried_again_after_a_recovery() {
    let mut desk = TestDesk::open();
    desk.place("a", Side::Buy, 1, e9(100));
    desk.link(LinkState::Down);
    mass_cancel(&mut desk, "m");
    desk.engine = {
        let mut again = engine::Engine::new(desk.engine.config()).expect("memory");
        desk.log.records.iter().for_each(|record| again.apply(record));
        again
    };
    desk.link(LinkState::Up);
    desk.time();
    assert_eq!(cancels(&desk).len(), 1);
    closing(&desk);
}

#[test]
fn a_question_that_its_link_keeps_back_is_not_looked_at_again_until_the_link_changes() {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 5, e9(100));
    desk.link(LinkState::Down);
    let mut r = desk.report(a, 0, ExecType::Trade);
    (r.exec_id, r.last_qty, r.last_px, r.cum_qty) = (text("E"), e9(1), e9(100), e9(3));
    desk.take(&r);
    quiet_inputs(&mut desk);
    assert_eq!(looks(&desk), 1);
    desk.link(LinkState::Up);
    let asked = |m: &&Routed| m.msg_type == MsgType::OrderStatus as u8;
    assert_eq!((looks(&desk), desk.sent.0.iter().filter(asked).count()), (2, 1));
    closing(&desk);
}

#[test]
fn a_new_order_behind_its_proof_waits_for_its_link_and_costs_nothing() {
    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Venue, "CME", 0, ReplaceRule::CancelNew as u8));
    for n in 0..3 {
        let id = format!("a{n}");
        let a = desk.place(&id, Side::Buy, 5, e9(100));
        desk.tell(a, 0, ExecType::New);
        assert_eq!(desk.replace(&format!("r{n}"), &id, 4, e9(100)), Verdict::Accepted);
    }
    desk.link(LinkState::Down);
    let before = looks(&desk);
    for seq in 1..=3 {
        desk.tell(seq, 2, ExecType::Canceled);
    }
    quiet_inputs(&mut desk);
    assert_eq!(looks(&desk) - before, 3);
    desk.link(LinkState::Up);
    let new = |m: &&Routed| m.msg_type == MsgType::NewOrder as u8 && m.revision != 0;
    let sent: Vec<u64> = desk.sent.0.iter().filter(new).map(|m| m.header.order_seq).collect();
    assert_eq!(sent, [1, 2, 3], "oldest order first");
    closing(&desk);
}

#[test]
fn thousands_of_timers_whose_cancels_cannot_go_keep_no_other_timer_waiting() {
    const STUCK: usize = 5_000;
    let config = EngineConfig {
        orders_max: 1 << 13,
        terms_max: 1 << 13,
        ids_max: 1 << 14,
        ..small_config()
    };
    let mut desk = TestDesk::with(config);
    let order = |desk: &mut TestDesk, n: usize, account_id: u32, expire_time_ns: i64| {
        let mut o = TestDesk::new_order(&format!("o{n}"), Side::Buy, 1, e9(100));
        (o.account_id, o.time_in_force) = (account_id, TimeInForce::Gtd as u8);
        let t = OrderTerms { expire_time_ns, ..offer() };
        assert_eq!(desk.submit_terms(&t, &o), Verdict::Accepted);
        let seq = desk.newest();
        desk.tell(seq, 0, ExecType::New);
        seq
    };
    let time_ns = desk.now_ns + ONE;
    for n in 0..STUCK {
        order(&mut desk, n, 1, time_ns);
    }
    let last = order(&mut desk, STUCK, 2, time_ns + 1);
    desk.kill(Scope::Account, 1, KillMode::Halt);
    while desk.engine.work_due(desk.now_ns) {
        desk.time();
    }
    desk.now_ns = time_ns + 2;
    for _ in 0..STUCK / 256 + 2 {
        desk.time();
    }
    assert_eq!(cancels(&desk), [last]);
    assert!(!desk.engine.work_due(desk.now_ns));
    let before = looks(&desk);
    quiet_inputs(&mut desk);
    assert_eq!(looks(&desk), before);
    desk.kill(Scope::Account, 1, KillMode::Open);
    while desk.engine.work_due(desk.now_ns) {
        desk.time();
    }
    assert_eq!(cancels(&desk).len(), STUCK + 1);
    closing(&desk);
}

/// The venue refuses each cancel of an order that is in flight, at every ten milliseconds.
fn refuse_cancels(desk: &mut TestDesk, order_seq: u64, for_ns: i64) {
    let end_ns = desk.now_ns + for_ns;
    while desk.now_ns < end_ns {
        let order = *desk.engine.order(order_seq).expect("lives");
        if order.ord_status() == OrdStatus::PendingCancel {
            desk.tell(order_seq, order.cancel_revision, ExecType::CancelRejected);
        }
        desk.now_ns += 10_000_000;
        if desk.engine.work_due(desk.now_ns) {
            desk.time();
        }
    }
}

/// One order at the venue, and how often a cancel of it was sent in the time given.
fn stopped(stop: impl Fn(&mut TestDesk)) -> (TestDesk, u64) {
    let mut desk = TestDesk::open();
    let a = desk.place("a", Side::Buy, 1, e9(100));
    desk.tell(a, 0, ExecType::New);
    stop(&mut desk);
    desk.time();
    assert_eq!(cancels(&desk), [a]);
    (desk, a)
}

#[test]
fn a_kill_repeats_a_refused_cancel_ever_more_slowly_until_the_venue_takes_it() {
    let (mut desk, a) = stopped(|desk| {
        desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    });
    refuse_cancels(&mut desk, a, ONE);
    let first = cancels(&desk).len();
    assert!((3..=5).contains(&first), "{first} in a second");
    refuse_cancels(&mut desk, a, 59 * ONE);
    let minute = cancels(&desk).len();
    assert!((9..=13).contains(&minute), "{minute} in a minute");
    refuse_cancels(&mut desk, a, 600 * ONE);
    assert!(cancels(&desk).len() >= minute + 40, "it goes on for as long as the order lives");
    let revision = desk.engine.order(a).expect("lives").revision_last;
    desk.now_ns += 20 * ONE;
    desk.time();
    desk.tell(a, revision + 1, ExecType::Canceled);
    assert!(!desk.engine.order(a).expect("known").live());
    assert_eq!(desk.engine.asked_count(), 0);
    assert!(!desk.engine.work_due(desk.now_ns + 100 * ONE), "nothing is left to do");
    closing(&desk);
}

#[test]
fn a_mass_cancel_repeats_a_refused_cancel_as_a_kill_does() {
    let (mut desk, a) = stopped(|desk| mass_cancel(desk, "m"));
    refuse_cancels(&mut desk, a, ONE);
    assert!((3..=5).contains(&cancels(&desk).len()));
    assert_eq!(desk.replace("r", "a", 2, e9(100)), Verdict::CancelPending);
    closing(&desk);
}

#[test]
fn a_child_of_a_canceled_parent_is_canceled_again_after_a_refusal() {
    let mut desk = TestDesk::open();
    let mut parent = TestDesk::new_order("p", Side::Buy, 5, e9(100));
    parent.tags = TAG_PARENT;
    assert_eq!(desk.submit(&parent), Verdict::Accepted);
    let parent_seq = desk.newest();
    let mut child = TestDesk::new_order("a", Side::Buy, 5, e9(100));
    child.parent_order_seq = parent_seq;
    assert_eq!(desk.submit(&child), Verdict::Accepted);
    let a = desk.newest();
    desk.tell(a, 0, ExecType::New);
    assert_eq!(desk.cancel("c", "p"), Verdict::Accepted);
    refuse_cancels(&mut desk, a, ONE);
    assert!((3..=5).contains(&cancels(&desk).len()));
    closing(&desk);
}

#[test]
fn a_new_reason_has_a_refused_cancel_tried_at_once() {
    let kill = |desk: &mut TestDesk| {
        desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    };
    type Happens = fn(&mut TestDesk);
    let reasons: [(&str, Happens); 5] = [
        ("the market opens", |desk| desk.phase(Phase::Open)),
        ("the link is up again", |desk| {
            desk.link(LinkState::Down);
            desk.link(LinkState::Up);
        }),
        ("a kill once more", |desk| {
            desk.kill(Scope::Account, 1, KillMode::CancelOnly);
        }),
        ("a mass cancel", |desk| mass_cancel(desk, "m")),
        ("a cancel by its client", |desk| {
            assert_eq!(desk.cancel("c", "a"), Verdict::Accepted);
        }),
    ];
    for (reason, happens) in reasons {
        let (mut desk, a) = stopped(kill);
        desk.phase(Phase::Closed);
        refuse_cancels(&mut desk, a, 60 * ONE);
        let order = *desk.engine.order(a).expect("lives");
        if order.ord_status() == OrdStatus::PendingCancel {
            desk.tell(a, order.cancel_revision, ExecType::CancelRejected);
        }
        let before = cancels(&desk).len();
        desk.phase(Phase::Closed);
        desk.time();
        assert_eq!(cancels(&desk).len(), before, "told again it is no news");
        happens(&mut desk);
        desk.time();
        assert_eq!(cancels(&desk).len(), before + 1, "{reason}");
        closing(&desk);
    }
}

#[test]
fn a_day_of_refused_cancels_leaves_most_revisions_of_an_order() {
    let (mut desk, a) = stopped(|desk| {
        desk.kill(Scope::Desk, 0, KillMode::CancelOnly);
    });
    for _ in 0..24 * 3600 * 2 {
        let order = *desk.engine.order(a).expect("lives");
        if order.ord_status() == OrdStatus::PendingCancel {
            desk.tell(a, order.cancel_revision, ExecType::CancelRejected);
        }
        desk.now_ns += ONE / 2;
        desk.time();
    }
    let used = desk.engine.order(a).expect("lives").revision_last;
    assert!((6_000..7_000).contains(&used), "{used} of {}", engine::street::REVISION_MAX);
}

#[test]
fn a_recovered_desk_repeats_what_was_refused() {
    let (mut desk, a) = stopped(|desk| mass_cancel(desk, "m"));
    desk.tell(a, 1, ExecType::CancelRejected);
    let mut again = engine::Engine::new(desk.engine.config()).expect("memory");
    desk.log.records.iter().for_each(|record| again.apply(record));
    assert_eq!(again.state_hash(), desk.engine.state_hash());
    desk.engine = again;
    desk.now_ns += ONE;
    desk.time();
    assert_eq!(cancels(&desk).len(), 2);
    closing(&desk);
}
