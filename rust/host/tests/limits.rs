//! Limits of a running desk: one person tightens, two loosen, and what is in force is whole at any
//! moment, over kills, crashes and other changes too.

mod common;

use common::*;
use engine::limits::absent;
use host::{Desk, DeskOptions, Person, Who, Wire, World};
use journal::{DeskDir, Disk};
use layout::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use zerocopy::IntoBytes;

fn account(account_id: u32, lots: i64) -> LimitRow {
    let mut row = absent(Scope::Account);
    (row.account_id, row.order_qty_max) = (account_id, lots * ONE);
    (row.order_notional_max, row.net_qty_max) = (i64::MAX, i64::MAX);
    (row.gross_notional_max, row.net_notional_max) = (i64::MAX, i64::MAX);
    row
}

fn cell(lots: i64) -> LimitRow {
    let mut row = absent(Scope::AccountInstrument);
    (row.account_id, row.instrument_id, row.order_qty_max) = (1, 1, lots * ONE);
    row
}

fn removed(mut row: LimitRow) -> LimitRow {
    row.scope |= LIMIT_REMOVED;
    row
}

fn open(dir: &Dir) -> Desk {
    let mut desk = Desk::open(options(dir)).expect("a desk");
    setup(&mut desk);
    desk
}

fn finish(desk: &mut Desk) {
    while desk.is_staging() {
        desk.poll().expect("a round");
    }
}

/// Asks for rows against what is in force; the change's hash, and its version where one suffices.
fn ask(desk: &mut Desk, rows: &[LimitRow], person: &str) -> host::Result<host::Request> {
    let base = desk.engine().limits_version();
    desk.request_limits(rows, base, person, "a test")
}

fn version(desk: &Desk) -> u64 {
    desk.engine().limits_version()
}

/// Kind and people of the changes and activations in a log.
fn story(dir: &Dir) -> Vec<(&'static str, String, String)> {
    let log = journal::open_log(&DeskDir::open(dir.desk()).expect("the desk")).expect("the log");
    let mut told = Vec::new();
    let names = |a: &[u8], b: &[u8]| (text_of(a).to_string(), text_of(b).to_string());
    for record in log.slices().flatten() {
        if let Some(e) = Approval::from_record(record) {
            let (person, approver) = names(&e.person, &e.approver);
            told.push(("approval", person, approver));
        }
        if LimitRow::from_record(record).is_some() && !told.is_empty() {
            told.push(("row", String::new(), String::new()));
        }
        if let Some(e) = LimitsActivated::from_record(record).filter(|_| !told.is_empty()) {
            let (person, approver) = names(&e.person, &e.approver);
            told.push(("active", person, approver));
        }
    }
    told
}

fn of(kind: &'static str, person: &str, approver: &str) -> (&'static str, String, String) {
    (kind, person.into(), approver.into())
}

#[test]
fn one_person_tightens_and_the_event_that_says_who_comes_before_the_rows() {
    let dir = Dir::new("tighten");
    let mut desk = open(&dir);
    let before = (version(&desk), desk.engine().limits_hash());
    let asked = ask(&mut desk, &[account(1, 5), cell(4)], "ann").expect("ann may");
    assert_eq!(asked.limits_version, Some(before.0 + 1));
    assert!(desk.is_staging());
    assert_eq!((version(&desk), desk.engine().limits_hash()), before, "nothing binds yet");
    finish(&mut desk);
    assert_eq!(version(&desk), before.0 + 1);
    assert_ne!(desk.engine().limits_hash(), before.1);
    let order = |id: &str, lots| new_order(id, Side::Buy, lots, MID);
    assert_ne!(desk.submit(order("A", 5).as_record()), Verdict::Accepted);
    let hash = desk.engine().state_hash();
    desk.close().expect("an end");
    let row = of("row", "", "");
    assert_eq!(story(&dir), [of("approval", "ann", ""), row.clone(), row, of("active", "ann", "")]);
    assert_eq!(replayed_hash(&dir.desk()), hash);
}

