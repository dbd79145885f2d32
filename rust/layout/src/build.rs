//! The two records of the new-order path, built word by word in their place: a record of narrow fields
//! that is read back as words for its checksum costs more in stalled loads than in arithmetic. Called
//! by the engine's pipeline; a test holds each against the plain struct.

use crate::{NewOrder, OrderAccepted, Record, Routed};
use core::mem::offset_of;

type Words = [u64; 16];

/// Index of the 8-byte word that begins at a field.
macro_rules! word {
    ($record:ident, $field:ident) => {{
        const AT: usize = offset_of!($record, $field);
        const _: () = assert!(AT % 8 == 0);
        AT / 8
    }};
}

// What is copied whole lies at the same place in command and event.
const _: () = assert!(offset_of!(NewOrder, cl_ord_id) == offset_of!(OrderAccepted, cl_ord_id));
const _: () =
    assert!(offset_of!(NewOrder, instrument_id) == offset_of!(OrderAccepted, instrument_id));
const _: () = assert!(offset_of!(NewOrder, order_qty) == offset_of!(OrderAccepted, order_qty));

/// What the gate adds to a command that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance {
    /// Time of the decision.
    pub now_ns: i64,
    /// The order's number.
    pub order_seq: u64,
    /// Limit price, or the collar of a market order.
    pub price: i64,
    /// Hash of the body.
    pub body_hash: u64,
    /// Best bid in ticks from price.
    pub bid_ticks: i32,
    /// Best offer in ticks from price.
    pub ask_ticks: i32,
    /// Venue it goes to.
    pub venue_id: u16,
    /// Age of bid and offer.
    pub reference_age_ms: u16,
    /// Low bits of the limits in force.
    pub limits_version: u16,
}

impl OrderAccepted {
    /// Writes the event of an accepted command; the log seals the header.
    #[inline(always)]
    pub fn build(slot: &mut Record, c: &NewOrder, a: Acceptance) {
        let from: &Words = zerocopy::transmute_ref!(c);
        let to: &mut Words = zerocopy::transmute_mut!(slot);
        let who = from[word!(NewOrder, account_id)]; // account 32, session 16, strategy 16
        let terms = from[word!(NewOrder, trader_id)]; // trader 16, venue 16, side, type, tif, tags
        to[1] = a.now_ns as u64;
        to[2] = a.order_seq;
        to[3] = Self::KIND as u64;
        to[4..11].copy_from_slice(&from[4..11]); // id, instrument, price, quantity
        to[word!(OrderAccepted, price)] = a.price as u64;
        to[word!(OrderAccepted, body_hash)] = a.body_hash;
        to[word!(OrderAccepted, bid_ticks)] =
            a.bid_ticks as u32 as u64 | (a.ask_ticks as u32 as u64) << 32;
        to[word!(OrderAccepted, account_id)] = who & 0xffff_ffff | from[0] << 32;
        to[word!(OrderAccepted, session_id)] =
            who >> 32 | (terms & 0xffff) << 32 | (a.venue_id as u64) << 48;
        to[word!(OrderAccepted, reference_age_ms)] =
            a.reference_age_ms as u64 | (a.limits_version as u64) << 16 | terms >> 32 << 32;
    }
}

/// One message for a venue.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Time of the decision.
    pub now_ns: i64,
    /// The order's number.
    pub order_seq: u64,
    /// Street id, 20 bytes in three words, the last half used.
    pub street_id: [u64; 3],
    /// Street id it changes; zero for a new order.
    pub orig_street_id: [u64; 3],
    /// Price(44); 0 for a market order.
    pub price: i64,
    /// OrderQty(38).
    pub order_qty: i64,
    /// Our sequence on the venue's link.
    pub link_seq: u32,
    /// Instrument.
    pub instrument_id: u32,
    /// Account.
    pub account_id: u32,
    /// Venue.
    pub venue_id: u16,
    /// Revision of the order.
    pub revision: u16,
    /// What it is.
    pub msg_type: u8,
    /// Side(54).
    pub side: u8,
    /// OrdType(40).
    pub ord_type: u8,
    /// TimeInForce(59).
    pub time_in_force: u8,
}

