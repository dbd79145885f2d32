"""What one seed decides before the session starts: the day, the sample, the drills, the desk.

Called by the session, which writes it down as JSON for the desk's processes. What must stay true:
the plan is a function of data, seed and options alone, so one seed is one run, bit for bit.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyoms.venues.sim import DataError, VenueDay, load_day
from pyoms_core.layout import BOOK_SNAPSHOT, CODES, dtype

COMMANDS_MIN = 25_000
"""Commands of the day's own order ids that are sampled: some orders are refused or given up, and
then their later changes are not sent; at least 20,000 commands reach the gate."""

COMMANDS_PROVED = 20_000
"""Commands that a whole day brings to the gate at least, or its proof fails."""

OUTAGE_S = 120
"""Virtual seconds that go by at the venue while the desk is down."""

PARENT_LOTS = 500
"""Size of the slicer's parent."""

CLIENTS = ("ALPHA", "BETA", "GAMMA")
"""Accounts of the sampled flow; an order's number decides whose it is."""

FLOW = np.dtype(
    [
        ("at_ns", "<i8"),
        ("order_ref", "<u8"),
        ("price", "<i8"),
        ("qty", "<i8"),
        ("kind", "u1"),
        ("side", "u1"),
        ("pad", "V6"),
    ]
)
"""One command of a sampled order, as the sampler writes it."""

NEW, REPLACE, CANCEL = 1, 2, 3  # FLOW.kind

