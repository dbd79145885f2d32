//! The desk's part of limits as data: rows come in over `control.sock`, are held against what is in
//! force as they come, and are staged in the log a few a round, between decisions, until one event
//! puts them in force. Runs on the engine thread. What must stay true: a change is judged whole before
//! its first event; the old limits hold until the new ones do, whole; no round takes more than `ROWS`.

use crate::change::{Asked, Change, HASH_START, hash_on};
use crate::options::{Result, refused};
use crate::status::quoted;
use crate::{Desk, Request, Who};
use engine::Engine;
use engine::limits::{is_removed, loosened, scope_of};
use layout::{Entity, LimitRow, LimitsActivated, Scope, Typed, text, text_of};
use std::fmt::Write;

/// Rows that are taken in, and that are staged, in one round between decisions.
pub(crate) const ROWS: usize = 8;
/// Loosened limits that are told one by one.
const TOLD_MAX: usize = 50;

/// Rows on their way to being a change.
#[derive(Debug)]
pub(crate) struct Draft {
    pub rows: Vec<LimitRow>,
    pub hash: u64,
    base: u64,
    /// Limits that it loosens, and the first of them told: scope, names, field, old and new value.
    pub loosened_count: usize,
    pub told: Vec<String>,
}

impl Draft {
    /// A draft of `count` rows over the limits of version `base`.
    pub(crate) fn new(engine: &Engine, count: usize, base: u64) -> Result<Self> {
        let most = engine.limits_max();
        if count == 0 || count > most {
            return refused(format!("{count} rows of limits: allowed are 1 to {most}"));
        }
        let (rows, told) = (Vec::with_capacity(count), Vec::new());
        let draft = Self { rows, hash: HASH_START, base, loosened_count: 0, told };
        draft.check_base(engine.limits_version())?;
        Ok(draft)
    }

    pub(crate) fn check_base(&self, in_force: u64) -> Result<()> {
        if self.base != in_force {
            let base = self.base;
            return refused(format!(
                "the change was worked out against limits version {base}, in force is {in_force}: \
                 work it out again"
            ));
        }
        Ok(())
    }

    /// Takes a row in, held against what is in force.
    pub(crate) fn add(&mut self, engine: &Engine, row: &LimitRow) -> Result<()> {
        let number = self.rows.len() + 1;
        if row.header.kind != LimitRow::KIND || !engine.limit_row_fits(row) {
            return refused(format!("row {number} of the change is no row of limits that fits"));
        }
        if !engine.limit_row_known(row) {
            let scope = scope_of(row).map_or("", Scope::name);
            let (account, instrument) = (row.account_id, row.instrument_id);
            return refused(format!(
                "row {number} of the change: {scope} of account {account}, instrument {instrument}, \
                 {} is not defined on this desk",
                row.entity_id
            ));
        }
        let mut row = *row;
        row.header = layout::Header { kind: LimitRow::KIND, ..layout::Header::ZERO };
        row.limits_version = 0;
        let old = engine.limit_in_force(&row);
        for field in loosened(old.as_ref(), &row) {
            self.loosened_count += 1;
            if self.told.len() < TOLD_MAX {
                let was = old.as_ref().map(|old| (field.value)(old));
                let is = (!is_removed(&row)).then(|| (field.value)(&row));
                self.told.push(told(engine, &row, field.name, was, is));
            }
        }
        self.hash = hash_on(self.hash, zerocopy::IntoBytes::as_bytes(&row));
        self.rows.push(row);
        Ok(())
    }
}

/// What the `entity_id` of a row of this scope names.
fn entity_of(scope: Option<layout::Scope>) -> Entity {
    match scope {
        Some(layout::Scope::Strategy) => Entity::Strategy,
        Some(layout::Scope::Trader) => Entity::Trader,
        Some(layout::Scope::Sector) => Entity::Sector,
        _ => Entity::Session,
    }
}

/// One loosened limit as JSON: whose, which, from what to what; null for no row.
fn told(engine: &Engine, row: &LimitRow, field: &str, was: Option<i64>, is: Option<i64>) -> String {
    let name = |entity: Entity, id: u32| {
        let found = engine.definitions().iter().find(|d| d.entity == entity.code() && d.id == id);
        quoted(found.map_or("", |d| text_of(&d.name)))
    };
    let number = |value: Option<i64>| value.map_or("null".into(), |value| value.to_string());
    let scope = scope_of(row).map_or("", Scope::name);
    let mut out = format!("{{\"scope\":{}", quoted(scope));
    for (entity, id) in [
        (Entity::Account, row.account_id),
        (Entity::Instrument, row.instrument_id),
        (entity_of(scope_of(row)), row.entity_id.into()),
    ] {
        if id != 0 {
            let _ = write!(out, ",{}:{}", quoted(entity.name()), name(entity, id));
        }
    }
    let (field, was, is) = (quoted(field), number(was), number(is));
    let _ = write!(out, ",\"field\":{field},\"old\":{was},\"new\":{is}}}");
    out
}

