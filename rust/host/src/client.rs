//! A client of a running desk: a thread or a process that writes commands into its own ring in shared
//! memory. Owned by one thread; verdicts come as events of the log. What must stay true: the engine's
//! bell is rung only when it sleeps, so that a busy desk costs no system call.

use crate::door::reachable;
use crate::options::{Doing, Result, refused};
use journal::{BoardView, DeskDir, Follow, Producer, Reader};
use layout::{Quote, Record};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer of the desk may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The client's end of a command ring.
#[derive(Debug)]
pub struct Client {
    producer: Producer,
    bell: OwnedFd,
    /// Rung when there is news and we said that we sleep.
    own_bell: OwnedFd,
    session_id: u16,
    client_id: u32,
    epoch: u64,
    log: Reader,
    board: BoardView,
    /// Open as long as the client lives: the desk drops the ring when it closes.
    stream: UnixStream,
    path: PathBuf,
    has_left: bool,
}

/// What a client asks for when it attaches.
#[derive(Clone, Copy, Debug)]
pub struct Attach<'a> {
    /// Session that its ring is bound to.
    pub session: &'a str,
    /// What it is called in the desk's status, one word of up to 64 bytes.
    pub name: &'a str,
    /// Slots of its command ring, a power of two.
    pub slots: u64,
    /// It promises a sign of life this often; 0: its connection alone says that it lives.
    pub silence_ms: u32,
}

impl<'a> Attach<'a> {
    /// For `session`, without a promise.
    pub fn to(session: &'a str) -> Self {
        Self { session, name: "", slots: 4096, silence_ms: 0 }
    }
}

fn connect(desk_path: &Path) -> Result<(UnixStream, PathBuf)> {
    let path = DeskDir::open(desk_path)?.socket_path();
    let (short, _dir) = reachable(&path)?;
    let stream = UnixStream::connect(short)
        .doing(&path, "connect (does an engine run on this desk? `pyoms run` starts one)")?;
    stream.set_read_timeout(Some(ANSWER)).doing(&path, "set its timeout")?;
    Ok((stream, path))
}

/// One request to a running desk, one line of JSON back; for commands in other processes.
pub fn ask(desk_path: impl AsRef<Path>, request: &str) -> Result<String> {
    ask_with(desk_path, request, &[])
}

/// A request behind which its bytes follow; the answer as of `ask`.
pub fn ask_with(desk_path: impl AsRef<Path>, request: &str, bytes: &[u8]) -> Result<String> {
    let (mut stream, path) = connect(desk_path.as_ref())?;
    stream.write_all(format!("{request}\n").as_bytes()).doing(&path, "write to it")?;
    // A desk that refuses reads no further: its answer says why.
    let _ = stream.write_all(bytes);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).doing(&path, "read the answer")?;
    if line.is_empty() {
        return refused(format!("{}: the desk closed the connection", path.display()));
    }
    Ok(line.trim_end().to_string())
}

