"""The structure of the project: every rule holds here, and fails where it is broken on purpose."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import pyoms_native
from tests.tidy import rules

ROOT = Path(__file__).parents[2]


def test_no_locked_crate_wants_a_newer_compiler_than_the_workspace_promises():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    assert rules.old_compilers(ROOT, workspace["rust-version"]) == []
    assert rules.old_compilers(ROOT, "1.31") != []


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_tree_keeps(rule):
    assert rule(ROOT) == []


@pytest.fixture(scope="session")
def copied(tmp_path_factory):
    """Give a copy of the tracked files as a repository of its own."""
    copy = tmp_path_factory.mktemp("tree")
    for path in rules.tracked(ROOT):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copy / path)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    subprocess.run(["git", "add", "-A", "-f"], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="session")
def clean(copied):
    """Give a function that tells what a rule finds in the copy as it is, asked once a rule."""
    found = {rule: frozenset(rule(copied)) for rule in rules.RULES}
    return found.__getitem__


@pytest.fixture
def plant(copied):
    """Give a function that adds text to a file of the copy (or makes it); all is undone after."""
    before: dict[Path, str | None] = {}

    def add(path, text, at_start=False):
        file = copied / path
        before.setdefault(file, file.read_text() if file.exists() else None)
        old = before[file] or ""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + old if at_start else old + text)
        subprocess.run(["git", "add", "-f", str(path)], cwd=copied, check=True)
        return copied

    yield add
    for file, old in before.items():
        if old is None:
            file.unlink()
        else:
            file.write_text(old)
    subprocess.run(["git", "add", "-A", "-f"], cwd=copied, check=True)


PLANTED = [
    (rules.crate_imports, "rust/layout/Cargo.toml", "\n[build-dependencies]\narch = '*'\n"),
    (
        rules.crate_imports,
        "rust/arch/Cargo.toml",
        "\n[target.'cfg(unix)'.dependencies]\nwire = '*'\n",
    ),
    (rules.crate_imports, "rust/engine/Cargo.toml", "\n[build-dependencies]\njournal = '*'\n"),
    (rules.crate_imports, "rust/journal/Cargo.toml", "\n[build-dependencies]\nengine = '*'\n"),
    (rules.crate_imports, "rust/wire/Cargo.toml", "\n[build-dependencies]\nhost = '*'\n"),
    (rules.crate_imports, "rust/sim/Cargo.toml", "\n[build-dependencies]\nnative = '*'\n"),
    (rules.crate_imports, "rust/host/Cargo.toml", "\n[build-dependencies]\nnative = '*'\n"),
    (rules.crate_imports, "rust/util/Cargo.toml", "[package]\nname = 'util'\n"),
    (rules.python_imports, "core/pyoms_core/layout.py", "\nfrom pyoms import errors\n"),
    (rules.python_imports, "core/pyoms_core/clock.pyx", "\nimport pyoms.config\n"),
    (rules.python_imports, "pyoms/kill.py", "\ndef late():\n    import numpy\n"),
    (rules.python_imports, "pyoms/kill.py", "\nfrom pyoms.config import load\n"),
    (rules.python_imports, "pyoms/errors.py", "\nfrom pyoms import numbers\n"),
    (rules.python_imports, "pyoms/doctor.py", "\nfrom pyoms.commands import app\n"),
    (rules.python_imports, "pyoms/config.py", "\nfrom tests.tidy import rules\n"),
    (rules.unsafe_code, "rust/layout/src/lib.rs", "\nfn f() { unsafe { g() } }\n"),
    (rules.unsafe_code, "rust/sim/examples/new.rs", "fn main() { unsafe { g() } }\n"),
    (rules.dead_files, "pyoms/helpers.py", '"""Words."""\n'),
    (rules.dead_files, "core/pyoms_core/spare.py", '"""Words."""\n'),
    (rules.dead_files, "tests/unit/helpers.py", '"""Words."""\n'),
    (rules.dead_files, "rust/layout/src/spare.rs", "//! Words.\n"),
    (rules.dead_files, "rust/layout/src/tables/deep.rs", "//! Words.\n"),
    (rules.dead_files, "notes.txt", "remember"),
    (rules.dead_files, "scripts/go.sh", "exit 0"),
    (rules.documented, "pyoms/doctor.py", "\ndef naked():\n    return 1\n"),
    (rules.documented, "pyoms/doctor.py", "\nNAKED = 1\n"),
    (rules.documented, "pyoms/doctor.py", '\nclass A:\n    """Words."""\n\n    def b(self): ...\n'),
    (rules.documented, "pyoms/new.py", "x = 1  # words\n"),
    (rules.documented, "core/pyoms_core/clock.pyx", "\ndef naked(int64_t x):\n    return x\n"),
    (rules.documented, "core/pyoms_core/clock.pyx", "\ncdef class Naked:\n    pass\n"),
    (rules.open_questions, "rust/arch/src/lib.rs", "\n// TO" + "DO: later\n"),
    (rules.open_questions, "pyoms/doctor.py", "\n# FIX" + "ME\n"),
    (rules.open_questions, "Makefile", "\n# XX" + "X\n"),
    (rules.places, "uv.lock", '\n# { url = "https://mirror.example.com/simple" }\n'),
    (rules.places, "pyoms/doctor.py", "\n# see /ho" + "me/ann/desk\n"),
    (rules.places, "Cargo.lock", '\n# "registry+http://10.0.0.1/index"\n'),
    (rules.mutants, "rust/wire/src/lib.rs", "\nfn f() { mutant!(unheard_of => g()) }\n"),
    (rules.mutants, "rust/wire/src/lib.rs", "\nfn f() { mutant!(arrival_day => g()) }\n"),
    (rules.mutants, "tests/data/mutants.toml", '\n[[mutant]]\nname = "siteless"\n'),
    (rules.mutants, "tests/data/mutants.toml", '\n[[mutant]]\nname = "arrival_day"\n'),
    (rules.mutants, "rust/native/Cargo.toml", "\n[features]\ndefault = ['arch/mutants']\n"),
    (rules.mutants, "rust/host/Cargo.toml", "\n[x]\narch = {features = ['mutants']}\n"),
    (rules.mutants, "rust/arch/Cargo.toml", "\n[features.default]\n"),
    (rules.mutants, "tools/build", "\ncargo build --features mutants\n"),
]


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    PLANTED,
    ids=lambda v: getattr(v, "__name__", None) or str(v)[:30].strip(),
)
def test_rule_finds_what_is_planted(plant, clean, rule, path, text):
    new = set(rule(plant(path, text))) - clean(rule)
    assert any(path in problem for problem in new)


def test_rule_finds_a_missing_forbid(plant, copied):
    plant("rust/layout/src/lib.rs", "")
    lib = copied / "rust/layout/src/lib.rs"
    lib.write_text(lib.read_text().replace("#![forbid(unsafe_code)]", ""))
    assert any("lacks #![forbid" in problem for problem in rules.unsafe_code(copied))


def test_the_extension_module_knows_no_mutant():
    (library,) = Path(pyoms_native.__file__).parent.glob("pyoms_native*.so")
    code = library.read_bytes()
    table = tomllib.loads((ROOT / "tests/data/mutants.toml").read_text())["mutant"]
    assert b"PyInit_pyoms_native" in code, "this is no build of the core"
    assert b"PYOMS_MUTANT" not in code
    assert [row["name"] for row in table if row["name"].encode() in code] == []


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """Emit the generated files from the tables as they are now."""
    out = tmp_path_factory.mktemp("fresh")
    subprocess.run(
        ["cargo", "run", "--quiet", "--locked", "--package", "layout", "--bin", "emit", "--", out],
        cwd=ROOT,
        check=True,
        env={**os.environ, "CARGO_TERM_COLOR": "never"},
    )
    (out / "native.pxd").write_text(pyoms_native.native_pxd())
    return out


def test_generated_files_are_fresh(fresh):
    assert rules.generated(ROOT, fresh) == []


@pytest.mark.parametrize("name", ["layout.pxd", "layout.py", "native.pxd"])
def test_rule_finds_a_stale_generated_file(plant, fresh, name):
    (found,) = rules.generated(plant(f"core/pyoms_core/{name}", "# stale\n"), fresh)
    assert name in found
