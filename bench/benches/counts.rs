//! Instructions by gungraun: one batch of each path under valgrind, on a warm small desk. Run by
//! `pyoms bench --count` and `bench/test_counts.py`, which hold it against `budget.toml`; by hand
//! `cargo bench -p bench --bench counts -- '*::PATH::*'`. The runner of the same version must be on PATH.
#![allow(missing_docs)] // of what the macros make

use bench::paths::{
    Append, BATCH, Cancel, DecideHot, DecideRandom, Drive, HeldQuiet, HeldTrigger, Path, Refuse,
    Replace, ReportBurst, ReportFill, Size,
};
use gungraun::{library_benchmark, library_benchmark_group, main};

/// Batches run before the one that is counted.
const WARM: usize = 4;

fn warm<P: Path>() -> Drive<P> {
    let mut drive = Drive::open(Size { small: true }, 2 * WARM * BATCH).expect("a desk");
    for _ in 0..WARM {
        drive.each();
        drive.next();
    }
    drive
}

/// One counted function a path; its id ends with the number of operations.
const _: () = assert!(BATCH == 64);
macro_rules! counts {
    ($($path:ident $case:ident)*) => {
        $(
            #[library_benchmark]
            #[bench::batch_of_64(warm::<$path>())]
            fn $case(mut drive: Drive<$path>) -> Drive<$path> {
                drive.each();
                drive
            }
        )*
        library_benchmark_group!(name = paths, benchmarks = [$($case),*]);
    };
}

counts! {
    DecideHot decide_hot
    DecideRandom decide_random
    ReportFill report_fill
    ReportBurst report_burst
    Cancel cancel
    Replace replace
    Refuse refuse
    HeldQuiet held_quiet
    HeldTrigger held_trigger
    Append append
}

main!(library_benchmark_groups = paths);
