//! Whether an order lives is the venue's to say: what has ended there and lives here, what is worked
//! there again and has ended here, and which of its selves a word is of.

mod common;
use common::*;
use layout::*;

/// A buy of five at 100, acknowledged, at a venue that replaces by this rule.
fn desk_of(rule: ReplaceRule) -> (TestDesk, u64) {
    let mut desk = TestDesk::open();
    desk.fact(definition(Entity::Venue, "CME", 0, rule as u8));
    let seq = desk.place("a", Side::Buy, 5, e9(100));
    desk.tell(seq, 0, ExecType::New);
    (desk, seq)
}

/// The venue takes fill X1 back by this id and says what is left.
fn bust(desk: &mut TestDesk, seq: u64, revision: u16, leaves: i64, flags: u8) -> Disposition {
    let mut r = desk.report(seq, revision, ExecType::TradeCancel);
    (r.exec_id, r.leaves_qty, r.flags) = (text("B"), e9(leaves), flags);
    offer_ids(desk, &r, |ids| ids.exec_ref_id = text("X1"));
    desk.take(&r)
}

fn refused(desk: &mut TestDesk, seq: u64, exec_type: ExecType, told: OrdStatus) -> Disposition {
    let revision = desk.order(seq).revision_last;
    let mut r = desk.report(seq, revision, exec_type);
    r.ord_status = told as u8;
    desk.take(&r)
}

fn found(
    desk: &mut TestDesk,
    (seq, revision): (u64, u16),
    told: OrdStatus,
    leaves: i64,
    flags: u8,
) {
    let mut r = desk.report(seq, revision, ExecType::OrderStatus);
    (r.ord_status, r.leaves_qty, r.flags) = (told as u8, e9(leaves), flags);
    desk.take(&r);
}

fn questions(desk: &TestDesk, seq: u64) -> usize {
    desk.sent_of(seq, MsgType::OrderStatus)
}

#[test]
fn corner_24_a_bust_told_among_the_answers_to_a_question_is_older_than_the_end() {
    for rule in [ReplaceRule::InFlightCounted, ReplaceRule::CancelNew] {
        for flags in [REPORT_QUERIED, REPORT_POSS_DUP] {
            let (mut desk, seq) = desk_of(rule);
            desk.take(&trade_report(&desk, seq, "X1", 2, 100));
            desk.tell(seq, 0, ExecType::Canceled);
            assert_eq!(bust(&mut desk, seq, 0, 5, flags), Disposition::Late);
            assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, 0));
            desk.time();
            assert_eq!((desk.sent_of(seq, MsgType::Cancel), questions(&desk, seq)), (0, 1));
            found(&mut desk, (seq, 0), OrdStatus::Canceled, 0, 0);
            found(&mut desk, (seq, 0), OrdStatus::New, 5, 0);
            assert_eq!(desk.status(seq), OrdStatus::Canceled, "the question was answered");
            closing(&desk);
        }
    }
}

#[test]
fn corner_24_what_the_answer_finds_open_behind_such_a_bust_is_open_and_canceled() {
    for flags in [0, REPORT_QUERIED] {
        let (mut desk, seq) = desk_of(ReplaceRule::InFlightCounted);
        desk.take(&trade_report(&desk, seq, "X1", 2, 100));
        desk.tell(seq, 0, ExecType::Canceled);
        bust(&mut desk, seq, 0, 5, REPORT_QUERIED);
        found(&mut desk, (seq, 0), OrdStatus::New, 5, flags);
        assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(5));
        desk.time();
        assert_eq!((desk.status(seq), questions(&desk, seq)), (OrdStatus::PendingCancel, 0));
        desk.tell(seq, 1, ExecType::Canceled);
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
}