impl Routed {
    /// Writes the message; the log seals the header.
    #[inline(always)]
    pub fn build(slot: &mut Record, m: Message) {
        let to: &mut Words = zerocopy::transmute_mut!(slot);
        let (street, orig) = (m.street_id, m.orig_street_id);
        to[1] = m.now_ns as u64;
        to[2] = m.order_seq;
        to[3] = Self::KIND as u64;
        (to[4], to[5]) = (street[0], street[1]);
        // The second id begins in the middle of a word: 20 = 2 x 8 + 4.
        to[6] = street[2] & 0xffff_ffff | orig[0] << 32;
        to[7] = orig[0] >> 32 | orig[1] << 32;
        to[8] = orig[1] >> 32 | orig[2] << 32;
        to[word!(Routed, price)] = m.price as u64;
        to[word!(Routed, order_qty)] = m.order_qty as u64;
        to[word!(Routed, link_seq)] = m.link_seq as u64 | (m.instrument_id as u64) << 32;
        to[word!(Routed, account_id)] =
            m.account_id as u64 | (m.venue_id as u64) << 32 | (m.revision as u64) << 48;
        to[word!(Routed, msg_type)] = m.msg_type as u64
            | (m.side as u64) << 8
            | (m.ord_type as u64) << 16
            | (m.time_in_force as u64) << 24;
        (to[14], to[15]) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, Typed, text};

    #[test]
    fn words_and_fields_make_the_same_records() {
        let mut c = NewOrder::ZERO;
        c.header.event_seq = 0x1_2345_6789;
        (c.cl_ord_id, c.instrument_id, c.price, c.order_qty) = (text("abcdefghij-36"), 7, -5, 11);
        (c.account_id, c.session_id, c.strategy_id, c.trader_id) = (0xa1b2_c3d4, 2, 3, 4);
        (c.side, c.ord_type, c.time_in_force, c.tags) = (1, 2, 3, 0x84);
        c.cl_ord_id[35] = b'z';
        let a = Acceptance {
            now_ns: 99,
            order_seq: 12,
            price: 77,
            body_hash: u64::MAX - 3,
            bid_ticks: -4,
            ask_ticks: i32::MIN,
            venue_id: 9,
            reference_age_ms: 10,
            limits_version: 11,
        };
        let mut slot = Record { header: Header::ZERO, payload: [0xee; 96] };
        OrderAccepted::build(&mut slot, &c, a);
        let header =
            Header { kind: OrderAccepted::KIND, order_seq: 12, ingest_time_ns: 99, ..Header::ZERO };
        let plain = OrderAccepted {
            header,
            cl_ord_id: c.cl_ord_id,
            instrument_id: 7,
            price: 77,
            order_qty: 11,
            body_hash: a.body_hash,
            bid_ticks: -4,
            ask_ticks: i32::MIN,
            account_id: 0xa1b2_c3d4,
            command_seq: 0x2345_6789,
            session_id: 2,
            strategy_id: 3,
            trader_id: 4,
            venue_id: 9,
            reference_age_ms: 10,
            limits_version: 11,
            side: 1,
            ord_type: 2,
            time_in_force: 3,
            tags: 0x84,
        };
        assert_eq!(&slot, plain.as_record());

        let id = |s: &str| -> ([u8; 20], [u64; 3]) {
            let bytes: [u8; 24] = text(s);
            (bytes[..20].try_into().unwrap(), zerocopy::transmute!(bytes))
        };
        let ((street, street_words), (orig, orig_words)) =
            (id("0123456789ABCDEFGHIJ"), id("KLMNOPQRSTUVWXYZ0123"));
        let m = Message {
            now_ns: 99,
            order_seq: 12,
            street_id: street_words,
            orig_street_id: orig_words,
            price: -77,
            order_qty: 78,
            link_seq: 79,
            instrument_id: 80,
            account_id: 81,
            venue_id: 82,
            revision: 83,
            msg_type: 1,
            side: 2,
            ord_type: 3,
            time_in_force: 4,
        };
        let mut slot = Record { header: Header::ZERO, payload: [0xee; 96] };
        Routed::build(&mut slot, m);
        let plain = Routed {
            header: Header { kind: Routed::KIND, ..header },
            street_id: street,
            orig_street_id: orig,
            price: -77,
            order_qty: 78,
            link_seq: 79,
            instrument_id: 80,
            account_id: 81,
            venue_id: 82,
            revision: 83,
            msg_type: 1,
            side: 2,
            ord_type: 3,
            time_in_force: 4,
            exec_inst: 0,
            position_effect: 0,
            expire_day: 0,
            expire_time_ns: 0,
            max_floor: 0,
        };
        assert_eq!(&slot, plain.as_record());
    }
}
