"""Checks a finished session three ways: the log against itself, against numpy, against the venue.

Called by `pyoms demo` after the last process has ended. What must stay true: the fold here shares
no code with the engine; it reads the records of the log and nothing else, and integers stay exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyoms.demo.plan import COMMANDS_PROVED
from pyoms.demo.session import Session
from pyoms.errors import OmsError
from pyoms_core.layout import CODES, KINDS, NAMES, ONE, TAG_PARENT, dtype

Array = np.ndarray[Any, Any]
"""Records of one kind, or a column of them."""

_BOOKED = [CODES["disposition"][name].code for name in ("applied", "late", "overfill")]
_TRADE = CODES["exec_type"]["trade"].code
_BUY = CODES["side"]["buy"].code
_CLOSED = [
    CODES["ord_status"][name].code
    for name in ("filled", "canceled", "rejected", "expired", "calculated")
]


class ProofError(OmsError):
    """The log is so wrong that nothing can be counted."""

    code = "proof"
    exit_code = 1


class Events:
    """The whole log in memory, and views of it by kind."""

    def __init__(self, desk: Path) -> None:
        from pyoms.tape import open_log

        log = open_log(desk)
        parts = [batch.records.copy() for batch in log.batches(1)]
        self.all: Array = np.concatenate(parts) if parts else np.zeros(0, dtype("record"))
        self.kinds: Array = self.all["kind"]

    def of(self, kind: str) -> Array:
        """All records of a kind, in order."""
        rows: Array = self.all[self.kinds == KINDS[kind]].view(dtype(kind))
        return rows


@dataclass(slots=True)
class Ledger:
    """What the fills of one account add up to: quantities at 1e-9, points at 1e-18."""

    net_qty: int = 0
    bought_qty: int = 0
    sold_qty: int = 0
    cash_points: int = 0
    fees: int = 0
    fills: int = 0


@dataclass(slots=True)
class Proof:
    """What was found; `failed` names every line that does not hold."""

    lines: list[tuple[str, bool, str]] = field(default_factory=list)

    def line(self, name: str, holds: bool, what: str) -> bool:
        """Add one proof line."""
        self.lines.append((name, bool(holds), what))
        return bool(holds)

    @property
    def failed(self) -> list[str]:
        """Names of the lines that do not hold."""
        return [name for name, holds, _ in self.lines if not holds]


def booked_fills(events: Events) -> Array:
    """Give the reports that moved a position, each once."""
    reports = events.of("execution_report")
    taken = (reports["exec_type"] == _TRADE) & np.isin(reports["disposition"], _BOOKED)
    booked: Array = reports[taken]
    return booked


def fold_fills(events: Events) -> dict[int, Ledger]:
    """Fold the tape's fills into ledgers by account: columns in numpy, sums in exact integers."""
    accepted, fills = events.of("order_accepted"), booked_fills(events)
    at = np.searchsorted(accepted["order_seq"], fills["order_seq"])
    orders = accepted[at]
    if not (orders["order_seq"] == fills["order_seq"]).all():
        raise ProofError("the log has a fill of an order that it never accepted")
    buys = orders["side"] == _BUY
    ledgers: dict[int, Ledger] = {}
    for account in np.unique(orders["account_id"]).tolist():
        mine = orders["account_id"] == account
        of, buy = fills[mine], buys[mine]
        qty, px = of["last_qty"].astype(object), of["last_px"].astype(object)
        bought = int(qty[buy].sum()) if buy.any() else 0
        sold = int(qty[~buy].sum()) if (~buy).any() else 0
        points = px * qty
        ledgers[account] = Ledger(
            net_qty=bought - sold,
            bought_qty=bought,
            sold_qty=sold,
            cash_points=sum(points[~buy].tolist()) - sum(points[buy].tolist()),
            fees=int(of["fee"].astype(object).sum()),
            fills=len(of),
        )
    return ledgers


