//! The desk's part of the kill switch (DESIGN §6): one load before every send; on a change the words
//! are read, fed to the engine as events, the outbox is swept, and only then is the epoch said to be
//! seen. Runs on the engine thread. What must stay true (I1): `publish_seen(epoch)` comes after the
//! last byte that the epoch forbids was handed over or given up; a file that is not sound is a kill
//! (I5); what log and file hold, the stricter wins (I3).

use crate::Desk;
use crate::options::{Result, refused};
use crate::outbox::creates;
use arch::mutant;
use engine::order::{CANCEL_ASKED, CANCELING, UNSURE};
use journal::{ControlFile, ControlState, Sender, Switch, Words};
use layout::{
    Control, DroppedUnsent, KillCause, KillMode, MsgType, Routed, Scope, Typed, control_epoch,
};

/// How often the file is looked at for being replaced or cut.
const CHECK_NS: i64 = 1_000_000_000;
#[derive(Default)]
pub(crate) struct Kill {
    pub file: Option<ControlFile>,
    /// The engine's own row; links have theirs.
    sender: Option<Sender>,
    /// The word acted on.
    word: u64,
    words: Words,
    fresh: Words,
    changes: Vec<Switch>,
    pub fault: Option<String>,
    /// Its words were noise: that it looks sound from outside heals nothing.
    is_noise: bool,
    check_at_ns: i64,
}

impl Kill {
    /// Opens the control file; one that is not sound leaves a fault, which is a kill.
    pub(crate) fn open(dir: &journal::DeskDir) -> Result<Self> {
        let mut kill = Self { changes: Vec::with_capacity(1 << 12), ..Self::default() };
        match ControlFile::open(dir) {
            ControlState::Sound(file) => {
                file.read_all(&mut kill.words);
                file.read_all(&mut kill.fresh); // its memory is there before the first kill
                kill.word = kill.words.desk;
                kill.sender = Some(file.register(0)?);
                kill.file = Some(file);
            }
            ControlState::Killed { why } => kill.fault = Some(why),
        }
        Ok(kill)
    }
}

pub(crate) fn control(
    scope: Scope,
    id: u32,
    mode: KillMode,
    epoch: u64,
    cause: KillCause,
) -> Control {
    let mut event = Control::ZERO;
    event.header.kind = Control::KIND;
    (event.control_epoch, event.target_id) = (epoch, id);
    (event.scope, event.mode, event.cause) = (scope.code(), mode.code(), cause.code());
    event
}

const ENTITIES: [Scope; 5] =
    [Scope::Account, Scope::Instrument, Scope::Venue, Scope::Session, Scope::Strategy];

impl Desk {
    /// Whether any scope is engaged, in the engine's eyes.
    pub(crate) fn engaged(&self) -> Vec<(Scope, u32, KillMode)> {
        let c = self.engine.config();
        let sizes =
            [c.accounts_max, c.instruments_max, c.venues_max, c.sessions_max, c.strategies_max];
        let ids = ENTITIES.into_iter().zip(sizes);
        let ids = ids.flat_map(|(scope, max)| (1..max as u32).map(move |id| (scope, id)));
        std::iter::once((Scope::Desk, 0))
            .chain(ids)
            .map(|(scope, id)| (scope, id, self.engine.mode_in(scope, id)))
            .filter(|(_, _, mode)| *mode != KillMode::Open.code())
            .map(|(scope, id, mode)| {
                (scope, id, KillMode::from_code(mode).unwrap_or(KillMode::Halt))
            })
            .collect()
    }

    /// At start: what is stricter in the file becomes an event, what is stricter in the log goes to
    /// the file, so that both say the same from here on.
    pub(crate) fn reconcile_kill(&mut self) -> Result<()> {
        let Some(file) = self.kill.file.clone() else {
            if self.kill.fault.is_some() {
                self.kill_desk(KillCause::ControlFile);
            }
            return Ok(());
        };
        for (scope, id, mode) in self.engaged() {
            mutant!(kill_of_the_log_forgotten => continue);
            file.engage(scope, id, mode)?;
        }
        file.read_all(&mut self.kill.words);
        let epoch = control_epoch(self.kill.words.desk);
        for switch in self.kill.words.engaged() {
            mutant!(kill_of_the_file_forgotten => continue);
            if self.engine.mode_in(switch.scope, switch.id) < switch.mode.code() {
                let e = control(switch.scope, switch.id, switch.mode, epoch, KillCause::Restart);
                self.take(e.as_record());
            }
        }
        self.kill.word = self.kill.words.desk;
        if !self.engaged().is_empty() {
            self.pursue_from_now(self.before_kill());
        }
        if let Some(sender) = &self.kill.sender {
            sender.publish_seen(epoch);
            sender.unpark();
        }
        self.check_kill();
        Ok(())
    }

