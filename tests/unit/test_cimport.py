"""A desk's own Cython strategy cimports the core: typed, without the GIL, from the `.pxd` alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from pyoms_core.layout import ONE
from tests.unit.test_engine import made

ROOT = Path(__file__).parents[2]

STRATEGY = '''
# cython: language_level=3
from libc.stdint cimport int64_t
from pyoms_core.gate cimport Gate
from pyoms_core.layout cimport SIDE_BUY

def quote(Gate gate not None, int count):
    """Send `count` orders without the GIL; how many were accepted."""
    cdef int accepted = 0, i
    cdef char name[2]
    cdef int64_t top[4]
    with nogil:
        if gate.quote(1, top) != 0:
            accepted = -count
        for i in range(count):
            name[0] = c"q"
            name[1] = <char> (65 + i)
            if gate.new_order(name, 2, SIDE_BUY, top[0], 1_000_000_000) == 0:
                accepted += 1
    return accepted
'''


@pytest.mark.slow
def test_strategy_in_cython_trades_without_the_gil(tmp_path):
    (tmp_path / "desk_strategy.pyx").write_text(STRATEGY)
    build = (
        "from setuptools import setup, Extension; from Cython.Build import cythonize; "
        "pyx = Extension('desk_strategy', ['desk_strategy.pyx']); "
        f"made = cythonize([pyx], include_path=[{str(ROOT / 'core')!r}]); "
        "setup(script_args=['-q', 'build_ext', '--inplace'], ext_modules=made)"
    )
    subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    (built,) = tmp_path.glob("desk_strategy.*.so")
    spec = importlib.util.spec_from_file_location("desk_strategy", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    oms = made()
    assert module.quote(oms.gate("ESH4"), 5) == 5
    orders = oms.orders()
    assert [order["cl_ord_id"] for order in orders] == ["qA", "qB", "qC", "qD", "qE"]
    assert {order["price"] for order in orders} == {4820 * ONE}
