"""The corner families 1 to 40: the table of their tests is whole, and the corners told in Python.

`tests/data/corners.toml` maps each family to tests by name; here every name is looked for in the
sources. The corners below are told to an inline engine and to the oracle alike: both must come to
the same.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pyoms_core.layout import ONE
from tests.stories import Both, Story, Tale, other_orders, read, retell, tell
from tests.test_fix_states import SCENARIOS

ROOT = Path(__file__).resolve().parents[1]
TABLE: dict[str, Any] = tomllib.loads((ROOT / "tests/data/corners.toml").read_text())
TALES = read(ROOT / "tests/data/corners.txt")
LONG = int(os.environ.get("VERIFY_ORACLE_EXAMPLES", "0")) > 0
DRAWS = 200 if LONG else 4
"""Orders drawn of a story, beside every order of up to five words."""
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
    told = {int(title.split()[0]) for title in TALES}
    said = there | titles | TALES.keys()
    for family in TABLE["family"]:
        tests, scenarios = family.get("tests", []), family.get("scenarios", [])
        told.discard(family["number"])
        assert family["what"].endswith("."), family
        assert tests or scenarios, family
        assert set(tests) <= there, (family["number"], set(tests) - there)
        assert set(scenarios) <= titles, (family["number"], set(scenarios) - titles)
        assert family["sentences"], family
        for sentence, shown in family["sentences"].items():
            assert shown, sentence
            unknown = [name for name in shown if not any(one.startswith(name) for one in said)]
            assert not unknown, (family["number"], sentence, unknown)
    assert not told, "a story of a family that the table calls missing"
    numbers = [family["number"] for family in TABLE["family"]]
    assert sorted(numbers + TABLE["missing"]) == list(range(1, 41))


def test_a_family_that_has_a_test_is_not_called_missing() -> None:
    told = {int(n) for name in names() for n in re.findall(r"^(?:test_)?corner_(\d+)_", name)}
    assert told.isdisjoint(TABLE["missing"]), "move it into a [[family]] of tests/data/corners.toml"


@pytest.mark.parametrize("tale", [pytest.param(tale, id=title) for title, tale in TALES.items()])
class TestStories:
    """Every story of the table, told in every way that its world has."""

    def test_comes_to_its_end(self, tale: Tale) -> None:
        story, _ = tell(tale)
        story.close(tale)

    def test_a_word_told_twice_is_told_once(self, tale: Tale) -> None:
        """Tell each again at once, and behind later rows, flagged as a copy or not (I13)."""
        as_told, told = tell(tale)

        def again(story: Story, place: int) -> None:
            if told[place].word:
                image = story.image()
                story.say(told[place])
                assert story.image() == image, tale.rows[place].text

        story, _ = retell(tale, told, range(len(told)), again)
        story.close(tale)
        draw = random.Random(len(told))
        words = [at for at, row in enumerate(told) if row.word]
        for at, flags in itertools.product(words, (0, 1, 2) if LONG else (len(words) % 3,)):
            behind = range(at + 1, len(told))
            for upto in behind if LONG else draw.sample(behind, min(len(behind), 1)):

                def late(
                    story: Story, place: int, at: int = at, upto: int = upto, flags: int = flags
                ) -> None:
                    if place == upto:
                        story.say(told[at], flags=flags)

                story, _ = retell(tale, told, range(len(told)), late)
                said = (tale.rows[at].text, upto, flags)
                assert (story.ends(), story.sums()) == (as_told.ends(), as_told.sums()), said
                assert story.messages() == as_told.messages(), said

    def test_any_order_of_its_words_comes_to_the_end_that_the_rule_says(self, tale: Tale) -> None:
        """Where an input of ours is answered otherwise it is another story, in which both agree."""
        as_told, told = tell(tale)
        turned: set[int] = set()
        for order in other_orders(tale, told, DRAWS):
            story, same = retell(tale, told, order)
            turns = {n for n, turn in enumerate(tale.turns) if turn.comes(order)}
            turned |= turns
            if not same:
                continue
            ends, sent = as_told.ends(), as_told.messages()
            for turn in (tale.turns[n] for n in sorted(turns)):
                ends, sent = ends | turn.ends, sent + turn.sent
            said = "\n".join(tale.rows[at].text for at in order)
            assert (story.ends(), story.messages()) == (ends, sent), said
            assert turns or story.sums() == as_told.sums(), said
        assert len(turned) == len(tale.turns), "a turn that never comes"

    def test_a_replay_behind_each_row_changes_nothing(self, tale: Tale) -> None:
        story, _ = tell(tale, lambda story: story.both.recover(story.both.engine.core.event_seq))
        story.close(tale)

    def test_a_crash_behind_any_row_changes_no_end(self, tale: Tale) -> None:
        """Crash behind each row alone, and behind all: later words resolve what is in doubt."""
        as_told, told = tell(tale)
        every = range(len(told))
        for crashes in [*({at} for at in every), set(every)]:

            def crash(story: Story, place: int, crashes: set[int] = crashes) -> None:
                if place in crashes:
                    story.both.crash(story.both.engine.core.event_seq)

            story, _ = retell(tale, told, every, crash)
            story.close(tale)
            for name, end in as_told.ends().items():
                if name not in story.seqs or not story.both.model.orders[story.seqs[name]].live:
                    assert story.ends()[name] == end, (name, crashes)

    def test_a_kill_behind_any_row_lets_nothing_but_cancels_out(self, tale: Tale) -> None:
        """Kill the desk behind each row (CORNERS 37); what a venue says then is booked as ever."""
        _, told = tell(tale)
        for killed in range(len(told)):
            story, last = Story(tale), 0
            for at, row in enumerate(tale.rows):
                if told[at].word:
                    story.say(told[at])
                else:
                    story.take(row)
                if at == killed:
                    last = story.both.engine.core.event_seq
                    story.kill(["desk", "cancel_only"], {})
            story.both.time(story.both.model.now_ns + 20 * ONE)  # what was refused is asked again
            assert set(story.sent(last)) <= {"cancel", "order_status"}, tale.rows[killed].text
            for order in story.both.model.orders.values():
                assert not order.live or order.canceling or order.asked, "wanted away"
            story.both.crash(story.both.engine.core.event_seq)
            assert story.both.send(1) in ("killed", "recovering"), "a restart keeps the latch"
            story.end()


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