    /// Asks again for cancels under an engaged kill, until the venue confirms that nothing is open:
    /// one may have been lost with the link or refused. An event only where an order needs it.
    pub(crate) fn assert_kill(&mut self) {
        if self.engine.live_count() == 0 {
            return;
        }
        let idle = CANCELING | CANCEL_ASKED | UNSURE;
        let engine = &self.engine;
        let stopped = |o: &engine::Order| {
            let mode = engine.mode_of(o);
            mode >= KillMode::CancelOnly.code() && mode < KillMode::Halt.code()
        };
        if !engine.live_orders().any(|o| o.flight & idle == 0 && stopped(o)) {
            return;
        }
        let epoch = self.engine.control_epoch();
        for (scope, id, mode) in self.engaged() {
            if mode == KillMode::CancelOnly {
                self.take(control(scope, id, mode, epoch, KillCause::Automatic).as_record());
            }
        }
    }

    /// The second kill check: one load when nothing has changed. `true`: something changed, and has
    /// been acted on.
    #[inline]
    pub fn check_kill(&mut self) -> bool {
        match &self.kill.file {
            Some(file) if file.word() != self.kill.word => {
                self.act_on_kill(KillCause::Operator);
                true
            }
            _ => false,
        }
    }

    #[cold]
    pub(crate) fn act_on_kill(&mut self, cause: KillCause) {
        let Some(file) = self.kill.file.clone() else { return };
        while file.word() != self.kill.word {
            let kill = &mut self.kill;
            file.read_all(&mut kill.fresh);
            if let Some(noise) = kill.fresh.noise(control_epoch(kill.words.desk)) {
                kill.word = kill.fresh.desk; // looked at: what follows is noise, too
                return self.distrust_file(noise);
            }
            kill.changes.clear();
            let changes = &mut kill.changes;
            kill.fresh.diff(&kill.words, |switch| changes.push(switch));
            std::mem::swap(&mut kill.fresh, &mut kill.words);
            kill.word = kill.words.desk;
            let epoch = control_epoch(kill.word);
            let mut tighter = false;
            let before = self.before_kill();
            for index in 0..self.kill.changes.len() {
                let switch = self.kill.changes[index];
                tighter |= switch.mode != KillMode::Open;
                self.take(control(switch.scope, switch.id, switch.mode, epoch, cause).as_record());
            }
            mutant!(outbox_not_swept_at_kill: tighter = false);
            mutant!(acknowledged_before_what_waits_has_left => {
                self.publish_seen(epoch);
                (0..self.links.len()).for_each(|at| self.flush_link(at));
            });
            if tighter {
                self.sweep_outbox();
                self.pursue_from_now(before);
            }
            if self.kill.changes.iter().any(|switch| switch.mode == KillMode::Halt) {
                self.drop_halted();
            }
            self.publish_seen(epoch);
        }
    }

    /// The words are noise: the desk is killed and says why, until two people have the file written
    /// anew. Nobody is answered through it any more.
    #[cold]
    fn distrust_file(&mut self, noise: String) {
        self.kill.is_noise = true;
        if self.kill.fault.replace(noise).is_none() {
            self.kill_desk(KillCause::ControlFile);
        }
    }

    /// Ends every waiting message that the modes in force forbid, and cuts a link whose buffer holds
    /// some of one: nothing of them reaches the kernel any more.
    fn sweep_outbox(&mut self) {
        for link in 0..self.links.len() {
            self.drop_where(link, |engine, routed| {
                let mode = match engine.order(routed.header.order_seq) {
                    Some(order) => engine.mode_of(order),
                    // A mass cancel names no order: what stops everything there stops it.
                    None => {
                        engine.desk_mode().max(engine.mode_in(Scope::Venue, routed.venue_id.into()))
                    }
                };
                mutant!(outbox_of_a_killed_account_flows: mode = engine.desk_mode());
                match creates(routed) {
                    true => mode != KillMode::Open.code(),
                    false => mode == KillMode::Halt.code(),
                }
            });
            // The kill asked for cancels of what never left: they need not go either.
            self.drop_where(link, |engine, routed| {
                !creates(routed) && engine.order(routed.header.order_seq).is_some_and(|o| !o.live())
            });
            if self.links[link].creating_unsent() && !self.engaged().is_empty() {
                self.lose(link, "cut by the kill switch: a new order was half handed over".into());
            }
        }
        self.retract();
    }

