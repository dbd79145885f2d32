//! Claims about reading, marking, sampling and making tapes, on public names alone. The recorded day is used when
//! it is there (`../shared/data` or `PYOMS_DATA`); everything else runs on bytes and days made here.

use std::collections::HashMap;
use std::io::Cursor;
use std::num::NonZeroU64;
use std::path::PathBuf;

use dbn::encode::EncodeRecord;
use dbn::encode::dbn::Encoder;
use dbn::{MappingInterval, MboMsg, Metadata, SType, Schema, SymbolMapping};
use layout::{BOOK_LAST, BOOK_SNAPSHOT, BookAction, BookUpdate, ONE, Side};
use sim::tape::{self, FlowCommand, FlowKind, TapeError};

const ESH4: &[(&str, u32)] = &[("ESH4", 7)];

fn metadata(schema: Schema) -> Metadata {
    let mut metadata = Metadata::builder()
        .dataset("GLBX.MDP3".to_string())
        .schema(Some(schema))
        .start(0)
        .end(NonZeroU64::new(1))
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(vec!["ESH4".into()])
        .build();
    let date = metadata.start().date();
    let interval = MappingInterval { start_date: date, end_date: date, symbol: "17077".into() };
    metadata.mappings =
        vec![SymbolMapping { raw_symbol: "ESH4".into(), intervals: vec![interval] }];
    metadata
}

fn message(action: u8, side: u8, order_id: u64, size: u32, instrument_id: u32) -> MboMsg {
    let mut msg = MboMsg { ..Default::default() };
    msg.hd.instrument_id = instrument_id;
    msg.hd.ts_event = 5;
    msg.ts_recv = 6;
    msg.order_id = order_id;
    msg.price = 4_800 * ONE;
    msg.size = size;
    msg.action = action as _;
    msg.side = side as _;
    msg.sequence = 9;
    msg.flags.set_last();
    msg
}

