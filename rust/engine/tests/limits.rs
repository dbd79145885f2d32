//! Limits as data: staged beside those in force, active at once, never a mixture; what is looser.

mod common;

use common::*;
use engine::limits::{FIELDS, absent, loosened};
use layout::*;
use proptest::prelude::*;

fn cell(account_id: u32, instrument_id: u32, lots: i64) -> LimitRow {
    let mut row = absent(Scope::AccountInstrument);
    (row.account_id, row.instrument_id) = (account_id, instrument_id);
    row.order_qty_max = e9(lots);
    row
}

fn account(account_id: u32, lots: i64) -> LimitRow {
    let mut row = account_limits(account_id);
    row.order_qty_max = e9(lots);
    row
}

fn instrument(instrument_id: u32, lots: i64) -> LimitRow {
    let mut row = absent(Scope::Instrument);
    (row.instrument_id, row.order_qty_max) = (instrument_id, e9(lots));
    row
}

fn removed(mut row: LimitRow) -> LimitRow {
    row.scope |= LIMIT_REMOVED;
    row
}

fn order(number: usize, account_id: u32, instrument_id: u32, lots: i64) -> NewOrder {
    let mut o = TestDesk::new_order(&format!("o{number}"), Side::Buy, lots, e9(100));
    (o.account_id, o.instrument_id) = (account_id, instrument_id);
    o
}

#[test]
fn staged_rows_bind_nothing_until_their_activation_and_everything_from_there_on() {
    let mut desk = TestDesk::open();
    let before = (desk.engine.limits_version(), desk.engine.limits_hash());
    for row in [account(1, 5), cell(1, ES, 4), instrument(FX, 3)] {
        desk.fact(row);
    }
    assert_eq!(desk.engine.staged_limits(), 3);
    assert_eq!((desk.engine.limits_version(), desk.engine.limits_hash()), before);
    assert_eq!(desk.submit(&order(1, 1, ES, 6)), Verdict::Accepted);
    assert_eq!(desk.submit(&order(2, 1, FX, 6)), Verdict::Accepted);
    desk.activate();
    assert_eq!(desk.engine.staged_limits(), 0);
    assert_ne!(desk.engine.limits_hash(), before.1);
    for (number, (account_id, instrument_id, lots, verdict)) in [
        (1, ES, 5, Verdict::OrderQtyLimit),
        (1, ES, 4, Verdict::Accepted),
        (1, FX, 4, Verdict::OrderQtyLimit),
        (1, FX, 3, Verdict::Accepted),
        (2, ES, 6, Verdict::Accepted),
    ]
    .into_iter()
    .enumerate()
    {
        let order = order(10 + number, account_id, instrument_id, lots);
        assert_eq!(desk.submit(&order), verdict, "{account_id} {instrument_id} {lots}");
    }
    let accepted = |r: &&Record| r.header.kind == OrderAccepted::KIND;
    let versions: Vec<u16> = desk
        .log
        .records
        .iter()
        .filter(accepted)
        .filter_map(OrderAccepted::from_record)
        .map(|event| event.limits_version)
        .collect();
    assert_eq!(versions, [1, 1, 2, 2, 2], "each event names the version it was judged by (I6)");
    desk.assert_replay_equals();
}

#[test]
fn a_row_taken_away_leaves_what_holds_without_it() {
    let mut desk = TestDesk::open();
    let none = desk.engine.limits_hash();
    for row in [cell(1, ES, 4), instrument(FX, 3)] {
        desk.limit(row);
    }
    assert_eq!(desk.submit(&order(1, 1, ES, 5)), Verdict::OrderQtyLimit);
    assert_eq!(desk.submit(&order(2, 1, FX, 4)), Verdict::OrderQtyLimit);
    for row in [cell(1, ES, 4), instrument(FX, 3)] {
        desk.fact(removed(row));
    }
    desk.activate();
    assert_eq!(desk.submit(&order(3, 1, ES, 5)), Verdict::Accepted);
    assert_eq!(desk.submit(&order(4, 1, FX, 4)), Verdict::Accepted);
    assert_eq!(desk.engine.limits_hash(), none, "the hash is of the rows, not of their history");
    desk.limit(removed(account(1, 1)));
    assert_eq!(desk.submit(&order(5, 1, ES, 1)), Verdict::LimitsAbsent);
    desk.assert_replay_equals();
}

#[test]
fn new_terms_of_an_instrument_leave_its_limit_in_force() {
    let mut desk = TestDesk::open();
    desk.limit(instrument(ES, 3));
    desk.fact(terms(ES, 1));
    assert_eq!(desk.submit(&order(1, 1, ES, 4)), Verdict::OrderQtyLimit);
    assert_eq!(desk.submit(&order(2, 1, ES, 3)), Verdict::Accepted);
}

#[test]
fn a_crash_between_staging_and_activation_leaves_the_old_limits_whole() {
    let mut desk = TestDesk::open();
    let hash = desk.engine.limits_hash();
    for row in [account(1, 5), cell(1, ES, 4), instrument(FX, 3)] {
        desk.fact(row);
    }
    let mut epoch = EpochStarted::ZERO;
    (epoch.header.kind, epoch.epoch) = (EpochStarted::KIND, 2);
    desk.fact(epoch);
    assert_eq!((desk.engine.staged_limits(), desk.engine.limits_hash()), (0, hash));
    // An activation of something else brings nothing of it into force.
    desk.limit(cell(2, ES, 9));
    assert_eq!(desk.submit(&order(1, 1, ES, 6)), Verdict::Accepted);
    assert_eq!(desk.submit(&order(2, 1, FX, 6)), Verdict::Accepted);
    assert_eq!(desk.submit(&order(3, 2, ES, 10)), Verdict::OrderQtyLimit);
    desk.assert_replay_equals();
}

