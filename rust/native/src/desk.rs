//! A desk with its files, links and clients: inline on the caller's thread, or on a thread of its own;
//! and a client of a running one.
//!
//! Called by `pyoms.oms`. Everything that waits does so without the GIL. What must stay true: the
//! options are read here and judged by `host`; no decision is taken here.

use crate::capacity;
use crate::core::Core;
use crate::error::{OrRaise, oms_error};
use crate::port::Port;
use crate::views;
use host::{Attach, DeskOptions, JournalMode, Person, SessionPolicy, VenueLink};
use journal::ControlSizes;
use layout::{KillMode, NO_PRICE, Quote, Record, Scope, Tier};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Longest sleep between looks at signals of the interpreter.
const SLICE: Duration = Duration::from_millis(50);

fn tier_of(py: Python<'_>, name: &str) -> PyResult<Tier> {
    let known = Tier::ALL.iter().copied().find(|tier| tier.name() == name);
    let text = format!("tier {name} is not one of memory, process, disk");
    known.ok_or_else(|| oms_error(py, "DeskError", text))
}

/// One venue's link from a dict; what is not there keeps its default.
fn link(py: Python<'_>, dict: &Bound<'_, PyDict>) -> PyResult<VenueLink> {
    let mut link = VenueLink::default();
    for (key, value) in dict.iter() {
        let key: String = key.extract()?;
        match key.as_str() {
            "name" => link.name = value.extract()?,
            "socket_path" => link.socket_path = value.extract()?,
            "cancel_on_disconnect" => link.cancel_on_disconnect = value.extract()?,
            "lock_step" => link.lock_step = value.extract()?,
            "heartbeat_ms" => link.heartbeat_ms = value.extract()?,
            "cancels_per_s_max" => link.cancels_per_s_max = value.extract()?,
            "mass_cancel" => link.mass_cancel = value.extract()?,
            "kill_confirm_ms_max" => link.kill_confirm_ms_max = value.extract()?,
            _ => {
                let text = format!("{key} is no option of a venue's link");
                return Err(oms_error(py, "DeskError", text));
            }
        }
    }
    Ok(link)
}

/// Options from a dict; what is not there keeps its default.
fn options(py: Python<'_>, dict: &Bound<'_, PyDict>) -> PyResult<DeskOptions> {
    let mut options = DeskOptions { journal: JournalMode::Inline, ..DeskOptions::default() };
    for (key, value) in dict.iter() {
        let key: String = key.extract()?;
        match key.as_str() {
            "path" => options.path = value.extract()?,
            "shm_root" => options.shm_root = value.extract()?,
            "name" => options.name = value.extract()?,
            "tier" => options.tier = tier_of(py, &value.extract::<String>()?)?,
            "ring_slots" => options.ring_slots = value.extract()?,
            "segment_records" => options.segment_records = value.extract()?,
            "capacities" => options.engine = capacity::read(Some(value.cast::<PyDict>()?))?,
            "venues" => {
                for row in value.try_iter()? {
                    options.venues.push(link(py, row?.cast::<PyDict>()?)?);
                }
            }
            "people" => {
                for row in value.try_iter()? {
                    let (name, risk, uid) = row?.extract::<(String, bool, Option<u32>)>()?;
                    options.people.push(Person { name, risk, uid });
                }
            }
            "sessions" => {
                for row in value.try_iter()? {
                    let (name, cancel_on_disconnect) = row?.extract::<(String, bool)>()?;
                    options.sessions.push(SessionPolicy { name, cancel_on_disconnect });
                }
            }
            "config_hash" => options.config_hash = value.extract()?,
            "spin" => options.spin = value.extract()?,
            "cpu" => options.cpu = value.extract()?,
            "journal_thread" => {
                options.journal = match value.extract::<bool>()? {
                    true => JournalMode::Thread,
                    false => JournalMode::Inline,
                }
            }
            "start_ns" => options.start_ns = value.extract()?,
            "crash_at_seq" => options.crash_at_seq = value.extract()?,
            _ => {
                let text = format!("{key} is no option of a desk");
                return Err(oms_error(py, "DeskError", text));
            }
        }
    }
    let engine = &options.engine;
    options.control = ControlSizes {
        accounts_max: (engine.accounts_max - 1) as u32,
        instruments_max: (engine.instruments_max - 1) as u32,
        venues_max: (engine.venues_max - 1) as u32,
        sessions_max: (engine.sessions_max - 1) as u32,
        strategies_max: (engine.strategies_max - 1) as u32,
        ..ControlSizes::default()
    };
    Ok(options)
}

