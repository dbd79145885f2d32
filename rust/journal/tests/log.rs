//! The log from append to recovery: round trips, restarts, torn tails, damage (I17, I20, F1, F4, F5).

mod common;

use common::{TempDir, all, append, live, new_desk, options};
use journal::{Follow, JournalError, Reader, Ring, RingFound, open_log, recover, verify};
use layout::{FILE_HEADER_SIZE, RECORD_SIZE, Tier};
use proptest::prelude::*;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

/// Takes the ring away, as a reboot does.
fn reboot(desk: &journal::DeskDir) {
    let _ = std::fs::remove_dir_all(desk.shm_path());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_appended_is_recovered_over_restarts_and_reboots(
        runs in prop::collection::vec(
            (prop::collection::vec((1usize..=8, 0u8..4), 1..60), any::<bool>()), 1..5)
    ) {
        let dir = TempDir::new();
        let desk = new_desk(&dir, 64);
        let options = options(128, 96);
        let mut written = 0;
        for (groups, power_loss) in runs {
            let (lock, mut ring, mut writer) = live(&desk, &options);
            prop_assert_eq!(ring.next_seq(), written + 1);
            for (count, pumps) in groups {
                if ring.room() < 8 {
                    writer.flush().expect("a disk that works");
                }
                append(&mut ring, count);
                for _ in 0..pumps {
                    writer.pump().expect("a disk that works");
                }
            }
            written = if power_loss { ring.durable_seq() } else { ring.published_seq() };
            drop((ring, writer, lock));
            if power_loss {
                reboot(&desk);
            }
            let log = open_log(&desk).expect("a sound log");
            let records = all(&log);
            // A power loss may cut inside a group: then the whole group is gone.
            let whole = records.len() as u64;
            prop_assert!(whole <= written && written < whole + 8);
            prop_assert_eq!(power_loss || whole == written, true);
            prop_assert_eq!(log.tail_cut().is_some(), whole < written);
            written = whole;
            prop_assert!(verify(&desk).damage.is_none());
            for seq in 1..=whole {
                prop_assert_eq!(log.get(seq).expect("held").header.event_seq, seq);
                let time_ns = log.get(seq).expect("held").header.ingest_time_ns;
                let first = log.seek_time(time_ns);
                prop_assert!(first <= seq && seq < first + 3);
            }
        }
    }
}

#[test]
fn published_records_survive_the_process_without_any_sync() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let options = options(64, 64);
    let (lock, mut ring, writer) = live(&desk, &options);
    (0..10).for_each(|_| append(&mut ring, 3));
    assert_eq!((ring.committed_seq(), ring.durable_seq()), (30, 0));
    drop((ring, writer, lock)); // as kill -9 leaves it: nothing is flushed on the way out
    let recovered = recover(&desk).expect("a sound log");
    assert_eq!(recovered.ring_found(), RingFound::Used { records: 30 });
    assert_eq!(all(&recovered).len(), 30);
    let lock = desk.lock().expect("free");
    let (ring, _writer) = recovered.go_live(&lock, &options).expect("goes live");
    assert_eq!((ring.durable_seq(), ring.next_seq(), ring.epoch()), (30, 31, 2));
}

#[test]
fn the_epoch_rises_at_every_start_also_after_a_reboot() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    for run in 1..=4u64 {
        let (_lock, mut ring, mut writer) = live(&desk, &options(64, 64));
        assert_eq!(ring.epoch(), run);
        let mut started = layout::EpochStarted::ZERO;
        started.header.kind = layout::EpochStarted::KIND;
        started.epoch = run;
        *ring.slot(0) = *layout::Typed::as_record(&started);
        ring.publish(1);
        writer.flush().expect("a disk that works");
        if run % 2 == 0 {
            reboot(&desk);
        }
    }
    assert_eq!(recover(&desk).expect("sound").epoch(), 4);
}

#[test]
fn a_reader_goes_on_over_a_restart_of_the_engine() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let (lock, mut ring, writer) = live(&desk, &options(64, 64));
    append(&mut ring, 5);
    let mut reader = Reader::open(desk.ring_path(), Follow::Committed).expect("a ring");
    assert_eq!(reader.poll(100).expect("not lapped").records().len(), 5);
    drop((ring, writer, lock));
    let (_lock, mut ring, _writer) = live(&desk, &options(64, 64));
    append(&mut ring, 2);
    let view = reader.poll(100).expect("not lapped");
    assert_eq!((view.first_seq(), view.records().len()), (6, 2));
    assert_eq!(view.records()[0].header.epoch, 2);
    assert!(!reader.is_replaced());
}

