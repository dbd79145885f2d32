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
from tests.model.desk import Desk
from tests.model.seam import Driven, assert_agree, code, limit_order
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
    for family in TABLE["family"]:
        tests, scenarios = family.get("tests", []), family.get("scenarios", [])
        assert family["what"].endswith("."), family
        assert tests or scenarios, family
        assert set(tests) <= there, (family["number"], set(tests) - there)
        assert set(scenarios) <= titles, (family["number"], set(scenarios) - titles)
    numbers = [family["number"] for family in TABLE["family"]]
    assert sorted(numbers + TABLE["missing"]) == list(range(1, 41))


def test_a_family_that_has_a_test_is_not_called_missing() -> None:
    told = {int(n) for name in names() for n in re.findall(r"^(?:test_)?corner_(\d+)_", name)}
    assert told.isdisjoint(TABLE["missing"]), "move it into a [[family]] of tests/data/corners.toml"


class Both:
    """One engine and one model that are told the same."""

    def __init__(self) -> None:
        oms = Engine(now_ns=START_NS, ring_slots=1 << 13, **SMALL)
        oms.define_account("A1")
        oms.define_instrument("ES", tick="0.25", contract_multiplier=50, flags=8)
        self.engine, self.model = Driven(oms), Desk()
        for event in self.engine.new_events(0):
            self.model.apply(event)
        self.count = itertools.count(1)

    def agree(self) -> None:
        assert_agree(self.engine.core, self.model)

    def submit(self, qty: int, side: str = "buy", **more: Any) -> int:
        command = limit_order(f"o{next(self.count)}", side, qty * ONE, 100 * ONE) | more
        taken = self.engine.command("new_order", command)
        assert taken == self.model.submit(command)
        self.agree()
        return max(self.model.orders) if taken[0] == "accepted" else 0

    def cancel(self, seq: int) -> None:
        command = {
            "cl_ord_id": f"c{next(self.count)}",
            "order_seq": seq,
            "orig_cl_ord_id": "",
            "session_id": 1,
        }
        assert self.engine.command("cancel_order", command) == self.model.cancel(command)
        self.agree()

    def tell(self, seq: int, exec_type: str, qty: int = 0, px: int = 100, **more: Any) -> str:
        report = {
            "street_epoch": 1,
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
        taken = self.engine.report(report)
        assert taken == self.model.report(report)
        self.agree()
        return taken[0]

    def lose(self, seq: int) -> None:
        assert self.engine.step("outcome_unknown", order_seq=seq, venue_id=1)[0] == "accepted"
        self.model.apply({"kind": "outcome_unknown", "order_seq": seq})
        self.agree()

    def status(self, seq: int) -> str:
        return self.model.orders[seq].status


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
    both.model.now_ns += 3 * DAY_NS
    both.engine.core.set_now_ns(both.model.now_ns)
    assert both.engine.step("time_input") == ("accepted", [])
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
    scope = {"scope": code("scope", "account"), "target_id": 1}
    _, events = both.engine.step("control", mode=code("kill_mode", "cancel_only"), **scope)
    both.model.apply({"kind": "control", "scope": "account", "target_id": 1, "mode": "cancel_only"})
    assert [event["kind"] for event in events] == ["control", *both.model.sweep()]
    both.agree()
    assert (both.status(first), both.status(second)) == ("pending_cancel", "pending_cancel")
