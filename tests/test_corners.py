"""The corner families 1 to 40: the table of their tests is whole, and the corners told in Python.

`tests/data/corners.toml` maps each family to tests by name; here every name is looked for in the
sources. The corners below are told to an inline engine and to the oracle alike: both must come to
the same.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pyoms.engine import Engine
from pyoms_core.layout import ONE
from tests.model.pair import Pair
from tests.model.seam import Driven, limit_order
from tests.test_fix_states import SCENARIOS

ROOT = Path(__file__).resolve().parents[1]
TABLE: dict[str, Any] = tomllib.loads((ROOT / "tests/data/corners.toml").read_text())
SMALL = {
    "orders_max": 64,
    "ids_max": 256,
    "fills_max": 256,
    "accounts_max": 2,
    "instruments_max": 2,
    "books_max": 0,
}
START_NS = 1_700_000_000_000_000_000
DAY_NS = 24 * 3600 * ONE


def names() -> set[str]:
    """Names of every test function and class in the repository."""
    rust = [path for path in (ROOT / "rust").rglob("*.rs") if "target" not in path.parts]
    python = list((ROOT / "tests").rglob("*.py"))
    found: set[str] = set()
    for path in rust + python:
        found |= set(re.findall(r"\b(?:fn|def|class) (\w+)", path.read_text(encoding="utf-8")))
    return found


def test_every_family_has_a_sentence_and_tests_that_exist() -> None:
    there = names()
    titles = {block.splitlines()[0] for block in SCENARIOS.strip().split("\n\n")}
    told = {int(case.id.split()[0]) for case in stories()}
    for family in TABLE["family"]:
        tests, scenarios = family.get("tests", []), family.get("scenarios", [])
        told.discard(family["number"])
        assert family["what"].endswith("."), family
        assert tests or scenarios, family
        assert set(tests) <= there, (family["number"], set(tests) - there)
        assert set(scenarios) <= titles, (family["number"], set(scenarios) - titles)
    assert not told, "a story of a family that the table calls missing"
    numbers = [family["number"] for family in TABLE["family"]]
    assert sorted(numbers + TABLE["missing"]) == list(range(1, 41))


def test_a_family_that_has_a_test_is_not_called_missing() -> None:
    told = {int(n) for name in names() for n in re.findall(r"^(?:test_)?corner_(\d+)_", name)}
    assert told.isdisjoint(TABLE["missing"]), "move it into a [[family]] of tests/data/corners.toml"


class Both(Pair):
    """One engine and one model that are told the same, by the words of a corner."""

    def __init__(self) -> None:
        oms = Engine(now_ns=START_NS, ring_slots=1 << 13, **SMALL)
        oms.define_account("A1")
        oms.define_instrument("ES", tick="0.25", contract_multiplier=50, flags=8)
        super().__init__(Driven(oms.core))
        self.count = itertools.count(1)

    def submit(self, qty: int, side: str = "buy", **more: Any) -> int:
        verdict = self.send(qty, side, **more)
        return max(self.model.orders) if verdict == "accepted" else 0

    def send(self, qty: int, side: str = "buy", **more: Any) -> str:
        command = limit_order(f"o{next(self.count)}", side, qty * ONE, 100 * ONE) | more
        verdict = self.command("new_order", command)
        self.agree()
        return verdict

    def change(self, kind: str, seq: int, **terms: Any) -> str:
        own = {"cl_ord_id": f"c{next(self.count)}", "session_id": 1}
        verdict = self.command(kind, own | {"order_seq": seq, "orig_cl_ord_id": ""} | terms)
        self.agree()
        return verdict

    def cancel(self, seq: int) -> str:
        return self.change("cancel_order", seq)

    def replace(self, seq: int, qty: int, px: int = 100) -> str:
        terms = {"price": px * ONE, "order_qty": qty * ONE, "has_terms": False}
        return self.change("replace_order", seq, **terms)

    def tell(self, seq: int, exec_type: str, qty: int = 0, px: int = 100, **more: Any) -> str:
        report = {
            "street_epoch": self.model.orders[seq].epoch if seq in self.model.orders else 1,
            "street_seq": seq,
            "street_revision": 0,
            "exec_id": f"E{next(self.count)}",
            "venue_id": 1,
            "trade_day": 0,
            "exec_type": exec_type,
            "ord_status": "",
            "last_px": px * ONE,
            "last_qty": qty * ONE,
            "cum_qty": 0,
            "leaves_qty": 0,
            "fee": 0,
            "transact_time_ns": START_NS,
        } | more
        disposition = self.report(report)
        self.agree()
        return disposition

    def lose(self, seq: int) -> None:
        self.fact("outcome_unknown", order_seq=seq, venue_id=1)
        self.agree()

    def status(self, seq: int) -> str:
        return self.model.orders[seq].status


STORIES = (ROOT / "tests/data/corners.txt").read_text(encoding="utf-8")
ANSWERS = {
    "cancel_rejected": "cancel",
    "canceled": "cancel",
    "replaced": "replace",
    "replace_rejected": "replace",
}
"""What a word of the venue answers: it names that message unless the row says rev."""


class Story:
    """One story of the table, told once in one of its ways."""

    def __init__(self, way: str) -> None:
        self.both, self.way = Both(), way
        self.seqs: dict[str, int] = {}

    def tell(self, line: str) -> None:
        """Take one row and compare what it says."""
        told, _, expected = (part.strip() for part in line.partition("|"))
        if told.startswith(("net ", "sent ")):
            return self.close(*told.split())
        verb, *words = told.split()
        named = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        before = max(self.both.model.orders, default=0)
        answer = getattr(self, verb)(plain, named)
        if verb in ("send", "parent") and max(self.both.model.orders, default=0) > before:
            self.seqs[plain[0]] = before + 1
        self.both.agree()
        if self.way != "crashed":  # where a crash leaves a doubt, only the end is the same
            taken, _, status = (part.strip() for part in expected.partition("|"))
            assert answer == taken, line
            if status not in ("", "-"):
                order = self.both.model.orders[self.seqs[self.subject(plain)]]
                assert f"{order.status} {order.cum_qty // ONE}" == status, line
        return None

    def subject(self, plain: list[str]) -> str:
        """Name the order that a row's status is of: the one it names, else the first."""
        found = [word for word in plain if word in self.seqs]
        return found[0] if found else next(iter(self.seqs))

    def close(self, what: str, number: str) -> None:
        """Compare the position, or the messages that went out."""
        if what == "net":
            assert self.both.model.position(1, 1).net_qty == int(number) * ONE
        else:
            kinds = [event["kind"] for event in self.both.engine.new_events(0)]
            assert kinds.count("routed") == int(number)

    # The verbs of the table ----------------------------------------------------------------------

    def send(self, plain: list[str], named: dict[str, str]) -> str:
        _, side, qty, *more = plain
        terms: dict[str, Any] = {"time_in_force": more[0] if more else "day"}
        if "id" in named:
            terms["cl_ord_id"] = named["id"]
        if "parent" in named:
            terms["parent_order_seq"] = self.seqs[named["parent"]]
        return self.both.send(int(qty), side, **terms)

    def parent(self, plain: list[str], named: dict[str, str]) -> str:
        return self.both.send(int(plain[2]), plain[1], is_parent=True)

    def cancel(self, plain: list[str], named: dict[str, str]) -> str:
        return self.both.cancel(self.seqs.get(plain[0], 99))

    def replace(self, plain: list[str], named: dict[str, str]) -> str:
        qty, _, px = plain[1].partition("@")
        return self.both.replace(self.seqs[plain[0]], int(qty), int(px or 100))

    def says(self, plain: list[str], named: dict[str, str]) -> str:
        name, exec_type, *amount = plain
        qty, _, px = (amount or ["0"])[0].partition("@")
        seq = self.seqs.get(name, 99)
        report: dict[str, Any] = {
            "street_revision": int(named.get("rev", self.answered(seq, exec_type))),
            "ord_status": named.get("told", ""),
            "trade_day": int(named.get("day", 0)),
            "venue_id": int(named.get("venue", 1)),
            "flags": int(named.get("flags", 0)),
            "cum_qty": int(named.get("cum", 0)) * ONE,
            "leaves_qty": int(named.get("leaves", 0)) * ONE,
            "transact_time_ns": START_NS + int(named.get("late", 0)),
            "exec_id": named.get("exec", f"E{next(self.both.count)}"),
        }
        if "ref" in named:
            report["exec_ref_id"] = named["ref"]
        price = int(px or (100 if exec_type.startswith("trade") else 0))
        told = (seq, exec_type, int(named.get("qty", qty)), price)
        answer = self.both.tell(*told, **report)
        if self.way == "doubled":
            image = self.image()
            self.both.tell(*told, **report)
            assert self.image() == image, "a word told twice is told once (I13)"
        return answer

    def answered(self, seq: int, exec_type: str) -> int:
        """Find the revision that an answer names: of the last message of its kind."""
        kind = ANSWERS.get(exec_type, "")
        sent = [
            event["revision"]
            for event in self.both.engine.new_events(0)
            if event["kind"] == "routed" and event["order_seq"] == seq and event["msg_type"] == kind
        ]
        order = self.both.model.orders.get(seq)
        return int(sent[-1]) if sent else order.revision if order else 0

    def image(self) -> tuple[Any, ...]:
        core = self.both.engine.core
        return core.orders(live=False), core.positions(), core.account_sums(1)

    def lost(self, plain: list[str], named: dict[str, str]) -> str:
        seq = self.seqs[plain[0]]
        if not self.both.model.orders[seq].unsure:  # a crash has put it in doubt already
            self.both.lose(seq)
        return "accepted"

    def drop(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.fact("dropped_unsent", order_seq=self.seqs[plain[0]], msg_type=plain[1])
        return "accepted"

    def kill(self, plain: list[str], named: dict[str, str]) -> str:
        target = 0 if plain[0] == "desk" else 1
        self.both.fact("control", scope=plain[0], target_id=target, mode=plain[1])
        return "accepted"

    def mass(self, plain: list[str], named: dict[str, str]) -> str:
        scopes = ("account_id", "instrument_id", "of_session_id", "strategy_id", "venue_id")
        command = {"cl_ord_id": f"m{next(self.both.count)}", "session_id": 1}
        command |= dict.fromkeys(scopes, 0) | {"side": plain[0] if plain else ""}
        return self.both.command("mass_cancel", command)

    def day(self, plain: list[str], named: dict[str, str]) -> str:
        words = {"opened": int(plain[1] == "open"), "proved": int(plain[1] == "proved")}
        self.both.fact("day_change", venue_id=1, trade_day=int(plain[0]), **words)
        return "accepted"

    def time(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.time(self.both.model.now_ns + int(plain[0]) * ONE)
        return "accepted"

    def recovering(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.fact("desk_state", recovering=int(plain[0]))
        return "accepted"

    def link(self, plain: list[str], named: dict[str, str]) -> str:
        self.both.fact("link_change", venue_id=1, state=plain[0])
        return "accepted"


def stories() -> list[Any]:
    """Split the table: title and rows."""
    found = []
    for block in STORIES.strip().split("\n\n"):
        title, *rows = [line for line in block.splitlines() if not line.startswith("#")] or [""]
        if title:
            found.append(pytest.param(rows, id=title))
    return found


@pytest.mark.parametrize("way", ["told", "doubled", "replayed", "crashed", "killed"])
@pytest.mark.parametrize("rows", stories())
def test_a_corner_comes_to_its_end(rows: list[str], way: str) -> None:
    story = Story(way)
    for row in rows:
        story.tell(row)
        core = story.both.engine.core
        if way == "replayed":  # the log alone, and on from there: not one row is another
            story.both.recover(core.event_seq)
        elif way == "crashed":
            story.both.crash(core.event_seq)
    if way == "killed":
        before = len(story.both.engine.new_events(0))
        story.both.fact("control", scope="desk", target_id=0, mode="cancel_only")
        sent = [e for e in story.both.engine.new_events(before) if e["kind"] == "routed"]
        assert {event["msg_type"] for event in sent} <= {"cancel", "order_status"}
        assert story.both.send(1) in ("killed", "recovering")
    story.both.agree()
    story.both.end()
    if not any(order.live for order in story.both.model.orders.values()):
        assert story.both.model.open_side(1, 1, True) == (0, 0), "nothing stays reserved"
        assert story.both.model.open_side(1, 1, False) == (0, 0)


@pytest.fixture
def both() -> Both:
    return Both()


def test_corner_7_a_whole_day_replayed_changes_nothing(both: Both) -> None:
    day: list[tuple[int, str, int, dict[str, Any]]] = []
    for n in range(5):
        seq = both.submit(10, "buy" if n % 2 else "sell")
        day.append((seq, "new", 0, {}))
        day += [(seq, "trade", 4, {"exec_id": f"X{n}"}), (seq, "trade", 6, {"exec_id": f"Y{n}"})]
    for seq, exec_type, qty, more in day:
        assert both.tell(seq, exec_type, qty, **more) == "applied"
    before = both.engine.core.positions()
    for seq, exec_type, qty, more in day * 2:
        assert both.tell(seq, exec_type, qty, **more) in ("duplicate", "stale")
    assert both.engine.core.positions() == before


@pytest.mark.parametrize("cum_qty", [0, 1, 999])
@pytest.mark.parametrize("leaves_qty", [0, 3, 999])
def test_corner_9_sums_of_a_report_that_disagree_book_nothing_of_their_own(
    both: Both, cum_qty: int, leaves_qty: int
) -> None:
    seq = both.submit(10)
    sums = {"cum_qty": cum_qty * ONE, "leaves_qty": leaves_qty * ONE}
    assert both.tell(seq, "trade", 4, **sums) == "applied"
    order = both.model.orders[seq]
    assert (order.cum_qty, order.leaves_qty) == (4 * ONE, 6 * ONE)


def test_corner_10_fills_in_any_order_come_to_the_same_order_and_total() -> None:
    fills = [(1, 100, "A"), (2, 103, "B"), (3, 99, "C"), (4, 101, "D")]
    seen = set()
    for order_of in itertools.permutations(fills):
        both = Both()
        seq = both.submit(10)
        for qty, px, exec_id in order_of:
            assert both.tell(seq, "trade", qty, px, exec_id=exec_id) == "applied"
        order, position = both.model.orders[seq], both.model.position(1, 1)
        seen.add((order.status, order.cum_points, position.net_qty, position.cash_points))
    assert seen == {("filled", 1007 * ONE * ONE, 10 * ONE, -1007 * ONE * ONE)}


def test_corner_14_an_unanswered_cancel_stays_unknown_for_days_and_takes_the_truth_then(
    both: Both,
) -> None:
    seq = both.submit(10)
    both.tell(seq, "new")
    both.cancel(seq)
    both.lose(seq)
    both.time(both.model.now_ns + 3 * DAY_NS)
    both.agree()
    assert both.status(seq) == "unknown"
    assert both.model.open_side(1, 1, True)[0] == 10 * ONE, "it keeps its reserve"
    assert both.tell(seq, "trade", 4) == "applied"
    assert both.status(seq) == "unknown"
    assert both.tell(seq, "canceled", street_revision=1) == "applied"
    assert both.model.open_side(1, 1, True)[0] == 0


def test_corner_30_a_rejected_child_gives_its_quantity_back(both: Both) -> None:
    parent = both.submit(10, is_parent=True)
    child = both.submit(10, parent_order_seq=parent)
    assert both.submit(1, parent_order_seq=parent) == 0, "nothing is left"
    assert both.tell(child, "trade", 4) == "applied"
    assert both.tell(child, "canceled") == "applied"
    assert both.submit(7, parent_order_seq=parent) == 0
    assert both.submit(6, parent_order_seq=parent)


def test_corner_30_a_parent_cancel_races_a_fill_and_an_unknown_child(both: Both) -> None:
    parent = both.submit(10, is_parent=True)
    filling, unknown = (both.submit(5, parent_order_seq=parent) for _ in range(2))
    both.tell(filling, "new")
    both.lose(unknown)
    both.cancel(parent)
    assert both.status(parent) == "canceled"
    assert both.model.orders[filling].canceling, "the cancel reached the one"
    assert both.model.orders[unknown].canceling, "and the one in doubt"
    assert both.tell(filling, "trade", 5) == "applied"
    assert both.status(filling) == "filled"
    assert both.tell(unknown, "trade", 2) == "applied"
    assert both.tell(unknown, "canceled", street_revision=1) == "applied"
    assert both.model.position(1, 1).net_qty == 7 * ONE
    assert both.submit(1, parent_order_seq=parent) == 0


def test_corner_32_one_execution_through_zero_keeps_its_exec_id(both: Both) -> None:
    bought, sold = both.submit(5), both.submit(8, "sell")
    assert both.tell(bought, "trade", 5, 100) == "applied"
    assert both.tell(sold, "trade", 8, 104, exec_id="Z") == "applied"
    assert both.tell(sold, "trade", 8, 104, exec_id="Z") == "duplicate"
    position = both.model.position(1, 1)
    assert position.net_qty == -3 * ONE
    assert position.realised_points == 5 * 4 * ONE * ONE
    assert position.open_points == -3 * 104 * ONE * ONE


def test_kill_sweeps_reach_engine_and_model_alike(both: Both) -> None:
    first, second = both.submit(5), both.submit(5, "sell")
    both.fact("control", scope="account", target_id=1, mode="cancel_only")
    both.agree()
    assert (both.status(first), both.status(second)) == ("pending_cancel", "pending_cancel")