    /// A halt lets no cancel pass: where it holds a whole link and orders are live there, the link
    /// drops, so that the venue's cancel-on-disconnect acts. Once for each halt: the link comes up again
    /// to ask what became of them, and `not_covered` names what it spared.
    #[cold]
    fn drop_halted(&mut self) {
        let halt = KillMode::Halt.code();
        for at in 0..self.links.len() {
            let (venue_id, link) = (self.links[at].venue_id, &self.links[at]);
            let halted = self.engine.desk_mode() == halt
                || (venue_id != 0 && self.engine.mode_in(Scope::Venue, venue_id.into()) == halt);
            if !halted || link.stream.is_none() || !link.config.cancel_on_disconnect {
                continue;
            }
            let ours = |o: &&engine::Order| o.venue_id == venue_id && !o.is_here();
            let live = self.engine.live_orders().filter(ours).count();
            if live > 0 {
                let why = format!("dropped by the halt: {live} orders are not confirmed canceled");
                self.lose(at, why);
            }
        }
    }

    fn drop_where(&mut self, link: usize, stopped: impl Fn(&engine::Engine, &Routed) -> bool) {
        let mut dropped = std::mem::take(&mut self.scratch);
        dropped.clear();
        let engine = &self.engine;
        self.outbox.queues[link].retain(|routed| {
            let stopped = stopped(engine, routed);
            if stopped {
                dropped.push(*routed);
            }
            !stopped
        });
        for routed in &dropped {
            self.drop_unsent(routed, KillCause::Operator.code());
        }
        self.scratch = dropped;
    }

    /// Ends a message that will never be sent; its number is gap filled when the link next flows.
    pub(crate) fn drop_unsent(&mut self, routed: &Routed, cause: u8) {
        let mut event = DroppedUnsent::ZERO;
        event.header.kind = DroppedUnsent::KIND;
        event.header.order_seq = routed.header.order_seq;
        event.routed_seq = routed.header.event_seq;
        event.control_epoch = self.engine.control_epoch();
        (event.link_seq, event.venue_id) = (routed.link_seq, routed.venue_id);
        (event.msg_type, event.cause) = (routed.msg_type, cause);
        if routed.msg_type == MsgType::Cancel.code() && cause == KillCause::Operator.code() {
            self.cancel_dropped();
        }
        let verdict = self.take(event.as_record());
        debug_assert!(verdict == layout::Verdict::Accepted, "{verdict:?} {routed:?}");
    }

    /// What was handed over so far, into the rows: before every word a killer may take for an answer.
    fn tell_sent(&self) {
        let Some(sender) = &self.kill.sender else { return };
        let (mut last_out, mut unsent) = (0, 0);
        for link in &self.links {
            let bytes = link.end.unsent().len() as u64;
            (last_out, unsent) = (link.last_out.max(last_out), unsent + bytes);
            if let Some(sender) = &link.sender {
                sender.set_sent(link.last_out.into(), bytes);
            }
        }
        sender.set_sent(last_out.into(), unsent);
    }

    fn publish_seen(&mut self, epoch: u64) {
        self.tell_sent();
        let links = self.links.iter().filter_map(|link| link.sender.as_ref());
        for sender in links.chain(&self.kill.sender) {
            sender.publish_seen(epoch);
        }
    }

    /// Before sleeping: all rows parked. False: a kill came in between; do not sleep.
    pub(crate) fn park(&mut self) -> bool {
        // A parked sender is an answer too. Under a kill of the desk the answer was given, and stands:
        // a killer who reads it late must see what had left when it was acknowledged, not what left
        // since.
        let answered = self.engine.desk_mode() >= KillMode::CancelOnly.code();
        mutant!(answer_told_anew_at_each_sleep: answered = false);
        if !answered {
            self.tell_sent();
        }
        let links = self.links.iter().filter_map(|link| link.sender.as_ref());
        let mut same = true;
        for sender in self.kill.sender.iter().chain(links) {
            same &= sender.park() == self.kill.word;
        }
        if !same {
            self.unpark();
        }
        same
    }

    /// After waking: running again, and a kill of meanwhile is acted on before anything is sent.
    pub(crate) fn unpark(&mut self) {
        let links = self.links.iter().filter_map(|link| link.sender.as_ref());
        for sender in self.kill.sender.iter().chain(links) {
            sender.unpark();
        }
        self.check_kill();
    }