def same_positions(ledgers: Mapping[int, Ledger], positions: list[dict[str, Any]]) -> list[str]:
    """Compare ledgers with the positions the engine folded; gives what differs."""
    seen = {}
    for row in positions:
        if row["bought_qty"] or row["sold_qty"]:
            seen[row["account_id"]] = Ledger(
                net_qty=row["net_qty"],
                bought_qty=row["bought_qty"],
                sold_qty=row["sold_qty"],
                cash_points=row["realised_points"] - row["open_points"],
                fees=row["fees"],
                fills=ledgers[row["account_id"]].fills if row["account_id"] in ledgers else 0,
            )
    return [
        f"account {account}: fills give {ledgers.get(account)}, the engine {seen.get(account)}"
        for account in sorted({*ledgers, *seen})
        if ledgers.get(account) != seen.get(account)
    ]


def worst_children(events: Events) -> list[tuple[int, int, int]]:
    """Give (parent, its quantity, most its children ever held), by a walk over their events.

    A live child holds its whole quantity, a closed one what it filled.
    """
    accepted, terms = events.of("order_accepted"), events.of("order_terms")
    parent_of = dict(
        zip(terms["order_seq"].tolist(), terms["parent_order_seq"].tolist(), strict=True)
    )
    parent_of = {child: parent for child, parent in parent_of.items() if parent}
    parents = accepted[(accepted["tags"] & TAG_PARENT) != 0]
    held: dict[int, dict[int, int]] = {seq: {} for seq in parents["order_seq"].tolist()}
    worst = dict.fromkeys(held, 0)
    steps: list[tuple[int, int, int]] = []  # event, child, what it holds from here on
    born = accepted[np.isin(accepted["order_seq"], list(parent_of))]
    steps += zip(*(born[c].tolist() for c in ("event_seq", "order_seq", "order_qty")), strict=True)
    reports = events.of("execution_report")
    reports = reports[np.isin(reports["order_seq"], list(parent_of))]
    replaced = reports[reports["exec_type"] == CODES["exec_type"]["replaced"].code]
    columns = ("event_seq", "order_seq", "last_qty")
    steps += zip(*(replaced[c].tolist() for c in columns), strict=True)
    over = reports[np.isin(reports["ord_status"], _CLOSED)]
    steps += zip(*(over[c].tolist() for c in ("event_seq", "order_seq", "cum_qty")), strict=True)
    dropped = events.of("dropped_unsent")
    dropped = dropped[dropped["msg_type"] == CODES["msg_type"]["new_order"].code]
    dropped = dropped[np.isin(dropped["order_seq"], list(parent_of))]
    steps += [(e, o, 0) for e, o in zip(dropped["event_seq"], dropped["order_seq"], strict=True)]
    for _, child, qty in sorted(steps):
        parent = parent_of[child]
        held[parent][child] = qty
        worst[parent] = max(worst[parent], sum(held[parent].values()))
    sizes = zip(parents["order_seq"].tolist(), parents["order_qty"].tolist(), strict=True)
    return [(seq, qty, worst[seq]) for seq, qty in sizes]


def refusals(events: Events) -> Counter[str]:
    """Count refused commands by reason."""
    names = NAMES["verdict"]
    counts: Counter[str] = Counter()
    for kind in ("order_refused", "change_refused"):
        for code, count in zip(
            *np.unique(events.of(kind)["verdict"], return_counts=True), strict=True
        ):
            counts[names[int(code)]] += int(count)
    return counts


def commands_accepted(events: Events) -> int:
    """Count accepted commands of clients; cancels that the desk itself made are not among them."""
    cancels = events.of("cancel_accepted")
    asked = cancels[(cancels["session_id"] != 0) & (cancels["cause"] == 0)]
    masses = events.of("mass_cancel")
    return (
        len(events.of("order_accepted"))
        + len(events.of("replace_accepted"))
        + len(asked)
        + int((masses["verdict"] == 0).sum())
    )