#[test]
fn another_ring_size_takes_the_place_of_the_old_ring_and_readers_can_tell() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let (lock, mut ring, writer) = live(&desk, &options(64, 64));
    append(&mut ring, 5);
    let reader = Reader::open(desk.ring_path(), Follow::Published).expect("a ring");
    drop((ring, writer, lock));
    let (_lock, ring, _writer) = live(&desk, &options(128, 64));
    assert!(reader.is_replaced());
    assert_eq!((ring.next_seq(), ring.durable_seq()), (6, 5));
    let mut reader = Reader::open(desk.ring_path(), Follow::Published).expect("a ring");
    assert_eq!(reader.next_seq(), 6);
    reader.seek(3);
    assert_eq!(reader.poll(1).expect_err("not in this ring").oldest_seq, 6);
}

#[test]
fn a_running_log_is_read_whole_from_segments_and_ring() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let (_lock, mut ring, mut writer) = live(&desk, &options(128, 64));
    for i in 0..200 {
        append(&mut ring, 1 + i % 4);
        if i % 7 == 0 {
            writer.pump().expect("a disk that works");
        }
        if ring.room() < 16 {
            writer.flush().expect("a disk that works");
        }
        if i % 20 == 0 {
            let log = open_log(&desk).expect("a sound log");
            assert_eq!(all(&log).len() as u64, ring.published_seq());
        }
    }
}

#[test]
fn tier_disk_commits_what_is_durable_and_process_what_is_published() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let options = journal::RingOptions { tier: Tier::Disk, ..options(64, 64) };
    let (_lock, mut ring, mut writer) = live(&desk, &options);
    append(&mut ring, 4);
    assert_eq!((ring.published_seq(), ring.committed_seq()), (4, 0));
    let view = ring.view();
    let mut reader = view.reader(Follow::Committed, 1);
    assert_eq!(reader.poll(10).expect("here").records().len(), 0);
    assert_eq!(writer.pump().expect("a disk that works"), 4);
    assert_eq!((ring.committed_seq(), view.committed_seq()), (4, 4));
    assert_eq!(reader.poll(10).expect("here").records().len(), 4);
}

#[test]
fn a_ring_that_nobody_drains_says_so_and_refuses_to_overwrite() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let (_lock, mut ring, mut writer) = live(&desk, &options(64, 64));
    while ring.room() >= 8 {
        append(&mut ring, 8);
    }
    assert_eq!((ring.room(), ring.published_seq()), (0, 64));
    let overwrite = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ring.slot(0);
    }));
    assert!(overwrite.is_err());
    writer.flush().expect("a disk that works");
    assert_eq!(ring.room(), 64);
    append(&mut ring, 8);
}

#[test]
fn tier_memory_is_never_full() {
    let mut ring = Ring::memory(64, 7, 1).expect("memory");
    for _ in 0..1_000 {
        assert!(ring.room() >= 8);
        append(&mut ring, 8);
        assert_eq!(ring.last(7).header.event_seq, ring.published_seq());
        assert_eq!((ring.last(0).header.more, ring.last(7).header.more), (7, 0));
    }
    assert_eq!(ring.committed_seq(), 8_000);
}

/// A stopped desk whose segment holds groups of 1 to 5 records, and where each group ends.
fn stopped(dir: &TempDir, segment_records: u64, records: u64) -> (journal::DeskDir, Vec<u64>) {
    let desk = new_desk(dir, segment_records);
    let (_lock, mut ring, mut writer) = live(&desk, &options(256, segment_records));
    let mut ends = vec![0];
    while ring.published_seq() < records {
        let count = (1 + ring.published_seq() * 7 % 5).min(records - ring.published_seq());
        append(&mut ring, count as usize);
        ends.push(ring.published_seq());
    }
    writer.flush().expect("a disk that works");
    drop((ring, writer));
    reboot(&desk);
    (desk, ends)
}

fn first_segment(desk: &journal::DeskDir) -> (std::path::PathBuf, std::fs::File, Vec<u8>) {
    let path = desk.segments_path().join(journal::file_name(1));
    let file = OpenOptions::new().read(true).write(true).open(&path).expect("the segment");
    let bytes = std::fs::read(&path).expect("the segment");
    (path, file, bytes)
}