# The recording's figures, measured once over `venues.sim.RECORDING` by the same `profile` that
# measures a synthetic day; shown beside it where the recording itself is absent.
RECORDED_PROFILE: Mapping[str, float] = {
    "orders in the snapshot": 8725,
    "records/s before the opening": 0.257,
    "records crossed or locked": 891,
    "seconds crossed or locked": 1204.778,
    "seconds open": 3599.341,
    "records/s": 16.431,
    "records in the busiest second": 698,
    "adds/s": 5.576,
    "modifies/s": 3.338,
    "cancels/s": 4.921,
    "trades/s": 0.826,
    "contracts/s": 2.748,
    "bookkeeping share of C and M": 0.212,
    "size of an add, mean": 2.226,
    "size of an add, p90": 4,
    "size of a trade, mean": 3.327,
    "size of a trade, p90": 7,
    "spread, mean": 0.277,
    "share at the narrowest spread": 0.899,
    "orders at the best price, mean": 12.987,
    "size at the best price, mean": 30.361,
    "orders resting at the end": 11217,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for."""

    data: Path | None = None
    synthetic: bool = False
    seed: int = 1
    commands_min: int = COMMANDS_MIN
    minutes: int = 0  # of trading, 0: the whole day
    live: bool = False
    speed: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The tape of the day, and where it comes from."""

    tape: Any
    source: str
    is_synthetic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything the processes of one session need to know; times are virtual UTC ns."""

    source: str
    is_synthetic: bool
    seed: int
    commands_min: int
    start_ns: int
    open_ns: int
    end_ns: int
    kill_at_ns: int
    kill_waiting_min: int
    crash_after_events: int
    parent_side: str
    parent_lots: int
    outage_s: int
    live: bool
    speed: int
    minutes: int

    def to_json(self) -> str:
        """Write it down."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> Plan:
        """Read it again."""
        return Plan(**json.loads(text))

    def venue_options(self) -> dict[str, Any]:
        """Give the configuration of the simulated venue."""
        return {
            "venue_id": 1,
            "seed": self.seed,
            "trade_day": self.open_ns // 86_400_000_000_000
            + 1,  # CME: from 17:00 on it is tomorrow
            "lock_step": True,
            "step_min_ns": 50_000_000,
            "outage_ns": self.outage_s * 1_000_000_000,
            "start_ns": self.start_ns,
            "open_ns": self.open_ns,
            "end_ns": self.end_ns,
            "fee_per_contract": 1_380_000_000,  # USD a side, CME's E-mini rate without a membership
            "reject_new_ppm": 2_000,
            "reject_change_ppm": 2_000,
        }


def open_day(data: Path | None, *, synthetic: bool, seed: int) -> Day:
    """Load a recording, find one, or make a synthetic day; DataError tells what is wrong."""
    if data is not None and data.exists() and not data.is_file():
        raise DataError(f"{data}: is no regular file")
    tape, source = load_day(VenueDay(data=data, synthetic=synthetic, seed=seed))
    made = f"synthetic, seed {seed}"
    return Day(tape=tape, source=source or made, is_synthetic=not source)


def records_of(tape: Any) -> np.ndarray[Any, Any]:
    """View the records of a tape, without copying."""
    return np.frombuffer(tape, dtype=dtype("book_update"))


def make_plan(day: Day, options: Options) -> Plan:
    """Draw the session from data and seed."""
    records = records_of(day.tape)
    live = records[(records["flags"] & BOOK_SNAPSHOT) == 0]
    times = np.maximum.accumulate(live["ingest_time_ns"])
    trades = np.flatnonzero(live["action"] == CODES["book_action"]["trade"].code)
    if len(times) == 0 or len(trades) == 0:
        raise DataError(f"{day.source}: the day has no trade, so it never opens")
    start_ns, open_ns = int(times[0]), int(times[trades[0]])
    end_ns = int(times[-1]) + 1_000_000_000
    if options.minutes:
        end_ns = min(end_ns, open_ns + options.minutes * 60_000_000_000)
    outage_s = min(OUTAGE_S, (end_ns - open_ns) // 20_000_000_000)
    draw = random.Random(options.seed)  # noqa: S311  a drawn drill is no secret
    at = 0.30 + 0.10 * draw.random()
    span = min((end_ns - open_ns) / 3_600e9, 1.0)
    return Plan(
        source=day.source,
        is_synthetic=day.is_synthetic,
        seed=options.seed,
        commands_min=options.commands_min,
        start_ns=start_ns,
        open_ns=open_ns,
        end_ns=end_ns,
        kill_at_ns=open_ns + int(at * (end_ns - open_ns)),
        kill_waiting_min=3,
        crash_after_events=max(
            int((0.32 + 0.32 * draw.random()) * options.commands_min * span), 200
        ),
        parent_side=draw.choice(["buy", "sell"]),
        parent_lots=PARENT_LOTS,
        outage_s=int(outage_s),
        live=options.live,
        speed=options.speed,
        minutes=options.minutes,
    )


def config_text(socket_path: Path) -> str:
    """Write the configuration of the demo's desk, as `pyoms config check` takes it."""
    accounts = ("MAKER", "SLICER", *CLIENTS)
    rows = [_HEAD.format(socket=socket_path)]
    for name in accounts:
        rows.append(f'[[account]]\nname = "{name}"\nparent = "FIRM"\n')
        rows.append(f'[[session]]\nname = "{name}"\naccount = "{name}"\n')
    rows.append(_LIMITS)
    for name in accounts:
        entry = {"MAKER": "Maker", "SLICER": "Slicer"}.get(name, "Client")
        rows.append(
            f'[[strategy]]\nname = "{name.lower()}"\nentry = "pyoms.demo.strategies:{entry}"\n'
            f'account = "{name}"\nsession = "{name}"\n'
        )
    return "\n".join(rows)


_HEAD = """\
# The desk of `pyoms demo`. Drills want orders that live on at the venue while the desk is dead, so
# cancel on disconnect is off here, by name; leave it on where you trade.
[desk]
name = "demo"
currency = "USD"

[engine]
orders_max = 65_536
ids_max = 131_072
fills_max = 65_536
accounts_max = 16
instruments_max = 8
venues_max = 4
sessions_max = 16
strategies_max = 16
traders_max = 4
currencies_max = 4
throttle_orders_max = 1_024
books_max = 1
book_orders_max = 65_536
book_levels_max = 8_192

[journal]
tier = "process"
ring_mib = 16
segment_mib = 16

[people]
alice = {{ roles = ["risk", "trader"] }}
bob = {{ roles = ["risk", "admin"] }}

[[venue]]
name = "SIM"
socket = "{socket}"
replace_rule = "in_flight_counted"
cancel_on_disconnect = false
cancels_per_s_max = 500
zone = "America/Chicago"

[[instrument]]
name = "ESH4"
venue = "SIM"
currency = "USD"
tick = "0.25"
lot = 1
qty_min = 1
qty_max = 500
contract_multiplier = 50
band = 20_000
band_unit = "ppm"
reference_age_ms_max = 60_000

[[account]]
name = "FIRM"
level = "firm"
"""

# Tight enough that each kind of limit refuses something, wide enough that the flow lives.
_LIMITS = """\
[[limit]]
scope = "account"
account = "MAKER"
orders_max = 40
window_ms = 1_000
order_qty_max = 20
order_notional_max = 10_000_000
gross_notional_max = 100_000_000
net_notional_max = 50_000_000

[[limit]]
scope = "account_instrument"
account = "MAKER"
instrument = "ESH4"
order_qty_max = 20
order_notional_max = "unlimited"
net_qty_max = 40
gross_notional_max = "unlimited"

[[limit]]
scope = "account"
account = "SLICER"
orders_max = 100
window_ms = 1_000
order_qty_max = 500
order_notional_max = 150_000_000
gross_notional_max = 500_000_000
net_notional_max = 250_000_000

[[limit]]
scope = "account"
account = "ALPHA"
orders_max = 60
window_ms = 1_000
order_qty_max = 50
order_notional_max = 12_000_000
gross_notional_max = 1_000_000_000
net_notional_max = 500_000_000

[[limit]]
scope = "account"
account = "BETA"
orders_max = 25
window_ms = 1_000
order_qty_max = 200
order_notional_max = 9_000_000
gross_notional_max = 1_000_000_000
net_notional_max = 500_000_000

[[limit]]
scope = "account"
account = "GAMMA"
orders_max = 200
window_ms = 1_000
order_qty_max = 200
order_notional_max = 50_000_000
gross_notional_max = 1_000_000_000
net_notional_max = 500_000_000

[[limit]]
scope = "account_instrument"
account = "GAMMA"
instrument = "ESH4"
order_qty_max = 200
order_notional_max = "unlimited"
net_qty_max = 150
gross_notional_max = "unlimited"

[[limit]]
scope = "session"
session = "MAKER"
orders_max = 100
window_ms = 1_000
"""