#[test]
fn whatever_loosens_anything_waits_for_another_person_with_the_role() {
    let dir = Dir::new("loosen");
    let mut desk = open(&dir);
    ask(&mut desk, &[cell(4)], "ann").expect("tighter");
    finish(&mut desk);
    let base = version(&desk);
    // One row tightens, the other one loosens: the whole waits.
    let mixed = [account(1, 5), cell(6)];
    assert!(ask(&mut desk, &mixed, "eve").expect_err("no person").to_string().contains("eve"));
    assert!(ask(&mut desk, &mixed, "tom").expect_err("no role").to_string().contains("role"));
    let asked = ask(&mut desk, &mixed, "ann").expect("asked");
    assert_eq!(asked.limits_version, None);
    desk.poll().expect("a round");
    assert!(!desk.is_staging(), "nothing of it is staged");
    let same = desk.approve_limits(asked.change_hash, "ann").expect_err("four eyes").to_string();
    assert!(same.contains("another person"), "{same}");
    assert!(desk.approve_limits(asked.change_hash, "tom").is_err(), "no role");
    assert!(
        desk.approve_limits(asked.change_hash ^ 1, "bob").is_err(),
        "the hash names the change"
    );
    assert!(desk.approve_release(asked.change_hash, "bob").is_err(), "and its kind");
    assert_eq!(desk.approve_limits(asked.change_hash, "bob").expect("bob may"), base + 1);
    finish(&mut desk);
    assert!(desk.approve_limits(asked.change_hash, "bob").is_err(), "once");
    // To take a limit away is to loosen it.
    let asked = ask(&mut desk, &[removed(cell(6))], "bob").expect("asked");
    assert_eq!(asked.limits_version, None);
    desk.approve_limits(asked.change_hash, "ann").expect("ann may");
    finish(&mut desk);
    assert_eq!(version(&desk), base + 2);
    desk.close().expect("an end");
    let told: Vec<_> = story(&dir).into_iter().filter(|(kind, _, _)| *kind != "row").collect();
    assert_eq!(
        told[2..],
        [
            of("approval", "ann", "bob"),
            of("active", "ann", "bob"),
            of("approval", "bob", "ann"),
            of("active", "bob", "ann"),
        ]
    );
}

#[test]
fn an_approval_is_void_when_other_limits_are_in_force() {
    let dir = Dir::new("base");
    let mut desk = open(&dir);
    let asked = ask(&mut desk, &[account(1, 200)], "ann").expect("asked");
    ask(&mut desk, &[account(2, 5)], "bob").expect("tighter, at once");
    finish(&mut desk);
    let hash = desk.engine().limits_hash();
    let void = desk.approve_limits(asked.change_hash, "bob").expect_err("void").to_string();
    assert!(void.contains("other limits are in force"), "{void}");
    desk.poll().expect("a round");
    assert_eq!(desk.engine().limits_hash(), hash);
    // A change worked out against older limits is not taken at all.
    let old = desk.request_limits(&[account(1, 3)], version(&desk) - 1, "ann", "late");
    assert!(old.expect_err("stale").to_string().contains("work it out again"));
}

#[test]
fn a_change_while_another_is_staged_is_refused_and_the_first_comes_into_force_whole() {
    let dir = Dir::new("staged");
    let mut desk = open(&dir);
    let asked = ask(&mut desk, &[account(1, 200)], "ann").expect("asked");
    let many: Vec<LimitRow> = (0..20).map(|_| cell(7)).collect();
    let base = version(&desk);
    ask(&mut desk, &many, "ann").expect("tighter");
    desk.poll().expect("a round");
    assert!(desk.is_staging(), "twenty rows take more than a round");
    let refused = ask(&mut desk, &[account(2, 1)], "bob").expect_err("staged").to_string();
    assert!(refused.contains("is being staged, 8 of 20 rows"), "{refused}");
    let refused = desk.approve_limits(asked.change_hash, "bob").expect_err("staged").to_string();
    assert!(refused.contains("is being staged"), "{refused}");
    finish(&mut desk);
    assert_eq!(version(&desk), base + 1);
}