def order_seq_of(street_id: str) -> int:
    """Our order number in a street id: base 36 of (epoch, order_seq, revision)."""
    return int(street_id[4:14], 36)


def same_orders(
    orders: list[dict[str, Any]], witness: Mapping[str, Any], unsent: set[int]
) -> list[str]:
    """Compare the desk's orders with the venue's, field by field; gives what differs."""
    ours = {row["order_seq"]: row for row in orders if not row["is_parent"]}
    theirs: dict[int, dict[str, Any]] = {}
    differ = []
    for row in witness["orders"]:
        seq = order_seq_of(row["first_street_id"])
        if seq in theirs:
            differ.append(f"order {seq}: twice at the venue")
        theirs[seq] = row
    for seq in sorted({*ours, *theirs}):
        desk, venue = ours.get(seq), theirs.get(seq)
        if desk is None:
            differ.append(f"order {seq}: at the venue alone")
        elif venue is None:
            if seq not in unsent:
                differ.append(f"order {seq}: {desk['ord_status']} here, unknown to the venue")
        else:
            pairs = [
                ("ord_status", "ord_status"),
                ("cum_qty", "cum_qty"),
                ("order_qty", "order_qty"),
            ]
            pairs += [("leaves_qty", "leaves_qty"), ("price", "price"), ("cum_points", "value")]
            differ += [
                f"order {seq}: {ours_is} {desk[ours_is]} here, {venue[theirs_is]} at the venue"
                for ours_is, theirs_is in pairs
                if desk[ours_is] != venue[theirs_is]
            ]
    return differ


def same_venue_positions(ledgers: Mapping[int, Ledger], witness: Mapping[str, Any]) -> list[str]:
    """Compare ledgers with the venue's positions; gives what differs."""
    theirs = {row["account_id"]: row for row in witness["positions"]}
    differ = []
    for account in sorted({*ledgers, *theirs}):
        ours, venue = ledgers.get(account, Ledger()), theirs.get(account)
        if venue is None:
            differ.append(f"account {account}: no position at the venue, {ours} here")
            continue
        here = (ours.net_qty, ours.bought_qty, ours.sold_qty, ours.cash_points, ours.fees)
        there = tuple(venue[name] for name in ("net", "bought", "sold", "cash", "fee"))
        if here != there:
            differ.append(f"account {account}: {here} here, {there} at the venue")
    return differ


def first(differ: list[str], fine: str) -> str:
    """Say what is fine, or the first of what is not."""
    return fine if not differ else f"{len(differ)} differ; {differ[0]}"


def lots(fixed: int) -> int:
    """Whole units of a quantity."""
    return fixed // ONE


@dataclass(slots=True)
class Found:
    """Everything the reports tell of a session."""

    proof: Proof
    events: Events
    replay: Any
    ledgers: dict[int, Ledger]
    positions: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    parents: list[tuple[int, int, int]]
    figures: dict[str, Any]


