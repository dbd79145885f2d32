//! A disk that tears, loses and reorders writes at a power loss, and one that fails (I20, F2, F4, F8).
//!
//! The double keeps what is durable apart from what was only written. At the power loss any subset of
//! the 512-byte sectors not yet synced reaches the medium, in any order; a rename may or may not have.

mod common;

use common::{TempDir, all, append, live, new_desk, options, shm_root};
use journal::{Disk, DiskFile, JournalError, RealDisk, SyncMode, recover};
use proptest::prelude::*;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SECTOR: usize = 512;

#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct State {
    files: HashMap<PathBuf, Image>,
    operations_left: u64,
    seed: u64,
    lost: bool,
    writes_after_loss: u64,
}

impl State {
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }

    /// Counts one operation; the power goes at the last one.
    fn step(&mut self) -> io::Result<()> {
        if self.lost {
            self.writes_after_loss += 1;
            return Err(io::Error::other("no power"));
        }
        self.operations_left = self.operations_left.saturating_sub(1);
        if self.operations_left > 0 {
            return Ok(());
        }
        self.lost = true;
        let mut paths: Vec<_> = self.files.keys().cloned().collect();
        paths.sort();
        for path in paths {
            let pending = std::mem::take(&mut self.files.get_mut(&path).unwrap().pending);
            for (offset, bytes) in pending {
                for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                    if self.random() % 2 == 0 {
                        let at = offset + i * SECTOR;
                        let file = &mut self.files.get_mut(&path).unwrap().durable;
                        file[at..at + sector.len()].copy_from_slice(sector);
                    }
                }
            }
        }
        Err(io::Error::other("power lost"))
    }

    fn sync(&mut self, path: &Path) {
        let image = self.files.get_mut(path).unwrap();
        for (offset, bytes) in std::mem::take(&mut image.pending) {
            image.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
    }
}

#[derive(Clone, Default)]
struct TornDisk(Arc<Mutex<State>>);

struct TornFile {
    disk: TornDisk,
    path: Arc<Mutex<PathBuf>>,
}

