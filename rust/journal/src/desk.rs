//! The desk directory: its id, its lock, where its files lie, and its corner of shared memory.
//!
//! Opened by the host at start and by every command that reads a desk. Holds no log state. What must
//! stay true: `desk_id` is written last when a desk is made, so a directory with an id is whole; one
//! engine at a time holds `lock`; nothing here follows a link or trusts a directory of another user.
//!
//! ```text
//! DIR/desk_id lock control segments/<first_seq>.seg     /dev/shm/pyoms-<uid>/<desk_id>/ring
//! ```

use crate::control::{ControlFile, ControlSizes};
use crate::disk::{Disk, RealDisk};
use crate::error::{Doing, JournalError, Result};
use crate::segment;
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a new desk is made with.
#[derive(Clone, Copy, Debug)]
pub struct NewDesk {
    /// Records of its first segment; a multiple of 32.
    pub segment_records: u64,
    /// Words and sender rows of its control file.
    pub control: ControlSizes,
}

impl Default for NewDesk {
    fn default() -> Self {
        Self { segment_records: segment::RECORDS_DEFAULT, control: ControlSizes::default() }
    }
}

/// The process that holds a desk's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id; 0 when the file does not tell.
    pub pid: u32,
    /// Start time of the process, clock ticks since boot.
    pub start_time: u64,
}

/// A desk directory that exists and is ours.
#[derive(Clone, Debug)]
pub struct DeskDir {
    path: PathBuf,
    desk_id: String,
    log_id: u64,
    shm_root: PathBuf,
    is_new: bool,
}

/// The lock of a running engine; dropping it lets the next one in.
#[derive(Debug)]
pub struct DeskLock {
    _file: Held,
    desk_id: String,
}

/// A file whose lock is ours until dropped: it is let go by name, since a process just forked may
/// still hold the file open; a forked child leaves its parent's lock alone.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
    pid: u32,
}

impl Held {
    pub(crate) fn new(file: File) -> Self {
        Self { file, pid: std::process::id() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = rustix::fs::flock(&self.file, rustix::fs::FlockOperation::Unlock);
        }
    }
}

impl DeskLock {
    pub(crate) fn desk_id(&self) -> &str {
        &self.desk_id
    }
}

impl DeskDir {
    /// Makes a desk in `path`, which may exist but must hold no desk: first segment, control file
    /// (trading open), then the id.
    pub fn create(path: impl AsRef<Path>, new: &NewDesk) -> Result<Self> {
        Self::create_with(path.as_ref(), new, &RealDisk)
    }

    fn create_with(path: &Path, new: &NewDesk, disk: &dyn Disk) -> Result<Self> {
        segment::check_records(new.segment_records)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(path)
            .doing(path, "create the desk directory")?;
        // One maker at a time: the lock also guards creation.
        let _lock = take_lock(&path.join("lock"))?;
        match Self::open(path) {
            Ok(desk) => {
                return Err(JournalError::DeskExists { path: path.into(), desk_id: desk.desk_id });
            }
            Err(JournalError::NoDesk { .. }) => {}
            Err(error) => return Err(error),
        }
        for found in ["control", "segments"] {
            if fs::symlink_metadata(path.join(found)).is_ok() {
                return Err(JournalError::HalfMade { path: path.into(), found });
            }
        }
        let desk_id = new_id()?;
        let log_id = log_id_of(&desk_id).expect("just made of hexadecimal digits");
        let made = (|| {
            let segments = path.join("segments");
            fs::DirBuilder::new()
                .mode(0o750)
                .create(&segments)
                .doing(&segments, "create the directory")?;
            segment::make_first(disk, &segments, log_id, new.segment_records)?;
            ControlFile::write_new(&path.join("control"), &new.control, log_id, 0, 1)?;
            write_whole(path, "desk_id", format!("{desk_id}\n").as_bytes())
        })();
        if let Err(error) = made {
            // Nothing may be half done: what was made is taken away again.
            let _ = fs::remove_file(path.join("control"));
            let _ = fs::remove_dir_all(path.join("segments"));
            return Err(error);
        }
        let mut desk = Self::open(path)?;
        desk.is_new = true;
        Ok(desk)
    }

