//! Means by criterion, for a developer who compares before and after on one machine: `cargo bench -p
//! bench --bench means [PATH]`. The paths are those of `pyoms bench` on a small desk; percentiles and
//! the large desk are its business. `cargo test` runs every path once.

use bench::paths::{
    Append, BATCH, Cancel, DecideHot, DecideRandom, Drive, HeldQuiet, HeldTrigger, Path, Refuse,
    Replace, ReportFill, Size,
};
use criterion::Criterion;
use std::time::{Duration, Instant};

/// Operations of one desk: making it costs a thousand of them.
fn room() -> usize {
    let measured = std::env::args().any(|a| a == "--bench");
    if measured { 1 << 18 } else { 2 * BATCH }
}

fn mean<P: Path>(criterion: &mut Criterion) {
    let mut drive = None;
    criterion.bench_function(P::CASE, |bencher| {
        bencher.iter_custom(|wanted| {
            let drive = drive.get_or_insert_with(|| {
                Drive::<P>::open(Size { small: true }, room()).expect("a desk")
            });
            let (mut took, mut done) = (Duration::ZERO, 0);
            while done < wanted {
                let began = Instant::now();
                drive.whole();
                took += began.elapsed();
                done += BATCH as u64;
                drive.next();
            }
            took.mul_f64(wanted as f64 / done as f64)
        });
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    mean::<DecideHot>(&mut criterion);
    mean::<DecideRandom>(&mut criterion);
    mean::<ReportFill>(&mut criterion);
    mean::<Cancel>(&mut criterion);
    mean::<Replace>(&mut criterion);
    mean::<Refuse>(&mut criterion);
    mean::<HeldQuiet>(&mut criterion);
    mean::<HeldTrigger>(&mut criterion);
    mean::<Append>(&mut criterion);
    criterion.final_summary();
}
