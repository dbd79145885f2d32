//! `control.sock`: where clients attach and people ask. One request is one line of words, the answer
//! one line of JSON; `attach` also hands over the command ring and the bell. Owned by the engine
//! thread, which looks here about once a millisecond. What must stay true: only processes of our own
//! user come in; a ring is bound to one session, whatever the client writes into its records.

use crate::Desk;
use crate::options::{Doing, HostError, Result, refused};
use crate::status::quoted;
use journal::Consumer;
use layout::{CancelOrder, Entity, MassCancel, NewOrder, Record, ReplaceOrder, Scope, Typed};
use rustix::event::{EventfdFlags, PollFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Connections at once.
const CONNS_MAX: usize = 64;
/// Bytes of one request, and of answers a peer has not read.
const LINE_MAX: usize = 1024;
const UNREAD_MAX: usize = 1 << 20;
/// How often the sockets are looked at, and commands of one client in one round.
const LOOK_NS: i64 = 1_000_000;
const COMMANDS: usize = 64;

struct Conn {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    ring: Option<Consumer>,
    gone: bool,
}

pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
    bell: OwnedFd,
    conns: Vec<Conn>,
    clients: u32,
    look_at_ns: i64,
}

/// A path that fits a socket address: long ones go by way of an open directory, which the second
/// value keeps open.
pub(crate) fn reachable(path: &Path) -> Result<(PathBuf, Option<OwnedFd>)> {
    use std::os::fd::AsRawFd;
    if path.as_os_str().len() < 108 {
        return Ok((path.to_path_buf(), None));
    }
    let (dir, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, rustix::fs::Mode::empty()).doing(dir, "open it")?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())).join(name);
    Ok((short, Some(fd)))
}

impl Door {
    /// Opens the socket; the caller holds the desk's lock, so what lies there is a dead engine's.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let (short, _dir) = reachable(path)?;
        let listener = UnixListener::bind(&short).doing(path, "listen on it")?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .doing(path, "close it to others")?;
        listener.set_nonblocking(true).doing(path, "make it non-blocking")?;
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .doing(path, "make the bell")?;
        let conns = Vec::with_capacity(CONNS_MAX);
        Ok(Self { listener, path: path.into(), bell, conns, clients: 0, look_at_ns: 0 })
    }

    pub(crate) fn clients(&self) -> usize {
        self.conns.iter().filter(|conn| conn.ring.is_some()).count()
    }

    /// What a sleeping engine is woken by.
    pub(crate) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let own = [(self.listener.as_fd(), PollFlags::IN), (self.bell.as_fd(), PollFlags::IN)];
        own.into_iter().chain(self.conns.iter().map(|conn| {
            let out = !conn.outbox.is_empty();
            let flags = if out { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            (conn.stream.as_fd(), flags)
        }))
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let ours = rustix::net::sockopt::socket_peercred(&stream)
                .is_ok_and(|peer| peer.uid == rustix::process::geteuid());
            let fits = self.conns.len() < CONNS_MAX;
            if !ours || !fits || stream.set_nonblocking(true).is_err() {
                continue; // closed by being dropped
            }
            let (inbox, outbox) = (Vec::with_capacity(LINE_MAX), Vec::new());
            self.conns.push(Conn { stream, inbox, outbox, ring: None, gone: false });
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Conn {
    /// Reads what is there; the first whole line, if there is one.
    fn line(&mut self) -> Option<String> {
        let mut bytes = [0; LINE_MAX];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.gone = true,
            Ok(size) => self.inbox.extend_from_slice(&bytes[..size]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.gone = true,
        }
        let Some(end) = self.inbox.iter().position(|&byte| byte == b'\n') else {
            self.gone |= self.inbox.len() > LINE_MAX;
            return None;
        };
        let line = String::from_utf8_lossy(&self.inbox[..end]).into_owned();
        self.inbox.drain(..=end);
        Some(line)
    }

    fn answer(&mut self, json: &str) {
        if self.outbox.len() + json.len() > UNREAD_MAX {
            self.gone = true;
            return;
        }
        self.outbox.extend_from_slice(json.as_bytes());
        self.outbox.push(b'\n');
        self.write();
    }

    fn write(&mut self) {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(size) => drop(self.outbox.drain(..size)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    fn hand_over(&mut self, json: &str, ring: OwnedFd, bell: &OwnedFd) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [ring.as_fd(), bell.as_fd()];
        let pushed = control.push(SendAncillaryMessage::ScmRights(&fds));
        let line = format!("{json}\n");
        let bytes = [IoSlice::new(line.as_bytes())];
        let sent = rustix::net::sendmsg(&self.stream, &bytes, &mut control, SendFlags::NOSIGNAL);
        self.gone |= !pushed || sent != Ok(line.len());
    }
}

/// The value of `key=` among the words of a request.
fn value<'a>(words: &[&'a str], key: &str) -> Result<&'a str> {
    let found = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    found.map_or_else(|| refused(format!("{}: {key}=... is missing", words[0])), Ok)
}

fn number(words: &[&str], key: &str) -> Result<u64> {
    let text = value(words, key)?;
    let digits = text.strip_prefix("0x");
    let parsed = digits.map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    parsed.or_else(|_| refused(format!("{key}={text} is not a number")))
}

/// The kill scope of a name.
fn scope_of(name: &str) -> Result<Scope> {
    let known = Scope::ALL.iter().filter(|s| **s != Scope::AccountInstrument);
    match known.clone().find(|scope| scope.name() == name) {
        Some(scope) => Ok(*scope),
        None => {
            let names: Vec<_> = known.map(|scope| scope.name()).collect();
            refused(format!("scope={name} is unknown, allowed are {}", names.join(", ")))
        }
    }
}