    /// Opens the desk that lives in `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let id_path = path.join("desk_id");
        let text = match fs::read_to_string(&id_path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(JournalError::NoDesk { path: path.into() });
            }
            Err(e) => return Err(e).doing(&id_path, "read it"),
        };
        let desk_id = text.trim_end().to_owned();
        let Some(log_id) = log_id_of(&desk_id) else {
            return Err(JournalError::BadDeskId { path: id_path, found: desk_id });
        };
        let path = fs::canonicalize(path).doing(path, "resolve its path")?;
        Ok(Self { path, desk_id, log_id, shm_root: "/dev/shm".into(), is_new: false })
    }

    /// Opens the desk in `path`, or makes one where there is none.
    pub fn open_or_create(path: impl AsRef<Path>, new: &NewDesk) -> Result<Self> {
        match Self::open(path.as_ref()) {
            Err(JournalError::NoDesk { .. }) => Self::create(path, new),
            other => other,
        }
    }

    /// The same desk with its ring under another directory than `/dev/shm`.
    pub fn with_shm_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.shm_root = root.into();
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Random id of the desk, 32 hexadecimal digits.
    pub fn desk_id(&self) -> &str {
        &self.desk_id
    }
    /// Id of the desk's log, seed of its checksums: the first half of the desk's id.
    pub fn log_id(&self) -> u64 {
        self.log_id
    }
    /// Whether this value made the desk.
    pub fn is_new(&self) -> bool {
        self.is_new
    }
    /// The control file.
    pub fn control_path(&self) -> PathBuf {
        self.path.join("control")
    }
    /// The directory of the segments.
    pub fn segments_path(&self) -> PathBuf {
        self.path.join("segments")
    }
    /// The socket of the running engine.
    pub fn socket_path(&self) -> PathBuf {
        self.path.join("control.sock")
    }
    /// The desk's directory in shared memory.
    pub fn shm_path(&self) -> PathBuf {
        let uid = rustix::process::geteuid().as_raw();
        self.shm_root.join(format!("pyoms-{uid}")).join(&self.desk_id)
    }
    /// The ring in shared memory.
    pub fn ring_path(&self) -> PathBuf {
        self.shm_path().join("ring")
    }
    /// The board of best bids and offers in shared memory.
    pub fn board_path(&self) -> PathBuf {
        self.shm_path().join("board")
    }

    /// Takes the desk's lock for an engine.
    pub fn lock(&self) -> Result<DeskLock> {
        let file = take_lock(&self.path.join("lock"))?;
        Ok(DeskLock { _file: file, desk_id: self.desk_id.clone() })
    }

    /// The engine that runs on this desk; `None` when none does.
    pub fn holder(&self) -> Option<Holder> {
        let path = self.path.join("lock");
        let file = open_nofollow(&path, false).ok()?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => Some(read_holder(&file)),
        }
    }

    /// Makes the desk's directory in shared memory, checking each step of the way.
    pub(crate) fn make_shm(&self) -> Result<PathBuf> {
        let path = self.shm_path();
        for dir in [path.parent().expect("two levels below the root"), &path] {
            match fs::DirBuilder::new().mode(0o700).create(dir) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => {
                    return Err(e).doing(dir, "create the directory of the ring in shared memory");
                }
            }
            check_private_dir(dir)?;
        }
        Ok(path)
    }
}

/// Refuses a directory that is a link, another user's, or open to others.
pub(crate) fn check_private_dir(path: &Path) -> Result<()> {
    let uid = rustix::process::geteuid().as_raw();
    let refused =
        |what: String| Err(JournalError::Unsafe { path: path.into(), what, uid, mode: 0o700 });
    let stat = fs::symlink_metadata(path).doing(path, "look at it")?;
    if !stat.file_type().is_dir() {
        return refused("is a link or a file where a directory must be".into());
    }
    if stat.uid() != uid {
        return refused(format!("belongs to user {}", stat.uid()));
    }
    if stat.mode() & 0o077 != 0 {
        return refused(format!("has mode {:04o}, open to others", stat.mode() & 0o7777));
    }
    Ok(())
}

/// Opens a file without following a link; errors are those of `open`.
pub(crate) fn open_nofollow(path: &Path, write: bool) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32)
        .open(path)
}

/// Makes a new file in place of an old one: written aside, synced, renamed, directory synced (F30).
pub(crate) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, aside) = (dir.join(name), dir.join(format!("{name}.new")));
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(&aside)
        .doing(&aside, "create it")?;
    let done = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = done {
        let _ = fs::remove_file(&aside);
        if error.kind() == std::io::ErrorKind::StorageFull {
            let needed = bytes.len() as u64;
            let free = rustix::fs::statvfs(dir).map_or(0, |s| s.f_bavail * s.f_frsize);
            let advice = "free space there and try again";
            return Err(JournalError::NoSpace { path, needed, free, advice });
        }
        return Err(error).doing(&aside, "write it");
    }
    fs::rename(&aside, &path).doing(&path, "put it in place")?;
    sync_dir(dir).doing(dir, "sync the directory")
}

pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn take_lock(path: &Path) -> Result<Held> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file: File = rustix::fs::open(path, flags, Mode::from_raw_mode(0o640))
        .doing(path, "open the lock file")?
        .into();
    let stat = rustix::fs::fstat(&file).doing(path, "look at it")?;
    let uid = rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_uid != uid {
        let what = format!("is no regular file of ours (owner {})", stat.st_uid);
        return Err(JournalError::Unsafe { path: path.into(), what, uid, mode: 0o640 });
    }
    if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        let Holder { pid, start_time } = read_holder(&file);
        return Err(JournalError::LockHeld { path: path.into(), pid, start_time });
    }
    let pid = std::process::id();
    let line = format!("{pid} {}\n", start_time_of(pid).unwrap_or(0));
    file.set_len(0).and_then(|()| file.write_all(line.as_bytes())).doing(path, "write the pid")?;
    Ok(Held::new(file))
}

fn read_holder(mut file: &File) -> Holder {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let mut words = text.split_ascii_whitespace();
    let pid = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    let start_time = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
    Holder { pid, start_time }
}

/// Start time of a process in clock ticks since boot; `None` when it is gone or a zombie.
pub fn start_time_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and parentheses: the fields begin after the last one.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") { None } else { fields.nth(18)?.parse().ok() }
}

/// Boot id of the machine; all zero where the system does not tell.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

fn new_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0u8; 16];
    File::open(path).and_then(|mut f| f.read_exact(&mut bytes)).doing(path, "read it")?;
    bytes[0] |= 1; // a log's id is never zero
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn log_id_of(desk_id: &str) -> Option<u64> {
    let hexadecimal = desk_id.len() == 32 && desk_id.bytes().all(|b| b.is_ascii_hexdigit());
    if hexadecimal {
        u64::from_str_radix(&desk_id[..16], 16).ok().filter(|&id| id != 0)
    } else {
        None
    }
}
