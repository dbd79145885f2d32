//! Changes that take two people: the release of a kill switch, limits that loosen. One asks and gets a
//! hash of exactly this change, another with the same role approves the hash within five minutes; what
//! it was asked against must still stand. Runs on the engine thread, asked at `control.sock` or inline.
//! What must stay true: nobody approves what he asked for, a person bound to a user of the machine acts
//! as that user alone, and the approval is an event before anything of the change (I35).

use crate::limits::Draft;
use crate::options::{Result, refused};
use crate::{Desk, Who};
use arch::mutant;
use layout::{Approval, KillCause, KillMode, Scope, Typed, text};

/// How long a change waits for its second person.
const WAIT_NS: i64 = 300_000_000_000;
/// Bytes of a reason that the log keeps.
const REASON_MAX: usize = 40;

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// To open a scope of the kill switch.
    Release { scope: Scope, id: u32 },
    /// Rows of limits.
    Limits(Draft),
}

impl Asked {
    fn name(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::Limits(_) => "change of limits",
        }
    }

    /// What stands behind it, in words that its hash is made of.
    fn told(&self) -> String {
        match self {
            Self::Release { scope, id } => format!("release {} {id}", scope.name()),
            Self::Limits(draft) => format!("limits {:#018x}", draft.hash),
        }
    }
}

/// A change that one person asked for.
#[derive(Debug)]
pub(crate) struct Change {
    pub asked: Asked,
    pub person: String,
    pub reason: String,
    pub hash: u64,
    /// What it was asked against: the epoch of the switch, the version of the limits.
    base: u64,
    until_ns: i64,
}

/// A 64-bit hash (FNV-1a), begun or carried on: for what people compare by eye.
pub(crate) fn hash_on(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(hash, step)
}

/// What `hash_on` begins with.
pub(crate) const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

impl Desk {
    /// Whether this person may ask for such a change and approve it.
    pub(crate) fn may_change(&self, who: Who<'_>) -> Result<()> {
        let Who { name, uid } = who;
        let Some(person) = self.options.people.iter().find(|p| p.name == name) else {
            return refused(format!("{name:?} is none of the desk's people"));
        };
        mutant!(a_person_is_whoever_says_so: uid = person.uid.unwrap_or(uid));
        if let Some(bound) = person.uid.filter(|bound| *bound != uid) {
            return refused(format!(
                "{name:?} is bound to the user with uid {bound} by [people], this is uid {uid}: \
                 ask as that user"
            ));
        }
        if !person.risk {
            return refused(format!("{name:?} has not the role risk, which this takes"));
        }
        Ok(())
    }

    fn base_of(&self, asked: &Asked) -> u64 {
        match asked {
            Asked::Release { .. } => self.engine.control_epoch(),
            Asked::Limits(_) => self.engine.limits_version(),
        }
    }

    /// The hash that names exactly this change, of these people's life and at this moment: an approval
    /// of one never fits another.
    fn change_of(&mut self, asked: Asked, who: Who<'_>, reason: &str) -> Change {
        let base = self.base_of(&asked);
        let now_ns = self.clock.mono_ns();
        let (life, event_seq, told) = (self.engine.epoch(), self.engine.event_seq(), asked.told());
        let (person, reason) = (who.name.to_string(), reason.to_string());
        let what = format!("{told} {base} {life} {event_seq} {now_ns} {person} {reason}");
        let hash = hash_on(HASH_START, what.as_bytes());
        Change { asked, person, reason, hash, base, until_ns: now_ns.saturating_add(WAIT_NS) }
    }

    fn check_asking(&self, who: Who<'_>, reason: &str) -> Result<()> {
        self.may_change(who)?;
        if reason.len() > REASON_MAX {
            let size = reason.len();
            return refused(format!("the reason has {size} bytes, the log keeps {REASON_MAX}"));
        }
        if self.journal.failed() {
            return refused("the log is poisoned: mend the disk and restart the engine first");
        }
        Ok(())
    }

    /// Keeps a change for its second person, in place of an older one of its kind; its hash.
    fn keep(&mut self, change: Change) -> u64 {
        let kind = std::mem::discriminant(&change.asked);
        self.changes.retain(|other| std::mem::discriminant(&other.asked) != kind);
        let hash = change.hash;
        self.changes.push(change);
        hash
    }

    /// Takes a change out for the second person, if he may, and if what it was asked against stands.
    fn approved(&mut self, change_hash: u64, who: Who<'_>) -> Result<Change> {
        self.may_change(who)?;
        let Some(at) = self.changes.iter().position(|change| change.hash == change_hash) else {
            return refused(format!("no change with hash {change_hash:#018x} is asked for"));
        };
        let (change, name) = (&self.changes[at], who.name);
        let same = change.person == name;
        mutant!(one_person_is_two: same = false);
        if same {
            return refused(format!("{name:?} asked for it; another person must approve"));
        }
        self.check_kill();
        let now_ns = self.clock.mono_ns();
        let change = &self.changes[at];
        let (late, moved) = (now_ns > change.until_ns, self.base_of(&change.asked) != change.base);
        mutant!(old_approvals_hold: late = false);
        mutant!(approval_fits_whatever_is_in_force: moved = false);
        if late || moved {
            let change = self.changes.remove(at);
            let why = match (late, &change.asked) {
                (true, _) => "it is older than five minutes",
                (_, Asked::Release { .. }) => "the switch has moved",
                (_, Asked::Limits(_)) => "other limits are in force since",
            };
            return refused(format!("the {} is void: {why}; ask again", change.asked.name()));
        }
        if self.journal.failed() {
            return refused("the log is poisoned: mend the disk and restart the engine first");
        }
        Ok(self.changes.remove(at))
    }