impl Desk {
    /// Takes commands from rings, and now and then looks at the sockets.
    pub(crate) fn serve_clients(&mut self) -> bool {
        let Some(mut door) = self.door.take() else { return false };
        let mut some = false;
        for conn in &mut door.conns {
            some |= self.serve_ring(conn);
        }
        let mono_ns = self.clock.mono_ns();
        if mono_ns >= door.look_at_ns {
            door.look_at_ns = mono_ns + LOOK_NS;
            door.accept();
            for at in 0..door.conns.len() {
                while let Some(line) = door.conns[at].line() {
                    some = true;
                    self.request(&mut door, at, &line);
                }
                door.conns[at].write();
            }
            door.conns.retain(|conn| !conn.gone);
        }
        self.door = Some(door);
        some
    }

    fn serve_ring(&mut self, conn: &mut Conn) -> bool {
        let Some(ring) = &mut conn.ring else { return false };
        for count in 0..COMMANDS {
            if self.log.ring.room() <= 2 * journal::GROUP_MAX as u64 {
                return count > 0; // commands wait in their ring until the log has room
            }
            match ring.pop() {
                Ok(Some(mut record)) => {
                    if !stamp(&mut record, ring.session_id() as u16) {
                        self.foreign_commands += 1; // no client's business: not taken, not logged
                        continue;
                    }
                    self.submit(&record);
                }
                Ok(None) => return count > 0,
                Err(_) => {
                    conn.gone = true; // it broke the ring's rules: cut off
                    return true;
                }
            }
        }
        true
    }

    fn request(&mut self, door: &mut Door, at: usize, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.first().copied() {
            Some("status") => Ok(self.status_of(Some(door)).to_json()),
            Some("attach") => match self.attach(door, &words) {
                Ok((ring, fd)) => {
                    let json = format!(
                        "{{\"ok\":true,\"session_id\":{},\"client_id\":{}}}",
                        ring.session_id(),
                        ring.client_id()
                    );
                    door.conns[at].hand_over(&json, fd, &door.bell);
                    door.conns[at].ring = Some(ring);
                    return;
                }
                Err(error) => Err(error),
            },
            Some("release") => self.release(&words, line),
            Some(other) => {
                refused(format!("{other:?} is unknown, allowed are status, attach, release"))
            }
            None => refused("an empty request; allowed are status, attach, release"),
        };
        let json = answer.unwrap_or_else(|error| {
            format!("{{\"ok\":false,\"error\":{}}}", quoted(&error.to_string()))
        });
        door.conns[at].answer(&json);
    }

    fn release(&mut self, words: &[&str], line: &str) -> Result<String> {
        let person = value(words, "as")?;
        if value(words, "approve").is_ok() {
            let epoch = self.approve_release(number(words, "approve")?, person)?;
            return Ok(format!("{{\"ok\":true,\"epoch\":{epoch}}}"));
        }
        let scope = scope_of(value(words, "scope")?)?;
        let id = if scope == Scope::Desk { 0 } else { number(words, "id")? as u32 };
        let reason = line.split_once("reason=").map_or("", |(_, reason)| reason.trim());
        let hash = self.request_release(scope, id, person, reason)?;
        Ok(format!("{{\"ok\":true,\"change_hash\":\"{hash:#018x}\"}}"))
    }

    fn attach(&mut self, door: &mut Door, words: &[&str]) -> Result<(Consumer, OwnedFd)> {
        let name = value(words, "session")?;
        let slots = number(words, "slots")?;
        let Some(session_id) = self.engine.id_of(Entity::Session, name) else {
            return refused(format!("session {name:?} is not defined on this desk"));
        };
        let taken = |conn: &Conn| {
            !conn.gone && conn.ring.as_ref().is_some_and(|ring| ring.session_id() == session_id)
        };
        if door.conns.iter().any(taken) {
            return refused(format!("session {name:?} has a client already"));
        }
        door.clients += 1;
        Consumer::memfd(slots, session_id, door.clients).map_err(HostError::from)
    }

    /// Before sleeping; `false`: commands wait.
    pub(crate) fn park_clients(&mut self) -> bool {
        let Some(door) = &mut self.door else { return true };
        door.look_at_ns = 0;
        let mut asleep = true;
        for ring in door.conns.iter_mut().filter_map(|conn| conn.ring.as_mut()) {
            asleep &= ring.park();
        }
        if !asleep {
            self.unpark_clients();
        }
        asleep
    }

    pub(crate) fn unpark_clients(&mut self) {
        let Some(door) = &mut self.door else { return };
        for ring in door.conns.iter_mut().filter_map(|conn| conn.ring.as_mut()) {
            ring.unpark();
        }
        let mut rung = [0; 8];
        let _ = rustix::io::read(&door.bell, &mut rung); // empty is the usual answer
    }
}

/// Writes the session of the ring into a command; `false` for a record that is none.
fn stamp(record: &mut Record, session_id: u16) -> bool {
    match record.header.kind {
        NewOrder::KIND => NewOrder::view_mut(record).session_id = session_id,
        CancelOrder::KIND => CancelOrder::view_mut(record).session_id = session_id,
        ReplaceOrder::KIND => ReplaceOrder::view_mut(record).session_id = session_id,
        MassCancel::KIND => MassCancel::view_mut(record).session_id = session_id,
        _ => return false,
    }
    true
}