#[test]
fn limits_change_during_a_kill_and_the_kill_stays() {
    let dir = Dir::new("killed");
    let mut desk = open(&dir);
    desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    let base = version(&desk);
    ask(&mut desk, &[account(1, 5)], "ann").expect("tighter");
    desk.poll().expect("a round");
    desk.engage(Scope::Account, 2, KillMode::Halt).expect("engaged while staged");
    finish(&mut desk);
    let asked = ask(&mut desk, &[account(1, 6)], "ann").expect("asked");
    desk.approve_limits(asked.change_hash, "bob").expect("approved");
    finish(&mut desk);
    assert_eq!(version(&desk), base + 2);
    assert_eq!(desk.engine().desk_mode(), KillMode::CancelOnly.code());
    assert_eq!(desk.engine().mode_in(Scope::Account, 2), KillMode::Halt.code());
    let refused = new_order("X", Side::Buy, 1, MID);
    assert_eq!(desk.submit(refused.as_record()), Verdict::Killed);
}

#[test]
fn a_crash_anywhere_in_a_staging_leaves_the_old_limits_whole_or_the_new_ones() {
    let rows: Vec<LimitRow> =
        (0..20).map(|i| if i % 2 == 0 { account(1, 50 - i) } else { cell(30 - i) }).collect();
    let mut seen = [0; 2];
    for rounds in 0..4 {
        let dir = Dir::new("crash");
        let mut desk = open(&dir);
        let (old, base) = (desk.engine().limits_hash(), version(&desk));
        ask(&mut desk, &rows, "ann").expect("tighter");
        for _ in 0..rounds {
            desk.poll().expect("a round");
        }
        let now = (desk.engine().limits_hash(), version(&desk));
        drop(desk); // no orderly end: what is in the ring is what there is
        let mut desk = Desk::open(options(&dir)).expect("a desk again");
        assert_eq!((desk.engine().limits_hash(), version(&desk)), now, "after {rounds} rounds");
        assert_eq!(now.0 == old, now.1 == base);
        seen[usize::from(now.0 != old)] += 1;
        assert_eq!(desk.engine().staged_limits(), 0);
        // The next change brings nothing of the lost one with it.
        ask(&mut desk, &[account(2, 9)], "ann").expect("tighter");
        finish(&mut desk);
        let found = desk.engine().limit_in_force(&cell(1)).is_some();
        assert_eq!(found, now.0 != old, "after {rounds} rounds");
        assert_eq!(version(&desk), now.1 + 1);
        let hash = desk.engine().state_hash();
        desk.close().expect("an end");
        assert_eq!(replayed_hash(&dir.desk()), hash);
    }
    assert_eq!(seen, [3, 1], "before its end, and behind it");
}

#[test]
fn a_person_bound_to_a_user_acts_as_that_user_alone() {
    let dir = Dir::new("uid");
    let own = rustix::process::geteuid().as_raw();
    let person = |name: &str, uid| Person { name: name.into(), risk: true, uid };
    let people = vec![person("ann", Some(own)), person("bob", Some(own + 1)), person("cat", None)];
    let mut desk = Desk::open(DeskOptions { people, ..options(&dir) }).expect("a desk");
    setup(&mut desk);
    let rows = [account(1, 200)];
    let bound = ask(&mut desk, &rows, "bob").expect_err("bound").to_string();
    assert!(bound.contains("is bound to the user with uid"), "{bound}");
    assert!(
        desk.request_limits(&rows, version(&desk), Who { name: "ann", uid: own + 1 }, "").is_err()
    );
    let asked = ask(&mut desk, &rows, "ann").expect("her own user");
    assert!(desk.approve_limits(asked.change_hash, "bob").is_err(), "ann's user is not bob's");
    let bob = Who { name: "bob", uid: own + 1 };
    desk.approve_limits(asked.change_hash, bob).expect("bob's own user");
    desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
    assert!(desk.request_release(Scope::Desk, 0, "bob", "x").is_err(), "and so for a release");
    let asked = desk.request_release(Scope::Desk, 0, "cat", "x").expect("bound to nobody");
    assert!(desk.approve_release(asked, "bob").is_err());
    desk.approve_release(asked, "ann").expect("her own user");
    assert!(
        desk.tell_day("SIM", 20_000, false, Some("bob".into())).is_err(),
        "and for a day's end"
    );
}

/// A world whose clock a test moves; it has no disk and no venues.
#[derive(Debug, Default)]
struct Hours(AtomicI64);

