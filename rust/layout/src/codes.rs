//! Every enumeration that crosses a boundary. A code once released never changes its number; a new
//! one is added at the end (verdicts: the number is the precedence, see there).

codes! {
    /// Side(54).
    Side side: u8 {
        buy Buy = 1, "1", "buy";
        sell Sell = 2, "2", "sell";
        sell_short SellShort = 3, "5", "sell short: needs a locate where the instrument asks for one";
        sell_short_exempt SellShortExempt = 4, "6", "sell short exempt";
    }
    /// OrdType(40).
    OrdType ord_type: u8 {
        market Market = 1, "1", "market; reserves at the far edge of the price band";
        limit Limit = 2, "2", "limit";
        stop Stop = 3, "3", "stop, held here";
        stop_limit StopLimit = 4, "4", "stop limit, held here";
        market_if_touched MarketIfTouched = 5, "J", "market if touched, held here";
        limit_if_touched LimitIfTouched = 6, "K", "limit if touched, held here";
        pegged Pegged = 7, "P", "pegged";
        trailing_stop TrailingStop = 8, "P", "trailing stop, held here; goes out as market";
    }
    /// ContingencyType(1385).
    Contingency contingency: u8 {
        none None = 0, "", "stands alone";
        oco Oco = 1, "1", "one cancels the other: a fill of one leg cancels the others";
        oto_first OtoFirst = 2, "2", "waits for the first fill of its group's first leg";
        oto_full OtoFull = 3, "2", "waits until its group's first leg is filled, or ended with fills";
        bracket Bracket = 4, "", "as oto_full, and one cancels the other among such children";
    }
    /// PegPriceType(1094).
    PegType peg_type: u8 {
        none None = 0, "", "not pegged";
        bid Bid = 1, "", "best bid";
        ask Ask = 2, "", "best offer";
        mid Mid = 3, "2", "midpoint";
    }
    /// What released, armed or refused a held order.
    TriggerCause trigger_cause: u8 {
        trade Trade = 1, "", "a trade";
        quote Quote = 2, "", "best bid or offer";
        leg Leg = 3, "", "the first leg of its group";
    }
    /// What became of a held order whose trigger was met.
    TriggerOutcome trigger_outcome: u8 {
        released Released = 1, "", "it goes out in this group";
        refused Refused = 2, "", "judged again, it may not leave: rejected here";
        armed Armed = 3, "", "its leg has traded: it waits for its price now";
        ended Ended = 4, "", "nothing is left for it to do: it ends canceled, its fills are kept";
    }
    /// Why the desk itself canceled or closed an order.
    OwnCause own_cause: u8 {
        none None = 0, "", "a command, a mass cancel or the kill switch";
        expiry Expiry = 1, "", "its ExpireTime(126) has come";
        day_end DayEnd = 2, "", "its trading day is over";
        group Group = 3, "", "another leg of its group has traded or ended";
        parent Parent = 4, "", "its parent was canceled";
        recheck Recheck = 5, "", "the daily re-check of a resting order found it not allowed any more";
        reduce_only ReduceOnly = 6, "", "it would no longer only reduce the position";
        peg Peg = 7, "", "what it is pegged to has moved";
        leg_filled LegFilled = 8, "", "the leg that it follows has filled more";
    }
    /// Whether a change keeps the order's place in the venue's queue.
    QueuePriority queue_priority: u8 {
        untold Untold = 0, "", "not known for this venue";
        kept Kept = 1, "", "keeps its place";
        lost Lost = 2, "", "goes to the end of its level";
    }
    /// What keeps a place in a venue's queues; the fields of each stand in `priority.rs` of the engine.
    QueueRule queue_rule: u8 {
        untold Untold = 0, "", "not known for this venue";
        quantity_down QuantityDown = 1, "", "a smaller quantity alone keeps it (CME Globex)";
        away Away = 2, "", "a smaller quantity or a price farther from the market keeps it";
        none None = 3, "", "every change loses it";
    }
    /// PositionEffect(77): whether an order of a hedging account opens or closes; bits 4-5 of `tags`.
    PositionEffect position_effect: u8 {
        none None = 0, "D", "not told: a net account's order closes before it opens";
        open Open = 1, "O", "adds to the leg of its side: a buy to the long one, a sell to the short one";
        close Close = 2, "C", "takes from the leg of the other side";
    }
    /// Part of a position: a hedging account keeps its long and its short leg apart.
    PositionLeg position_leg: u8 {
        net Net = 0, "", "the one position of a net account";
        long Long = 1, "", "the long leg of a hedging account";
        short Short = 2, "", "the short leg of a hedging account";
    }
    /// How an account keeps its positions.
    PositionMode position_mode: u8 {
        net Net = 0, "", "one position an instrument: buys and sells offset each other";
        hedging Hedging = 1, "", "a long and a short leg an instrument, each opened and closed by PositionEffect(77)";
    }
    /// TimeInForce(59).
    TimeInForce time_in_force: u8 {
        day Day = 1, "0", "until the end of the trading day";
        gtc Gtc = 2, "1", "good till cancel";
        ioc Ioc = 3, "3", "immediate or cancel";
        fok Fok = 4, "4", "fill or kill";
        gtd Gtd = 5, "6", "good till date";
        at_open AtOpen = 6, "2", "at the opening";
        at_close AtClose = 7, "7", "at the close";
    }
    /// OrdStatus(39), with two of our own: `unknown` and `held`.
    OrdStatus ord_status: u8 {
        none None = 0, "", "no order in this slot";
        pending_new PendingNew = 1, "A", "accepted here, not yet acknowledged by the venue";
        new New = 2, "0", "live at the venue (a parent: being worked)";
        partially_filled PartiallyFilled = 3, "1", "live, some filled";
        pending_cancel PendingCancel = 4, "6", "live, a cancel is on its way";
        pending_replace PendingReplace = 5, "E", "live, a replace is on its way";
        unknown Unknown = 6, "", "sent, outcome unknown: keeps its reserve until the venue answers";
        held Held = 7, "", "held here, waiting for its trigger";
        suspended Suspended = 8, "9", "suspended by the venue";
        stopped Stopped = 9, "7", "guaranteed by the venue";
        done_for_day DoneForDay = 10, "3", "done for the day, may be renewed";
        filled Filled = 11, "2", "closed: filled";
        canceled Canceled = 12, "4", "closed: canceled";
        rejected Rejected = 13, "8", "closed: rejected by the venue";
        expired Expired = 14, "C", "closed: expired";
        calculated Calculated = 15, "B", "closed: calculated";
    }
    /// ExecType(150): what a report says.
    ExecType exec_type: u8 {
        new New = 1, "0", "acknowledged";
        trade Trade = 2, "F", "a fill";
        canceled Canceled = 3, "4", "canceled, asked for or not";
        replaced Replaced = 4, "5", "the replace of this street id holds";
        rejected Rejected = 5, "8", "the order was refused by the venue";
        expired Expired = 6, "C", "expired";
        cancel_rejected CancelRejected = 7, "", "35=9 to a cancel: the order stays as it was";
        replace_rejected ReplaceRejected = 8, "", "35=9 to a replace: the order stays as it was";
        order_status OrderStatus = 9, "I", "answer to a query: CumQty and OrdStatus as the venue sees them";
        done_for_day DoneForDay = 10, "3", "done for the day";
        trade_cancel TradeCancel = 11, "H", "bust";
        trade_correct TradeCorrect = 12, "G", "correct";
        restated Restated = 13, "D", "restated by the venue";
        suspended Suspended = 14, "9", "suspended";
        pending_new PendingNew = 15, "A", "received, not yet accepted";
        unknown_order UnknownOrder = 16, "", "answer to a query: the venue never had this order";
        stopped Stopped = 17, "7", "guaranteed";
        calculated Calculated = 18, "B", "its money is worked out";
    }
    /// ExecRestatementReason(378): why the venue speaks of an order unasked.
    RestatementReason restatement_reason: u8 {
        none None = 0, "", "not told";
        gt_corporate_action GtCorporateAction = 1, "0", "good-till order restated by a corporate action";
        gt_renewal GtRenewal = 2, "1", "good-till order renewed for another day";
        verbal_change VerbalChange = 3, "2", "changed by word of mouth";
        repricing Repricing = 4, "3", "repriced";
        broker_option BrokerOption = 5, "4", "broker option";
        qty_decline QtyDecline = 6, "5", "part of OrderQty(38) declined";
        trading_halt TradingHalt = 7, "6", "canceled by a trading halt";
        system_failure SystemFailure = 8, "7", "canceled by a system failure";
        market_option MarketOption = 9, "8", "option of the market";
        not_best NotBest = 10, "9", "canceled, not best";
        warehouse_recap WarehouseRecap = 11, "10", "warehouse recap";
        peg_refresh PegRefresh = 12, "11", "pegged price refreshed";
        connection_loss ConnectionLoss = 13, "12", "canceled on the loss of the connection";
        logout Logout = 14, "13", "canceled on logout";
        time_priority TimePriority = 15, "14", "time priority assigned";
        price_violation PriceViolation = 16, "15", "canceled, trade price violation";
        cross_imbalance CrossImbalance = 17, "16", "canceled, cross imbalance";
        other Other = 99, "99", "other";
    }
    /// What the engine made of a report; written in the event, so that replay never judges again.
    Disposition disposition: u8 {
        none None = 0, "", "not judged yet: an input";
        applied Applied = 1, "", "folded into the order";
        late Late = 2, "", "a fill, bust, correct or restatement after the end of the order: booked, an alarm rises";
        overfill Overfill = 3, "", "a fill beyond the order's quantity: booked, an alarm rises";
        duplicate Duplicate = 4, "", "the same exec_id and payload again: nothing changes";
        conflict Conflict = 5, "", "a known exec_id with another payload: not applied, an alarm rises";
        stale Stale = 6, "", "older than what is known: nothing changes";
        unknown_order UnknownOrder = 7, "", "no order of ours: flagged, nothing changes";
        outside_table OutsideTable = 8, "", "no row of the transition table allows it: flagged, nothing changes";
        malformed Malformed = 9, "", "a field is out of range: flagged, nothing changes";
        unsupported Unsupported = 10, "", "an exec_type that this release records and does not fold";
        gap Gap = 11, "", "the venue counts fills that we do not have: they are queried once, nothing else changes";
        unknown_exec UnknownExec = 12, "", "a bust or correct of an execution that we do not have: flagged, nothing changes";
        reconciled Reconciled = 13, "", "a known fill under another id: the id is remembered, nothing else changes";
        move_lost MoveLost = 14, "", "the new order of a replace by cancel and new was refused: the order ends canceled, its fills are kept, an alarm rises";
    }
    /// What a definition names.
    Entity entity: u8 {
        account Account = 1, "", "an account, or a node above it in the tree";
        instrument Instrument = 2, "", "an instrument";
        venue Venue = 3, "", "a venue";
        session Session = 4, "", "a client session";
        strategy Strategy = 5, "", "a strategy";
        trader Trader = 6, "", "a trader";
        currency Currency = 7, "", "a currency";
        person Person = 8, "", "a person of [people]";
        sector Sector = 9, "", "a sector of instruments";
    }
    /// The level of a node in the account tree.
    AccountLevel account_level: u8 {
        trader Trader = 1, "", "trader";
        account Account = 2, "", "account";
        group Group = 3, "", "group";
        desk Desk = 4, "", "desk";
        firm Firm = 5, "", "firm";
    }
    /// Scope of a kill or of a limit.
    Scope scope: u8 {
        desk Desk = 0, "", "the whole desk";
        account Account = 1, "", "one account";
        instrument Instrument = 2, "", "one instrument";
        venue Venue = 3, "", "one venue";
        session Session = 4, "", "one session";
        strategy Strategy = 5, "", "one strategy";
        account_instrument AccountInstrument = 6, "", "one account in one instrument (limits only)";
        sector Sector = 7, "", "the instruments of one sector (limits only)";
        trader Trader = 8, "", "one trader (limits only)";
    }
    /// Kill switch mode; a higher number is stricter.
    KillMode kill_mode: u8 {
        open Open = 0, "", "trading";
        reduce_only ReduceOnly = 1, "", "only what reduces risk, by two people";
        cancel_only CancelOnly = 2, "", "cancels pass, no new order and no replace";
        halt Halt = 3, "", "session messages only";
    }
    /// Who or what engaged a kill.
    KillCause kill_cause: u8 {
        operator Operator = 1, "", "a person";
        automatic Automatic = 2, "", "a trigger of ours";
        exchange Exchange = 3, "", "the venue";
        control_file ControlFile = 4, "", "the control file is missing, short, noisy or wrongly owned";
        restart Restart = 5, "", "the log or the file said killed before the restart";
    }
    /// Market phase of a venue or of one instrument.
    Phase phase: u8 {
        unknown Unknown = 0, "", "not told yet: new orders are refused";
        pre_open PreOpen = 1, "", "orders rest, nothing matches";
        open Open = 2, "", "continuous trading";
        auction Auction = 3, "", "auction call";
        halted Halted = 4, "", "cancels only";
        closed Closed = 5, "", "cancels only";
    }
    /// What a market-by-order record does to the book.
    BookAction book_action: u8 {
        add Add = 1, "A", "a new order rests";
        modify Modify = 2, "M", "price or size changes";
        cancel Cancel = 3, "C", "size goes away, wholly or in part";
        clear Clear = 4, "R", "the book is emptied";
        trade Trade = 5, "T", "an aggressor traded; does not change the book";
        fill Fill = 6, "F", "a resting order was hit; does not change the book";
        none None = 7, "N", "nothing, but flags may matter";
    }
    /// Message on the way to a venue.
    MsgType msg_type: u8 {
        new_order NewOrder = 1, "D", "new order";
        replace Replace = 2, "G", "cancel/replace";
        cancel Cancel = 3, "F", "cancel";
        mass_cancel MassCancel = 4, "q", "mass cancel";
        order_status OrderStatus = 5, "H", "order status request";
        gap_fill GapFill = 6, "4", "the message of this number was held back; skip it";
    }
    /// How the venue counts a replace in flight (DESIGN §7).
    ReplaceRule replace_rule: u8 {
        in_flight_counted InFlightCounted = 1, "", "new quantity counts fills in flight: reserve max(old, new)";
        in_flight_lost InFlightLost = 2, "", "does not count them: reserve old + new";
        cancel_new CancelNew = 3, "", "no atomic replace: cancel, await proof, then new";
        modify_new ModifyNew = 4, "", "tells a replace as the old id canceled and the new one acknowledged: reserve old + new";
    }
    /// Durability tier; weakest first.
    Tier tier: u8 {
        memory Memory = 1, "", "nothing survives the process";
        process Process = 2, "", "survives kill -9, not power loss";
        disk Disk = 3, "", "survives power loss";
        replica Replica = 4, "", "survives the machine";
    }
    /// OrderCapacity(528).
    Capacity capacity: u8 {
        agency Agency = 0, "A", "agency";
        principal Principal = 1, "P", "principal";
        riskless Riskless = 2, "R", "riskless principal";
        individual Individual = 3, "I", "individual";
    }
    /// Where an order came from.
    Origin origin: u8 {
        algo Algo = 0, "Y", "an algorithm";
        manual Manual = 1, "N", "a person at a screen";
        phone Phone = 2, "", "taken by phone";
    }
    /// State of a venue link.
    LinkState link_state: u8 {
        down Down = 0, "", "not connected: new orders are refused, sent ones without answer are unknown";
        recovering Recovering = 1, "", "connected, replay and query under way: cancels only";
        up Up = 2, "", "connected and reconciled";
    }
    /// What a query on a venue link asks for.
    QueryKind query_kind: u8 {
        order Order = 1, "", "one order, by street id";
        open Open = 2, "", "all open orders";
        fills Fills = 3, "", "all fills since a link sequence";
    }
    /// Why a tail of the log was cut.
    CutReason cut_reason: u8 {
        torn Torn = 1, "", "the last group was not whole";
        unpublished Unpublished = 2, "", "written and never published";
    }
    /// Why a venue refused, OrdRejReason(103) and CxlRejReason(102) folded.
    RejReason rej_reason: u8 {
        none None = 0, "", "no reason told";
        broker_option BrokerOption = 1, "0", "venue option";
        unknown_symbol UnknownSymbol = 2, "1", "unknown symbol";
        exchange_closed ExchangeClosed = 3, "2", "exchange closed";
        too_late TooLate = 4, "0", "too late to cancel";
        unknown_order UnknownOrder = 5, "1", "unknown order";
        duplicate_order DuplicateOrder = 6, "6", "duplicate order";
        already_pending AlreadyPending = 7, "3", "already pending cancel or replace";
        price_band PriceBand = 8, "8", "price exceeds the current band";
        other Other = 99, "99", "other";
    }
    /// Kind of an order event after which its id is taken.
    Outcome outcome: u8 {
        accepted Accepted = 1, "", "the command was accepted";
        refused Refused = 2, "", "the command was refused";
    }
    /// The gate's answer. The number is the precedence: of several failing checks the lowest is
    /// told (REQUIREMENTS §1); those from terms_missing on are about order terms and judged last. `doc` is the sentence a trader reads, `fix` is OrdRejReason(103); `{value}` and
    /// `{bound}` are the numbers of the refusal, `_e9` fixed-point at 1e-9.
    Verdict verdict: u16 {
        accepted Accepted = 0, "", "accepted";
        session_unknown SessionUnknown = 1, "6", "session {value} is not defined on this desk";
        account_not_entitled AccountNotEntitled = 2, "15", "session {bound} may not trade account {value}";
        cl_ord_id_malformed ClOrdIdMalformed = 3, "99", "cl_ord_id has a byte {value} at {bound}: 1 to 36 printable ASCII characters are allowed";
        duplicate_id DuplicateId = 4, "6", "cl_ord_id was used before in this session with another body; the first one is order {value}";
        id_table_full IdTableFull = 5, "99", "the id table is full: {value} ids of {bound} are in use, and none is old enough to forget";
        killed Killed = 6, "0", "the kill switch is engaged: scope {value}, mode {bound}";
        recovering Recovering = 7, "0", "the desk is recovering: cancels only until replay and reconciliation end";
        side_unsupported SideUnsupported = 8, "99", "side {value} is not supported";
        ord_type_unsupported OrdTypeUnsupported = 9, "11", "ord_type {value} is not supported";
        time_in_force_unsupported TimeInForceUnsupported = 10, "99", "time_in_force {value} is not supported";
        qty_not_positive QtyNotPositive = 11, "13", "order_qty {value_e9} must be above {bound_e9}";
        price_missing PriceMissing = 12, "99", "a limit order needs a price";
        price_not_allowed PriceNotAllowed = 13, "99", "a market order carries no price, this one has {value_e9}";
        account_unknown AccountUnknown = 14, "15", "account {value} is not defined";
        strategy_unknown StrategyUnknown = 15, "99", "strategy {value} is not defined";
        venue_unknown VenueUnknown = 16, "99", "venue {value} is not defined";
        instrument_unknown InstrumentUnknown = 17, "1", "instrument {value} is not defined";
        instrument_restricted InstrumentRestricted = 18, "0", "instrument {value} is on the restricted list";
        market_order_banned MarketOrderBanned = 19, "0", "the instrument takes no market orders";
        short_unmarked ShortUnmarked = 20, "0", "a sell of {value_e9} is beyond the {bound_e9} that is held and not for sale yet: mark it as a short sale";
        trader_unknown TraderUnknown = 21, "99", "trader {value} is not defined";
        price_not_positive PriceNotPositive = 22, "99", "price {value_e9} is not above {bound_e9} and the instrument does not allow that";
        price_off_tick PriceOffTick = 23, "99", "price {value_e9} is not a multiple of the tick {bound_e9}";
        qty_off_lot QtyOffLot = 24, "13", "order_qty {value_e9} is not a multiple of the lot {bound_e9}";
        qty_below_min QtyBelowMin = 25, "13", "order_qty {value_e9} is below the instrument's minimum {bound_e9}";
        qty_above_max QtyAboveMax = 26, "13", "order_qty {value_e9} is above the instrument's maximum {bound_e9}";
        reference_absent ReferenceAbsent = 27, "0", "no best bid or offer for the instrument: the price cannot be checked";
        reference_not_positive ReferenceNotPositive = 28, "0", "the reference {value_e9} is not above zero and the instrument does not allow that";
        reference_stale ReferenceStale = 29, "0", "best bid and offer are {value} ms old, allowed are {bound}";
        reference_crossed ReferenceCrossed = 30, "0", "the book is crossed: bid {value_e9}, offer {bound_e9}";
        reference_locked ReferenceLocked = 31, "0", "the book is locked at {value_e9}";
        price_above_band PriceAboveBand = 32, "16", "price {value_e9} is above the band {bound_e9}";
        price_below_band PriceBelowBand = 33, "16", "price {value_e9} is below the band {bound_e9}";
        market_closed MarketClosed = 34, "2", "the market phase is {value}: cancels only";
        venue_down VenueDown = 35, "0", "venue {value} is not connected and reconciled";
        parent_unknown ParentUnknown = 36, "5", "parent order {value} is not a live parent";
        parent_mismatch ParentMismatch = 37, "99", "the child differs from parent {value} in account, instrument, side or strategy";
        parent_exceeded ParentExceeded = 38, "13", "children would hold {value_e9} of the parent's {bound_e9}";
        order_qty_limit OrderQtyLimit = 39, "3", "order_qty {value_e9} is above the limit {bound_e9}";
        trader_qty_limit TraderQtyLimit = 40, "3", "order_qty {value_e9} is above the limit {bound_e9} of the trader";
        notional_overflow NotionalOverflow = 41, "3", "the notional does not fit in 128 bits at the scale used";
        rate_absent RateAbsent = 42, "0", "no rate into the desk currency for currency {value}";
        rate_stale RateStale = 43, "0", "the rate into the desk currency is {value} s old, allowed are {bound}";
        order_notional_limit OrderNotionalLimit = 44, "3", "order notional {value} is above the limit {bound} (desk currency)";
        net_qty_limit NetQtyLimit = 45, "3", "worst net position {value_e9} would be beyond the limit {bound_e9}";
        instrument_gross_limit InstrumentGrossLimit = 46, "3", "gross {value} in this instrument would be above the limit {bound} (desk currency)";
        concentration_limit ConcentrationLimit = 47, "3", "gross {value} in this instrument would be above the share {bound} of the account's gross limit (desk currency)";
        account_net_limit AccountNetLimit = 48, "3", "worst net {value} of the account would be beyond the limit {bound} (desk currency)";
        account_gross_limit AccountGrossLimit = 49, "3", "gross {value} of the account would be above the limit {bound} (desk currency)";
        group_net_limit GroupNetLimit = 50, "3", "worst net {value} of a group above the account would be beyond the limit {bound} (desk currency)";
        group_gross_limit GroupGrossLimit = 51, "3", "gross {value} of a group above the account would be above the limit {bound} (desk currency)";
        symbol_net_limit SymbolNetLimit = 52, "3", "worst net {value} of all accounts in this instrument would be beyond the limit {bound} (desk currency)";
        symbol_gross_limit SymbolGrossLimit = 53, "3", "gross {value} of all accounts in this instrument would be above the limit {bound} (desk currency)";
        sector_net_limit SectorNetLimit = 54, "3", "worst net {value} of all accounts in this sector would be beyond the limit {bound} (desk currency)";
        sector_gross_limit SectorGrossLimit = 55, "3", "gross {value} of all accounts in this sector would be above the limit {bound} (desk currency)";
        margin_limit MarginLimit = 56, "3", "margin {value} would be above the buying power {bound} (desk currency)";
        day_notional_limit DayNotionalLimit = 57, "3", "notional {value} traded today and open would be above the limit {bound} (desk currency)";
        repeated_order RepeatedOrder = 58, "6", "the same order came {value} ms ago, allowed is one in {bound}";
        repeat_table_full RepeatTableFull = 59, "0", "the memory of repeated orders is full: too many different orders within the window";
        throttle_session ThrottleSession = 60, "0", "the session sent {value} orders within its window, allowed are {bound}";
        throttle_account ThrottleAccount = 61, "0", "the account sent {value} orders within its window, allowed are {bound}";
        throttle_symbol ThrottleSymbol = 62, "0", "{value} orders in this instrument within its window, allowed are {bound}";
        throttle_strategy ThrottleStrategy = 63, "0", "the strategy sent {value} orders within its window, allowed are {bound}";
        throttle_minute ThrottleMinute = 64, "0", "{value} orders of the session or account within a minute, allowed are {bound}";
        throttle_burst ThrottleBurst = 65, "0", "the burst is used up: orders above {bound} in a window are taken for ten seconds, not longer";
        order_table_full OrderTableFull = 66, "0", "the order table is full: {value} of {bound} slots hold orders that must be kept";
        log_full LogFull = 67, "0", "the log has room for {value} more events, new orders leave a reserve of {bound}";
        order_unknown OrderUnknown = 68, "5", "no such order of this session";
        order_closed OrderClosed = 69, "0", "the order is closed: {value}";
        cancel_pending CancelPending = 70, "0", "a cancel of this order is already on its way";
        replace_pending ReplacePending = 71, "0", "a replace of this order is already on its way";
        qty_below_filled QtyBelowFilled = 72, "13", "the new order_qty {value_e9} is not above the {bound_e9} already filled";
        unchanged Unchanged = 73, "99", "the replace changes neither price nor quantity";
        outcome_unknown OutcomeUnknown = 74, "0", "the order's outcome is unknown: it can be canceled, not replaced";
        revision_full RevisionFull = 75, "99", "the order was changed {value} times, allowed are {bound}";
        limits_absent LimitsAbsent = 76, "0", "no limit row for account {value}: nothing may be sent without one";
        report_table_full ReportTableFull = 77, "0", "the fill-id table is nearly full: {value} of {bound}";
        filter_empty FilterEmpty = 78, "99", "a mass cancel names no known scope: value {value}";
        name_malformed NameMalformed = 79, "99", "a definition's name has a byte {value} at {bound}: printable ASCII without spaces";
        definition_table_full DefinitionTableFull = 80, "99", "the table of this kind of definition is full: {value} of {bound}";
        definition_invalid DefinitionInvalid = 81, "99", "a definition's field is out of range: {value}, bound {bound}";
        command_malformed CommandMalformed = 82, "99", "a command record of kind {value} is not one the engine takes";
        terms_missing TermsMissing = 83, "99", "tags and offered terms do not agree: tags are {value}, terms offered {bound}";
        terms_not_allowed TermsNotAllowed = 84, "99", "ord_type {value} takes no term number {bound} of its kind";
        stop_px_invalid StopPxInvalid = 85, "99", "stop_px {value_e9} must be above zero and a multiple of the tick {bound_e9}";
        trail_invalid TrailInvalid = 86, "99", "trail {value} must be above zero and, in ppm, below {bound}";
        trail_reference_absent TrailReferenceAbsent = 87, "0", "nothing to trail from: the instrument has no trade and no quote yet";
        expire_invalid ExpireInvalid = 88, "99", "expiry {value} is not after {bound}, or not given for a good-till-date order";
        phase_not_for_tif PhaseNotForTif = 89, "99", "time_in_force {bound} is not taken in phase {value}";
        post_only_crosses PostOnlyCrosses = 90, "99", "post-only price {value_e9} would trade against {bound_e9}";
        reduce_only_exceeds ReduceOnlyExceeds = 91, "99", "a reduce-only order of {value_e9} is above the {bound_e9} of the position that no order closes yet";
        max_floor_invalid MaxFloorInvalid = 92, "99", "max_floor {value_e9} must be above zero, a multiple of the lot and at most order_qty {bound_e9}";
        contingency_invalid ContingencyInvalid = 93, "99", "contingency {value} does not fit group {bound}";
        group_unknown GroupUnknown = 94, "99", "group {value} has no live first leg of this session, account and venue";
        terms_table_full TermsTableFull = 95, "0", "the table of order terms is full: {bound} rows hold live orders";
        exec_inst_invalid ExecInstInvalid = 96, "99", "exec_inst bits {value} are not taken here, allowed are {bound}";
        peg_invalid PegInvalid = 97, "99", "peg_type {value} with an offset that is no multiple of the tick {bound_e9}, or on an order that is not pegged";
        position_effect_invalid PositionEffectInvalid = 98, "99", "position effect {value} is not taken: a hedging account's order says 1 open or 2 close";
        close_exceeds_leg CloseExceedsLeg = 99, "99", "a close of {value_e9} is above the {bound_e9} of the leg that no order closes yet";
        position_mode_in_use PositionModeInUse = 100, "99", "the account has a live order or an open position: its position mode cannot change";
    }
}
