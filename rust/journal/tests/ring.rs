//! Readers of a ring whose writer never waits: a lap is seen, nothing torn counts (F18).

mod common;

use common::{append, is_filled};
use journal::{Follow, Ring};
use layout::{RECORD_SIZE, Record};
use std::sync::atomic::{AtomicBool, Ordering};

fn crc_holds(record: &Record, log_id: u64) -> bool {
    let bytes: &[u8; RECORD_SIZE] = zerocopy::transmute_ref!(record);
    record.header.crc32c == arch::record_crc(log_id, bytes)
}

#[test]
fn f18_a_reader_beside_a_writer_that_laps_it_never_takes_a_torn_record() {
    const LOG_ID: u64 = 0xfeed;
    let mut ring = Ring::memory(64, LOG_ID, 3).expect("memory");
    let view = ring.view();
    let done = AtomicBool::new(false);
    let (copied, seen, laps) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reader = view.reader(Follow::Published, 1);
            let (mut copied, mut seen, mut laps) = (0u64, 0u64, 0u64);
            let mut out = [Record::ZERO; 24];
            let mut zero_copy = false;
            loop {
                let last_turn = done.load(Ordering::Acquire);
                zero_copy = !zero_copy;
                let first = reader.next_seq();
                let taken = if zero_copy {
                    reader.poll(24).and_then(|view| {
                        let records = view.records();
                        out[..records.len()].copy_from_slice(records);
                        view.check().map(|()| records.len())
                    })
                } else {
                    reader.copy_next(&mut out)
                };
                match taken {
                    Ok(count) => {
                        for (i, record) in out[..count].iter().enumerate() {
                            assert_eq!(record.header.event_seq, first + i as u64);
                            assert!(crc_holds(record, LOG_ID) && is_filled(record));
                        }
                        if zero_copy {
                            seen += count as u64
                        } else {
                            copied += count as u64
                        }
                        if count == 0 && last_turn {
                            return (copied, seen, laps);
                        }
                    }
                    Err(lapped) => {
                        assert!(lapped.oldest_seq > lapped.next_seq);
                        laps += 1;
                        reader.seek(lapped.oldest_seq + 8);
                        // The first of a lap may lie past the end that was seen: wait for it there.
                    }
                }
            }
        });
        for i in 0..400_000usize {
            append(&mut ring, 1 + i % 8);
            if i % 4_096 == 0 {
                std::thread::yield_now(); // on one core the reader needs a turn in between
            }
        }
        done.store(true, Ordering::Release);
        reading.join().expect("the reader judged all it took")
    });
    assert!(copied + seen > 0, "{copied} {seen} {laps}");
}

#[test]
fn a_view_tells_of_a_lap_that_came_after_the_poll() {
    let mut ring = Ring::memory(64, 1, 1).expect("memory");
    (0..4).for_each(|_| append(&mut ring, 8));
    let view_of_ring = ring.view();
    let mut reader = view_of_ring.reader(Follow::Published, 1);
    let view = reader.poll(8).expect("here");
    assert!(view.check().is_ok());
    (0..8).for_each(|_| append(&mut ring, 8));
    let lapped = view.check().expect_err("written over");
    assert!(lapped.next_seq == 1 && lapped.oldest_seq > 32);
    let mut reader = view_of_ring.reader(Follow::Published, 1);
    assert!(reader.poll(1).is_err() && reader.copy_next(&mut [Record::ZERO; 4]).is_err());
    assert_eq!(reader.next_seq(), 1);
}

#[test]
fn a_poll_stops_at_the_wrap_and_the_next_goes_on_behind_it() {
    let mut ring = Ring::memory(64, 1, 1).expect("memory");
    (0..20).for_each(|_| append(&mut ring, 3));
    let view = ring.view();
    let mut reader = view.reader(Follow::Published, 50);
    assert_eq!(reader.poll(100).expect("here").records().len(), 11);
    (0..3).for_each(|_| append(&mut ring, 3));
    assert_eq!(reader.poll(100).expect("here").first_seq(), 61);
    assert_eq!(reader.poll(100).expect("here").records().len(), 6);
}

#[test]
fn slots_outside_the_bounds_are_refused_with_value_and_bound() {
    for slots in [0, 1, 63, 65, 1 << 40] {
        let error = Ring::memory(slots, 1, 1).expect_err("out of range").to_string();
        assert!(error.contains(&slots.to_string()) && error.contains("power of two"), "{error}");
    }
}
