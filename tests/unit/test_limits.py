"""Limits as data in Python: compiled rows, the change between two tables, mistakes in a file."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyoms import limits
from pyoms.config import UNLIMITED, LimitConfig, load_limits, parse
from pyoms.errors import ConfigError
from pyoms.records import record
from pyoms_core.layout import LIMIT_REMOVED, dtype
from tests.unit.test_config import TEXT

NAMES = {
    "account": ["FIRM", "MAKER", "SLICER"],
    "instrument": ["ESH4"],
    "session": ["S1", "S2"],
    "strategy": ["maker"],
    "trader": ["joan"],
    "sector": ["equity-index"],
}
FILE = '[[limit]]\nscope = "instrument"\ninstrument = "ESH4"\norder_qty_max = 7\n'
ACCOUNT = """
[[limit]]
scope = "account"
account = "MAKER"
orders_max = 10
window_ms = 1_000
order_qty_max = 100
order_notional_max = 30_000_000
gross_notional_max = 500
net_notional_max = 250
"""


def number(entity, name):
    return 1 + NAMES[entity].index(name)


def read(path, text):
    path.write_text(text)
    return load_limits(
        path,
        names=NAMES,
        throttle_orders_max=1_024,
    )


def test_rows_carry_every_field_of_the_configuration_in_the_units_of_the_log(tmp_path):
    rows = limits.rows_of(read(tmp_path / "limits.toml", FILE + ACCOUNT), number)
    assert rows["order_qty_max"].tolist() == [7 * 10**9, 100 * 10**9]
    assert rows["window_ns"].tolist() == [0, 10**9]
    assert rows["net_notional_max"].tolist() == [UNLIMITED, 250]
    assert (rows["account_id"].tolist(), rows["instrument_id"].tolist()) == ([0, 2], [1, 0])
    fields = {field.name for field in dataclasses.fields(LimitConfig)}
    known = {"scope", "account", "instrument", "entity", "window_ms"} | set(rows.dtype.names or ())
    assert fields <= known, "a field that no record has would be lost"


def test_a_whole_configuration_is_a_file_of_limits_too(tmp_path):
    whole = read(tmp_path / "desk.toml", TEXT)
    assert whole == parse(TEXT).limits


# Planted in the file above                                  key                    told
MISTAKES = [
    ("order_qty_max = 7", "order_qty_max = -1", "limit[1].order_qty_max", "-1"),
    ("order_qty_max = 7", "order_qty_max = 7\nqty = 1", "limit[1].qty", "unknown key"),
    ("order_qty_max = 7", "order_qty_max = 99999999999", "limit[1].order_qty_max", "99999999999"),
    (
        'instrument = "ESH4"',
        'instrument = "NQ"',
        "limit[1].instrument",
        "no instrument of the desk",
    ),
    ('account = "MAKER"', 'account = "TAKER"', "limit[2].account", "no account of the desk"),
    (
        "net_notional_max = 250",
        "net_notional_max = 501",
        "limit[2].net_notional_max",
        "above gross",
    ),
    (
        "gross_notional_max = 500",
        "gross_notional_max = 9223372036854775807",
        "limit[2].gross_notional_max",
        '"unlimited"',
    ),
    ("orders_max = 10", "orders_max = 1_025", "limit[2].orders_max", "0 to 1024"),
    ("[[limit]]\nscope", "[[limits]]\nscope", "limits", "unknown section"),
]


@pytest.mark.parametrize(("old", "new", "key", "told"), MISTAKES, ids=[row[1] for row in MISTAKES])
def test_a_mistake_in_a_file_of_limits_names_file_line_key_value_and_what_is_allowed(
    old, new, key, told, tmp_path
):
    text = FILE + ACCOUNT
    assert old in text
    file = tmp_path / "limits.toml"
    with pytest.raises(ConfigError) as caught:
        read(file, text.replace(old, new, 1))
    error = caught.value
    assert (error.file, error.key) == (str(file), key)
    assert told in error.problem
    line = text.replace(old, new, 1).splitlines()[error.line - 1]
    assert re.sub(r"limit\[\d\]\.?", "", key) in line


def cells(values):
    rows = np.zeros(len(values), dtype=dtype("limit_row"))
    for at, (instrument, qty) in enumerate(sorted(values.items())):
        one = record(
            "limit_row", scope=6, account_id=1, instrument_id=instrument, order_qty_max=qty
        )
        rows[at] = np.frombuffer(one, dtype=dtype("limit_row"))[0]
    return rows


TABLES = st.dictionaries(st.integers(1, 12), st.integers(0, 3), max_size=12)


@given(TABLES, TABLES)
def test_a_change_names_what_differs_and_what_is_gone_and_nothing_else(old, new):
    told = limits.changes(cells(new), cells(old))
    table = dict(old)
    for row in told:
        instrument, qty = int(row["instrument_id"]), int(row["order_qty_max"])
        if int(row["scope"]) & LIMIT_REMOVED:
            assert instrument not in new
            del table[instrument]
        else:
            assert old.get(instrument) != qty
            table[instrument] = qty
    assert table == new


def test_values_are_told_as_people_write_them():
    assert limits.value_text("order_qty_max", 1_500_000_000) == "1.5"
    assert limits.value_text("net_notional_max", 250) == "250"
    assert limits.value_text("net_qty_max", UNLIMITED) == "unlimited"
    assert limits.value_text("net_qty_max", None) is None