fn scope_of(py: Python<'_>, name: &str) -> PyResult<Scope> {
    let known = Scope::ALL.iter().copied().find(|scope| scope.name() == name);
    let text =
        format!("scope {name} is not one of desk, account, instrument, venue, session, strategy");
    known.ok_or_else(|| oms_error(py, "DeskError", text))
}

fn mode_of(py: Python<'_>, name: &str) -> PyResult<KillMode> {
    let known = KillMode::ALL.iter().copied().find(|mode| mode.name() == name);
    let text = format!("mode {name} is not one of reduce_only, cancel_only, halt");
    known.ok_or_else(|| oms_error(py, "DeskError", text))
}

/// A desk on the caller's thread.
#[pyclass(extends = Port, frozen, module = "pyoms_native")]
pub struct Desk;

/// Runs `work` on the desk behind a `Port`, under its lock and without the GIL.
fn with<T: Send>(
    slf: &Bound<'_, Desk>,
    work: impl FnOnce(&mut host::Desk) -> host::Result<T> + Send,
) -> PyResult<T> {
    let py = slf.py();
    let done = slf.as_super().get().with(py, |core| match core {
        Core::Desk(desk, _) => work(desk).map_err(|error| error.to_string()),
        _ => Err("this is no desk".to_owned()),
    })?;
    done.or_raise(py, "DeskError")
}

#[pymethods]
impl Desk {
    #[new]
    fn new(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<PyClassInitializer<Self>> {
        let options = self::options(py, options)?;
        let desk = py.detach(|| host::Desk::open(options)).or_raise(py, "DeskError")?;
        let port = Port::of(Core::Desk(Box::new(desk), 0));
        Ok(PyClassInitializer::from(port).add_subclass(Self))
    }

    /// One round without blocking; whether there was something to do.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<bool> {
        with(slf, |desk| desk.poll())
    }

    /// Rounds until there was something to do or `timeout_s` is over; whether there was.
    fn wait(slf: &Bound<'_, Self>, timeout_s: f64) -> PyResult<bool> {
        let end = Instant::now() + Duration::from_secs_f64(timeout_s.clamp(0.0, 3600.0));
        loop {
            let some = with(slf, |desk| {
                let some = desk.poll()?;
                let left = end.saturating_duration_since(Instant::now());
                if !some && !left.is_zero() {
                    desk.wait(left.min(SLICE));
                }
                Ok(some)
            })?;
            if some || Instant::now() >= end {
                return Ok(some);
            }
            slf.py().check_signals()?;
        }
    }

    /// Lock-step: the next turn as (virtual time, turn, ended, up), or None after `timeout_s`.
    fn turn(slf: &Bound<'_, Self>, timeout_s: f64) -> PyResult<Option<(i64, u64, bool, bool)>> {
        let timeout = Duration::from_secs_f64(timeout_s.clamp(0.0, 3600.0));
        let turn = slf.as_super().get().with(slf.py(), |core| match core {
            Core::Desk(desk, _) => match desk.turn(timeout) {
                Ok(turn) => Ok(Some((turn.now_ns, turn.turn, turn.ended, turn.up))),
                Err(host::HostError::NoTurn { .. }) => Ok(None),
                Err(error) => Err(error.to_string()),
            },
            _ => Err("this is no desk".to_owned()),
        })?;
        turn.or_raise(slf.py(), "DeskError")
    }

    /// Lock-step: sends what is committed and hands the turn back; None asks for no wake.
    #[pyo3(signature = (wake_ns=None))]
    fn end_turn(slf: &Bound<'_, Self>, wake_ns: Option<i64>) -> PyResult<()> {
        with(slf, |desk| desk.end_turn(wake_ns.unwrap_or(i64::MAX)))
    }

    /// Looks at the kill switch, then sends what is committed; whether nothing waits any more.
    fn flush(slf: &Bound<'_, Self>) -> PyResult<bool> {
        with(slf, |desk| Ok(desk.flush()))
    }

    /// Drill: while True no message leaves.
    fn hold_outbox(slf: &Bound<'_, Self>, hold: bool) -> PyResult<()> {
        with(slf, |desk| {
            desk.hold_outbox(hold);
            Ok(())
        })
    }

    /// Drill: the process kills itself at the first new order appended at or above `seq`.
    fn crash_at_seq(slf: &Bound<'_, Self>, seq: u64) -> PyResult<()> {
        with(slf, |desk| {
            desk.crash_at_seq(seq);
            Ok(())
        })
    }

    /// Whether new orders are taken.
    fn is_open(slf: &Bound<'_, Self>) -> PyResult<bool> {
        with(slf, |desk| Ok(desk.is_open()))
    }