impl Client {
    /// Attaches to a running desk.
    pub fn attach(desk_path: impl AsRef<Path>, wanted: Attach<'_>) -> Result<Self> {
        let desk = DeskDir::open(desk_path.as_ref())?;
        let (mut stream, path) = connect(desk_path.as_ref())?;
        let Attach { session, name, slots, silence_ms } = wanted;
        let request =
            format!("attach session={session} slots={slots} name={name} silence_ms={silence_ms}\n");
        stream.write_all(request.as_bytes()).doing(&path, "write to it")?;
        let mut bytes = [0; 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let got = rustix::net::recvmsg(&stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
            .doing(&path, "read the answer")?;
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let answer = String::from_utf8_lossy(&bytes[..got.bytes]).trim_end().to_string();
        let told = |key: &str| -> Option<u64> {
            let (_, rest) = answer.split_once(&format!("\"{key}\":"))?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let ids = (told("session_id"), told("client_id"), told("epoch"));
        let mut fds = fds.into_iter();
        match (ids, fds.next(), fds.next(), fds.next()) {
            (
                (Some(session), Some(client), Some(epoch)),
                Some(ring),
                Some(bell),
                Some(own_bell),
            ) => Ok(Self {
                producer: Producer::from_fd(ring)?,
                bell,
                own_bell,
                session_id: session as u16,
                client_id: client as u32,
                epoch,
                log: Reader::open(desk.ring_path(), Follow::Committed)?,
                board: BoardView::open(&desk)?,
                stream,
                path,
                has_left: false,
            }),
            _ => refused(format!("attach to {}: {answer}", path.display())),
        }
    }

    /// Number of this client in the desk's run, and the epoch of that run: together never again.
    pub fn life(&self) -> (u64, u32) {
        (self.epoch, self.client_id)
    }

    /// Last event that it may read.
    pub fn committed_seq(&self) -> u64 {
        self.log.end_seq()
    }

    /// Best bid and offer of an instrument as the gate sees them.
    pub fn quote(&self, instrument_id: u32) -> Option<Quote> {
        self.board.quote(instrument_id)
    }

    /// Counts changes of quotes and of whether the desk is open.
    pub fn version(&self) -> u64 {
        self.board.version()
    }

    /// Whether the desk takes new orders.
    pub fn is_open(&self) -> bool {
        self.board.is_open()
    }

    /// Gives a sign of life.
    pub fn beat(&mut self) {
        self.producer.beat();
    }

    /// Takes leave in order: its orders are canceled as ever, but it is not named as lost.
    /// Nothing is pushed afterwards.
    pub fn detach(&mut self) {
        self.has_left = true;
        let _ = self.stream.write_all(b"detach\n"); // a desk that is gone needs no leave
    }

    /// Sleeps until there is an event past `seen_seq` or a board past `seen_version`, or for `max`.
    /// An error when the desk has cut the client off or is gone.
    pub fn wait(&mut self, seen_seq: u64, seen_version: u64, max: Duration) -> Result<()> {
        self.producer.beat();
        self.producer.sleep();
        if self.log.end_seq() <= seen_seq && self.board.version() == seen_version {
            let mut fds = [
                PollFd::new(&self.own_bell, PollFlags::IN),
                PollFd::new(&self.stream, PollFlags::IN),
            ];
            let timeout =
                Timespec { tv_sec: max.as_secs() as i64, tv_nsec: i64::from(max.subsec_nanos()) };
            // An interruption is a waking like any other.
            let _ = rustix::event::poll(&mut fds, Some(&timeout));
        }
        self.producer.awake();
        let mut rung = [0; 8];
        let _ = rustix::io::read(&self.own_bell, &mut rung); // empty is the usual answer
        self.check()
    }

    /// An error when the desk has cut the client off or is gone: nothing it pushes is taken any more.
    pub fn check(&self) -> Result<()> {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(&self.stream, &mut byte, flags) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => {
                refused(format!("{}: the desk closed the connection", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Session that the ring is bound to.
    pub fn session_id(&self) -> u16 {
        self.session_id
    }

    /// Hands a command over; its verdict is the event that carries the number returned.
    #[inline]
    pub fn push(&mut self, record: &Record) -> Result<u64> {
        self.push_together(std::slice::from_ref(record))
    }

    /// Hands an order or replace over behind the terms that it carries: both, or neither where the
    /// ring has no room for both. Its verdict is the event that carries the number returned.
    pub fn push_with(&mut self, offer: &Record, record: &Record) -> Result<u64> {
        self.push_together(&[*offer, *record])
    }

    #[inline]
    fn push_together(&mut self, records: &[Record]) -> Result<u64> {
        if self.has_left {
            return refused("the client took leave of the desk: nothing is sent any more");
        }
        let pushed = self.producer.push_all(records)?;
        if pushed.wake {
            self.ring();
        }
        Ok(pushed.command_seq)
    }

    /// Hands over as many as fit; how many, and the number of the last.
    pub fn push_many(&mut self, records: &[Record]) -> (usize, u64) {
        let (count, pushed) = self.producer.push_many(records);
        if pushed.wake {
            self.ring();
        }
        (count, pushed.command_seq)
    }

    #[cold]
    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes()); // full: it was rung already
    }
}
