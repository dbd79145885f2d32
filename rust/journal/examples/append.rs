//! Measures the log by itself: append (batched mean and p50), group commit, recovery.
//!
//! Run by hand: `cargo run --release -p journal --example append [DIR]`. One thread but for the
//! durable case. Tier and size stand beside every figure; the machine's noise is in them.

use journal::{DeskDir, NewDesk, Ring, RingOptions, recover};
use layout::{OrderAccepted, Record, Tier};
use std::hint::black_box;
use std::time::Instant;

/// Writes the record in whole words, as the engine does: a word put together from narrow stores costs
/// its checksum a stall of some 15 ns.
#[inline(always)]
fn fill(record: &mut Record, seq: u64) {
    let words: &mut [[u8; 8]; 16] = zerocopy::transmute_mut!(record);
    words[1] = seq.to_le_bytes();
    words[2] = seq.to_le_bytes();
    words[3] = u64::from(OrderAccepted::KIND).to_le_bytes();
    for (i, word) in words[4..].iter_mut().enumerate() {
        *word = (seq + i as u64).to_le_bytes();
    }
}

fn appends(name: &str, ring: &mut Ring, mut drain: impl FnMut()) {
    const ROUNDS: usize = 200;
    const BATCH: u64 = 4_096;
    let mut best = f64::MAX;
    let mut means = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        drain();
        let began = Instant::now();
        for _ in 0..BATCH {
            let seq = ring.next_seq();
            fill(ring.slot(0), seq);
            ring.publish(1);
        }
        let mean = began.elapsed().as_nanos() as f64 / BATCH as f64;
        best = best.min(mean);
        means.push(mean);
    }
    means.sort_by(f64::total_cmp);
    let clock = arch::Clock::start();
    let timed = |work: &mut dyn FnMut()| {
        let before = arch::tsc();
        work();
        (arch::tsc() - before) as f64 * clock.ns_per_tick()
    };
    let mut empty: Vec<f64> = (0..100_000).map(|_| timed(&mut || {})).collect();
    empty.sort_by(f64::total_cmp);
    let mut each = Vec::with_capacity(200_000);
    for i in 0..200_000 {
        if i % BATCH == 0 {
            drain();
        }
        each.push(timed(&mut || {
            let seq = ring.next_seq();
            fill(black_box(ring.slot(0)), seq);
            ring.publish(1);
        }));
    }
    each.sort_by(f64::total_cmp);
    let at = |p: f64| each[(each.len() as f64 * p) as usize] - empty[empty.len() / 2];
    println!(
        "{name}: batched mean best {best:.1} ns, median of {ROUNDS} {:.1} ns; one by one p50 {:.0} \
         p99 {:.0} p99.9 {:.0} ns (timer of {:.0} ns taken off); {}",
        means[ROUNDS / 2],
        at(0.5),
        at(0.99),
        at(0.999),
        empty[empty.len() / 2],
        ring.memory_got(),
    );
}

fn main() {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let dir = base.join(format!("pyoms-append-{}", std::process::id()));
    for (name, slots) in [("memory, 8 MiB ring", 1 << 16), ("memory, 64 MiB ring", 1 << 19)] {
        appends(name, &mut Ring::memory(slots, 7, 1).expect("memory"), || {});
    }
    let desk = DeskDir::create(&dir, &NewDesk::default()).expect("a desk");
    let lock = desk.lock().expect("free");
    let options = RingOptions { slots: 1 << 16, tier: Tier::Process, ..RingOptions::default() };
    let recovered = recover(&desk).expect("sound");
    let (mut ring, mut writer) = recovered.go_live(&lock, &options).expect("goes live");
    appends("process, 8 MiB ring, drained between batches", &mut ring, || {
        writer.flush().expect("a disk that works");
    });
    writer.flush().expect("a disk that works");

    // Durable throughput: the writer on a thread of its own, the appends as fast as room allows.
    let (first, began) = (ring.next_seq(), Instant::now());
    const COUNT: u64 = 4_000_000;
    let mode = writer.sync_mode();
    let writer = std::thread::scope(|scope| {
        let view = ring.view();
        let draining = scope.spawn(move || {
            while view.durable_seq() < first + COUNT - 1 {
                writer.pump().expect("a disk that works");
            }
            writer
        });
        while ring.next_seq() < first + COUNT {
            if ring.room() < 64 {
                std::thread::yield_now();
                continue;
            }
            let seq = ring.next_seq();
            fill(ring.slot(0), seq);
            ring.publish(1);
        }
        draining.join().expect("drained")
    });
    let rate = COUNT as f64 / began.elapsed().as_secs_f64() / 1e6;
    println!("durable to disk, two threads: {rate:.2} M records/s ({mode})");
    drop((ring, writer, lock));
    let _ = std::fs::remove_dir_all(desk.shm_path());

    let began = Instant::now();
    drop(recover(&desk).expect("sound"));
    let cold = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let log = recover(&desk).expect("sound");
    let checked = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut sum = 0u64;
    log.for_each(|record| sum = sum.wrapping_add(record.header.order_seq));
    black_box(sum);
    let read = began.elapsed().as_secs_f64();
    let records = log.next_seq() - 1;
    println!(
        "recovery of {records} records: first check (from disk) {:.1} M/s; from page cache: checked \
         {:.1} M/s, delivered {:.1} M/s, both {:.1} M/s",
        records as f64 / cold / 1e6,
        records as f64 / checked / 1e6,
        records as f64 / read / 1e6,
        records as f64 / (checked + read) / 1e6,
    );
    drop(log);
    std::fs::remove_dir_all(&dir).expect("ours");
}