impl World for Hours {
    fn wall_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
    fn mono_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
    fn disk(&self) -> Box<dyn Disk> {
        unreachable!("tier memory has none")
    }
    fn connect(&self, _: &Path) -> std::io::Result<Box<dyn Wire>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[test]
fn a_change_waits_five_minutes_for_its_second_person_and_no_longer() {
    let dir = Dir::new("late");
    const MINUTES_5: i64 = 300_000_000_000;
    for (wait_ns, in_time) in [(MINUTES_5, true), (MINUTES_5 + 1, false)] {
        let hours = Arc::new(Hours::default());
        hours.0.store(1, Ordering::Relaxed);
        let world: Arc<dyn World> = Arc::<Hours>::clone(&hours);
        let (tier, world) = (Tier::Memory, Some(world));
        let mut desk = Desk::open(DeskOptions { tier, world, ..options(&dir) }).expect("a desk");
        setup(&mut desk);
        desk.engage(Scope::Desk, 0, KillMode::CancelOnly).expect("engaged");
        let limits = ask(&mut desk, &[account(1, 200)], "ann").expect("asked").change_hash;
        let release = desk.request_release(Scope::Desk, 0, "ann", "x").expect("asked");
        hours.0.fetch_add(wait_ns, Ordering::Relaxed);
        assert_eq!(desk.approve_limits(limits, "bob").is_ok(), in_time, "{wait_ns}");
        assert_eq!(desk.approve_release(release, "bob").is_ok(), in_time, "{wait_ns}");
    }
}

#[test]
fn rows_come_in_by_the_socket_and_the_answer_comes_when_they_are_in_force() {
    let dir = Dir::new("socket");
    let running = open(&dir).start().expect("a thread");
    let ask = |request: &str, rows: &[LimitRow]| {
        host::ask_with(dir.desk(), request, rows.as_bytes()).expect("an answer")
    };
    let told = ask("limits", &[]);
    assert!(told.contains("\"limits_version\":1,"), "{told}");
    let rows: Vec<LimitRow> = (0..28).map(|_| cell(7)).collect();
    let answer = ask("limits rows=28 base=1 as=ann reason=a smaller day", &rows);
    assert!(answer.contains("\"limits_version\":2,"), "{answer}");
    let answer = ask("limits rows=1 base=2 as=ann reason=back", &[cell(8)]);
    let looser = "\"loosened\":[{\"scope\":\"account_instrument\",\"account\":\"A1\",\
                  \"instrument\":\"ESH4\",\"field\":\"order_qty_max\",\"old\":7000000000,\
                  \"new\":8000000000}]";
    assert!(answer.contains(looser), "{answer}");
    let (_, hash) = answer.split_once("\"change_hash\":\"").expect("a hash");
    let hash = hash.split('"').next().expect("its end");
    let waiting = ask("limits", &[]);
    assert!(waiting.contains(hash) && waiting.contains("\"reason\":\"back\""), "{waiting}");
    let answer = ask(&format!("limits approve={hash} as=bob"), &[]);
    assert!(answer.contains("\"limits_version\":3,"), "{answer}");
    assert!(ask("limits", &[]).contains("\"waiting\":null"));
    // request, rows, answer: each leaves everything as it is.
    let mut wrong = cell(1);
    wrong.account_id = 3;
    let mut wide = cell(1);
    wide.account_id = 77;
    let long = "x".repeat(41);
    let table = [
        ("limits rows=1 base=3 as=tom", vec![cell(1)], "has not the role risk"),
        ("limits rows=1 base=2 as=ann", vec![cell(1)], "in force is 3"),
        ("limits rows=1 base=3 as=ann", vec![wrong], "is not defined on this desk"),
        ("limits rows=1 base=3 as=ann", vec![wide], "no row of limits that fits"),
        ("limits rows=0 base=3 as=ann", vec![], "allowed are 1 to"),
        ("limits rows=99999999999 base=3 as=ann", vec![], "allowed are 1 to"),
        ("limits rows=x base=3 as=ann", vec![], "is not a number"),
        ("limits approve=0x1 as=ann", vec![], "no change with hash"),
        (&format!("limits rows=1 base=3 as=ann reason={long}"), vec![cell(1)], "41 bytes"),
    ];
    for (request, rows, wanted) in table {
        let answer = ask(request, &rows);
        assert!(answer.contains(wanted), "{request}: {answer}");
    }
    assert!(ask("limits", &[]).contains("\"limits_version\":3,"));
    running.stop().expect("an orderly end");
}
