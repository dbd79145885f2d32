//! `Port`: what Python holds of an engine, a desk or a fold. Reads for people, steps for facts; the
//! hot commands go by the C table on the capsule this class hands out.
//!
//! Any thread, one at a time: a method waits for the lock without the GIL. What must stay true: no
//! Python object is made, and so no Python code runs, while the lock is held.

use crate::core::{Core, Inline, Shared};
use crate::error::{OrRaise, oms_error};
use crate::views;
use crate::{capacity, ffi};
use engine::book::{BookOrder, Level};
use engine::limits::{is_removed, loosened};
use layout::{
    Entity, ExecutionReport, LimitRow, Quote, Record, ReportText, Scope, Side, Typed, text,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// An engine, a desk or a fold of a log.
#[pyclass(subclass, frozen, module = "pyoms_native")]
pub struct Port {
    pub(crate) shared: ffi::Port,
}

/// A limit that a row loosens: place of the row, name, old and new value.
type Loosened = (usize, &'static str, Option<i64>, Option<i64>);

/// Levels of a book side or its orders, in trading order.
type Rows<T> = (Vec<T>, Vec<T>);

impl Port {
    pub(crate) fn of(core: Core) -> Self {
        Self { shared: Arc::new(Shared::new(core)) }
    }

    /// Runs `work` under the lock and without the GIL.
    pub(crate) fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Core) -> T + Send,
    ) -> PyResult<T> {
        let broken = "the engine is broken: an earlier call panicked; nothing more is taken";
        let done = py.detach(|| match self.shared.lock() {
            Ok(mut core) if !matches!(*core, Core::Closed) => Ok(work(&mut core)),
            Ok(_) => Err("the desk was closed"),
            Err(_) => Err(broken),
        });
        done.or_raise(py, "EngineError")
    }
}

fn list<'py, T>(
    py: Python<'py>,
    rows: Vec<T>,
    dict: impl Fn(&T) -> PyResult<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for row in &rows {
        list.append(dict(row)?)?;
    }
    Ok(list)
}

