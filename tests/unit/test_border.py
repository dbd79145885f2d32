"""The border between Cython and Rust: two builds that do not belong together refuse each other."""

import subprocess
import sys

import pytest

import pyoms_native
from pyoms_core import layout

# A stand-in for pyoms_native whose capsule holds a table with the given first words.
STAND_IN = """
import ctypes, sys, types
words = (ctypes.c_uint64 * 16)(*{words})
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
module = types.ModuleType("pyoms_native")
module._C_API = new(ctypes.addressof(words), b"pyoms_native._C_API", None)
sys.modules["pyoms_native"] = module
import pyoms_core.{module}
"""


def import_against(version, layout_hash, table_hash, module="clock"):
    words = [version | 4096 << 32, layout_hash, table_hash, 0]
    code = STAND_IN.format(words=words, module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("module", ["clock", "control", "dispatch", "gate", "tape"])
def test_another_layout_is_refused_and_both_hashes_are_named(module):
    told = import_against(1, layout.LAYOUT_HASH ^ 1, pyoms_native.TABLE_HASH, module)
    assert told.startswith("ImportError")
    assert f"{layout.LAYOUT_HASH:#018x}" in told
    assert f"{layout.LAYOUT_HASH ^ 1:#018x}" in told


def test_another_table_is_refused_and_both_hashes_are_named():
    for version, table_hash in ((1, pyoms_native.TABLE_HASH ^ 1), (2, pyoms_native.TABLE_HASH)):
        told = import_against(version, layout.LAYOUT_HASH, table_hash)
        assert told.startswith("ImportError")
        assert f"{pyoms_native.TABLE_HASH:#018x}" in told
        assert f"v{version} {table_hash:#018x}" in told


def test_all_three_languages_hold_one_layout_hash():
    assert pyoms_native.LAYOUT_HASH == layout.LAYOUT_HASH


def test_layout_imports_with_the_standard_library_alone():
    code = (
        "import sys; sys.modules['numpy'] = sys.modules['pyoms_native'] = None\n"
        "import pyoms_core.layout as layout; print(layout.offset('new_order', 'price'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "72"