    /// The event of a change, before anything of it; `approver` is empty where one person suffices.
    pub(crate) fn log_change(&mut self, change: &Change, approver: &str) {
        let mut approval = Approval::ZERO;
        approval.header.kind = Approval::KIND;
        approval.change_hash = change.hash;
        (approval.person, approval.approver) = (text(&change.person), text(approver));
        approval.reason = text(&change.reason);
        self.take(approval.as_record());
    }

    // The kill switch -----------------------------------------------------------------------------

    /// The first of two people asks for a scope to be opened; the hash names exactly this change.
    pub fn request_release<'a>(
        &mut self,
        scope: Scope,
        id: u32,
        who: impl Into<Who<'a>>,
        reason: &str,
    ) -> Result<u64> {
        let who = who.into();
        self.check_asking(who, reason)?;
        self.check_kill();
        if self.engine.mode_in(scope, id) == KillMode::Open.code() {
            return refused(format!("{} {id} is not engaged", scope.name()));
        }
        let change = self.change_of(Asked::Release { scope, id }, who, reason);
        Ok(self.keep(change))
    }

    /// The second person approves; the approval is an event before the scope opens. The epoch.
    pub fn approve_release<'a>(
        &mut self,
        change_hash: u64,
        who: impl Into<Who<'a>>,
    ) -> Result<u64> {
        let who = who.into();
        self.is_asked(change_hash, |asked| matches!(asked, Asked::Release { .. }), "release")?;
        let change = self.approved(change_hash, who)?;
        let Asked::Release { scope, id } = change.asked else { unreachable!("it was looked at") };
        self.mend_control_file()?;
        self.log_change(&change, who.name);
        let Some(file) = self.kill.file.clone() else {
            let epoch = self.engine.control_epoch() + 1;
            self.open_scope(scope, id, epoch);
            return Ok(epoch);
        };
        let epoch = file.release(scope, id)?;
        self.check_kill();
        if self.engine.mode_in(scope, id) != KillMode::Open.code() {
            // The log alone held it, as after a damaged file: the words did not change.
            self.open_scope(scope, id, epoch);
        }
        Ok(epoch)
    }

    fn open_scope(&mut self, scope: Scope, id: u32, epoch: u64) {
        let open = crate::kill::control(scope, id, KillMode::Open, epoch, KillCause::Operator);
        self.take(open.as_record());
    }

    /// A hash that is asked for, but for something else, is approved where it was asked for.
    fn is_asked(&self, hash: u64, ours: impl Fn(&Asked) -> bool, what: &str) -> Result<()> {
        match self.changes.iter().find(|change| change.hash == hash) {
            Some(change) if !ours(&change.asked) => {
                let other = change.asked.name();
                refused(format!("{hash:#018x} is a {other}, no {what}: approve it as that"))
            }
            _ => Ok(()),
        }
    }

    // Limits --------------------------------------------------------------------------------------

    /// A person asks for rows of limits. What only tightens is staged at once; what loosens anything
    /// waits for a second person, who approves the hash.
    pub(crate) fn request_draft(
        &mut self,
        draft: Draft,
        who: Who<'_>,
        reason: &str,
    ) -> Result<Request> {
        self.check_asking(who, reason)?;
        draft.check_base(self.engine.limits_version())?;
        self.check_staging()?;
        let loosens = draft.loosened_count != 0;
        mutant!(loosening_takes_one_person: loosens = false);
        let change = self.change_of(Asked::Limits(draft), who, reason);
        let change_hash = change.hash;
        if loosens {
            self.keep(change);
            return Ok(Request { change_hash, limits_version: None });
        }
        let limits_version = self.stage(change, "");
        Ok(Request { change_hash, limits_version: Some(limits_version) })
    }

    /// The second person approves a change of limits: it is staged from here on. The version that it
    /// will be.
    pub fn approve_limits<'a>(&mut self, change_hash: u64, who: impl Into<Who<'a>>) -> Result<u64> {
        let who = who.into();
        self.is_asked(change_hash, |asked| matches!(asked, Asked::Limits(_)), "change of limits")?;
        self.check_staging()?;
        let change = self.approved(change_hash, who)?;
        Ok(self.stage(change, who.name))
    }

    /// The change of limits that waits for its second person, and for how long it still may.
    pub(crate) fn waiting_limits(&mut self) -> Option<(&Change, i64)> {
        let now_ns = self.clock.mono_ns();
        let ours = |change: &&Change| matches!(change.asked, Asked::Limits(_));
        let found = self.changes.iter().find(ours)?;
        let left_ns = found.until_ns.saturating_sub(now_ns);
        (left_ns > 0).then_some((found, left_ns))
    }
}

/// What became of a request for a change of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Names exactly this change.
    pub change_hash: u64,
    /// The version that it will be, where it needs nobody else; `None`: it waits for a second person.
    pub limits_version: Option<u64>,
}
