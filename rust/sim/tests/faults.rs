//! The fault simulator from outside: it finds nothing, breaks everything, and repeats itself.

use sim::fault;
use std::path::PathBuf;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
        Self(root.join(format!("pyoms-faults-{}-{name}", std::process::id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_seed_another() {
    // G4.
    let dir = Dir::new("twice");
    let [first, again, other] = [7, 7, 8].map(|seed| fault::run(seed, 300, &dir.0));
    assert_eq!((first.log_hash, first.events), (again.log_hash, again.events));
    assert_eq!(first.faults, again.faults);
    assert_ne!(first.log_hash, other.log_hash);
}

#[test]
fn days_of_every_fault_break_no_invariant() {
    let dir = Dir::new("days");
    let report = fault::campaign((1, 8), fault::STEPS, &dir.0, false);
    assert!(report.violations.is_empty(), "{}", report.to_json());
    for kind in [
        "kill_process",
        "disconnect",
        "delay",
        "duplicate",
        "kill_switch",
        "late_fill",
        "status_request",
        "bust",
        "correct",
        "drop_copy",
        "released_by_trade",
        "group_cancel",
        "day_closed_proved",
        "peg_moved",
        "refused_position",
        "refused_order_qty",
        "refused_above_band",
        "throttled",
        "power_loss",
        "torn_write",
        "ring_survived",
    ] {
        assert!(report.faults.of(kind) > 0, "{kind} never happened");
    }
}
