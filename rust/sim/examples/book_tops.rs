//! Dumps the top of the Rust book at every record flagged last, times the book, and shows what the
//! sampler and the generator make of the day: `book_tops FILE SYMBOL OUT [SEED]`. Run by hand and by people who
//! doubt a figure; the rows are those of `sim::tape::book_tops`.

use std::path::Path;
use std::time::Instant;

use sim::tape;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, symbol, out, rest @ ..] = &args[..] else {
        return Err("usage: book_tops FILE SYMBOL OUT [SEED]".into());
    };
    let seed = rest.first().map_or(Ok(1), |s| s.parse())?;
    let rows = tape::book_tops(Path::new(file), symbol)?;
    std::fs::write(out, &rows)?;
    println!("{} rows of {} bytes in {out}", rows.len() / tape::TOP_SIZE, tape::TOP_SIZE);

    let day = tape::read(Path::new(file), &[(symbol, 1)])?;
    println!("{:#?}", tape::stats(&day.updates));
    time("whole day, cold pools", &day.updates, 1);
    time("whole day, 20 times, best of", &day.updates, 20);
    each(&day.updates);

    for commands in [5_000, 10_000, 20_000, 30_000, u64::MAX] {
        let plan = tape::plan(&day.updates, seed, commands);
        println!("asked {commands}: {} commands, {:?}", plan.stats.commands(), plan.stats);
    }
    let recorded = tape::profile(&day.updates);
    let synthetic = tape::profile(&tape::synthetic(seed, 1, 1));
    print!("{}", tape::side_by_side(&[("recording", &recorded), ("synthetic", &synthetic)]));
    Ok(())
}

/// Applies all records `rounds` times to fresh books and prints the fastest round.
fn time(what: &str, updates: &[layout::BookUpdate], rounds: u32) {
    let mut best = f64::INFINITY;
    let mut check = 0;
    for _ in 0..rounds {
        let mut book = tape::day_book();
        let start = Instant::now();
        for update in updates {
            let _ = book.apply(update);
            check += book.best_bid().map_or(0, |l| l.count);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / updates.len() as f64);
    }
    println!("{what}: {best:.1} ns per update with a look at the best bid (check {check})");
}

/// Times every record by itself and prints the quantiles, what the clock costs included.
fn each(updates: &[layout::BookUpdate]) {
    let mut book = tape::day_book();
    let mut took: Vec<u128> = Vec::with_capacity(updates.len());
    let mut clock = Vec::with_capacity(updates.len());
    for update in updates {
        let start = Instant::now();
        let _ = std::hint::black_box(book.apply(update));
        took.push(start.elapsed().as_nanos());
        let start = Instant::now();
        clock.push(start.elapsed().as_nanos());
    }
    took.sort_unstable();
    clock.sort_unstable();
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1000];
    println!(
        "one by one, clock of {} ns included: n {} p50 {} p99 {} p99.9 {} max {} ns",
        clock[clock.len() / 2],
        took.len(),
        at(500),
        at(990),
        at(999),
        at(1000)
    );
}