    /// A sender row for a link that got its venue.
    pub(crate) fn register(&mut self, link: usize) -> Result<()> {
        if let Some(file) = &self.kill.file {
            let sender = file.register(self.links[link].venue_id.into())?;
            sender.publish_seen(control_epoch(self.kill.word));
            sender.unpark();
            self.links[link].sender = Some(sender);
        }
        Ok(())
    }

    /// Looks about once a second whether the control file still stands.
    pub(crate) fn check_control_file(&mut self) {
        let mono_ns = self.clock.mono_ns();
        if mono_ns < self.kill.check_at_ns {
            return;
        }
        self.kill.check_at_ns = mono_ns + CHECK_NS;
        let found = self.kill.file.as_ref().map_or(Ok(()), ControlFile::check);
        match found {
            Ok(()) if self.kill.file.is_some() && !self.kill.is_noise => self.kill.fault = None,
            Ok(()) => {}
            Err(why) => {
                let told = self.kill.fault.replace(why).is_some();
                if !told {
                    self.kill_desk(KillCause::ControlFile);
                }
            }
        }
    }

    /// The desk itself engages cancel_only.
    pub(crate) fn kill_desk(&mut self, cause: KillCause) {
        let engaged = match (&self.kill.file, cause) {
            (Some(file), KillCause::Automatic) => {
                file.engage(Scope::Desk, 0, KillMode::CancelOnly).is_ok()
            }
            _ => false,
        };
        if engaged {
            self.act_on_kill(cause);
        }
        if self.engine.desk_mode() < KillMode::CancelOnly.code() {
            let before = self.before_kill();
            let epoch = self.engine.control_epoch();
            self.take(control(Scope::Desk, 0, KillMode::CancelOnly, epoch, cause).as_record());
            self.sweep_outbox();
            self.pursue_from_now(before);
        }
    }

    /// The desk itself engages cancel_only for a venue; for all where that cannot be written.
    pub(crate) fn kill_venue(&mut self, venue_id: u16) {
        let cause = KillCause::Automatic;
        let before = self.before_kill();
        let engaged = match &self.kill.file {
            Some(file) => file.engage(Scope::Venue, venue_id.into(), KillMode::CancelOnly).is_ok(),
            None if self.options.tier == layout::Tier::Memory => {
                let (epoch, mode) = (self.engine.control_epoch() + 1, KillMode::CancelOnly);
                let e = control(Scope::Venue, venue_id.into(), mode, epoch, cause);
                self.take(e.as_record());
                self.pursue_from_now(before);
                return self.sweep_outbox();
            }
            None => false,
        };
        if !engaged {
            return self.kill_desk(cause);
        }
        self.act_on_kill(cause);
    }

    /// Engages a kill from inside, on disk when it returns; `id` is 0 for the desk.
    pub fn engage(&mut self, scope: Scope, id: u32, mode: KillMode) -> Result<u64> {
        let Some(file) = self.kill.file.clone() else {
            if self.options.tier != layout::Tier::Memory {
                return refused("the control file is not sound: the whole desk is killed already");
            }
            let stricter = mode.code().max(self.engine.mode_in(scope, id));
            let mode = KillMode::from_code(stricter).unwrap_or(KillMode::Halt);
            let before = self.before_kill();
            let epoch = self.engine.control_epoch() + 1;
            self.take(control(scope, id, mode, epoch, KillCause::Operator).as_record());
            self.sweep_outbox();
            self.pursue_from_now(before);
            if mode == KillMode::Halt {
                self.drop_halted();
            }
            return Ok(epoch);
        };
        let epoch = file.engage(scope, id, mode)?;
        self.check_kill();
        Ok(epoch)
    }

    /// A damaged control file is written anew, still killed, when two people release it.
    pub(crate) fn mend_control_file(&mut self) -> Result<()> {
        let (Some(dir), Some(lock)) = (&self.dir, &self.lock) else { return Ok(()) };
        if self.kill.fault.is_none() {
            return Ok(());
        }
        let (sizes, epoch) = (&self.options.control, self.engine.control_epoch() + 1);
        ControlFile::rebuild(dir, lock, sizes, KillMode::CancelOnly, epoch)?;
        for link in &mut self.links {
            link.sender = None;
        }
        self.kill = Kill::open(dir)?;
        for link in 0..self.links.len() {
            if self.links[link].venue_id != 0 {
                self.register(link)?;
            }
        }
        if let Some(sender) = &self.kill.sender {
            sender.unpark();
        }
        Ok(())
    }
}