#[test]
fn looser_is_a_higher_maximum_a_shorter_window_a_row_taken_away_and_a_first_account() {
    let throttled = |orders_max: u32, window_ns: i64| {
        let mut row = account(1, 5);
        (row.orders_max, row.window_ns) = (orders_max, window_ns);
        row
    };
    let names = |old: Option<LimitRow>, new: LimitRow| -> Vec<&str> {
        loosened(old.as_ref(), &new).iter().map(|field| field.name).collect()
    };
    let unlimited = absent(Scope::AccountInstrument);
    let rows: Vec<(Option<LimitRow>, LimitRow, &[&str])> = vec![
        (Some(account(1, 5)), account(1, 5), &[]),
        (Some(account(1, 5)), account(1, 4), &[]),
        (Some(account(1, 5)), account(1, 6), &["order_qty_max"]),
        (Some(throttled(10, 1000)), throttled(10, 999), &["window_ns"]),
        (Some(throttled(10, 1000)), throttled(11, 1000), &["orders_max"]),
        (Some(throttled(10, 1000)), throttled(0, 0), &["orders_max", "window_ns"]),
        (Some(throttled(0, 0)), throttled(10, 1000), &[]),
        (Some(throttled(10, 1000)), throttled(9, 2000), &[]),
        (None, cell(1, ES, 4), &[]),
        (None, unlimited, &[]),
        (Some(cell(1, ES, 4)), removed(cell(1, ES, 4)), &["order_qty_max"]),
        (None, removed(cell(1, ES, 4)), &[]),
        (Some(unlimited), removed(unlimited), &[]),
        (
            None,
            account(1, 5),
            &[
                "order_qty_max",
                "order_notional_max",
                "net_qty_max",
                "gross_notional_max",
                "net_notional_max",
            ],
        ),
    ];
    for (old, new, looser) in rows {
        assert_eq!(names(old, new), looser, "{old:?} -> {new:?}");
    }
}

#[test]
fn every_number_of_a_row_is_compared() {
    // A field of the record that no line of the table reads would be loosened unseen.
    let keys = ["scope", "entity_id", "account_id", "instrument_id", "limits_version", "header"];
    let table = TABLES.iter().find(|table| table.kind == LimitRow::KIND).expect("there");
    for field in table.fields {
        let known = keys.contains(&field.name) || field.name.starts_with("reserved");
        assert!(known || FIELDS.iter().any(|f| f.name == field.name), "{}", field.name);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Stage(LimitRow),
    Order(u32, u32, i64),
    Activate,
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let row = (0..3u8, 1..=2u32, 1..=2u32, 1..8i64, any::<bool>()).prop_map(
        |(kind, a, i, lots, gone)| {
            let row = match kind {
                0 => cell(a, i, lots),
                1 => instrument(i, lots),
                _ => account(a, lots),
            };
            Act::Stage(if gone && kind != 2 { removed(row) } else { row })
        },
    );
    let order = (1..=2u32, 1..=2u32, 1..9i64).prop_map(|(a, i, lots)| Act::Order(a, i, lots));
    let act = prop_oneof![4 => row, 4 => order, 1 => Just(Act::Activate), 1 => Just(Act::Restart)];
    proptest::collection::vec(act, 1..80)
}

/// The rows in force by a map, written anew at each activation: the plain way.
type Rows = std::collections::BTreeMap<(u8, u32, u32), i64>;

fn put(rows: &mut Rows, row: &LimitRow) {
    let scope = row.scope & !LIMIT_REMOVED;
    let key = (scope, row.account_id, row.instrument_id);
    match row.scope == scope {
        true => rows.insert(key, row.order_qty_max),
        false => rows.remove(&key),
    };
}

proptest! {
    #[test]
    fn an_order_is_judged_by_the_old_table_or_the_new_one_and_never_by_a_mixture(acts in acts()) {
        let mut desk = TestDesk::open();
        let mut in_force = Rows::new();
        for account_id in 1..=2 {
            put(&mut in_force, &account_limits(account_id));
        }
        let (mut staged, mut epoch) = (in_force.clone(), 1);
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Stage(row) => {
                    desk.fact(row);
                    put(&mut staged, &row);
                }
                Act::Activate => {
                    desk.activate();
                    in_force = staged.clone();
                }
                Act::Restart => {
                    epoch += 1;
                    let mut e = EpochStarted::ZERO;
                    (e.header.kind, e.epoch) = (EpochStarted::KIND, epoch);
                    desk.fact(e);
                    staged = in_force.clone();
                }
                Act::Order(account_id, instrument_id, lots) => {
                    let max = |scope: Scope, a, i| {
                        in_force.get(&(scope as u8, a, i)).copied().unwrap_or(i64::MAX)
                    };
                    let most = max(Scope::Account, account_id, 0)
                        .min(max(Scope::Instrument, 0, instrument_id))
                        .min(max(Scope::AccountInstrument, account_id, instrument_id));
                    let mut order = order(number, account_id, instrument_id, lots);
                    order.session_id = 1;
                    let right = if e9(lots) > most { Verdict::OrderQtyLimit } else { Verdict::Accepted };
                    prop_assert_eq!(desk.submit(&order), right);
                }
            }
            let told: Rows = desk.engine.limit_rows().map(|row| {
                ((row.scope, row.account_id, row.instrument_id), row.order_qty_max)
            }).collect();
            prop_assert_eq!(&told, &in_force);
        }
        desk.assert_replay_equals();
    }
}