#[pymethods]
impl Port {
    /// What the C table's `port_*` functions take; it keeps the engine alive by itself.
    fn capsule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, Arc::clone(&self.shared), c"pyoms_native.Port")
    }

    /// A reader of this engine's ring for the C table's `tape_*` functions.
    fn tape<'py>(&self, py: Python<'py>, from_seq: u64) -> PyResult<Bound<'py, PyCapsule>> {
        let view = self.with(py, |core| core.view())?.ok_or_else(|| {
            oms_error(py, "EngineError", "a fold of a log has no ring; read the log itself")
        })?;
        let tape = ffi::tape(view.reader(ffi::FOLLOW, from_seq));
        PyCapsule::new_with_value(py, tape, c"pyoms_native.Tape")
    }

    /// Takes one input of 128 bytes, a fact of the host or market data included; the verdict's code.
    fn step(&self, py: Python<'_>, record: &[u8]) -> PyResult<u16> {
        let record = views::record(py, record)?;
        let (live, verdict) = self.with(py, |core| (core.is_live(), core.step(&record)))?;
        match live {
            true => Ok(verdict.code()),
            false => Err(oms_error(py, "EngineError", "a fold of a log takes no input")),
        }
    }

    /// Takes many inputs that lie side by side, market data say; the verdicts' codes that were not 0.
    fn step_many(&self, py: Python<'_>, records: &[u8]) -> PyResult<Vec<(usize, u16)>> {
        let records: Result<Vec<Record>, _> =
            records.chunks(layout::RECORD_SIZE).map(|chunk| views::record(py, chunk)).collect();
        let records = records?;
        self.with(py, |core| {
            let coded = records.iter().map(|record| core.step(record).code()).enumerate();
            coded.filter(|&(_, code)| code != 0).collect()
        })
    }

    /// Takes a venue's report and the words that came with it; the disposition's code.
    #[pyo3(signature = (report, text=None))]
    fn report(&self, py: Python<'_>, report: &[u8], text: Option<&[u8]>) -> PyResult<u8> {
        let report = views::record(py, report)?;
        let text = text.map(|text| views::record(py, text)).transpose()?;
        let Some(report) = ExecutionReport::from_record(&report) else {
            let text = format!("kind {} is not an execution report's", report.header.kind);
            return Err(oms_error(py, "EngineError", text));
        };
        let text = text.as_ref().and_then(ReportText::from_record);
        let taken = self.with(py, |core| core.step_report(report, text))?;
        Ok(taken.code())
    }

    /// The present time of its clock, UTC ns.
    fn now_ns(&self, py: Python<'_>) -> PyResult<i64> {
        self.with(py, |core| core.now_ns())
    }

    /// Sets the clock of an inline engine; None gives it back to the wall clock.
    fn set_now_ns(&self, py: Python<'_>, now_ns: Option<i64>) -> PyResult<()> {
        self.with(py, |core| core.set_now_ns(now_ns))?.or_raise(py, "EngineError")
    }

    /// A copy of one record of the ring; None when it is not (or no longer) there.
    fn record<'py>(&self, py: Python<'py>, seq: u64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let record = self.with(py, |core| core.record_at(seq))?;
        Ok(record.map(|record| views::bytes(py, &record)))
    }

    /// Hash of all state that the log folds into.
    fn state_hash(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |core| core.engine().state_hash())
    }

    /// Sequence of the last event folded.
    #[getter]
    fn event_seq(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |core| core.engine().event_seq())
    }

    /// Time of the last event folded, UTC ns.
    #[getter]
    fn event_time_ns(&self, py: Python<'_>) -> PyResult<i64> {
        self.with(py, |core| core.engine().time_ns())
    }

    /// Capacities of the engine.
    fn capacities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let config = self.with(py, |core| core.engine().config().clone())?;
        capacity::shown(py, &config)
    }

    /// Orders, oldest first: the live ones, or all that are remembered.
    #[pyo3(signature = (*, live=true))]
    fn orders<'py>(&self, py: Python<'py>, live: bool) -> PyResult<Bound<'py, PyList>> {
        let mut rows = self.with(py, |core| {
            let engine = core.engine();
            let row = |order: &engine::Order| (order.order_seq, host::order_row(engine, order));
            match live {
                true => engine.live_orders().map(row).collect::<Vec<_>>(),
                false => engine.all_orders().map(row).collect(),
            }
        })?;
        rows.sort_by_key(|(order_seq, _)| *order_seq);
        list(py, rows, |(_, row)| views::dict(py, row))
    }

    /// One order by our number; None when it is not remembered.
    fn order<'py>(&self, py: Python<'py>, seq: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let row = self.with(py, |core| {
            let engine = core.engine();
            engine.order(seq).map(|order| host::order_row(engine, order))
        })?;
        row.map(|row| views::dict(py, &row)).transpose()
    }

    /// Our number of the order that a client's id names; None when it is not remembered.
    fn order_of(&self, py: Python<'_>, session_id: u16, cl_ord_id: &str) -> PyResult<Option<u64>> {
        let id = text(cl_ord_id);
        self.with(py, |core| core.engine().order_of(session_id, &id).map(|o| o.order_seq))
    }

    /// Positions that were ever touched, by account and instrument.
    fn positions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows: Vec<_> = self.with(py, |core| {
            let engine = core.engine();
            engine.positions().map(|p| host::position_row(engine, &p)).collect()
        })?;
        list(py, rows, |row| views::dict(py, row))
    }

    /// Position of one account in one instrument.
    fn position<'py>(
        &self,
        py: Python<'py>,
        account_id: u32,
        instrument_id: u32,
    ) -> PyResult<Bound<'py, PyDict>> {
        let row = self.with(py, |core| {
            let engine = core.engine();
            let config = engine.config();
            let known = (account_id as usize) < config.accounts_max
                && (instrument_id as usize) < config.instruments_max;
            known.then(|| host::position_row(engine, &engine.position(account_id, instrument_id)))
        })?;
        match row {
            Some(row) => views::dict(py, &row),
            None => {
                let text = format!("account {account_id}, instrument {instrument_id}: no such row");
                Err(oms_error(py, "EngineError", text))
            }
        }
    }

    /// The long and the short leg of a hedging account's position; none of an account that never hedged.
    fn legs<'py>(
        &self,
        py: Python<'py>,
        account_id: u32,
        instrument_id: u32,
    ) -> PyResult<Bound<'py, PyList>> {
        let rows = self.with(py, |core| {
            let engine = core.engine();
            let config = engine.config();
            let known = (account_id as usize) < config.accounts_max
                && (instrument_id as usize) < config.instruments_max;
            let rows = known.then(|| host::leg_rows(engine, account_id, instrument_id));
            rows.unwrap_or_default()
        })?;
        list(py, rows, |row| views::dict(py, row))
    }

    /// What the live orders of an account in an instrument may still cost, worst case: quantity of the
    /// buys, of the sells, value of the buys, of the sells, in points at 1e-18.
    fn exposure(
        &self,
        py: Python<'_>,
        account_id: u32,
        instrument_id: u32,
    ) -> PyResult<(i64, i64, i128, i128)> {
        self.with(py, |core| {
            let engine = core.engine();
            let config = engine.config();
            let known = (account_id as usize) < config.accounts_max
                && (instrument_id as usize) < config.instruments_max;
            known.then(|| {
                let row = engine.row(account_id, instrument_id);
                let ((buys, sells), points) = (row.open_qty(), row.open_points());
                (buys, sells, points.0, points.1)
            })
        })
        .map(Option::unwrap_or_default)
    }

    /// Gross, worst long and worst short of an account in desk currency at 1e-6, as limits count them.
    fn account_sums(&self, py: Python<'_>, account_id: u32) -> PyResult<(i128, i128, i128)> {
        self.with(py, |core| {
            let engine = core.engine();
            let known = (account_id as usize) < engine.config().accounts_max;
            known.then(|| engine.account_sums(account_id))
        })
        .map(Option::unwrap_or_default)
    }

    /// Best bid and offer as the gate sees them: (bid price, size, offer price, size, time ns).
    fn quote(&self, py: Python<'_>, instrument_id: u32) -> PyResult<(i64, i64, i64, i64, i64)> {
        let quote = self.with(py, |core| match core.engine().config().instruments_max {
            max if (instrument_id as usize) < max => {
                core.engine().instrument(instrument_id).quote()
            }
            _ => Quote { bid_px: layout::NO_PRICE, ask_px: layout::NO_PRICE, ..Quote::ZERO },
        })?;
        Ok((quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty, quote.transact_time_ns))
    }

    /// L2: (bids, offers), each a list of (price, size, orders), best first, at most `depth`; None
    /// for an instrument without market by order.
    fn book_levels(
        &self,
        py: Python<'_>,
        instrument_id: u32,
        depth: usize,
    ) -> PyResult<Option<Rows<(i64, i64, u32)>>> {
        self.with(py, |core| {
            let row = |l: Level| (l.price, l.qty, l.count);
            let book = core.engine().book(instrument_id)?;
            let side = |side| book.levels(side).take(depth).map(row).collect();
            Some((side(Side::Buy), side(Side::Sell)))
        })
    }

    /// L3: (bids, offers), each a list of (order_ref, price, size) in trading order, at most `depth`.
    fn book_orders(
        &self,
        py: Python<'_>,
        instrument_id: u32,
        depth: usize,
    ) -> PyResult<Option<Rows<(u64, i64, i64)>>> {
        self.with(py, |core| {
            let row = |o: BookOrder| (o.order_ref, o.price, o.qty);
            let book = core.engine().book(instrument_id)?;
            let side = |side| book.walk(side).take(depth).map(row).collect();
            Some((side(Side::Buy), side(Side::Sell)))
        })
    }

    /// Last traded price seen of an instrument, NO_PRICE for none.
    fn last_px(&self, py: Python<'_>, instrument_id: u32) -> PyResult<i64> {
        self.with(py, |core| match core.engine().config().instruments_max {
            max if (instrument_id as usize) < max => {
                core.engine().instrument(instrument_id).last_px()
            }
            _ => layout::NO_PRICE,
        })
    }

    /// Every definition, oldest first.
    fn definitions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.with(py, |core| core.engine().definitions().to_vec())?;
        list(py, rows, |row| views::definition(py, row))
    }

    /// The number of a name of an entity (its code); None while it is not defined.
    fn id_of(&self, py: Python<'_>, entity: u8, name: &str) -> PyResult<Option<u32>> {
        let entity = Entity::from_code(entity).ok_or_else(|| {
            oms_error(py, "EngineError", format!("entity {entity} is not a code of `entity`"))
        })?;
        self.with(py, |core| core.engine().id_of(entity, name))
    }

    /// Terms of an instrument, the 128 bytes as defined; None while it has none.
    fn terms<'py>(
        &self,
        py: Python<'py>,
        instrument_id: u32,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let terms = self.with(py, |core| {
            let engine = core.engine();
            let known = (instrument_id as usize) < engine.config().instruments_max;
            known.then(|| *engine.terms(instrument_id)).filter(|terms| terms.tick != 0)
        })?;
        Ok(terms.map(|terms| views::bytes(py, terms.as_record())))
    }

    /// Kill mode of a scope and number, as a code.
    fn mode_in(&self, py: Python<'_>, scope: u8, target_id: u32) -> PyResult<u8> {
        let scope = Scope::from_code(scope).ok_or_else(|| {
            oms_error(py, "EngineError", format!("scope {scope} is not a code of `scope`"))
        })?;
        self.with(py, |core| core.engine().mode_in(scope, target_id))
    }

    /// State of a venue: (link state, phase, last sequence out, last sequence in) as codes and numbers.
    fn venue(&self, py: Python<'_>, venue_id: u16) -> PyResult<(u8, u8, u32, u32)> {
        self.with(py, |core| {
            let engine = core.engine();
            match (venue_id as usize) < engine.config().venues_max {
                true => {
                    let v = engine.venue(venue_id);
                    (v.link(), v.phase(), v.link_seq_out(), v.link_seq_in())
                }
                false => (0, 0, 0, 0),
            }
        })
    }

    /// Every row of limits in force, 128 bytes each, side by side.
    fn limit_rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let rows: Vec<LimitRow> = self.with(py, |core| core.engine().limit_rows().collect())?;
        Ok(PyBytes::new(py, rows.as_bytes()))
    }

    /// Hash of all rows of limits in force.
    fn limits_hash(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |core| core.engine().limits_hash())
    }

    /// The limits that rows, side by side, would loosen: (row, limit, old and new value; None without
    /// one). A row that takes limits away loosens all of them.
    fn loosened(&self, py: Python<'_>, rows: &[u8]) -> PyResult<Vec<Loosened>> {
        let records: Result<Vec<Record>, _> =
            rows.chunks(layout::RECORD_SIZE).map(|chunk| views::record(py, chunk)).collect();
        let records = records?;
        let found = self.with(py, |core| -> Result<Vec<Loosened>, String> {
            let mut found = Vec::new();
            for (at, record) in records.iter().enumerate() {
                let row = LimitRow::from_record(record);
                let Some(row) = row.filter(|row| core.engine().limit_row_fits(row)) else {
                    return Err(format!("row {at} is no row of limits that fits"));
                };
                let old = core.engine().limit_in_force(row);
                for field in loosened(old.as_ref(), row) {
                    let was = old.as_ref().map(|old| (field.value)(old));
                    let is = (!is_removed(row)).then(|| (field.value)(row));
                    found.push((at, field.name, was, is));
                }
            }
            Ok(found)
        })?;
        found.or_raise(py, "EngineError")
    }

    /// Counters and what the engine says of itself.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (c, rest) = self.with(py, |core| {
            let e = core.engine();
            let rest = [
                ("live_orders", e.live_count()),
                ("asked_cancels", e.asked_count()),
                ("recovering", u64::from(e.recovering())),
                ("desk_mode", u64::from(e.desk_mode())),
                ("control_epoch", e.control_epoch()),
                ("epoch", e.epoch()),
                ("event_seq", e.event_seq()),
                ("limits_version", e.limits_version()),
            ];
            (*e.counters(), rest)
        })?;
        let dict = PyDict::new(py);
        for (name, value) in [
            ("commands", c.commands),
            ("accepted", c.accepted),
            ("refused", c.refused),
            ("repeated", c.repeated),
            ("reports", c.reports),
            ("fills", c.fills),
            ("flagged", c.flagged),
            ("unlogged_refusals", c.unlogged_refusals),
            ("market_data", c.market_data),
            ("book_faults", c.book_faults),
        ]
        .into_iter()
        .chain(rest)
        {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

/// An engine on the caller's thread, tier memory: no files, no venue link; the caller is the venue.
#[pyclass(extends = Port, frozen, module = "pyoms_native")]
pub struct Engine;

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (capacities=None, *, ring_slots=1 << 16, now_ns=None))]
    fn new(
        py: Python<'_>,
        capacities: Option<&Bound<'_, PyDict>>,
        ring_slots: u64,
        now_ns: Option<i64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let config = capacity::read(capacities)?;
        let inline = py.detach(|| Inline::new(&config, ring_slots, now_ns));
        let core = Core::Inline(Box::new(inline.or_raise(py, "EngineError")?));
        Ok(PyClassInitializer::from(Port::of(core)).add_subclass(Self))
    }

    /// A second engine that has folded this one's log up to `at_seq` and goes on from there, as after
    /// a crash at that event; EngineError when the ring no longer holds that log.
    fn recovered(slf: &Bound<'_, Self>, at_seq: u64) -> PyResult<Py<Self>> {
        let py = slf.py();
        let recovered = slf.as_super().get().with(py, |core| match core {
            Core::Inline(inline) => inline.recovered(at_seq),
            _ => Err("only an engine in memory is recovered from its ring".into()),
        })?;
        let core = Core::Inline(Box::new(recovered.or_raise(py, "EngineError")?));
        Py::new(py, PyClassInitializer::from(Port::of(core)).add_subclass(Self))
    }
}