def prove(session: Session) -> Found:
    """Check everything; `figures` is what ``--json`` prints."""
    import pyoms_native as native
    from pyoms.config import load
    from pyoms.oms import capacities

    told, proof, events = session.told, Proof(), Events(session.desk)
    replay = native.Replay(session.desk, capacities(load(session.desk / "desk.toml")))
    replay_hash, checked = f"{replay.state_hash():016x}", native.verify_log(session.desk)
    proof.line(
        "replay equals live state",
        told.done["state_hash"] == replay_hash,
        f"{told.done['state_hash']} live, {replay_hash} from {replay.events:,} events",
    )
    ledgers, positions = fold_fills(events), replay.positions()
    differ = same_positions(ledgers, positions)
    fills = sum(ledger.fills for ledger in ledgers.values())
    positions_match = proof.line(
        "positions equal fold of fills",
        not differ,
        first(
            differ, f"{fills:,} fills of {len(ledgers)} accounts, folded by numpy, equal to 1e-18"
        ),
    )
    parents = worst_children(events)
    worst = ", ".join(f"{lots(held)} of {lots(qty)} lots" for _, qty, held in parents)
    proof.line(
        "sum of children <= parent",
        bool(parents) and all(held <= qty for _, qty, held in parents),
        f"children held at most {worst}" if parents else "no parent was worked",
    )
    damage = checked["damage"]
    proof.line(
        "log verified",
        damage is None and checked["last_seq"] == len(events.all),
        damage
        or f"{checked['records']:,} records in {checked['segments']} segments: dense, sums right",
    )
    orders = replay.orders(live=False)
    dropped = events.of("dropped_unsent")
    new_order = CODES["msg_type"]["new_order"].code
    unsent = set(dropped["order_seq"][dropped["msg_type"] == new_order].tolist())
    # The venue's own word, asked after the crash: it never had them.
    reports = events.of("execution_report")
    never = reports["exec_type"] == CODES["exec_type"]["unknown_order"].code
    lost = set(reports["order_seq"][never].tolist())
    unsent |= lost
    differ = same_orders(orders, told.witness, unsent)
    venue_match = proof.line(
        "orders equal the venue's",
        not differ,
        first(differ, f"{len(told.witness['orders']):,} orders: status, quantities, price, value"),
    )
    differ = same_venue_positions(ledgers, told.witness)
    venue_match &= proof.line(
        "positions equal the venue's",
        not differ,
        first(differ, f"{len(told.witness['positions'])} accounts: net, bought, sold, cash, fees"),
    )
    drilled = _kill_drill(session, proof, events, dropped)
    crashed = _crash(session, proof, events)
    counters = told.witness["counters"]
    proof.line(
        "no self trade",
        counters["self_trades"] == 0,
        f"{counters['self_trades_prevented']} prevented",
    )
    rejected = refusals(events)
    accepted = commands_accepted(events)
    repeated = len(events.of("command_repeated"))
    commands = accepted + sum(rejected.values()) + repeated
    enough_commands(proof, commands, session.plan.minutes)
    figures = {
        "data": session.plan.source,
        "synthetic": session.plan.is_synthetic,
        "seed": session.plan.seed,
        "tier": told.done["tier"],
        "commands": commands,
        "accepted": accepted,
        "rejected": dict(rejected.most_common()),
        "orders": len(orders),
        "fills": fills,
        "events": len(events.all),
        "live_state_hash": told.done["state_hash"],
        "replay_state_hash": replay_hash,
        "positions_match": positions_match,
        "venue_match": venue_match,
        "children_within_parent": "sum of children <= parent" not in proof.failed,
        "log_verified": "log verified" not in proof.failed,
        "self_trades": counters["self_trades"],
        "self_trades_prevented": counters["self_trades_prevented"],
        "duplicate_sends": counters["duplicate_sends"],
        **drilled,
        **crashed,
        **latency(told.decide),
        "wall_s": round(told.wall_s, 3),
        "ok": not proof.failed,
        "failed": proof.failed,
    }
    return Found(
        proof=proof,
        events=events,
        replay=replay,
        ledgers=ledgers,
        positions=positions,
        orders=orders,
        parents=parents,
        figures=figures,
    )


def enough_commands(proof: Proof, commands: int, minutes: int) -> bool:
    """Prove that a whole day was a day's work; a run of some minutes is exempt and says so."""
    told = f"{commands:,} commands at the gate"
    if minutes:
        return proof.line("commands of the day", True, f"{told}; exempt, {minutes} minutes alone")
    bound = f"{told}, at least {COMMANDS_PROVED:,} are a whole day"
    return proof.line("commands of the day", commands >= COMMANDS_PROVED, bound)


