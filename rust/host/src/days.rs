//! Days, phases and clocks of venues as a schedule or an operator tells them, at `control.sock` or
//! inline. Runs on the engine thread. What must stay true: each is an event before it is answered; only
//! a person with the role may say that a day's close is proved, and is named in the event.

use crate::desk::Desk;
use crate::options::{Result, Who, refused};
use layout::{DayChange, Definition, Entity, Phase, PhaseChange, Typed, Verdict, text};

/// Minutes that a zone may be away from UTC.
const OFFSET_MIN_MAX: i64 = 24 * 60;

impl Desk {
    fn venue_named(&self, name: &str) -> Result<Definition> {
        match self.engine().definition(Entity::Venue, &text(name)) {
            Some(definition) => Ok(*definition),
            None => refused(format!("venue {name:?} is not defined on this desk")),
        }
    }

    /// A trading day opens or closes; the event's number. With `proved_by` the day's orders are known
    /// to be gone: those of this day that the venue had expire by it.
    pub fn tell_day(
        &mut self,
        venue: &str,
        trade_day: u16,
        opened: bool,
        proved_by: Option<Who<'_>>,
    ) -> Result<u64> {
        let definition = self.venue_named(venue)?;
        let mut event = DayChange::ZERO;
        event.header.kind = DayChange::KIND;
        (event.venue_id, event.trade_day) = (definition.id as u16, trade_day);
        event.opened = opened.into();
        if let Some(person) = proved_by {
            if opened {
                return refused("proved=1 says that a day is over: opened must be 0");
            }
            self.may_change(person)?;
            let person = person.name;
            let today = self.engine().venue(event.venue_id).trade_day();
            if ![0, today].contains(&trade_day) && today != 0 {
                return refused(format!(
                    "day {trade_day} (since 1970) of {venue} is not its present one, {today}: what \
                     rests since then is of the new day, and ends by the venue's word or its close"
                ));
            }
            event.proved = 1;
            event.person = text(person);
        }
        self.tell(event.as_record(), "day")
    }

    /// A phase begins at a venue, at `at_ns` by its schedule; the event's number.
    pub fn tell_phase(&mut self, venue: &str, phase: &str, at_ns: i64) -> Result<u64> {
        let definition = self.venue_named(venue)?;
        let Some(phase) = Phase::ALL.iter().find(|known| known.name() == phase) else {
            let names: Vec<_> = Phase::ALL.iter().map(|known| known.name()).collect();
            return refused(format!("phase={phase} is unknown, allowed are {}", names.join(", ")));
        };
        let mut event = PhaseChange::ZERO;
        event.header.kind = PhaseChange::KIND;
        (event.venue_id, event.phase) = (definition.id as u16, phase.code());
        event.transact_time_ns = at_ns;
        self.tell(event.as_record(), "phase")
    }

    /// A venue's clocks stand at another offset from UTC from now on; the event's number.
    pub fn tell_clock(&mut self, venue: &str, utc_offset_min: i64) -> Result<u64> {
        if utc_offset_min.abs() > OFFSET_MIN_MAX {
            return refused(format!(
                "utc_offset_min={utc_offset_min}: allowed are -{OFFSET_MIN_MAX} to {OFFSET_MIN_MAX}"
            ));
        }
        let mut definition = self.venue_named(venue)?;
        definition.utc_offset_min = utc_offset_min as i32;
        self.tell(definition.as_record(), "clock")
    }

    fn tell(&mut self, input: &layout::Record, what: &str) -> Result<u64> {
        match self.submit(input) {
            Verdict::Accepted => Ok(self.engine().event_seq()),
            other => refused(format!("{what}: {}", other.name())),
        }
    }
}