    /// Everything about it at this moment, as JSON.
    fn status_json(slf: &Bound<'_, Self>) -> PyResult<String> {
        with(slf, |desk| Ok(desk.status().to_json()))
    }

    /// Latency of decisions: (upper ns, count) of each bucket that holds something.
    fn decide_histogram(slf: &Bound<'_, Self>) -> PyResult<Vec<(u64, u64)>> {
        with(slf, |desk| Ok(desk.decide_histogram()))
    }

    /// Engages the kill switch; the epoch.
    fn engage(slf: &Bound<'_, Self>, scope: &str, target_id: u32, mode: &str) -> PyResult<u64> {
        let (scope, mode) = (scope_of(slf.py(), scope)?, mode_of(slf.py(), mode)?);
        with(slf, |desk| desk.engage(scope, target_id, mode))
    }

    /// Asks for a release; the hash that a second person approves.
    fn request_release(
        slf: &Bound<'_, Self>,
        scope: &str,
        target_id: u32,
        person: &str,
        reason: &str,
    ) -> PyResult<u64> {
        let scope = scope_of(slf.py(), scope)?;
        with(slf, |desk| desk.request_release(scope, target_id, person, reason))
    }

    /// Approves a release; the epoch.
    fn approve_release(slf: &Bound<'_, Self>, change_hash: u64, person: &str) -> PyResult<u64> {
        with(slf, |desk| desk.approve_release(change_hash, person))
    }

    /// Hands the desk over to an engine thread of its own; this object is closed from then on.
    fn start(slf: &Bound<'_, Self>) -> PyResult<Running> {
        let py = slf.py();
        let started =
            slf.as_super().get().with(py, |core| match std::mem::replace(core, Core::Closed) {
                Core::Desk(desk, _) => desk.start().map_err(|error| error.to_string()),
                _ => Err("this is no desk".to_owned()),
            })?;
        Ok(Running { running: Mutex::new(Some(started.or_raise(py, "DeskError")?)) })
    }

    /// Stops in order: hands over what is committed, writes the log to its end.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let closed =
            slf.as_super().get().with(py, |core| match std::mem::replace(core, Core::Closed) {
                Core::Desk(desk, _) => desk.close().map_err(|error| error.to_string()),
                _ => Ok(()),
            })?;
        closed.or_raise(py, "DeskError")
    }
}

/// A desk on an engine thread of its own; clients reach it by command rings.
#[pyclass(frozen, module = "pyoms_native")]
pub struct Running {
    running: Mutex<Option<host::Running>>,
}

#[pymethods]
impl Running {
    /// Whether the engine thread still runs.
    fn is_alive(&self) -> bool {
        self.running.lock().is_ok_and(|r| r.as_ref().is_some_and(host::Running::is_alive))
    }

    /// Whether the desk takes new orders, a moment ago.
    fn is_open(&self) -> bool {
        self.running.lock().is_ok_and(|r| r.as_ref().is_some_and(host::Running::is_open))
    }

    /// Clients lost since the start, a moment ago.
    fn clients_lost(&self) -> u64 {
        self.running.lock().map_or(0, |r| r.as_ref().map_or(0, host::Running::clients_lost))
    }

    /// Stops in order.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let stopped = py.detach(|| match self.running.lock().ok().and_then(|mut r| r.take()) {
            Some(running) => running.stop().map_err(|error| error.to_string()),
            None => Ok(()),
        });
        stopped.or_raise(py, "DeskError")
    }
}