impl TornDisk {
    fn load(dir: &Path, operations_left: u64, seed: u64) -> Self {
        let mut state = State { operations_left, seed: seed | 1, ..State::default() };
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let image = Image { durable: std::fs::read(&path).unwrap(), pending: Vec::new() };
            state.files.insert(path, image);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// What the medium holds now becomes what the next start finds.
    fn store(&self, dir: &Path) {
        std::fs::remove_dir_all(dir).unwrap();
        std::fs::create_dir(dir).unwrap();
        for (path, image) in &self.0.lock().unwrap().files {
            std::fs::write(path, &image.durable).unwrap();
        }
    }
}

/// Files by their present names, so that a rename reaches the open ones too.
static NAMES: Mutex<Vec<(usize, Arc<Mutex<PathBuf>>)>> = Mutex::new(Vec::new());

impl TornDisk {
    fn handle(&self, path: &Path) -> Box<dyn DiskFile> {
        let name = Arc::new(Mutex::new(path.to_path_buf()));
        NAMES.lock().unwrap().push((Arc::as_ptr(&self.0).addr(), Arc::clone(&name)));
        Box::new(TornFile { disk: self.clone(), path: name })
    }
}

impl Disk for TornDisk {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        let durable = vec![0; size as usize];
        state.files.insert(path.into(), Image { durable, pending: Vec::new() });
        drop(state);
        Ok(self.handle(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        assert!(self.0.lock().unwrap().files.contains_key(path), "{path:?}");
        Ok(self.handle(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let result = state.step();
        if result.is_ok() || state.random() % 2 == 0 {
            let image = state.files.remove(from).unwrap();
            state.files.insert(to.into(), image);
            let id = Arc::as_ptr(&self.0).addr();
            for (of, name) in NAMES.lock().unwrap().iter() {
                let mut name = name.lock().unwrap();
                if *of == id && *name == from {
                    *name = to.into();
                }
            }
        }
        result
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().files.remove(path);
        Ok(())
    }
}

impl DiskFile for TornFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.lock().unwrap().clone();
        let mut state = self.disk.0.lock().unwrap();
        if !state.lost {
            let image = state.files.get_mut(&path).unwrap();
            image.pending.push((offset as usize, bytes.to_vec()));
        }
        state.step()
    }
    fn write_sync(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(offset, bytes)?;
        let path = self.path.lock().unwrap().clone();
        self.disk.0.lock().unwrap().sync(&path);
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        let path = self.path.lock().unwrap().clone();
        let mut state = self.disk.0.lock().unwrap();
        state.step()?;
        state.sync(&path);
        Ok(())
    }
    fn mode(&self) -> SyncMode {
        SyncMode::Simulated
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn i20_a_power_loss_leaves_a_prefix_that_holds_every_durable_record(
        lives in prop::collection::vec((1u64..60, any::<u64>()), 1..5),
        groups in prop::collection::vec((1usize..=8, 0u8..3), 40..120),
    ) {
        let dir = TempDir::new();
        let desk = new_desk(&dir, 64);
        let options = options(256, 64);
        let mut before = Vec::new();
        for (operations, seed) in lives {
            let disk = TornDisk::load(&desk.segments_path(), operations, seed);
            let recovered = recover(&desk).expect("a sound log");
            prop_assert_eq!(all(&recovered), before.clone());
            let lock = desk.lock().expect("free");
            let mut durable = before.len() as u64;
            let mut appended = before.clone();
            if let Ok((mut ring, mut writer)) =
                recovered.go_live_on(&lock, &options, Box::new(disk.clone()))
            {
                'life: for &(count, pumps) in &groups {
                    while ring.room() < 8 {
                        if writer.pump().is_err() { break 'life }
                    }
                    append(&mut ring, count);
                    (0..count).for_each(|i| appended.push(*ring.last(i)));
                    for _ in 0..pumps {
                        if writer.pump().is_err() { break 'life }
                    }
                }
                durable = ring.durable_seq();
            }
            disk.store(&desk.segments_path());
            let _ = std::fs::remove_dir_all(desk.shm_path());
            drop(lock);
            let log = recover(&desk).expect("torn is not damaged");
            before = all(&log);
            // A group that was only partly durable may go as a whole, which no one was told of.
            prop_assert!(before.len() as u64 + 8 > durable);
            let whole = appended.iter().take(durable as usize).rposition(|r| r.header.more == 0)
                .map_or(0, |i| i + 1);
            prop_assert!(before.len() >= whole, "{} of {} durable", before.len(), durable);
            prop_assert_eq!(&before[..], &appended[..before.len()]);
        }
    }
}

#[test]
fn f8_a_failed_write_poisons_the_writer_and_is_never_retried() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let disk = TornDisk::load(&desk.segments_path(), 3, 5);
    let lock = desk.lock().expect("free");
    let recovered = recover(&desk).expect("sound");
    let (mut ring, mut writer) =
        recovered.go_live_on(&lock, &options(64, 64), Box::new(disk.clone())).expect("goes live");
    let mut durable = 0;
    let first = loop {
        append(&mut ring, 2);
        match writer.pump() {
            Ok(seq) => durable = seq,
            Err(error) => break error,
        }
    };
    assert!(matches!(first, JournalError::Io { .. }), "{first}");
    for _ in 0..5 {
        let again = writer.pump().expect_err("poisoned for ever");
        assert!(matches!(&again, JournalError::Poisoned { .. }));
        assert!(again.to_string().contains("power lost"), "{again}");
        assert!(writer.flush().is_err());
    }
    assert_eq!(disk.0.lock().unwrap().writes_after_loss, 0);
    assert_eq!(ring.durable_seq(), durable);
}

/// The real disk with room for so many more segments.
struct SmallDisk(std::sync::atomic::AtomicU32);

impl Disk for SmallDisk {
    fn create(&self, path: &Path, size: u64) -> io::Result<Box<dyn DiskFile>> {
        let left = self.0.load(std::sync::atomic::Ordering::Relaxed);
        if left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.store(left - 1, std::sync::atomic::Ordering::Relaxed);
        RealDisk.create(path, size)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

#[test]
fn f6_a_full_disk_is_told_while_a_segment_is_left_and_stops_the_log_only_at_its_end() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64);
    let lock = desk.lock().expect("free");
    let recovered = recover(&desk).expect("sound");
    let disk = SmallDisk(1.into());
    let (mut ring, mut writer) =
        recovered.go_live_on(&lock, &options(64, 64), Box::new(disk)).expect("goes live");
    for _ in 0..8 {
        append(&mut ring, 8);
        writer.flush().expect("room");
        for _ in 0..4 {
            writer.pump().expect("room");
        }
    }
    assert!(writer.next_refused().is_none() && writer.ready_room() == 64);
    append(&mut ring, 8);
    writer.flush().expect("room in the second segment");
    writer.pump().expect("not yet poisoned");
    assert!(writer.next_refused().expect("told ahead").contains("create the segment"));
    assert_eq!(writer.ready_room(), 56);
    for _ in 0..7 {
        append(&mut ring, 8);
        writer.flush().expect("room in the second segment");
    }
    append(&mut ring, 8);
    assert!(writer.flush().is_err());
    assert!(matches!(writer.pump(), Err(JournalError::Poisoned { .. })));
    assert_eq!(ring.durable_seq(), 128);
    // The ring still holds what the disk could not take.
    drop((ring, writer, lock));
    assert_eq!(all(&recover(&desk).expect("sound")).len(), 136);
}

#[test]
fn f7_shared_memory_that_is_too_small_is_an_error_at_start() {
    let dir = TempDir::new();
    let desk = new_desk(&dir, 64).with_shm_root(dir.path().join("nowhere"));
    let lock = desk.lock().expect("free");
    let error = recover(&desk)
        .expect("sound")
        .go_live(&lock, &options(64, 64))
        .expect_err("no such directory")
        .to_string();
    assert!(error.contains("nowhere") && error.contains("shared memory"), "{error}");

    // More than any machine's shared memory holds; the file must be gone afterwards.
    let root = Path::new("/dev/shm");
    let Ok(space) = rustix::fs::statvfs(root) else { return };
    let slots = (space.f_bavail * space.f_frsize / 128).next_power_of_two() * 2;
    if slots > journal::SLOTS_MAX {
        return;
    }
    let desk = desk.with_shm_root(root);
    let error =
        recover(&desk).expect("sound").go_live(&lock, &options(slots, 64)).expect_err("too large");
    assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
    assert!(!desk.ring_path().exists());
    let _ = std::fs::remove_dir(desk.shm_path());
    let _ = shm_root(&dir);
    let _ = live;
}

/// A small tmpfs, unmounted at the end; `None` where this process may not mount.
struct SmallMount(PathBuf);

impl SmallMount {
    fn new(path: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).expect("a directory");
        let options = format!("size={size},mode=0700");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], &path).then_some(Self(path))
    }
    fn enlarge(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], &self.0));
    }
}