#[test]
fn g3_every_single_bit_flip_of_a_small_log_is_found() {
    for records in [32, 21] {
        let dir = TempDir::new();
        let (desk, _) = stopped(&dir, 32, records);
        let (_, file, bytes) = first_segment(&desk);
        assert_eq!(bytes.len(), FILE_HEADER_SIZE + 32 * RECORD_SIZE);
        assert!(recover(&desk).expect("sound").tail_cut().is_none());

        // The header is the same in both.
        let from = if records == 32 { 0 } else { FILE_HEADER_SIZE * 8 };
        for bit in from..bytes.len() * 8 {
            let at = bit / 8;
            file.write_all_at(&[bytes[at] ^ (1 << (bit % 8))], at as u64).expect("a write");
            match recover(&desk) {
                Err(_) => {}
                Ok(log) => {
                    let cut = log.tail_cut().unwrap_or_else(|| panic!("bit {bit} went unseen"));
                    // Nothing before the last group may be cut for a flip.
                    assert!(cut.first_seq + 5 > records.min(log.next_seq()), "bit {bit}: {cut:?}");
                    let seq = ((at - FILE_HEADER_SIZE) / RECORD_SIZE) as u64 + 1;
                    assert!(seq >= cut.first_seq, "bit {bit} is in record {seq}: {cut:?}");
                    all(&log);
                }
            }
            file.write_all_at(&bytes[at..=at], at as u64).expect("a write");
        }
        assert_eq!(all(&recover(&desk).expect("sound")).len() as u64, records);
    }
}

#[test]
fn f4_a_tail_torn_at_any_byte_is_cut_at_a_group_and_the_log_goes_on() {
    let dir = TempDir::new();
    let (desk, ends) = stopped(&dir, 64, 40);
    let (_, file, bytes) = first_segment(&desk);
    let offset = |seq: u64| FILE_HEADER_SIZE + seq as usize * RECORD_SIZE;
    for torn in offset(30)..=offset(40) {
        let zeros = vec![0; bytes.len() - torn];
        file.write_all_at(&zeros, torn as u64).expect("a write");
        // The record that holds byte `torn` is whole only if all that was torn off was zero anyway.
        let whole = (30..=40)
            .rev()
            .find(|&s| bytes[torn.min(offset(s))..offset(s)].iter().all(|&b| b == 0));
        let end = *ends.iter().rev().find(|&&e| e <= whole.unwrap_or(30)).expect("0 at least");
        let log = recover(&desk).unwrap_or_else(|e| panic!("torn at byte {torn}: {e}"));
        assert_eq!(all(&log).len() as u64, end, "torn at byte {torn}");
        match log.tail_cut() {
            None => assert!(torn == offset(end) || whole == Some(40), "torn at byte {torn}"),
            Some(cut) => assert!(cut.first_seq == end + 1 && cut.records >= 1),
        }
        drop(log);
        file.write_all_at(&bytes, 0).expect("a write");
    }
    // Cut once for good: the tail is cleared, the log goes on, nothing comes back.
    file.write_all_at(&[0; 40], offset(37) as u64).expect("a write");
    file.write_all_at(&vec![0; RECORD_SIZE * 2], offset(38) as u64).expect("a write");
    let end = *ends.iter().rev().find(|&&e| e <= 37).expect("0 at least");
    let (lock, mut ring, mut writer) = live(&desk, &options(64, 64));
    assert_eq!(ring.next_seq(), end + 1);
    let cleared = std::fs::read(desk.segments_path().join(journal::file_name(1))).expect("read");
    assert!(cleared[offset(end)..].iter().all(|&b| b == 0));
    append(&mut ring, 2);
    writer.flush().expect("a disk that works");
    drop((ring, writer, lock));
    reboot(&desk);
    let log = recover(&desk).expect("sound");
    assert_eq!((all(&log).len() as u64, log.tail_cut()), (end + 2, None));
}

