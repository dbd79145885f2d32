"""Hold engine and oracle against each other at limits beyond one account: days whose bounds bind.

Each day has a tree of accounts, two instruments of one sector, limits drawn low, and orders, fills,
cancels and rates at random; every answer, reason and sum must be the oracle's.
"""

from __future__ import annotations

import random
from typing import Any

from pyoms.engine import Engine
from pyoms_core.layout import ONE
from tests.model import bounds
from tests.model.pair import Pair
from tests.model.seam import Driven, limit_order
from tests.stories import SMALL

START_NS = 1_700_000_000 * ONE
UNLIMITED = bounds.UNLIMITED
PX = 100 * ONE
LOT = 5_000  # desk currency: 100 points of 50
TERMS = {"currency_id": 1, "venue_id": 1, "tick": ONE // 4, "lot": ONE, "qty_min": ONE}
REASONS = {
    "accepted",
    *("group_net_limit", "group_gross_limit", "symbol_net_limit", "symbol_gross_limit"),
    *("sector_net_limit", "sector_gross_limit", "margin_limit", "account_gross_limit"),
    *("throttle_symbol", "throttle_strategy", "throttle_minute", "throttle_account"),
    *("short_unmarked", "market_order_banned"),
}
"""What the days below must come to, or they would prove nothing of it."""


class Day:
    """One desk and its oracle, driven by one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        oms = Engine(now_ns=START_NS, ring_slots=1 << 12, **SMALL | {"accounts_max": 5})
        for name in ("A1", "A2", "A3"):
            oms.define_account(name)
        for name in ("ES", "NQ"):
            oms.define_instrument(name, tick="0.25", contract_multiplier=50, flags=8)
        oms.define("strategy", "maker")
        group = oms.define("account", "G", level=3)
        for name in ("A1", "A2"):
            oms.define("account", name, level=2, parent_id=group)
        oms.define("sector", "rates")
        self.pair = Pair(Driven(oms.core))
        self.group, self.version, self.count = group, 10, 0
        units = self.random.random() < 0.5
        margin = 1_000 * ONE if units else 400_000
        extra = bounds.MARK_SHORT if self.random.random() < 0.3 else 0
        extra |= bounds.NO_MARKET if self.random.random() < 0.5 else 0
        for instrument_id in (1, 2):
            flags = 8 | bounds.UNIT_MARGIN * units | extra * (instrument_id == 2)
            terms = TERMS | {"qty_max": 10**6 * ONE, "contract_multiplier": 50 * ONE, "band": 0}
            self.pair.fact(
                "instrument_terms",
                instrument_id=instrument_id,
                flags=flags,
                margin=margin,
                sector_id=1,
                reference_age_ms_max=1000,
                **terms,
            )
        self.limits()

    def limits(self) -> None:
        """Draw a few rows, so low that they bind, and put them in force at once."""
        self.version += 1
        draw = self.random
        named = {
            "desk": {},
            "account": {"account_id": draw.choice([1, 2, 3, self.group])},
            "instrument": {"instrument_id": draw.choice([1, 2])},
            "sector": {"entity_id": 1},
            "session": {"entity_id": 1},
            "strategy": {"entity_id": 1},
        }
        for scope in draw.sample(sorted(named), 2):
            row: dict[str, Any] = {"account_id": 0, "instrument_id": 0, "entity_id": 0}
            row |= {"orders_max": 0, "window_ns": 0}
            amounts = ("order_qty_max", "order_notional_max", "net_qty_max")
            row |= dict.fromkeys((*amounts, "gross_notional_max", "net_notional_max"), UNLIMITED)
            for what in ("gross_notional_max", "net_notional_max"):
                if scope not in ("session", "strategy") and draw.random() < 0.5:
                    row[what] = draw.randrange(2, 12) * LOT
            if scope in ("desk", "account") and draw.random() < 0.5:
                row["margin_max"] = draw.randrange(2, 9) * 2_000
            if scope in ("account", "instrument", "strategy") and draw.random() < 0.5:
                row |= {"orders_max": draw.randrange(1, 5), "window_ns": 3 * ONE}
            if scope in ("account", "session") and draw.random() < 0.7:
                row["minute_orders_max"] = draw.randrange(3, 12)
            row |= named[scope]
            self.pair.fact("limit_row", scope=scope, limits_version=self.version, **row)
        self.pair.fact("limits_activated", limits_version=self.version)

    def order(self) -> str:
        """Send one order."""
        self.count += 1
        draw = self.random
        side = draw.choice(["buy", "sell", "sell_short"])
        qty = draw.randrange(1, 5) * ONE
        more = {
            "account_id": draw.choice([1, 2, 3]),
            "instrument_id": draw.choice([1, 2]),
            "strategy_id": draw.choice([0, 1]),
        }
        command = limit_order(f"o{self.count}", side, qty, PX) | more
        if draw.random() < 0.05:
            command |= {"ord_type": "market", "price": 0}
        return self.pair.command("new_order", command)

    def live(self) -> list[Any]:
        return [order for order in self.pair.model.orders.values() if order.live]

    def tell(self, exec_type: str, qty: int = 0) -> None:
        """Let the venue say something of one live order."""
        orders = self.live()
        if not orders:
            return
        order = self.random.choice(orders)
        self.count += 1
        report = {"street_epoch": order.epoch, "street_seq": order.seq, "street_revision": 0}
        report |= {"exec_id": f"E{self.count}", "venue_id": 1, "trade_day": 0}
        report |= {"exec_type": exec_type, "ord_status": "", "last_px": PX, "fee": 0}
        report |= {"last_qty": min(qty, order.qty - order.cum_qty), "cum_qty": 0}
        self.pair.report(report | {"leaves_qty": 0, "transact_time_ns": START_NS})

    def replace(self) -> None:
        """Ask for more or less of an order of the first instrument."""
        orders = [order for order in self.live() if order.instrument_id == 1]
        if orders:
            self.count += 1
            order = self.random.choice(orders)
            own = {"cl_ord_id": f"c{self.count}", "session_id": 1, "order_seq": order.seq}
            terms = {"price": PX, "order_qty": self.random.randrange(1, 8) * ONE}
            more = {"orig_cl_ord_id": "", "has_terms": False}
            self.pair.command("replace_order", own | terms | more)

    def rate(self) -> None:
        """Let the currency's rate move."""
        rate = self.random.choice([ONE // 2, ONE, 2 * ONE])
        now_ns = self.pair.model.now_ns
        self.pair.fact("rate", currency_id=1, rate=rate, rate_time_ns=now_ns, age_s_max=0)

    def live_through(self, steps: int) -> set[str]:
        """Live the day; the reasons it came to."""
        told = set()
        for _ in range(steps):
            what = self.random.random()
            if what < 0.5:
                told.add(self.order())
            elif what < 0.65:
                self.tell("trade", self.random.randrange(1, 4) * ONE)
            elif what < 0.8:
                self.tell("canceled")
            elif what < 0.88:
                self.replace()
            elif what < 0.92:
                self.limits()
            elif what < 0.94:
                self.rate()
            else:
                step_ns = self.random.choice([1, ONE, 3 * ONE, 40 * ONE])
                self.pair.time(self.pair.model.now_ns + step_ns)
        self.pair.agree()
        core = self.pair.engine.core
        assert core.recovered(core.event_seq).state_hash() == core.state_hash(), "I18"
        return told


def test_engine_and_oracle_agree_at_every_bound():
    told: set[str] = set()
    for seed in range(40):
        told |= Day(seed).live_through(80)
    assert told >= REASONS, REASONS - told