/// A client of a running desk, in this process or another: commands go by a ring of its own.
#[pyclass(frozen, module = "pyoms_native")]
pub struct Client {
    client: Mutex<host::Client>,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (desk, session, *, name="", slots=4096, silence_ms=0))]
    fn new(
        py: Python<'_>,
        desk: PathBuf,
        session: &str,
        name: &str,
        slots: u64,
        silence_ms: u32,
    ) -> PyResult<Self> {
        let wanted = Attach { session, name, slots, silence_ms };
        let client = py.detach(|| host::Client::attach(desk, wanted));
        Ok(Self { client: Mutex::new(client.or_raise(py, "ClientError")?) })
    }

    /// The session that the desk bound to the ring.
    #[getter]
    fn session_id(&self) -> u16 {
        self.client.lock().map_or(0, |client| client.session_id())
    }

    /// Epoch of the desk's run and number of this client in it: together never again.
    #[getter]
    fn life(&self) -> (u64, u32) {
        self.client.lock().map_or((0, 0), |client| client.life())
    }

    /// Last event that it may read.
    #[getter]
    fn committed_seq(&self) -> u64 {
        self.client.lock().map_or(0, |client| client.committed_seq())
    }

    /// Counts changes of quotes and of whether the desk is open.
    #[getter]
    fn version(&self) -> u64 {
        self.client.lock().map_or(0, |client| client.version())
    }

    /// Whether the desk takes new orders.
    fn is_open(&self) -> bool {
        self.client.lock().is_ok_and(|client| client.is_open())
    }

    /// Best bid and offer as the gate sees them: (bid price, size, offer price, size, time ns).
    fn quote(&self, instrument_id: u32) -> (i64, i64, i64, i64, i64) {
        let found = self.client.lock().ok().and_then(|client| client.quote(instrument_id));
        let none = Quote { bid_px: NO_PRICE, ask_px: NO_PRICE, ..Quote::ZERO };
        let q = found.unwrap_or(none);
        (q.bid_px, q.bid_qty, q.ask_px, q.ask_qty, q.transact_time_ns)
    }

    /// Gives a sign of life: from here on silence counts.
    fn beat(&self, py: Python<'_>) -> PyResult<()> {
        self.inside(py, |client| {
            client.beat();
            Ok(())
        })
    }

    /// Gives a sign of life and sleeps until there is an event past `seen_seq` or a board past
    /// `seen_version`, or for `timeout_s`; ClientError when the desk is gone.
    fn wait(
        &self,
        py: Python<'_>,
        seen_seq: u64,
        seen_version: u64,
        timeout_s: f64,
    ) -> PyResult<()> {
        let max = Duration::from_secs_f64(timeout_s.clamp(0.0, 3600.0)).min(SLICE);
        self.inside(py, |client| client.wait(seen_seq, seen_version, max))
    }

    /// Takes leave in order: its orders are canceled as ever, but it is not named as lost.
    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        self.inside(py, |client| {
            client.detach();
            Ok(())
        })
    }

    /// Hands one command over, and before it the terms that it carries, both or neither; its
    /// command_seq, which its verdict carries.
    #[pyo3(signature = (record, offer=None))]
    fn push(&self, py: Python<'_>, record: &[u8], offer: Option<&[u8]>) -> PyResult<u64> {
        let record = views::record(py, record)?;
        let offer = offer.map(|offer| views::record(py, offer)).transpose()?;
        self.inside(py, |client| match &offer {
            Some(offer) => client.push_with(offer, &record),
            None => client.push(&record),
        })
    }

    /// Hands many over: how many fitted, and the last command_seq.
    fn push_many(&self, py: Python<'_>, records: &[u8]) -> PyResult<(usize, u64)> {
        let records: Result<Vec<Record>, _> =
            records.chunks(layout::RECORD_SIZE).map(|chunk| views::record(py, chunk)).collect();
        let records = records?;
        self.inside(py, |client| Ok(client.push_many(&records)))
    }
}

impl Client {
    /// Runs `work` on the client without the GIL.
    fn inside<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut host::Client) -> host::Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| match self.client.lock() {
            Ok(mut client) => work(&mut client).map_err(|error| error.to_string()),
            Err(_) => Err("the client is broken: an earlier call panicked".to_owned()),
        });
        done.or_raise(py, "ClientError")
    }
}

/// One request to a running desk's `control.sock`, with the bytes that follow it; its answer, a line of
/// JSON.
#[pyfunction]
#[pyo3(signature = (desk, request, follows=None))]
pub fn ask(
    py: Python<'_>,
    desk: PathBuf,
    request: &str,
    follows: Option<&[u8]>,
) -> PyResult<String> {
    let follows = follows.unwrap_or_default();
    py.detach(|| host::ask_with(desk, request, follows)).or_raise(py, "DeskError")
}

/// Engages the kill switch by a desk's control file alone; the epoch. Does not wait for senders.
#[pyfunction]
pub fn engage(
    py: Python<'_>,
    desk: PathBuf,
    scope: &str,
    target_id: u32,
    mode: &str,
) -> PyResult<u64> {
    let (scope, mode) = (scope_of(py, scope)?, mode_of(py, mode)?);
    let engaged = py.detach(|| {
        let desk = journal::DeskDir::open(desk).map_err(|error| error.to_string())?;
        match journal::ControlFile::open(&desk) {
            journal::ControlState::Sound(file) => {
                file.engage(scope, target_id, mode).map_err(|error| error.to_string())
            }
            journal::ControlState::Killed { why } => {
                Err(format!("the whole desk is killed already: {why}"))
            }
        }
    });
    engaged.or_raise(py, "DeskError")
}
