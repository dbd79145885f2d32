"""The speed cases, Rust's and Python's, as lines beside their budget.

Called by `pyoms bench` and by the tests in ``bench/``. Rust measures itself
(`pyoms_native.bench_run`); the Python cases are timed here, from the caller's side of the border.
What must stay true: every case checks what came out, and a number without a budget is shown as
such, never as met.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import pyoms_native
from pyoms.engine import Engine
from pyoms.errors import OmsError

if TYPE_CHECKING:
    from rich.table import Table

# Where the budget stands in a checkout; an installed package has none to show.
BUDGET = Path(__file__).parent.parent / "bench" / "budget.toml"
# Orders of one call of `python_batch`.
BATCH = 1_000

Line = dict[str, Any]
"""One result: the fields of `pyoms bench --json`."""


class BenchError(OmsError):
    """A case that there is not, or that could not run."""

    code = "bench"
    exit_code = 2


def desk(orders: int) -> Engine:
    """Make an inline engine with one instrument and room for `orders`."""
    room = 1 << max(10, (2 * orders - 1).bit_length())
    oms = Engine(orders_max=room, ids_max=2 * room)
    oms.define_account("A1", order_qty_max=1_000)
    oms.define_instrument("ESH4", tick="0.25", contract_multiplier=50)
    oms.quote("ESH4", "4800.00", 10, "4800.25", 10)
    return oms


def line(case: str, data: str, samples: list[int], per_sample: int) -> Line:
    """Summarise nanoseconds of samples of `per_sample` operations each."""
    each = np.array(samples, dtype=np.float64) / per_sample
    p50, p99, p999 = (int(np.percentile(each, q)) for q in (50, 99, 99.9))
    rate = len(samples) * per_sample / (sum(samples) / 1e9)
    return {
        "case": case,
        "tier": "memory",
        "data": data,
        "n": len(samples) * per_sample,
        "p50_ns": p50,
        "p99_ns": p99,
        "p999_ns": p999,
        "max_ns": int(each.max()),
        "ops_per_s": round(rate),
        "instructions": None,
        "counters": None,
        "pacer": None,
        "reload": None,
        "machine": f"CPython {sys.version.split()[0]}; no counters: taken of Rust's paths alone",
    }


def python_submit(small: bool) -> Line:
    """Submit one order a call, as a user writes it: names and decimal text in, a verdict out."""
    oms = desk(count := 2_000 if small else 100_000)
    samples = timed(lambda _: oms.submit("ESH4", "buy", 1, "4799.25"), count, "python_submit")
    data = "hot, unpaced: oms.submit(name, side, qty, price as text), id made up; timer included"
    return line("python_submit", data, samples, 1)


def python_gate(small: bool) -> Line:
    """Submit one order a call, on a bound gate: fixed point in, the verdict's code out."""
    oms = desk(count := 2_000 if small else 100_000)
    ids, submit = [f"b{n}" for n in range(count)], oms.gate("ESH4").submit
    price, qty = 4_799_250_000_000, 1_000_000_000
    samples = timed(lambda n: not submit(ids[n], 1, price, qty), count, "python_gate")
    return line("python_gate", "hot, unpaced: one call each; timer included", samples, 1)


def timed(call: Callable[[int], Any], count: int, case: str) -> list[int]:
    """Time calls one by one, each of which must give what is true: the order was accepted."""
    samples, accepted, clock = [], 0, time.perf_counter_ns
    for n in range(count):
        before = clock()
        answer = call(n)
        samples.append(clock() - before)
        accepted += bool(answer)
    check(accepted, count, case)
    return samples


def python_batch(small: bool) -> Line:
    """Submit a thousand orders a call, from one numpy array."""
    calls = 4 if small else 200
    oms = desk(calls * BATCH)
    rows = oms.blank_orders(BATCH, "ESH4")
    rows["side"], rows["price"], rows["order_qty"] = 1, 4_799_000_000_000, 1_000_000_000
    samples, accepted, clock = [], 0, time.perf_counter_ns
    for call in range(calls):
        rows["cl_ord_id"] = [b"c%d.%d" % (call, n) for n in range(BATCH)]
        before = clock()
        verdicts = oms.submit_many(rows)
        samples.append(clock() - before)
        accepted += int((verdicts == 0).sum())
    check(accepted, calls * BATCH, "python_batch")
    data = "hot, unpaced: 1,000 orders a call; ns an order, percentiles over calls"
    return line("python_batch", data, samples, BATCH)


def check(accepted: int, expected: int, case: str) -> None:
    """Refuse a figure of work that was not done."""
    if accepted != expected:
        raise BenchError(f"{case}: {accepted} of {expected} orders were accepted")


