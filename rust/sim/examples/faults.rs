//! Runs seeds of the fault simulator: `faults FIRST LAST [STEPS [DIR]]`; their desks stay in DIR.
use std::time::Instant;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let (first, last) = (numbers[0], numbers[1]);
    let steps = numbers.get(2).copied().unwrap_or(sim::fault::STEPS);
    let kept = std::env::args().nth(4);
    let dir = kept.clone().unwrap_or_else(|| format!("/dev/shm/faults-{}", std::process::id()));
    let dir = std::path::PathBuf::from(dir);
    let began = Instant::now();
    let report = sim::fault::campaign((first, last), steps, &dir, kept.is_some());
    if kept.is_none() {
        let _ = std::fs::remove_dir_all(&dir);
    }
    println!("{}", serde_json::to_string_pretty(&report).expect("plain numbers"));
    let per_s = report.events as f64 / began.elapsed().as_secs_f64();
    println!("{per_s:.0} events/s");
}