impl Drop for SmallMount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

fn mount(options: &[&str], path: &Path) -> bool {
    let mut command = std::process::Command::new("mount");
    command.args(options).arg(path).stderr(std::process::Stdio::null());
    rustix::process::geteuid().is_root() && command.status().is_ok_and(|s| s.success())
}

#[test]
fn f6_a_desk_on_a_full_file_system_is_not_half_made_and_a_second_try_works() {
    let dir = TempDir::new();
    // Too small for the segment; then for the control file beside it.
    for (records, file, needed) in [(4096, ".seg", "needs 528384"), (64, "control", "needs ")] {
        let Some(disk) = SmallMount::new(dir.path().join("disk"), "64k") else {
            eprintln!("skipped: this process may not mount a tmpfs");
            return;
        };
        let path = disk.0.join("desk");
        let new = journal::NewDesk { segment_records: records, ..journal::NewDesk::default() };
        let error = journal::DeskDir::create(&path, &new).expect_err("no room").to_string();
        assert!(error.contains(&disk.0.display().to_string()), "{error}");
        assert!(error.contains(file) && error.contains("free space"), "{error}");
        assert!(error.contains(needed), "{error}");
        for left in ["segments", "control", "control.new", "desk_id", "desk_id.new"] {
            assert!(!path.join(left).exists(), "{left} is left behind: {error}");
        }
        disk.enlarge("8m");
        assert!(journal::DeskDir::create(&path, &new).expect("there is room now").is_new());
    }
}

#[test]
fn f7_a_ring_on_a_full_shared_memory_is_not_half_made_and_a_second_try_works() {
    let dir = TempDir::new();
    let Some(shm) = SmallMount::new(dir.path().join("small"), "1m") else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let desk = new_desk(&dir, 64).with_shm_root(&shm.0);
    let lock = desk.lock().expect("free");
    let go = || recover(&desk).expect("sound").go_live(&lock, &options(1 << 14, 64));
    let error = go().expect_err("no room");
    assert!(matches!(error, JournalError::NoSpace { needed: 2_101_248, .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains(&shm.0.display().to_string()) && error.contains("fewer ring slots"));
    let left = std::fs::read_dir(desk.shm_path()).expect("made").count();
    assert_eq!(left, 0, "nothing half done");
    shm.enlarge("8m");
    drop(go().expect("there is room now"));
}