def _kill_drill(session: Session, proof: Proof, events: Events, dropped: Array) -> dict[str, Any]:
    """Prove by the venue's record that nothing new came after the acknowledgement."""
    told = session.told
    sent_seq = max(sender["sent_seq"] for sender in told.kill["senders"])
    # The record was written while the desk was still killed, after cancels and a restart.
    after = [seq for seq in told.witness_killed["creating_link_seqs"] if seq > sent_seq]
    # What the outbox held when the switch was engaged ended in the log before the release.
    control = events.of("control")
    engaged = control["event_seq"][control["mode"] != 0][0]
    later = control["event_seq"][(control["mode"] == 0) & (control["event_seq"] > engaged)]
    creating = [CODES["msg_type"][name].code for name in ("new_order", "replace")]
    during = (dropped["event_seq"] > engaged) & (dropped["event_seq"] < later[0])
    held_back = int((during & np.isin(dropped["msg_type"], creating)).sum())
    proof.line(
        "kill acknowledged",
        told.kill["acknowledged"] and held_back > 0,
        f"by {len(told.kill['senders'])} senders in {told.kill['ack_us']} us; "
        f"{held_back} new orders and replaces waited in the outbox and never left",
    )
    proof.line(
        "nothing after the acknowledged kill",
        not after,
        f"{len(after)} new orders or replaces at the venue above message {sent_seq}",
    )
    still_open = sum(row["leaves_qty"] > 0 for row in told.witness_killed["orders"])
    proof.line(
        "all live orders canceled",
        told.flat["live_orders"] == 0 and still_open == 0,
        f"{told.held['live_orders']} were live; {still_open} open at the venue, "
        f"{told.flat['live_orders']} here",
    )
    restarted = told.still_killed
    proof.line(
        "restart still killed",
        restarted["mode"] != "open" and restarted["verdict"] == "killed",
        f"mode {restarted['mode']}, a new order is refused: {restarted['sentence']}",
    )
    proof.line(
        "released by two people",
        told.released.get("mode") == "open",
        "alice asked, bob approved the change by its hash",
    )
    return {
        "sent_after_ack": len(after),
        "held_back": held_back,
        "kill_ack_us": told.kill["ack_us"],
    }


def _crash(session: Session, proof: Proof, events: Events) -> dict[str, Any]:
    """Prove that the SIGKILL lost nothing and doubled nothing."""
    told, counters = session.told, session.told.witness["counters"]
    starts = events.of("epoch_started")
    recovered = int(starts["recovered_events"][-1])
    up_ns = told.up[-1]["now_ns"]
    fills = booked_fills(events)
    after = fills["event_seq"] > int(starts["event_seq"][-1])
    meanwhile = fills["transact_time_ns"] <= up_ns
    found = fills[after & meanwhile]
    proof.line(
        "killed between append and send",
        told.exit_codes[1] == -9 and recovered >= told.armed["crash_at_seq"],
        f"SIGKILL at event {recovered:,}, armed for {told.armed['crash_at_seq']:,}",
    )
    proof.line(
        "fills of meanwhile found",
        len(found) > 0,
        f"{len(found)} fills of {session.plan.outage_s} virtual seconds without a desk",
    )
    sends = counters["duplicate_sends"]
    proof.line(
        "no order sent twice", sends == 0, f"{sends} street ids came twice, by the venue's count"
    )
    return {"recovered_events": recovered, "filled_while_dead": len(found)}


def latency(lives: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge the decision histograms of all lives: percentiles over every command decided live."""
    counts: Counter[int] = Counter()
    longest = 0
    for life in lives:
        for upper_ns, count in life.get("histogram", []):
            counts[upper_ns] += count
        longest = max(longest, life.get("max_ns", 0))
    total, seen = sum(counts.values()), 0
    shares = {"decide_p50_ns": 0.5, "decide_p99_ns": 0.99, "decide_p999_ns": 0.999}
    found = dict.fromkeys(shares, 0)
    for upper_ns in sorted(counts):
        seen += counts[upper_ns]
        for name, share in shares.items():
            if not found[name] and seen >= share * total:
                found[name] = min(upper_ns, longest or upper_ns)
    return {"decide_n": total, **found, "decide_max_ns": longest}