fn file(schema: Schema, messages: &[MboMsg]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, &metadata(schema)).unwrap();
    for msg in messages {
        encoder.encode_record(msg).unwrap();
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<tape::Tape, TapeError> {
    tape::read_from("day.dbn", Cursor::new(bytes), ESH4)
}

#[test]
fn a_record_keeps_its_numbers_its_two_times_and_its_flags() {
    let mut snapshot = message(b'A', b'A', 77, 3, 17077);
    snapshot.flags.clear().set_snapshot();
    let other = message(b'A', b'B', 78, u32::MAX, 42);
    let trade = message(b'T', b'N', 0, u32::MAX, 17077);
    let tape = read(&file(Schema::Mbo, &[snapshot, other, trade])).unwrap();
    assert_eq!((tape.dataset.as_str(), tape.other_instruments), ("GLBX.MDP3", 1));
    let [first, second] = tape.updates[..] else { panic!("two records of ESH4") };
    assert_eq!((first.instrument_id, first.order_ref, first.sequence), (7, 77, 9));
    assert_eq!((first.price, first.qty), (4_800 * ONE, 3 * ONE));
    assert_eq!((first.header.ingest_time_ns, first.transact_time_ns), (6, 5));
    assert_eq!((first.action, first.side), (BookAction::Add.code(), Side::Sell.code()));
    assert_eq!((first.flags, second.flags), (BOOK_SNAPSHOT, BOOK_LAST));
    let aggressor = tape::aggressor(&second).unwrap();
    assert_eq!((aggressor.side, aggressor.qty), (None, i64::from(u32::MAX) * ONE));
    assert_eq!(tape::aggressor(&first), None);
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name_and_never_read_in_part() {
    let whole = file(Schema::Mbo, &[(); 3].map(|()| message(b'A', b'B', 1, 1, 17077)));
    assert_eq!(read(&whole).unwrap().updates.len(), 3);
    let record = size_of::<MboMsg>();
    for cut in 0..whole.len() {
        match read(&whole[..cut]) {
            Ok(tape) => {
                assert!((whole.len() - cut) % record == 0, "{} at {cut}", tape.updates.len())
            }
            Err(e) => assert!(e.to_string().starts_with("day.dbn: "), "{e}"),
        }
    }
    let text = read(&whole[..whole.len() - 1]).unwrap_err().to_string();
    let offset = whole.len() - record;
    let expected =
        format!("day.dbn: truncated: a record is cut off at byte {offset} of the unpacked data");
    assert_eq!(text, expected);
}

#[test]
fn foreign_and_damaged_files_are_named_with_what_was_found() {
    let head = file(Schema::Mbo, &[]).len();
    let unknown_action = file(Schema::Mbo, &[message(b'Z', b'B', 1, 1, 17077)]);
    let unknown_side = file(Schema::Mbo, &[message(b'A', b'?', 1, 1, 17077)]);
    let mut late = message(b'A', b'B', 1, 1, 17077);
    late.ts_recv = 5;
    let backwards = file(Schema::Mbo, &[message(b'A', b'B', 2, 1, 17077), late]);
    let mut packed_junk = vec![0x28, 0xb5, 0x2f, 0xfd];
    packed_junk.extend([0xff; 40]);
    let rows: &[(&[u8], String)] = &[
        (b"", "day.dbn: no DBN file: it begins with nothing: it is empty".into()),
        (b"time,bid,ask\n", "day.dbn: no DBN file: it begins with \"time,bid\"".into()),
        (b"DBN", "day.dbn: truncated: the metadata is cut off at byte 3".into()),
        (&packed_junk, "day.dbn: damaged: a bad zstd stream".into()),
        (
            &file(Schema::Mbp1, &[]),
            "day.dbn: holds mbp-1 records; market by order (mbo) is needed".into(),
        ),
        (&unknown_action, format!("day.dbn: damaged: an unknown action 'Z' at byte {head} of")),
        (&unknown_side, format!("day.dbn: damaged: an unknown side '?' at byte {head} of")),
        (&backwards, "day.dbn: damaged: a record received before the one before it".into()),
    ];
    for (bytes, expected) in rows {
        let text = read(bytes).unwrap_err().to_string();
        assert!(text.starts_with(expected), "{text}");
    }
    let bytes = file(Schema::Mbo, &[]);
    let text = tape::read_from("day.dbn", Cursor::new(&bytes), &[("NQH4", 1)]).unwrap_err();
    assert_eq!(text.to_string(), "day.dbn: has no symbol \"NQH4\"; it holds ESH4");
    let missing = tape::read(&PathBuf::from("/no/such/day.dbn"), ESH4).unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/day.dbn: "), "{missing}");
}

fn update(action: BookAction, order_ref: u64, price: i64, qty: i64, last: bool) -> BookUpdate {
    BookUpdate {
        action: action.code(),
        side: Side::Buy.code(),
        order_ref,
        price: price * ONE,
        qty: qty * ONE,
        flags: if last { BOOK_LAST } else { 0 },
        ..BookUpdate::ZERO
    }
}

#[test]
fn each_record_of_a_sampled_order_becomes_the_command_its_client_sent_or_none() {
    use BookAction::{Add, Cancel, Fill, Modify, Trade};
    // record                              -> command of its client       why
    let rows = [
        (update(Trade, 5, 100, 2, true), None), // an aggressor that does not rest: market
        (update(Add, 5, 100, 10, true), Some((FlowKind::New, 100, 10))), // what was left of it
        (update(Modify, 5, 99, 8, true), Some((FlowKind::Replace, 99, 8))),
        (update(Fill, 5, 99, 3, false), None),
        (update(Modify, 5, 99, 5, true), None), // bookkeeping: 8 - 3
        (update(Modify, 5, 99, 4, true), Some((FlowKind::Replace, 99, 7))), // 3 filled + 4
        (update(Trade, 5, 101, 1, false), Some((FlowKind::Replace, 101, 7))), // moved into the market
        (update(Fill, 5, 101, 1, false), None),
        (update(Trade, 5, 102, 1, false), Some((FlowKind::Replace, 102, 7))),
        (update(Fill, 5, 102, 1, false), None),
        (update(Modify, 5, 102, 2, true), None), // bookkeeping of both
        (update(Trade, 5, 103, 1, false), Some((FlowKind::Replace, 103, 7))),
        (update(Fill, 5, 103, 1, false), None),
        (update(Modify, 5, 104, 1, true), Some((FlowKind::Replace, 104, 7))), // the limit shows now
        (update(Cancel, 5, 104, 1, true), Some((FlowKind::Cancel, 104, 7))),
        (update(Add, 6, 100, 1, true), Some((FlowKind::New, 100, 1))),
        (update(Fill, 6, 100, 1, false), None),
        (update(Cancel, 6, 100, 1, true), None), // bookkeeping: filled
    ];
    let updates: Vec<_> = rows.iter().map(|r| r.0).collect();
    let plan = tape::plan(&updates, 1, u64::MAX);
    let expected: Vec<_> = rows.iter().filter_map(|r| r.1).collect();
    let seen: Vec<_> = plan.flow.iter().map(|c| (c.kind, c.price / ONE, c.qty / ONE)).collect();
    assert_eq!(seen, expected);
    assert_eq!(plan.market, [updates[0]]);
    assert_eq!((plan.stats.crossing, plan.stats.bookkeeping, plan.stats.contracts), (3, 3, 7));
    assert_eq!(plan.stats.commands(), plan.stats.commands_reachable);
}

#[test]
fn orders_of_the_snapshot_stay_in_the_market_and_events_keep_their_last_flag() {
    use BookAction::{Add, Cancel, Fill, Trade};
    let resting = BookUpdate { flags: BOOK_SNAPSHOT, ..update(Add, 1, 100, 5, false) };
    let updates = [
        resting,
        update(Add, 2, 100, 5, true),
        update(Trade, 9, 100, 5, false),
        update(Fill, 2, 100, 5, false),
        update(Cancel, 2, 100, 5, true),
        update(Cancel, 1, 100, 5, true),
    ];
    let plan = tape::plan(&updates, 1, u64::MAX);
    let trade = BookUpdate { flags: BOOK_LAST, ..updates[2] };
    assert_eq!(plan.market, [resting, trade, updates[5]]);
    assert_eq!(tape::bookkeeping(&updates), [false, false, false, false, true, false]);
}

#[test]
fn nothing_looks_ahead_a_day_cut_short_gives_the_same_commands_so_far() {
    let day = tape::synthetic(11, 1, 1);
    let whole = tape::plan(&day, 3, u64::MAX);
    for cut in [9_000, 10_000, 20_000, 40_000] {
        let short = tape::plan(&day[..cut], 3, u64::MAX);
        assert_eq!(short.flow, whole.flow[..short.flow.len()]);
        let until = day[cut - 1].header.ingest_time_ns;
        let due = whole.flow.iter().take_while(|c| c.at_ns < until).count();
        assert!(short.flow.len() >= due);
        let unflagged = |m: &[BookUpdate]| -> Vec<_> {
            m.iter().map(|u| (u.order_ref, u.action, u.qty, u.sequence)).collect()
        };
        assert_eq!(unflagged(&short.market), unflagged(&whole.market[..short.market.len()]));
    }
}

#[test]
fn the_sample_is_seeded_reaches_the_number_asked_for_and_takes_whole_orders() {
    let day = tape::synthetic(11, 1, 1);
    let plan = tape::plan(&day, 3, 20_000);
    assert_eq!(plan.flow, tape::plan(&day, 3, 20_000).flow);
    assert_ne!(plan.flow, tape::plan(&day, 4, 20_000).flow);
    let commands = plan.stats.commands();
    assert_eq!(commands, plan.flow.len() as u64);
    assert!((20_000..20_100).contains(&commands), "{commands}");
    let mut live: HashMap<u64, FlowCommand> = HashMap::new();
    for command in &plan.flow {
        match command.kind {
            FlowKind::New => assert!(live.insert(command.order_ref, *command).is_none()),
            FlowKind::Replace => assert!(live.contains_key(&command.order_ref)),
            FlowKind::Cancel => assert!(live.remove(&command.order_ref).is_some()),
        }
        assert!(command.qty > 0);
    }
    assert!(plan.flow.windows(2).all(|w| w[0].at_ns <= w[1].at_ns));
    // What stayed is a market by itself: every record fits.
    let mut book = tape::day_book();
    assert!(plan.market.iter().all(|u| book.apply(u).is_ok()));
}

#[test]
fn one_seed_makes_one_day_that_fits_a_book_and_is_crossed_only_before_the_opening() {
    let day = tape::synthetic(5, 1, 7);
    assert!(day == tape::synthetic(5, 1, 7));
    assert!(day != tape::synthetic(6, 1, 7));
    let mut book = tape::day_book();
    let (mut opened, mut locked_before) = (false, 0);
    for u in &day {
        assert_eq!((u.instrument_id, u.header.kind), (7, BookUpdate::KIND));
        book.apply(u).unwrap();
        opened |= u.action == BookAction::Trade.code();
        let wrong = book.is_whole() && (book.crossed() || book.locked());
        locked_before += u64::from(wrong && !opened);
        assert!(!(opened && wrong), "sequence {}", u.sequence);
    }
    assert!(locked_before > 100);
    assert!(day.windows(2).all(|w| w[0].header.ingest_time_ns <= w[1].header.ingest_time_ns));
    assert!(day.windows(2).all(|w| w[0].sequence <= w[1].sequence));
}

#[test]
fn a_made_day_has_the_rates_sizes_and_spread_of_the_recorded_one() {
    // The recorded figures; a made day keeps within the share beside each.
    let recorded = [
        ("records/s", 16.431, 0.2),
        ("adds/s", 5.576, 0.2),
        ("modifies/s", 3.338, 0.2),
        ("cancels/s", 4.921, 0.2),
        ("trades/s", 0.826, 0.2),
        ("contracts/s", 2.748, 0.35),
        ("size of an add, mean", 2.226, 0.1),
        ("size of a trade, mean", 3.327, 0.25),
        ("spread, mean", 0.277, 0.15),
        ("share at the narrowest spread", 0.899, 0.1),
        ("orders at the best price, mean", 12.987, 0.6),
    ];
    for seed in [1, 2, 3] {
        let profile = tape::profile(&tape::synthetic(seed, 1, 1));
        for (what, value, share) in recorded {
            let made = profile.rows().iter().find(|r| r.0 == what).unwrap().1;
            assert!(
                (made / value - 1.0).abs() <= share,
                "seed {seed}, {what}: {made}, not {value}"
            );
        }
    }
}

#[test]
fn the_recorded_day_has_the_counts_that_its_description_tells() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("PYOMS_DATA").map_or(root, PathBuf::from);
    let path = data.join("esh4-glbx-mdp3-20231225.mbo.dbn.zst");
    if !path.exists() {
        println!("skipped: no recording at {}", path.display());
        return;
    }
    let day = tape::read(&path, ESH4).unwrap();
    let stats = tape::stats(&day.updates);
    assert_eq!((stats.records, stats.snapshot), (68_792, 8_725));
    assert_eq!((stats.adds, stats.modifies, stats.cancels), (20_491, 12_233, 17_999));
    assert_eq!((stats.trades, stats.contracts, stats.bookkeeping), (2_973, 9_892, 6_307));
    let profile = tape::profile(&day.updates);
    assert_eq!(profile.crossed_records, 891);
    assert_eq!(tape::book_tops(&path, "ESH4").unwrap().len(), 47_022 * tape::TOP_SIZE);
    let packed = std::fs::read(&path).unwrap();
    let cut = tape::read_from("cut", Cursor::new(&packed[..packed.len() / 2]), ESH4).unwrap_err();
    assert!(matches!(cut, TapeError::Truncated { .. }), "{cut}");
    let quotes = data.join("futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst");
    let schema = tape::read(&quotes, ESH4).unwrap_err();
    assert!(matches!(schema, TapeError::Schema { .. }), "{schema}");
}