#[test]
fn corner_24_a_canceled_order_that_a_bust_opens_at_its_venue_is_open_and_canceled() {
    let (mut desk, seq) = desk_of(ReplaceRule::InFlightCounted);
    desk.take(&trade_report(&desk, seq, "X1", 2, 100));
    desk.tell(seq, 0, ExecType::Canceled);
    // For the venue a fill that we lack had filled it: it says what it works of it now.
    assert_eq!(bust(&mut desk, seq, 0, 2, 0), Disposition::Late);
    assert_eq!(desk.status(seq), OrdStatus::New);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(5), "what may fill is reserved");
    desk.time();
    assert_eq!(desk.sent_of(seq, MsgType::Cancel), 1, "nobody wants it any more");
    desk.tell(seq, 1, ExecType::Canceled);
    assert_eq!(desk.status(seq), OrdStatus::Canceled);
    closing(&desk);
}

#[test]
fn corner_24_a_filled_order_that_a_bust_ends_ends_as_its_venue_says() {
    for (told, ends) in [
        (OrdStatus::Expired, OrdStatus::Expired),
        (OrdStatus::Canceled, OrdStatus::Canceled),
        (OrdStatus::None, OrdStatus::Canceled),
    ] {
        let (mut desk, seq) = desk_of(ReplaceRule::InFlightCounted);
        desk.take(&trade_report(&desk, seq, "X1", 5, 100));
        let mut r = desk.report(seq, 0, ExecType::TradeCancel);
        (r.exec_id, r.ord_status) = (text("B"), told as u8);
        offer_ids(&mut desk, &r, |ids| ids.exec_ref_id = text("X1"));
        assert_eq!(desk.take(&r), Disposition::Late);
        assert_eq!(desk.status(seq), ends);
        closing(&desk);
    }
}

#[test]
fn corner_14_a_change_that_is_refused_because_the_order_has_ended_is_asked_about_once() {
    use OrdStatus::{Canceled, Expired, Filled, Rejected};
    for told in [Canceled, Expired, Filled, Rejected] {
        for exec_type in [ExecType::CancelRejected, ExecType::ReplaceRejected] {
            let (mut desk, seq) = desk_of(ReplaceRule::InFlightCounted);
            if exec_type == ExecType::CancelRejected {
                desk.cancel("c", "a");
            } else {
                desk.replace("b", "a", 6, e9(100));
            }
            assert_eq!(refused(&mut desk, seq, exec_type, told), Disposition::Applied);
            assert_eq!(refused(&mut desk, seq, exec_type, told), Disposition::Stale);
            desk.time();
            desk.time();
            assert_eq!(questions(&desk, seq), 1, "{told:?}");
            assert_eq!(desk.status(seq), OrdStatus::New, "refused is not proved");
            found(&mut desk, (seq, 0), OrdStatus::Canceled, 0, 0);
            assert_eq!(desk.status(seq), OrdStatus::Canceled);
            assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
            closing(&desk);
        }
    }
}

#[test]
fn corner_14_a_refusal_that_tells_no_end_or_that_of_another_self_asks_nothing() {
    let (mut desk, seq) = desk_of(ReplaceRule::CancelNew);
    desk.replace("b", "a", 6, e9(100));
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    desk.tell(seq, 1, ExecType::New);
    let mut r = desk.report(seq, 2, ExecType::CancelRejected);
    r.ord_status = OrdStatus::Canceled as u8; // of the cancel that made room
    assert_eq!(desk.take(&r), Disposition::Stale);
    desk.cancel("c", "b");
    assert_eq!(
        refused(&mut desk, seq, ExecType::CancelRejected, OrdStatus::New),
        Disposition::Applied
    );
    desk.time();
    assert_eq!((questions(&desk, seq), desk.status(seq)), (0, OrdStatus::New));
    closing(&desk);
}

#[test]
fn corner_14_an_answer_that_it_lives_ends_the_question_and_a_later_refusal_asks_anew() {
    let (mut desk, seq) = desk_of(ReplaceRule::InFlightCounted);
    for asked in 1..=2 {
        desk.cancel(&format!("c{asked}"), "a");
        refused(&mut desk, seq, ExecType::CancelRejected, OrdStatus::Canceled);
        desk.time();
        assert_eq!(questions(&desk, seq), asked);
        found(&mut desk, (seq, 0), OrdStatus::New, 5, 0);
        assert_eq!((desk.status(seq), desk.order(seq).flight), (OrdStatus::New, 0));
        closing(&desk);
    }
}

