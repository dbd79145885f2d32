//! The path allocates nothing and faults on no page once it is warm: commands, reports, refusals and
//! market data over the real ring in shared memory. And every case runs in its small size, so that
//! none rots.

use bench::desk::{Desk, Shape};

/// Page faults of this thread so far, minor and major, as the kernel counts them.
fn faults() -> (u64, u64) {
    use std::io::Read;
    let mut text = [0; 1024];
    let mut file = std::fs::File::open("/proc/thread-self/stat").expect("procfs");
    let size = file.read(&mut text).expect("a line");
    let text = std::str::from_utf8(&text[..size]).expect("ASCII");
    let (_, fields) = text.rsplit_once(") ").expect("the name ends");
    let mut numbers = fields.split(' ').skip(7).step_by(2).map(|n| n.parse().expect("a number"));
    (numbers.next().expect("minflt"), numbers.next().expect("majflt"))
}

#[test]
fn the_path_allocates_nothing_and_faults_on_no_page_after_start() {
    let shape = Shape { orders_max: 1 << 14, ids_max: 1 << 16, slots: 1 << 16, ..Shape::HOT };
    let mut desk = Desk::open(shape).expect("a desk");
    bench::cases::every_step(&mut desk, 200);
    desk.pump();
    faults(); // its own pages
    let before = faults();
    let mut steps = 0;
    let counted = allocation_counter::measure(|| {
        for _ in 0..10 {
            steps += bench::cases::every_step(&mut desk, 200);
        }
    });
    let after = faults();
    assert_eq!(steps, 16_000);
    assert_eq!(counted.count_total, 0, "allocations in {steps} steps");
    assert_eq!((after.0 - before.0, after.1 - before.1), (0, 0), "minor and major page faults");
    desk.pump();
}

#[test]
fn an_allocation_and_a_fault_are_seen() {
    let before = faults();
    let counted = allocation_counter::measure(|| {
        let touched = vec![1u8; 8 << 20];
        std::hint::black_box(&touched);
    });
    assert!(counted.count_total >= 1);
    assert!(faults().0 > before.0);
}

#[test]
fn every_case_runs_in_its_small_size() {
    let lines = bench::run(None, true).expect("every case runs");
    assert_eq!(lines.len(), bench::CASES.len());
    for (line, (name, _)) in lines.iter().zip(bench::CASES) {
        assert_eq!(line.case, *name);
        assert!(line.n > 0 && line.ops_per_s > 0.0, "{}", line.to_json());
        assert!(line.p50_ns <= line.p99_ns && line.p99_ns <= line.max_ns, "{}", line.to_json());
    }
    let unknown = bench::run(Some("no_such_case"), true).expect_err("it is none");
    assert!(unknown.to_string().contains("decide_hot"), "{unknown}");
}
