//! Whole days in lock-step: the same seed gives the same bytes, volume is conserved, desk and venue
//! agree; on the recording where it is present, else on a seeded tape.

mod common;

use common::*;
use layout::*;
use sim::random::Latency;
use sim::tape::FlowKind;
use sim::{SimVenue, VenueConfig, VenueServer};
use std::collections::HashMap;
use std::path::PathBuf;

fn recording() -> Option<Vec<BookUpdate>> {
    let root = std::env::var_os("PYOMS_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let path = root.join("esh4-glbx-mdp3-20231225.mbo.dbn.zst");
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(sim::tape::read(&path, &[("ESH4", INSTRUMENT)]).expect("a good recording").updates)
}

fn conserves(server: &VenueServer) {
    let witness = server.witness();
    let counters = &witness.counters;
    assert!(counters.passive_volume <= counters.tape_volume);
    assert_eq!(counters.self_trades, 0);
    assert_eq!(counters.volume, counters.passive_volume + counters.taken_volume);
    let filled: i64 = witness.orders.iter().map(|order| order.cum_qty).sum();
    assert_eq!(filled, counters.volume);
    for order in &witness.orders {
        assert!(order.cum_qty <= order.order_qty);
        let open = ["new", "partially_filled"].contains(&order.ord_status);
        assert_eq!(order.leaves_qty, if open { order.order_qty - order.cum_qty } else { 0 });
    }
    let net: i64 = witness.positions.iter().map(|position| position.net).sum();
    let signed =
        |o: &sim::witness::WitnessOrder| if o.side == "buy" { o.cum_qty } else { -o.cum_qty };
    assert_eq!(net, witness.orders.iter().map(signed).sum::<i64>());
    assert_eq!(server.sim().crossing(), 0);
}

#[test]
fn a_recorded_day_runs_in_lock_step_and_both_sides_agree() {
    let Some(tape) = recording() else { return };
    let started = std::time::Instant::now();
    let defaults = VenueConfig { step_min_ns: VenueConfig::default().step_min_ns, ..config(3) };
    let mut server = VenueServer::new(defaults, tape).expect("a good configuration");
    let mut desk = TestDesk::new(3, 20_000);
    run(&mut desk, &mut server);
    eprintln!("{:?} {:?} frames {}", started.elapsed(), server.witness().counters, desk.frames_in);
    desk.agrees_with(&server);
    conserves(&server);
    assert_eq!(server.witness().counters.book_faults, 0);
    assert!(server.witness().counters.fills > 100);
    assert!((10_000..20_000).contains(&desk.turns), "{}", desk.turns);
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_gives_others() {
    let hash = |seed: u64| {
        let tape = small_tape(5, 2_000, 50_000_000);
        let mut server = VenueServer::new(config(seed), tape).expect("a good configuration");
        let mut desk = TestDesk::new(9, 3_000);
        run(&mut desk, &mut server);
        desk.agrees_with(&server);
        conserves(&server);
        assert!(server.witness().counters.fills > 50, "{:?}", server.witness().counters);
        (server.output_hash(), server.witness())
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1).0, hash(2).0);
}

#[test]
fn orders_taken_out_of_the_day_and_sent_instead_fill_about_what_the_recording_filled() {
    let Some(tape) = recording() else { return };
    let plan = sim::tape::plan(&tape, 1, 20_000);
    let none = Latency { floor_ns: 0, median_ns: 0 };
    let config = VenueConfig { latency_in: none, ..config(1) };
    let mut venue = SimVenue::new(config, plan.market).expect("a good configuration");
    let mut known: HashMap<u64, (u64, u16)> = HashMap::new();
    for command in &plan.flow {
        venue.run_to(command.at_ns.max(venue.now_ns()), &mut |_| {});
        let number = known.len() as u64 + 1;
        let (number, revision) = known.entry(command.order_ref).or_insert((number, 0));
        let lots = command.qty / ONE;
        venue.receive(&match command.kind {
            FlowKind::New => limit(*number, command.side, command.price, lots),
            FlowKind::Cancel => cancel(*number, 999, *revision),
            FlowKind::Replace => {
                *revision += 1;
                replace(*number, *revision, *revision - 1, command.price, lots)
            }
        });
    }
    venue.run_to(venue.end_ns(), &mut |_| {});
    let counters = venue.witness().counters;
    let recorded = plan.stats.contracts as i64;
    let share = 100 * counters.volume / ONE / recorded;
    assert!((85..=105).contains(&share), "{share} % of {recorded}: {counters:?}");
    assert!(counters.rejects * 50 < counters.received, "{counters:?}");
    assert_eq!((counters.self_trades, counters.book_faults, venue.crossing()), (0, 0, 0));
}