#[test]
fn corner_21_a_reject_by_the_id_of_a_replace_ends_as_canceled_what_the_replace_had_made() {
    for acked in [false, true] {
        let mut desk = TestDesk::open();
        let seq = desk.place("a", Side::Buy, 5, e9(100));
        if acked {
            desk.tell(seq, 0, ExecType::New);
        }
        assert_eq!(desk.replace("b", "a", 6, e9(99)), Verdict::Accepted);
        assert_eq!(desk.tell(seq, 1, ExecType::Rejected), Disposition::Applied);
        let order = *desk.order(seq);
        assert_eq!(order.ord_status(), OrdStatus::Canceled, "acked: {acked}");
        assert_eq!((order.order_qty, order.price, order.revision), (e9(6), e9(99), 1));
        assert_eq!(desk.engine.row(1, ES).open_qty(), (0, 0));
        closing(&desk);
    }
    // By its own id it never was an order.
    let mut desk = TestDesk::open();
    let seq = desk.place("a", Side::Buy, 5, e9(100));
    desk.replace("b", "a", 6, e9(99));
    desk.tell(seq, 0, ExecType::Rejected);
    assert_eq!((desk.status(seq), desk.order(seq).order_qty), (OrdStatus::Rejected, e9(5)));
    closing(&desk);
}

#[test]
fn corner_19_what_was_before_a_replace_and_is_worked_again_is_canceled_by_its_own_id() {
    let (mut desk, seq) = desk_of(ReplaceRule::CancelNew);
    desk.replace("b", "a", 8, e9(99));
    desk.take(&trade_report(&desk, seq, "X1", 2, 100));
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    let mut r = trade_report(&desk, seq, "X2", 6, 99);
    r.street_id = desk.report(seq, 1, ExecType::Trade).street_id;
    assert_eq!(desk.take(&r), Disposition::Applied);
    assert_eq!(desk.status(seq), OrdStatus::Filled);
    assert_eq!(bust(&mut desk, seq, 0, 2, 0), Disposition::Late);
    desk.time();
    assert_eq!(desk.status(seq), OrdStatus::PendingCancel, "its terms were replaced");
    let cancel = *desk.sent.0.last().unwrap();
    assert_eq!(cancel.orig_street_id, desk.report(seq, 0, ExecType::New).street_id);
    desk.tell(seq, 0, ExecType::Canceled);
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, e9(6)));
    closing(&desk);
}

#[test]
fn corner_19_a_new_self_that_a_late_fill_of_the_old_one_made_too_large_is_found_and_canceled() {
    let (mut desk, seq) = desk_of(ReplaceRule::CancelNew);
    desk.replace("b", "a", 5, e9(99));
    desk.tell(seq, 0, ExecType::Canceled);
    desk.time();
    desk.tell(seq, 1, ExecType::New);
    desk.take(&trade_report(&desk, seq, "X1", 5, 100));
    assert_eq!(desk.status(seq), OrdStatus::Filled, "as much as was wanted");
    found(&mut desk, (seq, 1), OrdStatus::New, 5, REPORT_QUERIED);
    assert_eq!(desk.engine.row(1, ES).open_qty().0, e9(5), "and as much again may fill");
    desk.time();
    assert_eq!(desk.status(seq), OrdStatus::PendingCancel);
    desk.tell(seq, 1, ExecType::Canceled);
    assert_eq!((desk.status(seq), desk.order(seq).cum_qty), (OrdStatus::Canceled, e9(5)));
    closing(&desk);
    // Filled by its own fills it is found open by an answer that is older than they are.
    let (mut desk, seq) = desk_of(ReplaceRule::CancelNew);
    desk.take(&trade_report(&desk, seq, "X1", 5, 100));
    found(&mut desk, (seq, 0), OrdStatus::New, 5, REPORT_QUERIED);
    assert_eq!(desk.status(seq), OrdStatus::Filled);
    closing(&desk);
}
