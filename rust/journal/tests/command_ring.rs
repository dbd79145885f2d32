//! The command ring: all that is pushed is popped, in order; a foe cannot break the engine; nobody
//! sleeps over a command.

mod common;

use common::{TempDir, fill};
use journal::{Consumer, JournalError, Producer};
use layout::Record;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

fn record(seq: u64) -> Record {
    let mut record = Record::ZERO;
    fill(&mut record, seq);
    record
}

proptest! {
    #[test]
    fn it_is_a_bounded_queue(steps in prop::collection::vec((0u8..5, 1usize..12), 1..200)) {
        let (mut consumer, fd) = Consumer::memfd(8, 3, 4).expect("memory");
        let mut producer = Producer::from_fd(fd).expect("a ring");
        let mut model = VecDeque::new();
        let mut next = 0u64;
        for (step, count) in steps {
            match step {
                0 => {
                    let pushed = producer.push(&record(next + 1));
                    prop_assert_eq!(pushed.is_ok(), model.len() < 8);
                    if let Ok(pushed) = pushed {
                        next += 1;
                        prop_assert_eq!((pushed.command_seq, pushed.wake), (next, false));
                        model.push_back(next);
                    }
                }
                1 => {
                    let batch: Vec<_> = (1..=count as u64).map(|i| record(next + i)).collect();
                    let (taken, pushed) = producer.push_many(&batch);
                    prop_assert_eq!(taken, count.min(8 - model.len()));
                    (0..taken).for_each(|_| { next += 1; model.push_back(next) });
                    prop_assert_eq!(pushed.command_seq, next);
                }
                2 => {
                    let batch: Vec<_> = (1..=count as u64).map(|i| record(next + i)).collect();
                    let pushed = producer.push_all(&batch);
                    prop_assert_eq!(pushed.is_ok(), count <= 8 - model.len()); // all or none
                    if let Ok(pushed) = pushed {
                        (0..count).for_each(|_| { next += 1; model.push_back(next) });
                        prop_assert_eq!(pushed.command_seq, next);
                    }
                }
                3 => {
                    let popped = consumer.pop().expect("a friend");
                    let expected = model.pop_front();
                    prop_assert_eq!(popped.map(|r| r.header.event_seq), expected);
                    if let (Some(popped), Some(seq)) = (popped, expected) {
                        prop_assert_eq!(popped.payload, record(seq).payload);
                    }
                }
                _ => {
                    let mut out = vec![Record::ZERO; count];
                    let taken = consumer.pop_into(&mut out).expect("a friend");
                    prop_assert_eq!(taken, count.min(model.len()));
                    for popped in &out[..taken] {
                        let seq = model.pop_front().expect("taken from it");
                        prop_assert_eq!(popped.header.event_seq, seq);
                        prop_assert_eq!(popped.payload, record(seq).payload);
                    }
                }
            }
        }
    }
}

#[test]
fn two_threads_pass_every_command_and_nobody_sleeps_over_one() {
    const COUNT: u64 = 200_000;
    let (mut consumer, fd) = Consumer::memfd(64, 3, 4).expect("memory");
    let mut producer = Producer::from_fd(fd).expect("a ring");
    let bell = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seq = 1;
            while seq <= COUNT {
                match producer.push(&record(seq)) {
                    Ok(pushed) => {
                        assert_eq!(pushed.command_seq, seq);
                        seq += 1;
                        if pushed.wake {
                            bell.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    Err(full) => {
                        assert_eq!(full.slots, 64);
                        std::thread::yield_now();
                    }
                }
            }
        });
        let mut next = 1;
        while next <= COUNT {
            let rung = bell.load(Ordering::SeqCst);
            while let Some(popped) = consumer.pop().expect("a friend") {
                assert_eq!(popped.header.event_seq, next);
                assert_eq!(popped.payload, record(next).payload);
                next += 1;
            }
            if next <= COUNT && consumer.park() {
                // Asleep until the bell rings: the test hangs here if a wake is ever lost.
                while bell.load(Ordering::SeqCst) == rung {
                    std::thread::yield_now();
                }
                consumer.unpark();
            }
        }
    });
}

#[test]
fn an_engine_does_not_sleep_while_commands_wait() {
    let (mut consumer, fd) = Consumer::memfd(8, 3, 4).expect("memory");
    let mut producer = Producer::from_fd(fd).expect("a ring");
    assert!(consumer.park());
    assert!(producer.push(&record(1)).expect("room").wake);
    assert!(!consumer.park());
    assert!(!producer.push(&record(2)).expect("room").wake);
}

#[test]
fn a_client_that_lies_about_its_head_is_cut_off_by_number() {
    let dir = TempDir::new();
    let path = dir.path().join("ring");
    for lie in [9u64, u64::MAX, 1 << 40] {
        let _ = std::fs::remove_file(&path);
        let mut consumer = Consumer::create(&path, 8, 3, 77).expect("memory");
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("ours");
        file.write_all_at(&lie.to_le_bytes(), 64).expect("a write");
        match consumer.pop() {
            Err(JournalError::CommandRing { client_id: 77, head, tail: 0, slots: 8 }) => {
                assert_eq!(head, lie);
            }
            other => panic!("{other:?}"),
        }
        assert!(consumer.pop_into(&mut [Record::ZERO; 4]).is_err());
    }
}

#[test]
fn a_client_cannot_shrink_the_ring_under_the_engine() {
    let (_consumer, fd) = Consumer::memfd(8, 3, 4).expect("memory");
    let file = std::fs::File::from(fd);
    assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
}

#[test]
fn files_that_are_no_command_ring_are_refused() {
    let dir = TempDir::new();
    let path = dir.path().join("ring");
    drop(Consumer::create(&path, 8, 3, 4).expect("memory"));
    Producer::open(&path).expect("a ring");
    let good = std::fs::read(&path).expect("ours");
    for at in [0, 8, 16] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&path, &bytes).expect("ours");
        assert!(Producer::open(&path).is_err(), "byte {at}");
    }
    std::fs::write(&path, &good[..300]).expect("ours");
    assert!(Producer::open(&path).is_err());
    for slots in [0, 1, 3, 1 << 21] {
        assert!(Consumer::memfd(slots, 1, 1).is_err());
    }
}