#[test]
fn f5_valid_records_after_a_bad_one_refuse_with_file_and_offset() {
    let dir = TempDir::new();
    let (desk, _) = stopped(&dir, 64, 60);
    let (path, file, bytes) = first_segment(&desk);
    let at = FILE_HEADER_SIZE + 20 * RECORD_SIZE;
    file.write_all_at(&[bytes[at + 50] ^ 0x10], at as u64 + 50).expect("a write");
    match recover(&desk) {
        Err(JournalError::Damaged { path: named, offset, event_seq, .. }) => {
            assert_eq!(
                (named, offset, event_seq),
                (std::fs::canonicalize(path).unwrap(), at as u64, 21)
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(verify(&desk).damage.is_some());
}

#[test]
fn what_the_ring_calls_durable_must_stand_on_disk() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let (lock, mut ring, mut writer) = live(&desk, &options(64, 64));
    (0..5).for_each(|_| append(&mut ring, 4));
    writer.flush().expect("a disk that works");
    append(&mut ring, 4);
    drop((ring, writer, lock));
    let (_, file, bytes) = first_segment(&desk);
    let last = FILE_HEADER_SIZE + 19 * RECORD_SIZE;
    file.write_all_at(&[0; RECORD_SIZE], last as u64).expect("a write");
    assert!(matches!(recover(&desk), Err(JournalError::Damaged { event_seq: 20, .. })));
    file.write_all_at(&bytes, 0).expect("a write");
    assert_eq!(all(&recover(&desk).expect("sound")).len(), 24);
}

#[test]
fn missing_foreign_and_doubled_segments_are_refused_by_name() {
    let dir = TempDir::new();
    let (desk, _) = stopped(&dir, 32, 100);
    let segment = |first: u64| desk.segments_path().join(journal::file_name(first));
    let aside = dir.path().join("aside");
    assert_eq!(recover(&desk).expect("sound").segment_paths().count(), 4);

    std::fs::rename(segment(33), &aside).expect("a rename");
    let missing = recover(&desk);
    assert!(
        matches!(
            &missing,
            Err(JournalError::MissingSegment { expected_seq: 33, found_seq: 65, .. })
        ),
        "{missing:?}"
    );
    std::fs::copy(segment(65), segment(33)).expect("a copy");
    assert!(matches!(recover(&desk), Err(JournalError::BadHeader { .. })));
    std::fs::rename(&aside, segment(33)).expect("a rename");

    let other_dir = TempDir::new();
    let (other, _) = stopped(&other_dir, 64, 10);
    let foreign = other.segments_path().join(journal::file_name(1));
    std::fs::rename(segment(1), &aside).expect("a rename");
    std::fs::copy(&foreign, segment(1)).expect("a copy");
    assert!(matches!(recover(&desk), Err(JournalError::ForeignLog { .. })));

    // The same log's first segment, but of another size: it claims what the second holds.
    let mut bytes = std::fs::read(&foreign).expect("read");
    bytes[16..24].copy_from_slice(&desk.log_id().to_le_bytes());
    let crc = arch::crc32c(&bytes[..124]).to_le_bytes();
    bytes[124..128].copy_from_slice(&crc);
    std::fs::write(segment(1), &bytes).expect("a write");
    assert!(matches!(recover(&desk), Err(JournalError::TwoHeads { event_seq: 33, .. })));

    bytes[8] ^= 1;
    let crc = arch::crc32c(&bytes[..124]).to_le_bytes();
    bytes[124..128].copy_from_slice(&crc);
    std::fs::write(segment(1), &bytes).expect("a write");
    assert!(matches!(recover(&desk), Err(JournalError::ForeignLayout { .. })));

    std::fs::rename(&aside, segment(1)).expect("a rename");
    assert_eq!(all(&recover(&desk).expect("sound")).len(), 100);
    for first in [1, 33, 65, 97] {
        std::fs::remove_file(segment(first)).expect("a removal");
    }
    let _ = std::fs::remove_file(segment(129));
    let error = recover(&desk).expect_err("nothing is left");
    assert!(matches!(error, JournalError::NoSegments { .. }));
    let error = error.to_string();
    assert!(
        error.contains("the log has no segment files") && !error.contains("goes on"),
        "{error}"
    );
}

#[test]
fn messages_of_damage_name_a_command_that_exists() {
    let path = || std::path::PathBuf::from("desk/segments");
    let damaged = JournalError::Damaged { path: path(), offset: 0, event_seq: 1, what: "x".into() };
    for error in [damaged, JournalError::NoSegments { path: path() }] {
        let error = error.to_string();
        assert!(error.contains("`pyoms replay DIR --verify`"), "{error}");
        assert!(!error.contains("log verify"), "{error}");
    }
}

#[test]
fn segments_are_read_again_with_other_sizes_in_one_log() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 32);
    for (segment_records, groups) in [(64, 30), (32, 40), (128, 60)] {
        let (_lock, mut ring, mut writer) = live(&desk, &options(512, segment_records));
        (0..groups).for_each(|_| append(&mut ring, 3));
        writer.flush().expect("a disk that works");
        for _ in 0..4 {
            writer.pump().expect("a disk that works");
        }
    }
    reboot(&desk);
    let log = recover(&desk).expect("sound");
    assert_eq!(all(&log).len(), 390);
    let mut ahead = 0;
    let mut seen = 0;
    log.for_each_ahead(16, |_| ahead += 1, |_| seen += 1);
    assert_eq!((ahead, seen), (390, 390));
    let mut from = Vec::new();
    log.for_each_from(380, |r| {
        from.push(r.header.event_seq);
        if r.header.event_seq == 385 {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    });
    assert_eq!(from, [380, 381, 382, 383, 384, 385]);
}
