//! Every record. 128 bytes: a header of 32 and a payload of 96 (DESIGN §3). Prices, quantities and
//! fees are fixed-point at 1e-9. A record of kind 1xx is an input (a command, a venue's word, market
//! data); 2xx is an event of the log; 3xx is a frame of a venue link; 115-119 and 110 are both input and
//! event, the engine filling in what it decided.

record! {
    /// The first 32 bytes of every record.
    Header header = 0, 32 {
        0 event_seq: u64, "position in the log, dense from 1; in a command ring the command_seq; on a link the desk's event";
        8 ingest_time_ns: i64, "UTC ns when the engine took it in, never below the record before";
        16 order_seq: u64, "our number of the order it speaks of, 0 for none; a cancel or replace may name the order so";
        24 kind: u16, "which record this is";
        26 more: u8, "records of this group that follow";
        27 epoch: u8, "low bits of the epoch";
        28 crc32c: u32, "over all other bytes, seeded with the log's id";
    }
    /// A record of any kind.
    Record record = 0, 128 {
        0 header: Header, "header";
        32 payload: [u8; 96], "payload, by kind";
    }
    /// Command: a new order.
    NewOrder new_order = 100, 128 {
        0 header: Header, "header";
        32 cl_ord_id: [u8; 36], "ClOrdID(11), 1 to 36 printable ASCII, zero padded";
        68 instrument_id: u32, "instrument";
        72 price: i64, "Price(44); 0 for a market order";
        80 order_qty: i64, "OrderQty(38)";
        88 parent_order_seq: u64, "the parent this is a child of, 0 for none";
        96 account_id: u32, "account";
        100 session_id: u16, "client session; set by the host from the ring, not by the client";
        102 strategy_id: u16, "strategy, 0 for none";
        104 trader_id: u16, "trader, 0 for none";
        106 venue_id: u16, "venue, 0 for the instrument's own";
        108 side: u8, "Side(54)";
        109 ord_type: u8, "OrdType(40)";
        110 time_in_force: u8, "TimeInForce(59)";
        111 tags: u8, "bits 0-1 capacity, 2-3 origin, 4-5 position effect, 6 terms: `order_terms` was offered before it, 7 parent intent: not routed, worked by children";
        112 reserved: [u8; 16], "zero";
    }
    /// Command: cancel one order, named by `orig_cl_ord_id` or by `header.order_seq`.
    CancelOrder cancel_order = 101, 128 {
        0 header: Header, "header; order_seq may name the order";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) of the cancel itself";
        68 orig_cl_ord_id: [u8; 36], "OrigClOrdID(41); all zero when order_seq names the order";
        104 session_id: u16, "client session";
        106 reserved: [u8; 22], "zero";
    }
    /// Command: replace price and quantity of one order.
    ReplaceOrder replace_order = 102, 128 {
        0 header: Header, "header; order_seq may name the order";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) of the replace itself";
        68 orig_cl_ord_id: [u8; 36], "OrigClOrdID(41); all zero when order_seq names the order";
        104 price: i64, "new Price(44)";
        112 order_qty: i64, "new OrderQty(38), the total, filled part included";
        120 session_id: u16, "client session";
        122 tags: u8, "bit 6: new terms (StopPx) were offered before it as `order_terms`; else 0";
        123 reserved: [u8; 5], "zero";
    }
    /// Command, and its event: cancel every live order that matches all named scopes.
    MassCancel mass_cancel = 103, 128 {
        0 header: Header, "header";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) of the mass cancel";
        68 account_id: u32, "0 for any";
        72 instrument_id: u32, "0 for any";
        76 session_id: u16, "the session that asks";
        78 of_session_id: u16, "0 for any";
        80 strategy_id: u16, "0 for any";
        82 venue_id: u16, "0 for any";
        84 side: u8, "0 for any; a sell means all sell sides";
        85 reserved0: u8, "zero";
        86 verdict: u16, "event: what the gate said";
        88 body_hash: u64, "event: hash of the body";
        96 command_seq: u32, "event: low bits of the client's command_seq";
        100 matched: u32, "event: live orders that matched";
        104 reserved: [u8; 24], "zero";
    }
    /// A venue's execution report; the event says what it was taken for. Closed orders: leaves is 0.
    ExecutionReport execution_report = 110, 128 {
        0 header: Header, "header; order_seq filled in by the engine from the street id";
        32 street_id: [u8; 20], "our id at the venue";
        52 exec_id: [u8; 16], "ExecID(17); longer ones: '#' and 15 characters of hash, whole in report_text; of one whose end tells its version that end stays, behind '#' and 12 characters of the rest's hash";
        68 link_seq: u32, "the venue's sequence on the link, 0 when unsequenced";
        72 venue_id: u16, "venue";
        74 trade_day: u16, "TradeDate(75) as days since 1970-01-01, 0 if the venue told none";
        76 exec_type: u8, "ExecType(150)";
        77 ord_status: u8, "OrdStatus(39) as the venue sees it";
        78 flags: u8, "bit 0 PossDup, 1 PossResend, 2 answer to a query, 3 drop copy, 4 last report of a query";
        79 disposition: u8, "what the engine took it for";
        80 last_px: i64, "LastPx(31); other than trades: Price(44) if told";
        88 last_qty: i64, "LastQty(32); other than trades: OrderQty(38) if told";
        96 cum_qty: i64, "CumQty(14)";
        104 leaves_qty: i64, "LeavesQty(151)";
        112 fee: i64, "fee of this fill in the instrument's currency; a rebate is negative";
        120 transact_time_ns: i64, "TransactTime(60)";
    }
    /// Follows an execution report: the venue's order id, a reason and a text.
    ReportText report_text = 111, 128 {
        0 header: Header, "header";
        32 order_id: [u8; 40], "OrderID(37)";
        72 text: [u8; 48], "Text(58)";
        120 rej_reason: u8, "why the venue refused";
        121 reserved: [u8; 7], "zero";
    }
    /// Market data, market by order. Never in the log.
    BookUpdate book_update = 112, 128 {
        0 header: Header, "header";
        32 instrument_id: u32, "instrument";
        36 action: u8, "what it does";
        37 side: u8, "Side(54) of the order; trades: of the aggressor; 0 for none";
        38 flags: u8, "bit 0: last of its event, the book is whole after it; bit 1: from a snapshot";
        39 reserved0: u8, "zero";
        40 order_ref: u64, "the venue's order number";
        48 price: i64, "price";
        56 qty: i64, "size";
        64 transact_time_ns: i64, "the venue's time";
        72 sequence: u64, "the feed's sequence";
        80 reserved: [u8; 48], "zero";
    }
    /// Market data, best bid and offer. Never in the log.
    Quote quote = 113, 128 {
        0 header: Header, "header";
        32 instrument_id: u32, "instrument";
        36 bid_count: u32, "orders at the bid, 0 if not told";
        40 bid_px: i64, "best bid; i64::MIN for none";
        48 bid_qty: i64, "size at the bid";
        56 ask_px: i64, "best offer; i64::MIN for none";
        64 ask_qty: i64, "size at the offer";
        72 ask_count: u32, "orders at the offer, 0 if not told";
        76 reserved0: u32, "zero";
        80 transact_time_ns: i64, "the venue's time";
        88 reserved: [u8; 40], "zero";
    }
    /// Input without an event of its own: time passed.
    TimeInput time_input = 114, 128 {
        0 header: Header, "header; ingest_time_ns is the time";
        32 reserved: [u8; 96], "zero";
    }
    /// A change of the kill switch as the engine saw it: input and event.
    Control control = 115, 128 {
        0 header: Header, "header";
        32 control_epoch: u64, "epoch of the desk word after the change";
        40 target_id: u32, "entity of the scope, 0 for the desk";
        44 scope: u8, "scope";
        45 mode: u8, "the mode now in force for that scope";
        46 cause: u8, "who or what engaged it";
        47 reserved0: u8, "zero";
        48 person: [u8; 24], "who, zero padded";
        72 reason: [u8; 56], "why, zero padded";
    }
    /// State of a venue link: input and event.
    LinkChange link_change = 116, 128 {
        0 header: Header, "header";
        32 venue_id: u16, "venue";
        34 state: u8, "link state";
        35 flags: u8, "bit 0: the venue cancels our orders when the link drops";
        36 link_seq_in: u32, "the venue's last sequence that we have";
        40 link_seq_out: u32, "our last sequence that the venue has";
        44 reserved: [u8; 84], "zero";
    }
    /// Market phase of a venue or an instrument: input and event.
    PhaseChange phase_change = 117, 128 {
        0 header: Header, "header";
        32 venue_id: u16, "venue";
        34 phase: u8, "phase";
        35 reserved0: u8, "zero";
        36 instrument_id: u32, "0 for the whole venue";
        40 link_seq: u32, "the venue's sequence on the link";
        44 reserved1: u32, "zero";
        48 transact_time_ns: i64, "the venue's time";
        56 reserved: [u8; 72], "zero";
    }
    /// A trading day opened or closed at a venue: input and event.
    DayChange day_change = 118, 128 {
        0 header: Header, "header";
        32 venue_id: u16, "venue";
        34 trade_day: u16, "days since 1970-01-01";
        36 opened: u8, "1 opened, 0 closed";
        37 proved: u8, "closed: 1 when the venue, a query or an operator says so; only then day orders expire by it";
        38 reserved0: [u8; 2], "zero";
        40 link_seq: u32, "the venue's sequence on the link";
        44 person: [u8; 24], "operator who proved it, zero padded; empty when it was the venue or nobody";
        68 reserved: [u8; 60], "zero";
    }
    /// The desk ends its recovery and opens, or closes again: input and event.
    DeskState desk_state = 119, 128 {
        0 header: Header, "header";
        32 recovering: u8, "1: cancels only until reconciled, 0: open";
        33 reserved: [u8; 95], "zero";
    }
    /// Precedes an execution report, as input and in its group: the ids and terms it has no room for.
    /// The engine keeps one for each venue, outside the state, for the venue's next report; one whose
    /// exec_id is not that report's is dropped.
    ExecRef exec_ref = 120, 128 {
        0 header: Header, "header";
        32 exec_id: [u8; 16], "ExecID(17) of the report that follows";
        48 exec_ref_id: [u8; 16], "ExecRefID(19): the execution that is busted or corrected";
        64 trd_match_id: [u8; 16], "TrdMatchID(880), the same on a drop copy; longer ones as exec_id";
        80 secondary_exec_id: [u8; 16], "SecondaryExecID(527), where there is no TrdMatchID";
        96 venue_id: u16, "venue";
        98 restatement_reason: u8, "ExecRestatementReason(378) as a code; a venue's own number from 100 on as it is";
        99 reserved0: [u8; 5], "zero";
        104 avg_px: i64, "AvgPx(6) of the report that follows, 0 if the venue told none";
        112 reserved: [u8; 16], "zero";
    }
    /// Precedes a report of an order that is not ours, as input: what that order is. As an event: whether
    /// it was adopted, by the policy of its venue, or only flagged. Kept as `exec_ref` is, and dropped
    /// when the venue's next report names another order.
    ForeignOrder foreign_order = 260, 128 {
        0 header: Header, "header; event: order_seq is our number from now on, 0 when flagged";
        32 street_id: [u8; 20], "ClOrdID(11) under which the venue knows it, as in the report that follows";
        52 instrument_id: u32, "instrument";
        56 account_id: u32, "event: the account that adopts it, 0 when flagged";
        60 venue_id: u16, "venue";
        62 side: u8, "Side(54)";
        63 ord_type: u8, "OrdType(40)";
        64 price: i64, "Price(44), 0 for none; event: the price at which it reserves";
        72 order_qty: i64, "OrderQty(38)";
        80 time_in_force: u8, "TimeInForce(59)";
        81 reserved0: u8, "zero";
        82 verdict: u16, "event: why it is only flagged, 0 when adopted";
        84 reserved: [u8; 44], "zero";
    }
    /// First event of every run of an engine on this log.
    EpochStarted epoch_started = 200, 128 {
        0 header: Header, "header";
        32 epoch: u64, "raised and made durable at every start";
        40 log_id: u64, "id of the log, seed of its checksums";
        48 layout_hash: u64, "hash of the layout that wrote it";
        56 config_hash: u64, "hash of the configuration";
        64 boot_id: [u8; 16], "boot of the machine";
        80 recovered_events: u64, "events folded at this start";
        88 tier: u8, "durability tier";
        89 reserved0: [u8; 7], "zero";
        96 engine_config: u64, "hash of the engine's capacities";
        104 reserved: [u8; 24], "zero";
    }
    /// A torn tail was cut at recovery.
    TailCut tail_cut = 201, 128 {
        0 header: Header, "header";
        32 first_seq: u64, "first sequence that was cut";
        40 records: u64, "records found past it and dropped";
        48 reason: u8, "why";
        49 reserved: [u8; 79], "zero";
    }
    /// The wall clock stepped; times were clamped. Input and event.
    ClockAnomaly clock_anomaly = 202, 128 {
        0 header: Header, "header";
        32 wall_time_ns: i64, "what the wall clock said";
        40 used_time_ns: i64, "what was used";
        48 reserved: [u8; 80], "zero";
    }
    /// A name gets its number: command and event. Idempotent by (entity, name).
    Definition definition = 210, 128 {
        0 header: Header, "header";
        32 id: u32, "number; 0 in the command, given by the engine";
        36 parent_id: u32, "account: node above; session: account it may trade, 0 for all; venue: account that adopts orders found there and unknown here, 0 to flag them; else 0";
        40 entity: u8, "what it names";
        41 level: u8, "account: level in the tree; venue: replace rule";
        42 flags: u8, "venue: bit 0 cancels on disconnect, 1 its trading day is told by utc_offset_min and day_roll_min, 2 an overfill stops it, 3 it replenishes icebergs itself, 4 the end of an exec_id tells its version; account: bit 0 hedging; instrument: see instrument_terms";
        43 answer_s: u8, "venue: seconds after which a message without an answer is asked about, 0 for never; else 0";
        44 currency_id: u32, "account: its currency; else 0";
        48 name: [u8; 36], "name, printable ASCII without spaces, zero padded";
        84 zone: [u8; 32], "venue: time zone name";
        116 command_seq: u32, "event: low bits of the client's command_seq";
        120 utc_offset_min: i32, "venue: its zone's minutes east of UTC; a change of clocks is a new definition";
        124 day_roll_min: u16, "venue: minute of its day at which the next trading day begins, 0 for midnight";
        126 queue_rule: u8, "venue: QueueRule, what keeps a place in its queues";
        127 reserved: u8, "zero";
    }
    /// Terms of an instrument: command and event, after its definition.
    InstrumentTerms instrument_terms = 211, 128 {
        0 header: Header, "header";
        32 instrument_id: u32, "instrument";
        36 venue_id: u16, "its own venue";
        38 currency_id: u16, "currency of price and notional";
        40 tick: i64, "price increment, > 0";
        48 lot: i64, "quantity increment, > 0";
        56 qty_min: i64, "smallest order, > 0";
        64 qty_max: i64, "largest order";
        72 contract_multiplier: i64, "currency per point and unit, 1e-9, > 0";
        80 band: i64, "price band around best bid and offer: ppm if flags bit 1, else absolute price";
        88 reference_age_ms_max: u32, "oldest best bid and offer the gate believes";
        92 flags: u32, "bit 0 restricted, 1 band in ppm, 2 negative prices allowed, 3 no band check, 4 locked book is fine, 5 no market orders, 6 the reference is the last trade, 7 the reference is reference_px, 8 margin is an amount a unit, 9 sells beyond what is held are marked short";
        96 reference_px: i64, "the reference set by a person, where flags bit 7 says so";
        104 margin: i64, "what a position asks for: ppm of its notional, or with flags bit 8 currency a unit, 1e-9";
        112 sector_id: u32, "sector, 0 for none";
        116 reserved: [u8; 12], "zero";
    }
    /// One row of limits: staged, then active by `limits_activated`. Zero or negative: nothing allowed; max: no limit.
    LimitRow limit_row = 213, 128 {
        0 header: Header, "header";
        32 scope: u8, "desk, account (or a group), instrument, sector, session, strategy, trader or account_instrument; bit 7: the row takes its limits away";
        33 burst: u8, "how often orders_max may be taken for ten seconds (session, account); 0 or 1 for no burst";
        34 entity_id: u16, "session, strategy, trader or sector of the scope";
        36 account_id: u32, "account of the scope";
        40 instrument_id: u32, "instrument of the scope";
        44 orders_max: u32, "new orders and replaces in any window (session, account, instrument, strategy); 0 for no throttle";
        48 window_ns: i64, "length of the sliding window";
        56 order_qty_max: i64, "largest order (account, instrument, trader, account_instrument)";
        64 order_notional_max: i64, "largest order in whole units of desk currency (account, account_instrument)";
        72 net_qty_max: i64, "worst long and worst short (account_instrument)";
        80 gross_notional_max: i64, "whole units of desk currency (all but session, strategy and trader)";
        88 net_notional_max: i64, "whole units of desk currency (desk, account, instrument, sector)";
        96 limits_version: u64, "version this row belongs to";
        104 day_notional_max: i64, "traded today (UTC) and open, whole units of desk currency (desk, account); 0 for none";
        112 margin_max: i64, "buying power: margin asked for, whole units of desk currency (desk, account); 0 for none";
        120 minute_orders_max: u32, "new orders and replaces in any minute (session, account); 0 for none";
        124 repeat_window_ms: u16, "an order equal in instrument, side, price and quantity is refused for so long (account); 0 for none";
        126 concentration_bp_max: u16, "gross in one instrument, basis points of gross_notional_max (account); 0 for none";
    }
    /// The staged rows become the limits: command and event.
    LimitsActivated limits_activated = 214, 128 {
        0 header: Header, "header";
        32 limits_version: u64, "version now in force, rises";
        40 limits_hash: u64, "hash of all rows in force, told by the engine";
        48 person: [u8; 24], "who";
        72 approver: [u8; 24], "second person where it loosens";
        96 change_hash: u64, "the approval event that says why; 0: limits of a start's configuration";
        104 reserved: [u8; 24], "zero";
    }
    /// Rate of a currency into the desk currency: command and event.
    Rate rate = 215, 128 {
        0 header: Header, "header";
        32 currency_id: u16, "currency";
        34 reserved0: [u8; 6], "zero";
        40 rate: i64, "desk currency per unit, 1e-9, > 0";
        48 rate_time_ns: i64, "when it held";
        56 age_s_max: u32, "how old it may grow; 0 for no bound (the desk currency itself)";
        60 reserved: [u8; 68], "zero";
    }
    /// A tick of a price range; the table of an instrument in ascending order.
    TickRow tick_row = 216, 128 {
        0 header: Header, "header";
        32 instrument_id: u32, "instrument";
        36 reserved0: u32, "zero";
        40 price_from: i64, "lowest price of the range";
        48 tick: i64, "increment there";
        56 reserved: [u8; 72], "zero";
    }
    /// Opening balance or adjustment of a position: command and event.
    PositionAdjusted position_adjusted = 217, 128 {
        0 header: Header, "header";
        32 account_id: u32, "account";
        36 instrument_id: u32, "instrument";
        40 net_qty: i64, "units added, signed";
        48 price: i64, "price they are carried at";
        56 person: [u8; 24], "who";
        80 reason: [u8; 48], "why";
    }
    /// Follows an execution report whose fill took a position through zero, or closed more of a leg than
    /// there was: its close and its open. Quantities and fees of both add up to the fill's.
    PositionSplit position_split = 270, 128 {
        0 header: Header, "header";
        32 exec_id: [u8; 16], "ExecID(17) of the fill: both parts keep it";
        48 close_qty: i64, "closes what was open; 0: a leg with nothing open was closed";
        56 open_qty: i64, "opens the other way";
        64 last_px: i64, "LastPx(31) of both";
        72 close_fee: i64, "floor(fee x close_qty / LastQty)";
        80 open_fee: i64, "the rest of the fee";
        88 realised_low: u64, "low bits of what the close realised before fees, in points at 1e-18";
        96 realised_high: i64, "its high bits, signed";
        104 account_id: u32, "account";
        108 instrument_id: u32, "instrument";
        112 side: u8, "Side(54) of the fill";
        113 position_leg: u8, "PositionLeg that it belongs to";
        114 over_close: u8, "1: more of a leg was closed than was open, an alarm rises";
        115 reserved: [u8; 13], "zero";
    }
    /// Opening balance or adjustment of one leg of a hedging account: command and event.
    LegAdjusted leg_adjusted = 271, 128 {
        0 header: Header, "header";
        32 account_id: u32, "account";
        36 instrument_id: u32, "instrument";
        40 net_qty: i64, "units added, signed: what adds to a short leg is below 0";
        48 price: i64, "price they are carried at";
        56 person: [u8; 24], "who";
        80 reason: [u8; 40], "why";
        120 position_leg: u8, "PositionLeg, long or short";
        121 reserved: [u8; 7], "zero";
    }
    /// A new order passed the gate.
    OrderAccepted order_accepted = 220, 128 {
        0 header: Header, "header";
        32 cl_ord_id: [u8; 36], "ClOrdID(11)";
        68 instrument_id: u32, "instrument";
        72 price: i64, "limit price; a market order: the far edge of its band, at which it reserves";
        80 order_qty: i64, "OrderQty(38)";
        88 body_hash: u64, "hash of the body, for the duplicate check";
        96 bid_ticks: i32, "best bid used, in ticks from price; i32::MIN: none";
        100 ask_ticks: i32, "best offer used, in ticks from price; i32::MIN: none";
        104 account_id: u32, "account";
        108 command_seq: u32, "low bits of the client's command_seq";
        112 session_id: u16, "session";
        114 strategy_id: u16, "strategy";
        116 trader_id: u16, "trader";
        118 venue_id: u16, "venue it goes to";
        120 reference_age_ms: u16, "age of bid and offer, saturating";
        122 limits_version: u16, "low bits of the limits in force";
        124 side: u8, "Side(54)";
        125 ord_type: u8, "OrdType(40)";
        126 time_in_force: u8, "TimeInForce(59)";
        127 tags: u8, "as in the command";
    }
    /// A new order was refused; a `refusal` follows. The id is taken if the verdict is past the duplicate check.
    OrderRefused order_refused = 221, 128 {
        0 header: Header, "header";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) as received";
        68 instrument_id: u32, "instrument";
        72 price: i64, "price";
        80 order_qty: i64, "quantity";
        88 body_hash: u64, "hash of the body";
        96 parent_order_seq: u64, "parent";
        104 account_id: u32, "account";
        108 command_seq: u32, "low bits of the client's command_seq";
        112 session_id: u16, "session";
        114 strategy_id: u16, "strategy";
        116 trader_id: u16, "trader";
        118 venue_id: u16, "venue";
        120 verdict: u16, "why";
        122 limits_version: u16, "low bits of the limits in force";
        124 side: u8, "Side(54)";
        125 ord_type: u8, "OrdType(40)";
        126 time_in_force: u8, "TimeInForce(59)";
        127 tags: u8, "as in the command";
    }
    /// A cancel passed the gate; header.order_seq is the order.
    CancelAccepted cancel_accepted = 222, 128 {
        0 header: Header, "header";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) of the cancel; all zero when the desk itself cancels";
        68 session_id: u16, "session that asked, 0 for the desk";
        70 revision: u16, "revision of the street id it goes out with";
        72 body_hash: u64, "hash of the body";
        80 command_seq: u32, "low bits of the client's command_seq";
        84 cause: u8, "0 asked for, else kill cause";
        85 closed: u8, "1: a parent or held here, canceled by this event; 2: expired by it; 0: a cancel goes out";
        86 why: u8, "cause of the desk's own cancel, OwnCause; 0 for none of them";
        87 reserved0: u8, "zero";
        88 by_order_seq: u64, "contingent: the leg whose fill or end did it, else 0";
        96 reserved: [u8; 32], "zero";
    }
    /// A cancel or a replace was refused; a `refusal` follows. kind of the command in `of_kind`.
    ChangeRefused change_refused = 223, 128 {
        0 header: Header, "header; order_seq 0 if no order was found";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) as received";
        68 session_id: u16, "session";
        70 verdict: u16, "why";
        72 body_hash: u64, "hash of the body";
        80 price: i64, "price asked for, replace only";
        88 order_qty: i64, "quantity asked for, replace only";
        96 command_seq: u32, "low bits of the client's command_seq";
        100 of_kind: u16, "kind of the refused command";
        102 limits_version: u16, "low bits of the limits in force";
        104 reserved: [u8; 24], "zero";
    }
    /// A replace passed the gate; header.order_seq is the order, the old terms hold until replaced.
    ReplaceAccepted replace_accepted = 224, 128 {
        0 header: Header, "header";
        32 cl_ord_id: [u8; 36], "ClOrdID(11) of the replace";
        68 session_id: u16, "session";
        70 revision: u16, "revision of the street id it goes out with";
        72 price: i64, "new price";
        80 order_qty: i64, "new quantity";
        88 body_hash: u64, "hash of the body";
        96 bid_ticks: i32, "best bid used, in ticks from price; i32::MIN: none";
        100 ask_ticks: i32, "best offer used, in ticks from price; i32::MIN: none";
        104 command_seq: u32, "low bits of the client's command_seq";
        108 reference_age_ms: u16, "age of bid and offer, saturating";
        110 limits_version: u16, "low bits of the limits in force";
        112 stop_px: i64, "StopPx(99) from now on, orders held here; else 0";
        120 held: u8, "1: the order is held here, the new terms hold by this event";
        121 priority: u8, "QueuePriority: whether the venue keeps its place in the queue";
        122 by_cancel: u8, "1: the venue has no replace: a cancel goes out, and behind its proof a new order of this revision";
        123 why: u8, "OwnCause of the desk's own replace, whose id is all zero; else 0";
        124 reserved: [u8; 4], "zero";
    }
    /// The same id and body again: the answer is the order's present state or its recorded refusal.
    CommandRepeated command_repeated = 225, 128 {
        0 header: Header, "header; order_seq of the order, 0 if the first was refused";
        32 cl_ord_id: [u8; 36], "ClOrdID(11)";
        68 session_id: u16, "session";
        70 verdict: u16, "0, or the recorded refusal";
        72 cum_qty: i64, "CumQty(14) now";
        80 leaves_qty: i64, "LeavesQty(151) now";
        88 command_seq: u32, "low bits of the client's command_seq";
        92 ord_status: u8, "OrdStatus(39) now";
        93 reserved: [u8; 35], "zero";
    }
    /// Follows a refusal: what failed, in numbers.
    Refusal refusal = 229, 128 {
        0 header: Header, "header";
        32 value: i64, "the value that failed, saturating";
        40 bound: i64, "the bound it failed against, saturating";
        48 bid_px: i64, "best bid seen; i64::MIN for none";
        56 ask_px: i64, "best offer seen; i64::MIN for none";
        64 reference_age_ms: i64, "age of bid and offer; -1 for none";
        72 verdict: u16, "why";
        74 reserved: [u8; 54], "zero";
    }
    /// Follows an accepted order that is more than plain; as an input, the terms of the session's next new order or replace.
    OrderTerms order_terms = 230, 128 {
        0 header: Header, "header";
        32 parent_order_seq: u64, "parent, 0 for none";
        40 stop_px: i64, "StopPx(99); event of a pegged order: Price(44) of the command, its worst price, 0 for none";
        48 max_floor: i64, "MaxFloor(111)";
        56 min_qty: i64, "MinQty(110)";
        64 expire_time_ns: i64, "ExpireTime(126)";
        72 peg_offset: i64, "PegOffsetValue(211)";
        80 group_seq: u64, "contingent group, 0 for none";
        88 leg_ref: u64, "leg of a spread, 0 for none";
        96 peg_type: u8, "PegPriceType";
        97 contingency: u8, "ContingencyType(1385)";
        98 trigger: u8, "zero; by trade unless exec_inst says by quote";
        99 exec_inst: u8, "ExecInst(18): bits EXEC_*";
        100 session_id: u16, "input: session that offers them";
        102 expire_day: u16, "ExpireDate(432), the market's date in days since 1970-01-01, 0 for none";
        104 trail: i64, "distance of a trailing stop: price, or ppm of the best price if exec_inst says so";
        112 reference_px: i64, "event: price from which a trailing stop starts, or to which an order is pegged";
        120 shown_qty: i64, "event: most that goes to the venue at a time, an iceberg that the desk replenishes; 0 for all";
    }
    /// Follows an accepted order: bounded annotations, returned on every report.
    Annotation annotation = 231, 128 {
        0 header: Header, "header";
        32 operator: [u8; 24], "operator";
        56 clearing_account: [u8; 24], "clearing account";
        80 locate_id: [u8; 24], "locate";
        104 reserved: [u8; 24], "zero";
    }
    /// One message for a venue, logged in the group that justifies it; on the link it is the frame itself.
    Routed routed = 240, 128 {
        0 header: Header, "header";
        32 street_id: [u8; 20], "base 36 of (epoch, order_seq, revision)";
        52 orig_street_id: [u8; 20], "street id being canceled or replaced";
        72 price: i64, "Price(44); 0 for a market order";
        80 order_qty: i64, "OrderQty(38)";
        88 link_seq: u32, "our sequence on this venue's link, from 1";
        92 instrument_id: u32, "instrument";
        96 account_id: u32, "account";
        100 venue_id: u16, "venue";
        102 revision: u16, "revision of the order";
        104 msg_type: u8, "what it is";
        105 side: u8, "Side(54)";
        106 ord_type: u8, "OrdType(40)";
        107 time_in_force: u8, "TimeInForce(59)";
        108 exec_inst: u8, "ExecInst(18): bits EXEC_* that the venue must keep";
        109 position_effect: u8, "PositionEffect(77) of a hedging account's new order, else 0";
        110 expire_day: u16, "ExpireDate(432), days since 1970-01-01, 0 for none";
        112 expire_time_ns: i64, "ExpireTime(126), 0 for none";
        120 max_floor: i64, "MaxFloor(111) of an iceberg that the venue itself replenishes, 0 for none";
    }
    /// A routed message was held back by the kill switch and never sent: input and event.
    DroppedUnsent dropped_unsent = 241, 128 {
        0 header: Header, "header; order_seq of the order";
        32 routed_seq: u64, "event_seq of the routed record";
        40 control_epoch: u64, "epoch of the switch that held it";
        48 link_seq: u32, "its number on the link, gap filled";
        52 venue_id: u16, "venue";
        54 msg_type: u8, "what it was";
        55 cause: u8, "kill cause, 0 when canceled while waiting";
        56 reserved: [u8; 72], "zero";
    }
    /// The outcome of a sent message became unknown (link lost, restart): input and event.
    OutcomeUnknown outcome_unknown = 242, 128 {
        0 header: Header, "header; order_seq of the order";
        32 venue_id: u16, "venue";
        34 reserved: [u8; 94], "zero";
    }
    /// A held order met its trigger: it goes out in the same group, is refused here, or is armed.
    Triggered triggered = 250, 128 {
        0 header: Header, "header";
        32 trigger_px: i64, "price that did it, 0 for a leg";
        40 transact_time_ns: i64, "its time";
        48 stop_px: i64, "StopPx(99) it met; armed: from now on";
        56 price: i64, "limit price, or the collar at which it reserves from now on";
        64 order_qty: i64, "OrderQty(38) from now on";
        72 value: i64, "refused: the value that failed";
        80 bound: i64, "refused: the bound it failed against";
        88 by_order_seq: u64, "the leg that did it, 0 for a price";
        96 mark_px: i64, "trailing: best price it had seen";
        104 verdict: u16, "refused: why";
        106 cause: u8, "TriggerCause";
        107 outcome: u8, "TriggerOutcome";
        108 ord_type: u8, "OrdType(40) it goes out as";
        109 reserved0: [u8; 3], "zero";
        112 shown_qty: i64, "released: what goes to the venue of it now, 0 for all";
        120 reserved: [u8; 8], "zero";
    }
    /// The stop of a trailing order has moved; logged at a bounded rate, so a recovery starts from here.
    TrailMoved trail_moved = 254, 128 {
        0 header: Header, "header";
        32 stop_px: i64, "StopPx(99) from now on";
        40 mark_px: i64, "best price seen";
        48 reserved: [u8; 80], "zero";
    }
    /// Two legs of a group that may not both trade have traded: flagged for a person.
    GroupFlagged group_flagged = 255, 128 {
        0 header: Header, "header; order_seq of the later leg";
        32 group_seq: u64, "the group";
        40 other_order_seq: u64, "the leg that traded first";
        48 cum_qty: i64, "CumQty(14) of the later leg";
        56 other_cum_qty: i64, "CumQty(14) of the first";
        64 reserved: [u8; 64], "zero";
    }
    /// An order that is replaced by cancel and new has ended at the venue: its new self goes out in the
    /// same group, or the order ends here.
    Moved moved = 280, 128 {
        0 header: Header, "header";
        32 price: i64, "Price(44) of the new order";
        40 order_qty: i64, "its OrderQty(38) at the venue: the new quantity less all fills";
        48 value: i64, "refused: the value that failed";
        56 bound: i64, "refused: the bound it failed against";
        64 verdict: u16, "refused: why";
        66 outcome: u8, "TriggerOutcome: released, refused or ended";
        67 reserved: [u8; 61], "zero";
    }
    /// An instrument was halted by a trigger of ours.
    HaltNotice halt_notice = 251, 128 {
        0 header: Header, "header";
        32 instrument_id: u32, "instrument";
        36 cause: u16, "what tripped";
        38 reserved0: u16, "zero";
        40 value: i64, "what was seen";
        48 bound: i64, "its threshold";
        56 reserved: [u8; 72], "zero";
    }
    /// A change that people ask for, before anything of it: two where it loosens, one where it tightens.
    Approval approval = 252, 128 {
        0 header: Header, "header";
        32 change_hash: u64, "hash of the change";
        40 person: [u8; 24], "who asked";
        64 approver: [u8; 24], "who approved; empty where one person suffices";
        88 reason: [u8; 40], "why";
    }
    /// Numbers of a FIX message stored in the same group.
    StoredMessage stored_message = 253, 128 {
        0 header: Header, "header";
        32 session_id: u16, "session";
        34 size: u16, "bytes in the records that follow";
        36 msg_seq_num: u32, "MsgSeqNum(34)";
        40 reserved: [u8; 88], "zero";
    }
    /// Link: hello, both ways. The answer says how far each side has read.
    LinkHello link_hello = 300, 128 {
        0 header: Header, "header";
        32 layout_hash: u64, "both sides must agree";
        40 epoch: u64, "desk: its epoch; an older one than seen before is refused";
        48 log_id: u64, "desk: id of its log";
        56 link_seq_in: u32, "last sequence received from the other side";
        60 link_seq_out: u32, "last sequence given out by this side";
        64 venue_id: u16, "venue";
        66 flags: u8, "bit 0: cancel on disconnect asked for; bit 1: lock-step in virtual time; bit 2: refused";
        67 reserved0: u8, "zero";
        68 heartbeat_ms: u32, "interval";
        72 text: [u8; 56], "desk: its name; venue: the order terms it keeps, or why it refused";
    }
    /// Link: heartbeat.
    LinkHeartbeat link_heartbeat = 301, 128 {
        0 header: Header, "header";
        32 link_seq_in: u32, "last sequence received from the other side";
        36 reserved: [u8; 92], "zero";
    }
    /// Link: a query; answers are execution reports flagged so, then `query_end`.
    LinkQuery link_query = 302, 128 {
        0 header: Header, "header";
        32 street_id: [u8; 20], "kind order: which";
        52 query_id: u32, "returned in the end";
        56 since_link_seq: u32, "kind fills: fills after this sequence of the venue's";
        60 query_kind: u8, "what is asked";
        61 reserved: [u8; 67], "zero";
    }
    /// Link: all answers to a query have been sent.
    LinkQueryEnd link_query_end = 303, 128 {
        0 header: Header, "header";
        32 query_id: u32, "of the query";
        36 count: u32, "answers sent";
        40 reserved: [u8; 88], "zero";
    }
    /// Link, lock-step: the venue has handed over all that is due by `now_ns`; the desk answers with `link_turn_done`.
    LinkTurn link_turn = 304, 128 {
        0 header: Header, "header";
        32 now_ns: i64, "virtual time";
        40 turn: u64, "counts from 1";
        48 ended: u8, "1: the day is over";
        49 reserved: [u8; 79], "zero";
    }
    /// Link, lock-step: the desk has acted on the turn.
    LinkTurnDone link_turn_done = 305, 128 {
        0 header: Header, "header";
        32 turn: u64, "of the turn";
        40 wake_ns: i64, "the desk wants a turn at this virtual time at the latest; i64::MAX: none";
        48 reserved: [u8; 80], "zero";
    }
    /// Header of the ring in shared memory; one page, then the slots.
    RingHeader ring_header = 0, 256 {
        0 magic: u64, "PYOMSRNG";
        8 layout_hash: u64, "hash of the layout";
        16 log_id: u64, "id of the log";
        24 slots: u64, "number of slots, a power of two";
        32 boot_id: [u8; 16], "boot of the machine that made it";
        48 epoch: u64, "epoch of the writer";
        56 first_seq: u64, "first record this ring ever held";
        64 published_seq: u64, "last record that readers may see; stored with Release";
        72 reserved1: [u8; 56], "zero: a line of its own";
        128 durable_seq: u64, "last record that is on disk; stored with Release by the journal thread";
        136 committed_seq: u64, "tier replica: last record the replica has; readers take published_seq at memory and process, durable_seq at disk";
        144 claimed_seq: u64, "last record the writer began to write; a slot above it minus slots is safe to read";
        152 reserved2: [u8; 40], "zero: a line of its own";
        192 tier: u8, "durability tier";
        193 reserved3: [u8; 63], "zero";
    }
    /// Header of a segment file, its first 4,096 bytes (the rest zero); records follow.
    SegmentHeader segment_header = 0, 128 {
        0 magic: u64, "PYOMSSEG";
        8 layout_hash: u64, "hash of the layout";
        16 log_id: u64, "id of the log";
        24 first_seq: u64, "event_seq of the first record";
        32 records_max: u64, "records the file has room for";
        40 epoch: u64, "epoch that made the file";
        48 boot_id: [u8; 16], "boot of the machine that made it";
        64 created_time_ns: i64, "when";
        72 reserved: [u8; 52], "zero";
        124 crc32c: u32, "over the bytes before";
    }
    /// Header of the control file; the words follow at byte 4,096. A word is mode in the top 8 bits, epoch in the low 56.
    ControlHeader control_header = 0, 128 {
        0 magic: u64, "PYOMSCTL";
        8 layout_hash: u64, "hash of the layout";
        16 accounts_max: u32, "words of accounts";
        20 instruments_max: u32, "words of instruments";
        24 venues_max: u32, "words of venues";
        28 sessions_max: u32, "words of sessions";
        32 strategies_max: u32, "words of strategies";
        36 senders_max: u32, "sender rows";
        40 log_id: u64, "id of the desk's log";
        48 reserved: [u8; 76], "zero";
        124 crc32c: u32, "over the bytes before";
    }
    /// One sender's row in the control file: a line of its own.
    ControlSender control_sender = 0, 64 {
        0 pid: u32, "process, 0 for a free row";
        4 state: u32, "0 free, 1 running, 2 parked";
        8 start_time: u64, "start time of the process, clock ticks since boot";
        16 seen_epoch: u64, "epoch it has acted on, stored with Release";
        24 sent_seq: u64, "link_seq of the last message it has handed over on its venue's link";
        32 unsent_bytes: u64, "bytes still in its socket buffers";
        40 venue_id: u32, "venue it serves, 0 for all";
        44 reserved: [u8; 20], "zero";
    }
    /// Header of a command ring in shared memory: one producer, one consumer, records follow at byte 256.
    CommandRingHeader command_ring_header = 0, 256 {
        0 magic: u64, "PYOMSCMD";
        8 layout_hash: u64, "hash of the layout";
        16 slots: u64, "number of slots, a power of two";
        24 session_id: u32, "session bound to the ring by the engine";
        28 client_id: u32, "number of the client";
        32 client_pid: u32, "its process";
        36 reserved0: [u8; 28], "zero";
        64 head: u64, "last command_seq written; stored with Release by the client";
        72 reserved1: [u8; 56], "zero: a line of its own";
        128 tail: u64, "last command_seq taken; stored with Release by the engine";
        136 parked: u32, "1: the engine sleeps, ring its eventfd";
        140 reserved2: [u8; 52], "zero";
        192 beats: u64, "signs of life of the client, counted by it";
        200 asleep: u32, "1: the client sleeps until there is news, ring its eventfd";
        204 reserved3: [u8; 52], "zero";
    }
    /// Header of the board in shared memory: the best bid and offer of each instrument for clients. A `quote` for each id follows at byte 4,096; its `event_seq` counts writes and is odd while one is under way.
    BoardHeader board_header = 0, 128 {
        0 magic: u64, "PYOMSBRD";
        8 layout_hash: u64, "hash of the layout";
        16 log_id: u64, "id of the desk's log";
        24 slots: u64, "quotes that follow";
        32 reserved0: [u8; 32], "zero";
        64 version: u64, "counts changes of the board; stored with Release";
        72 is_open: u64, "1: the desk takes new orders";
        80 reserved: [u8; 48], "zero: a line of its own";
    }
}
