//! `control.sock`: where clients attach and people ask. One request is one line of words, the answer
//! one line of JSON; `attach` also hands over the command ring and two bells. Owned by the engine
//! thread, which looks here about once a millisecond. What must stay true: only processes of our own
//! user come in; a ring is bound to one session, whatever the client writes into its records; a client
//! that is gone or silent is cut off, named, and its orders are canceled unless configured otherwise.

use crate::limits::{Draft, ROWS};
use crate::options::{Doing, HostError, Person, Result, Who, refused};
use crate::rows::{json, leg_rows, order_row, position_row};
use crate::status::{LostClient, quoted};
use crate::{Desk, Request};
use journal::{Consumer, Waker};
use layout::{
    CancelOrder, Entity, LimitRow, MassCancel, NewOrder, OrderTerms, Record, ReplaceOrder, Scope,
    Typed, text,
};
use rustix::event::{EventfdFlags, PollFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use zerocopy::FromBytes;

/// Connections at once.
const CONNS_MAX: usize = 64;
/// Bytes of one request, and of answers a peer has not read.
const LINE_MAX: usize = 1024;
const UNREAD_MAX: usize = 1 << 20;
/// How often the sockets are looked at, and commands of one client in one round.
const LOOK_NS: i64 = 1_000_000;
const COMMANDS: usize = 64;
/// The same while limits are staged, so that a whole table is in force in half a second beside them.
const COMMANDS_STAGING: usize = 16;
/// What may be asked.
const ALLOWED: &str =
    "allowed are status, attach, detach, release, limits, order, position, day, phase, clock";
/// What a person of another user than the engine's may ask: to act as himself, and to look.
const PERSONAL: [&str; 4] = ["status", "release", "limits", "day"];
/// Bytes of the name that a client gives itself.
const NAME_MAX: usize = 64;

struct Conn {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    client: Option<Attached>,
    /// User at its other end, by the peer credentials.
    uid: u32,
    /// Rows of limits that it is sending.
    upload: Option<Upload>,
    /// Version of the limits whose activation it waits to hear of.
    waits_for: Option<u64>,
    gone: bool,
}

/// Rows of limits under way, and who asks for them.
struct Upload {
    draft: Draft,
    left: usize,
    person: String,
    reason: String,
}

/// A client with its ring.
struct Attached {
    ring: Consumer,
    session: String,
    name: String,
    /// How long it may be silent before it counts as hung; 0: its connection alone says it lives.
    silence_ns: i64,
    signs: u64,
    heard_ns: i64,
    /// Why it is cut off, when that is not its connection.
    fault: Option<String>,
    took_leave: bool,
}

pub(crate) struct Door {
    listener: UnixListener,
    /// Users beside our own that people are bound to.
    uids: Vec<u32>,
    path: PathBuf,
    bell: OwnedFd,
    conns: Vec<Conn>,
    clients: u32,
    look_at_ns: i64,
    /// Sessions whose mass cancel waits for room in the log, with the client that was lost.
    owed: Vec<(u16, u32)>,
    /// The last loss of each session, until a client binds the session again.
    pub(crate) lost: Vec<LostClient>,
    pub(crate) losses: u64,
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
    ///
    /// Where people are bound to other users the socket is open to all, and peer credentials decide.
    pub(crate) fn open(path: &Path, people: &[Person]) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let (short, _dir) = reachable(path)?;
        let listener = UnixListener::bind(&short).doing(path, "listen on it")?;
        let own = rustix::process::geteuid().as_raw();
        let uids: Vec<u32> =
            people.iter().filter_map(|p| p.uid).filter(|uid| *uid != own).collect();
        let mode = if uids.is_empty() { 0o600 } else { 0o666 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .doing(path, "close it to others")?;
        listener.set_nonblocking(true).doing(path, "make it non-blocking")?;
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .doing(path, "make the bell")?;
        let conns = Vec::with_capacity(CONNS_MAX);
        Ok(Self {
            listener,
            uids,
            path: path.into(),
            bell,
            conns,
            clients: 0,
            look_at_ns: 0,
            owed: Vec::new(),
            lost: Vec::new(),
            losses: 0,
        })
    }

    pub(crate) fn clients(&self) -> usize {
        self.conns.iter().filter(|conn| conn.client.is_some()).count()
    }

    /// Session, name and process of each client.
    pub(crate) fn attached(&self) -> Vec<(String, String, u32)> {
        let clients = self.conns.iter().filter_map(|conn| conn.client.as_ref());
        clients.map(|c| (c.session.clone(), c.name.clone(), c.ring.client_pid())).collect()
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
            let Ok(peer) = rustix::net::sockopt::socket_peercred(&stream) else { continue };
            let uid = peer.uid.as_raw();
            let ours = peer.uid == rustix::process::geteuid() || self.uids.contains(&uid);
            let fits = self.conns.len() < CONNS_MAX;
            if !ours || !fits || stream.set_nonblocking(true).is_err() {
                continue; // closed by being dropped
            }
            let (inbox, outbox) = (Vec::with_capacity(LINE_MAX), Vec::new());
            self.conns.push(Conn {
                stream,
                inbox,
                outbox,
                client: None,
                uid,
                upload: None,
                waits_for: None,
                gone: false,
            });
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

    /// Cuts off a client that promised signs of life and gave none for too long.
    fn listen(&mut self, mono_ns: i64) {
        let Some(client) = self.client.as_mut().filter(|client| client.silence_ns != 0) else {
            return;
        };
        // A command is a sign as good as a beat: who hangs on its first answer never beats.
        let signs = client.ring.beats().wrapping_add(client.ring.command_seq());
        // The promise holds from the first sign on: before it a client reads the log, however long.
        if signs == 0 || signs != client.signs {
            (client.signs, client.heard_ns) = (signs, mono_ns);
        } else if mono_ns - client.heard_ns > client.silence_ns {
            let silence_ms = client.silence_ns / 1_000_000;
            client.fault = Some(format!("it was silent for more than {silence_ms} ms"));
            self.gone = true;
        }
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

    fn hand_over(&mut self, json: &str, fds: [BorrowedFd<'_>; 3]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
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

fn told_error(error: &HostError) -> String {
    format!("{{\"ok\":false,\"error\":{}}}", quoted(&error.to_string()))
}

/// The kill scope of a name.
fn scope_of(name: &str) -> Result<Scope> {
    let of_limits = [Scope::AccountInstrument, Scope::Sector, Scope::Trader];
    let known = Scope::ALL.iter().filter(|scope| !of_limits.contains(scope));
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
            some |= self.serve_upload(conn);
        }
        if !door.owed.is_empty() {
            self.cancel_owed(&mut door);
        }
        let mono_ns = self.clock.mono_ns();
        if mono_ns >= door.look_at_ns {
            door.look_at_ns = mono_ns + LOOK_NS;
            door.accept();
            for at in 0..door.conns.len() {
                while door.conns[at].upload.is_none()
                    && let Some(line) = door.conns[at].line()
                {
                    some = true;
                    self.request(&mut door, at, &line);
                }
                self.tell_active(&mut door.conns[at]);
                door.conns[at].write();
                door.conns[at].listen(mono_ns);
            }
            while let Some(at) = door.conns.iter().position(|conn| conn.gone) {
                let conn = door.conns.swap_remove(at);
                if let Some(client) = conn.client {
                    some = true;
                    self.lose_client(&mut door, &client);
                }
            }
        }
        self.door = Some(door);
        some
    }

    fn serve_ring(&mut self, conn: &mut Conn) -> bool {
        let Some(client) = conn.client.as_mut().filter(|_| !conn.gone) else { return false };
        let ring = &mut client.ring;
        let session_id = ring.session_id() as u16;
        // Terms and their command were published together and are taken together: nothing of this
        // session gets between them, and no offer outlives this loop.
        let (mut count, mut offered) = (0, false);
        let most = if self.staging.is_some() { COMMANDS_STAGING } else { COMMANDS };
        while count < most || offered {
            if !offered && self.log.ring.room() <= 2 * journal::GROUP_MAX as u64 {
                return count > 0; // commands wait in their ring until the log has room
            }
            count += 1;
            let popped = ring.pop();
            if let Ok(Some(mut record)) = popped
                && stamp(&mut record, session_id)
            {
                self.submit(&record);
                let is_offer = record.header.kind == OrderTerms::KIND;
                if is_offer && !offered {
                    offered = true;
                    continue;
                }
            } else if let Ok(Some(_)) = popped {
                self.foreign_commands += 1; // no client's business: not taken, not logged
            }
            if std::mem::take(&mut offered) {
                self.engine.drop_offer(session_id);
            }
            match popped {
                Ok(Some(_)) => {}
                Ok(None) => return count > 1,
                Err(error) => {
                    client.fault = Some(error.to_string()); // it broke the ring's rules: cut off
                    conn.gone = true;
                    return true;
                }
            }
        }
        true
    }

    fn request(&mut self, door: &mut Door, at: usize, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let uid = door.conns[at].uid;
        let own = uid == rustix::process::geteuid().as_raw();
        let answer = match words.first().copied() {
            Some(word) if !own && !PERSONAL.contains(&word) => refused(format!(
                "{word:?} is for the desk's own user; uid {uid} may ask {}",
                PERSONAL.join(", ")
            )),
            Some("status") => Ok(self.status_of(Some(door)).to_json()),
            Some("attach") => match self.attach(door, &words) {
                Ok((client, ring, bell)) => {
                    let json = format!(
                        "{{\"ok\":true,\"session_id\":{},\"client_id\":{},\"epoch\":{}}}",
                        client.ring.session_id(),
                        client.ring.client_id(),
                        self.engine.epoch()
                    );
                    let conn = &mut door.conns[at];
                    conn.hand_over(&json, [ring.as_fd(), door.bell.as_fd(), bell.as_fd()]);
                    door.lost.retain(|lost| lost.session != client.session);
                    conn.client = Some(client);
                    return;
                }
                Err(error) => Err(error),
            },
            Some("detach") => {
                let conn = &mut door.conns[at];
                conn.gone = true;
                if let Some(client) = &mut conn.client {
                    client.took_leave = true;
                }
                return;
            }
            Some("release") => self.release(&words, line, uid),
            Some("limits") => match self.limits(&mut door.conns[at], &words, line) {
                Ok(Some(json)) => Ok(json),
                Ok(None) => return, // answered when its rows are here, or in force
                Err(error) => Err(error),
            },
            Some("order") => self.tell_order(&words),
            Some("position") => self.tell_position(&words),
            Some(what @ ("day" | "phase" | "clock")) => self.tell_calendar(what, &words, own, uid),
            Some(other) => refused(format!("{other:?} is unknown, {ALLOWED}")),
            None => refused(format!("an empty request; {ALLOWED}")),
        };
        let json = answer.unwrap_or_else(|error| told_error(&error));
        door.conns[at].answer(&json);
    }

    /// What a schedule or an operator says of a venue's day; the number of its event is the answer.
    fn tell_calendar(&mut self, what: &str, words: &[&str], own: bool, uid: u32) -> Result<String> {
        let venue = value(words, "venue")?;
        let event_seq = match what {
            "day" => {
                let day = number(words, "trade_day")?;
                let Ok(trade_day) = u16::try_from(day) else {
                    return refused(format!("trade_day={day}: allowed are 0 to {}", u16::MAX));
                };
                let proved_by = value(words, "proved_by").ok().map(|name| Who { name, uid });
                if !own && proved_by.is_none() {
                    return refused(format!(
                        "a day by uid {uid}, another user than the desk's: name a person (proved_by=...)"
                    ));
                }
                self.tell_day(venue, trade_day, number(words, "opened")? != 0, proved_by)?
            }
            "phase" => {
                let at_ns = number(words, "at_ns")?.min(i64::MAX as u64) as i64;
                self.tell_phase(venue, value(words, "phase")?, at_ns)?
            }
            _ => {
                let text = value(words, "utc_offset_min")?;
                let Ok(minutes) = text.parse() else {
                    return refused(format!("utc_offset_min={text} is not a number"));
                };
                self.tell_clock(venue, minutes)?
            }
        };
        Ok(format!("{{\"ok\":true,\"event_seq\":{event_seq}}}"))
    }

    fn tell_order(&self, words: &[&str]) -> Result<String> {
        let order = self.engine.order(number(words, "seq")?);
        let row = order.map(|order| json(&order_row(&self.engine, order)));
        Ok(format!("{{\"ok\":true,\"order\":{}}}", row.as_deref().unwrap_or("null")))
    }

    fn tell_position(&self, words: &[&str]) -> Result<String> {
        let (account, instrument) = (number(words, "account")?, number(words, "instrument")?);
        let config = self.engine.config();
        if account >= config.accounts_max as u64 || instrument >= config.instruments_max as u64 {
            return refused(format!("account {account}, instrument {instrument}: no such row"));
        }
        let position = self.engine.position(account as u32, instrument as u32);
        let row = json(&position_row(&self.engine, &position));
        let legs = leg_rows(&self.engine, account as u32, instrument as u32);
        let legs = legs.iter().map(json).collect::<Vec<_>>().join(",");
        Ok(format!("{{\"ok\":true,\"position\":{row},\"legs\":[{legs}]}}"))
    }

    fn release(&mut self, words: &[&str], line: &str, uid: u32) -> Result<String> {
        let person = Who { name: value(words, "as")?, uid };
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

    /// `limits`: what is in force; `limits rows=N base=V as=NAME`: N records follow; `limits
    /// approve=HASH as=NAME`. `None`: the answer comes later.
    fn limits(&mut self, conn: &mut Conn, words: &[&str], line: &str) -> Result<Option<String>> {
        if words.len() == 1 {
            return Ok(Some(self.tell_limits()));
        }
        let person = value(words, "as")?;
        let who = Who { name: person, uid: conn.uid };
        if value(words, "approve").is_ok() {
            conn.waits_for = Some(self.approve_limits(number(words, "approve")?, who)?);
            return Ok(None);
        }
        self.may_change(who)?; // before a byte of it is taken in
        let (count, base) = (number(words, "rows")? as usize, number(words, "base")?);
        let draft = Draft::new(&self.engine, count, base)?;
        let reason = line.split_once("reason=").map_or("", |(_, reason)| reason.trim()).to_string();
        conn.upload = Some(Upload { draft, left: count, person: person.to_string(), reason });
        Ok(None)
    }

    /// Takes in a few rows of limits that a connection sends; with the last one the change is asked
    /// for. A row that is refused ends the connection behind its answer.
    fn serve_upload(&mut self, conn: &mut Conn) -> bool {
        let Some(mut upload) = conn.upload.take() else { return false };
        let size = size_of::<Record>();
        let wanted = ROWS.min(upload.left) * size;
        let missing = wanted.saturating_sub(conn.inbox.len());
        let mut bytes = [0; ROWS * size_of::<Record>()];
        if missing > 0 {
            match conn.stream.read(&mut bytes[..missing]) {
                Ok(0) => conn.gone = true,
                Ok(got) => conn.inbox.extend_from_slice(&bytes[..got]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => conn.gone = true,
            }
        }
        let whole = conn.inbox.len().min(wanted) / size;
        let mut verdict = Ok(());
        for chunk in conn.inbox[..whole * size].chunks_exact(size) {
            let row = LimitRow::read_from_bytes(chunk).expect("it has the size of a record");
            verdict = verdict.and_then(|()| upload.draft.add(&self.engine, &row));
        }
        conn.inbox.drain(..whole * size);
        upload.left -= whole;
        if let Err(error) = verdict {
            conn.answer(&told_error(&error));
            conn.gone = true;
        } else if upload.left == 0 {
            self.uploaded(conn, upload);
        } else {
            conn.upload = Some(upload);
        }
        whole > 0
    }

    #[cold]
    fn uploaded(&mut self, conn: &mut Conn, upload: Upload) {
        let who = Who { name: &upload.person, uid: conn.uid };
        match self.request_draft(upload.draft, who, &upload.reason) {
            Ok(Request { limits_version: Some(version), .. }) => conn.waits_for = Some(version),
            Ok(Request { change_hash: hash, .. }) => {
                let told = self.tell_asked(hash);
                conn.answer(&format!("{{\"ok\":true,\"change_hash\":\"{hash:#018x}\",{told}}}"));
            }
            Err(error) => conn.answer(&told_error(&error)),
        }
    }

    /// Answers who waits for limits that are in force now.
    fn tell_active(&self, conn: &mut Conn) {
        if conn.waits_for.is_some_and(|version| self.engine.limits_version() >= version) {
            conn.waits_for = None;
            let (version, hash) = (self.engine.limits_version(), self.engine.limits_hash());
            conn.answer(&format!(
                "{{\"ok\":true,\"limits_version\":{version},\"limits_hash\":\"{hash:#018x}\"}}"
            ));
        }
    }

    fn attach(&mut self, door: &mut Door, words: &[&str]) -> Result<(Attached, OwnedFd, OwnedFd)> {
        let name = value(words, "session")?;
        let slots = number(words, "slots")?;
        let Some(session_id) = self.engine.id_of(Entity::Session, name) else {
            return refused(format!("session {name:?} is not defined on this desk"));
        };
        let silence_ms = match value(words, "silence_ms") {
            Ok(_) => number(words, "silence_ms")?.min(u64::from(u32::MAX)),
            Err(_) => 0,
        };
        let said = value(words, "name").unwrap_or("");
        if said.len() > NAME_MAX {
            return refused(format!(
                "a client's name of {} bytes, allowed are {NAME_MAX}",
                said.len()
            ));
        }
        let of_session = |conn: &&Conn| {
            let client = conn.client.as_ref();
            client.is_some_and(|client| client.ring.session_id() == session_id)
        };
        if let Some(taken) = door.conns.iter().find(of_session) {
            let pid = taken.client.as_ref().map_or(0, |client| client.ring.client_pid());
            return refused(format!("session {name:?} has a client already, process {pid}"));
        }
        self.tell_names()?; // it reads them next
        door.clients += 1;
        let (ring, fd) = Consumer::memfd(slots, session_id, door.clients)?;
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .doing(&door.path, "make the client's bell")?;
        let own = bell.try_clone().doing(&door.path, "make the client's bell")?;
        self.news.add(door.clients, Waker::new(&fd, own)?);
        let client = Attached {
            ring,
            session: name.into(),
            name: said.into(),
            silence_ns: silence_ms as i64 * 1_000_000,
            signs: 0,
            heard_ns: self.clock.mono_ns(),
            fault: None,
            took_leave: false,
        };
        Ok((client, fd, bell))
    }

    /// A client is gone: what waits in its ring is never taken, and its orders are canceled unless
    /// its session is configured otherwise. It is named in the status until the session is bound again.
    #[cold]
    fn lose_client(&mut self, door: &mut Door, client: &Attached) {
        let (session_id, client_id) = (client.ring.session_id() as u16, client.ring.client_id());
        self.news.remove(client_id);
        let policy = self.options.sessions.iter().find(|policy| policy.name == client.session);
        let cancels = policy.is_none_or(|policy| policy.cancel_on_disconnect);
        if !client.took_leave {
            door.losses += 1;
            door.lost.push(LostClient {
                session: client.session.clone(),
                name: client.name.clone(),
                client_id,
                pid: client.ring.client_pid(),
                why: client.fault.clone().unwrap_or_else(|| "its connection closed".into()),
                cancels: if cancels { "owed" } else { "left by configuration" },
            });
        }
        if cancels {
            door.owed.push((session_id, client_id));
        }
    }

    /// Mass cancels of the sessions that lost their client, as far as the log has room.
    #[cold]
    fn cancel_owed(&mut self, door: &mut Door) {
        let least = (2 * journal::GROUP_MAX as u64).max(self.options.engine.log_reserve);
        while self.log.ring.room() > least {
            let Some((session_id, client_id)) = door.owed.pop() else { return };
            let mut cancel = MassCancel::ZERO;
            cancel.header.kind = MassCancel::KIND;
            (cancel.session_id, cancel.of_session_id) = (session_id, session_id);
            // Unique in the log: the epoch rises with each start, the client's number within it.
            cancel.cl_ord_id = text(&format!("lost.{}.{client_id}", self.engine.epoch()));
            let verdict = self.submit(cancel.as_record());
            if let Some(lost) = door.lost.iter_mut().find(|lost| lost.client_id == client_id) {
                lost.cancels = verdict.name();
            }
        }
    }

    /// Clients lost since the start.
    pub(crate) fn clients_lost(&self) -> u64 {
        self.door.as_ref().map_or(0, |door| door.losses)
    }

    /// Before sleeping; `false`: commands wait.
    pub(crate) fn park_clients(&mut self) -> bool {
        let Some(door) = &mut self.door else { return true };
        door.look_at_ns = 0;
        let mut asleep = true;
        asleep &= door.owed.is_empty();
        asleep &= door.conns.iter().all(|conn| conn.waits_for.is_none());
        for client in door.conns.iter_mut().filter_map(|conn| conn.client.as_mut()) {
            asleep &= client.ring.park();
        }
        if !asleep {
            self.unpark_clients();
        }
        asleep
    }

    pub(crate) fn unpark_clients(&mut self) {
        let Some(door) = &mut self.door else { return };
        for client in door.conns.iter_mut().filter_map(|conn| conn.client.as_mut()) {
            client.ring.unpark();
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
        OrderTerms::KIND => OrderTerms::view_mut(record).session_id = session_id,
        _ => return false,
    }
    true
}
