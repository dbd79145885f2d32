//! Runs seeds of the fault simulator up to the first one that breaks an invariant, and tells what:
//! `first_violation FIRST LAST`. Ends with 1 when one did; `tools/mutants` runs it on deliberate bugs.
use sim::fault;

fn main() -> std::process::ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let [first, last] = numbers[..] else { panic!("usage: first_violation FIRST LAST") };
    let memory = std::path::PathBuf::from("/dev/shm");
    let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let dir = root.join(format!("pyoms-violation-{}", std::process::id()));
    let found = (first..=last).find_map(|seed| {
        let what = fault::run(seed, fault::STEPS, &dir).violations;
        what.first().map(|what| format!("seed {seed}: {what}"))
    });
    let _ = std::fs::remove_dir_all(&dir);
    println!("{}", found.as_deref().unwrap_or("none"));
    u8::from(found.is_some()).into()
}