# The cases of this side of the border, by name.
PYTHON_CASES: dict[str, Callable[[bool], Line]] = {
    "python_submit": python_submit,
    "python_gate": python_gate,
    "python_batch": python_batch,
}


def cases() -> list[str]:
    """Give the names of all cases, in the order they run."""
    return [*pyoms_native.bench_cases(), *PYTHON_CASES]


def run(*chosen: str, small: bool = False, count: bool = False) -> Iterator[Line]:
    """Run these cases, or all, and yield each line as soon as it is there.

    Parameters
    ----------
    *chosen : str
        Names of :func:`cases`; none: all of them.
    small : bool
        The size that tests run.
    count : bool
        Count instructions too where valgrind is installed: some seconds a case.
    """
    unknown = [name for name in chosen if name not in cases()]
    if unknown:
        raise BenchError(f"{unknown[0]!r} is no case; there are {', '.join(cases())}")
    names = chosen or cases()
    for name in names:
        if name in PYTHON_CASES:
            yield PYTHON_CASES[name](small)
            continue
        try:
            (text,) = pyoms_native.bench_run(name, small)
        except ValueError as error:
            raise BenchError(str(error)) from error
        told: Line = json.loads(text)
        if count and name in COUNTED:
            told["instructions"] = instructions(name)
        yield told


# Paths of bench/benches/counts.rs.
COUNTED = (
    "decide_hot",
    "decide_random",
    "report_fill",
    "report_burst",
    "cancel",
    "replace",
    "refuse",
    "held_quiet",
    "held_trigger",
    "append",
)


def uncounted() -> str | None:
    """Tell what is missing to count instructions; None where they can be counted."""
    if not BUDGET.exists():
        return "no checkout: the instruction benches are built from source"
    for tool in ("cargo", "valgrind", "gungraun-runner"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return None


def instructions(case: str) -> int | None:
    """Count instructions of one operation with valgrind; None where :func:`uncounted` says why."""
    if uncounted() is not None:
        return None
    command = ["cargo", "bench", "--locked", "--quiet", "--package", "bench", "--bench", "counts"]
    command += ["--", "--output-format=json", f"*::{case}::*"]
    root = BUDGET.parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise BenchError(f"{case}: valgrind counted nothing: {done.stderr[-400:]}")
    told = json.loads(done.stdout)
    (profile,) = told["profiles"]
    counted = profile["summaries"]["total"]["summary"]["Callgrind"]["Ir"]["metrics"]
    # Beside an older run the metrics hold both, the present one first.
    present = counted["Left"] if "Left" in counted else counted["Both"][0]
    return round(int(present["Int"]) / int(told["id"].rsplit("_", 1)[1]))


def budget() -> dict[str, dict[str, Any]]:
    """Read what each case must reach; empty where the checkout is not there."""
    return tomllib.loads(BUDGET.read_text()) if BUDGET.exists() else {}


def table(lines: list[Line]) -> Table:
    """Show lines beside their budget; what misses it is red."""
    from rich.table import Table

    out = Table("case", "tier", "n", "p50 ns", "p99", "p99.9", "max", "op/s", "instr.", "budget")
    wanted = budget()
    for told in lines:
        bound = wanted.get(told["case"], {})

        def cell(key: str, told: Line = told, bound: dict[str, Any] = bound) -> str:
            value = told[key]
            if value is None:
                return "-"
            limit = bound.get(key)
            missed = limit is not None and (value < limit if key == "ops_per_s" else value > limit)
            return f"[red]{value:,.0f}[/]" if missed else f"{value:,.0f}"

        told_bound = ", ".join(f"{k} {v:,}" for k, v in bound.items() if k != "path") or "none"
        keys = ("p50_ns", "p99_ns", "p999_ns", "max_ns", "ops_per_s", "instructions")
        out.add_row(told["case"], told["tier"], f"{told['n']:,}", *map(cell, keys), told_bound)
    out.caption = "\n".join(notes(lines))
    return out


def notes(lines: list[Line]) -> Iterator[str]:
    """Say what has no column: the empty pacer, the processor's counters or why there are none."""
    for told in lines:
        if pacer := told["pacer"]:
            figures = ", ".join(f"{key[:-3]} {value:,} ns" for key, value in pacer.items())
            yield f"{told['case']}: an empty pacer beside it, {figures}"
        if reload := told["reload"]:
            took, ratio = reload["ms"], reload["p999_ratio"]
            yield f"{told['case']}: in force in {took:,} ms, p99.9 {ratio} x that of quiet windows"
        if counters := told["counters"]:
            figures = ", ".join(f"{k.replace('_', ' ')} {v:,}" for k, v in counters.items())
            yield f"{told['case']}: an operation, {figures}"
    why = {part for told in lines for part in told["machine"].split("; ") if "no counters" in part}
    yield from sorted(why)