/// A change on its way into force.
#[derive(Debug)]
pub(crate) struct Staging {
    change: Change,
    approver: String,
    limits_version: u64,
    at: usize,
}

impl Desk {
    /// A person of this process asks for rows of limits, worked out against version `base`.
    pub fn request_limits<'a>(
        &mut self,
        rows: &[LimitRow],
        base: u64,
        who: impl Into<Who<'a>>,
        reason: &str,
    ) -> Result<Request> {
        let mut draft = Draft::new(&self.engine, rows.len(), base)?;
        for row in rows {
            draft.add(&self.engine, row)?;
        }
        self.request_draft(draft, who.into(), reason)
    }

    pub(crate) fn check_staging(&self) -> Result<()> {
        match &self.staging {
            Some(s) => refused(format!(
                "version {} of the limits is being staged, {} of {} rows: ask again when it is in \
                 force",
                s.limits_version,
                s.at,
                rows_of(&s.change).len()
            )),
            None => Ok(()),
        }
    }

    /// Who changes what is an event; the rows follow in the rounds to come. The version they will be.
    pub(crate) fn stage(&mut self, change: Change, approver: &str) -> u64 {
        self.log_change(&change, approver);
        let limits_version = self.engine.limits_version() + 1;
        let approver = approver.to_string();
        self.staging = Some(Staging { change, approver, limits_version, at: 0 });
        limits_version
    }

    /// Stages a few rows more, or puts what is staged in force; whether there was something to do. It
    /// leaves half of the ring to orders.
    pub(crate) fn stage_limits(&mut self) -> bool {
        if self.staging.is_none() || self.log.ring.room() < self.options.ring_slots / 2 {
            return false;
        }
        let Some(mut staging) = self.staging.take() else { return false };
        let rows = rows_of(&staging.change);
        for row in &rows[staging.at..rows.len().min(staging.at + ROWS)] {
            let verdict = self.take(&Engine::limit_record(row, staging.limits_version));
            assert!(verdict == layout::Verdict::Accepted); // it was judged as it came in
        }
        staging.at += ROWS;
        if staging.at < rows.len() {
            self.staging = Some(staging);
            return true;
        }
        let mut event = LimitsActivated::ZERO;
        (event.header.kind, event.limits_version) = (LimitsActivated::KIND, staging.limits_version);
        event.person = text(&staging.change.person);
        event.approver = text(&staging.approver);
        event.change_hash = staging.change.hash;
        let verdict = self.take(event.as_record());
        assert!(verdict == layout::Verdict::Accepted); // nothing else raises the version meanwhile
        true
    }

    /// Whether a change of limits is on its way into force.
    pub fn is_staging(&self) -> bool {
        self.staging.is_some()
    }

    /// Limits in force, what is staged and what waits for its second person, as one line of JSON.
    pub(crate) fn tell_limits(&mut self) -> String {
        let (version, hash) = (self.engine.limits_version(), self.engine.limits_hash());
        let mut out = format!(
            "{{\"ok\":true,\"limits_version\":{version},\"limits_hash\":\"{hash:#018x}\",\"staging\":"
        );
        match &self.staging {
            Some(s) => {
                let (version, at, rows) = (s.limits_version, s.at, rows_of(&s.change).len());
                let _ =
                    write!(out, "{{\"limits_version\":{version},\"staged\":{at},\"rows\":{rows}}}");
            }
            None => out.push_str("null"),
        }
        out.push_str(",\"waiting\":");
        match self.waiting_limits() {
            Some((change, left_ns)) => {
                let (hash, person) = (change.hash, quoted(&change.person));
                let reason = quoted(&change.reason);
                let seconds = left_ns / 1_000_000_000;
                let _ = write!(
                    out,
                    "{{\"change_hash\":\"{hash:#018x}\",\"person\":{person},\"reason\":{reason},\
                     \"expires_s\":{seconds},{}}}",
                    tell_change(change)
                );
            }
            None => out.push_str("null"),
        }
        out.push('}');
        out
    }

    /// What a change that waits for its second person loosens.
    pub(crate) fn tell_asked(&self, change_hash: u64) -> String {
        let found = self.changes.iter().find(|change| change.hash == change_hash);
        found.map_or_else(String::new, tell_change)
    }
}

fn rows_of(change: &Change) -> &[LimitRow] {
    match &change.asked {
        Asked::Limits(draft) => &draft.rows,
        Asked::Release { .. } => &[],
    }
}

fn tell_change(change: &Change) -> String {
    let Asked::Limits(draft) = &change.asked else { return String::new() };
    let (rows, count, told) = (draft.rows.len(), draft.loosened_count, draft.told.join(","));
    format!("\"rows\":{rows},\"loosened_count\":{count},\"loosened\":[{told}]")
}
