"""The structure of the project as functions: each takes a tree and returns its violations.

Called by `test_tidy.py`, on this tree and on copies with one violation planted. A rule lives here
when no formatter or linter holds it. What must stay true: a rule reads tracked files only, and an
empty list means it looked and found nothing.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

CRATES = {
    "layout": set(),
    "arch": set(),
    "engine": {"layout", "arch"},
    "journal": {"layout", "arch"},
    "wire": {"layout", "arch"},
    "host": {"layout", "arch", "engine", "journal", "wire"},
    # The fault simulator runs the real desk over a simulated world, so it stands on `host`.
    "sim": {"layout", "arch", "engine", "journal", "wire", "host"},
    "native": {"layout", "arch", "engine", "journal", "wire", "host", "sim", "bench"},
}
"""Crate -> crates of ours it may import; STYLE's picture, nothing points down."""

UNSAFE_CRATES = {"arch", "journal", "native"}

ROOMS = (
    *("README.md", "LICENSE", "Makefile", "MANIFEST.in", "pyproject.toml", "setup.py", "uv.lock"),
    *("Cargo.toml", "Cargo.lock", "rustfmt.toml", ".gitignore", ".cargo/config.toml", ".ci/run"),
    *("rust/*/Cargo.toml", "rust/*.rs", "rust/native/pyproject.toml", "rust/native/*.pyi"),
    *("rust/*/README.md", "rust/*/tests/*", "rust/*/proptest-regressions/*", "rust/*/fuzz/*"),
    *("core/pyoms_core/*.py", "core/pyoms_core/*.pyx", "core/pyoms_core/*.pxd"),
    *("core/pyoms_core/*.pyi", "*/py.typed", "pyoms/*.py", "pyoms/*.html"),
    *("tests/*.py", "tests/golden/*", "tests/data/*", "bench/*", "tools/*", "examples/*", "docs/*"),
)
"""What may stand where; `*` crosses folders. A file outside every room is dead or misplaced."""

ISLAND = {
    "pyoms.kill": {"pyoms.errors", "pyoms_core.layout"},
    "pyoms.errors": {"pyoms_core.errors"},
    "pyoms_core.errors": set(),
}
"""Modules that must work when little else does -> all that they may import beside the library."""

SIBLINGS = ("pyoms.gateways", "pyoms.venues", "pyoms.projections")

HOSTS = {"pypi.org", "files.pythonhosted.org", "github.com"}
"""Hosts a lock file may name: the public registries."""


def tracked(root):
    """Give the tracked files below `root`, relative, without those deleted and not committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    return [Path(p) for p in sorted(listed.stdout.split("\0")) if p and (root / p).is_file()]


def text_of(root, path):
    """Text of a file; empty for a binary one."""
    data = (root / path).read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")


def crate_imports(root):
    """Crates import only what stands above them in the picture."""
    problems = []
    for path in tracked(root):
        if not fnmatch(str(path), "rust/*/Cargo.toml") or len(path.parts) != 3:
            continue
        crate, manifest = path.parts[1], tomllib.loads(text_of(root, path))
        if crate not in CRATES:
            problems.append(f"{path}: crate {crate} is not in the picture")
            continue
        tables = [manifest, *manifest.get("target", {}).values()]
        for table in tables:
            for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
                for name in table.get(kind, {}):
                    allowed = CRATES[crate] | ({"sim"} if kind == "dev-dependencies" else set())
                    if name in CRATES and name not in allowed:
                        problems.append(f"{path}: {crate} must not import {name} ({kind})")
    return problems


def modules(root):
    """Dotted name -> path of every tracked Python module of ours, tests and benches included."""
    found = {}
    for path in tracked(root):
        if path.suffix not in (".py", ".pyx") or path.name == "setup.py":
            continue
        parts = path.with_suffix("").parts
        parts = parts[1:] if parts[0] == "core" else parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root, path):
    """Dotted names a Python file imports, lazily or not."""
    if path.suffix == ".pyx":
        pattern = r"(?m)^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))"
        return {a or b for a, b in re.findall(pattern, text_of(root, path))}
    names = set()
    for node in ast.walk(ast.parse(text_of(root, path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def python_imports(root):
    """Core never imports pyoms, siblings and islands stay apart, and nothing is circular."""
    known = modules(root)
    graph = {
        name: {i for i in imports(root, path) if i in known and i != name}
        for name, path in known.items()
        if name.split(".")[0] in ("pyoms", "pyoms_core")
    }
    problems = []
    for name, path in known.items():
        top, outside = name.split(".")[0], imports(root, path)
        for wanted in sorted(outside):
            head = wanted.split(".")[0]
            if top == "pyoms_core" and head == "pyoms":
                problems.append(f"{path}: the core must not import {wanted}")
            if top in ("pyoms", "pyoms_core") and head in ("tests", "bench", "tools"):
                problems.append(f"{path}: must not import {wanted}")
            for room in SIBLINGS:
                mine, other = f"{room}.", wanted.startswith(f"{room}.") and wanted in known
                if (
                    name.startswith(mine)
                    and other
                    and not wanted.startswith((f"{room}.base", name))
                ):
                    problems.append(f"{path}: siblings must not import one another: {wanted}")
        for wanted in sorted(outside if name in ISLAND else ()):
            if wanted.split(".")[0] in sys.stdlib_module_names:
                continue
            if not any(wanted == m or wanted.startswith(f"{m}.") for m in ISLAND[name]):
                problems.append(f"{path}: must not import {wanted}")
    return problems + [f"{known[a]}: imports in a circle with {b}" for a, b in circles(graph)]


def circles(graph):
    """Pairs (a, b) where a imports b and b reaches a."""

    def reaches(start):
        seen, todo = set(), [start]
        while todo:
            for following in graph.get(todo.pop(), ()):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return seen

    return [(a, b) for a in sorted(graph) for b in sorted(graph[a]) if a in reaches(b)]


def rust_code(text):
    """Rust text without comments and literals."""
    pattern = r'//[^\n]*|/\*.*?\*/|r#*"(?:.|\n)*?"#*|"(?:\\.|[^"\\])*"'
    return re.sub(pattern, " ", text, flags=re.DOTALL)


def unsafe_code(root):
    """`unsafe` lives in arch, journal and native; every other crate forbids it."""
    problems = []
    for path in tracked(root):
        if path.parts[0] != "rust" or path.suffix != ".rs" or path.parts[1] in UNSAFE_CRATES:
            continue
        text = text_of(root, path)
        if re.search(r"\bunsafe\b", rust_code(text)):
            problems.append(f"{path}: unsafe outside {', '.join(sorted(UNSAFE_CRATES))}")
        if path.parts[2:] == ("src", "lib.rs") and "#![forbid(unsafe_code)]" not in text:
            problems.append(f"{path}: lacks #![forbid(unsafe_code)]")
    return problems


def rust_files(root):
    """Every Rust file hangs on a crate root by `mod`, or is a test, bench, example or binary."""
    files = [p for p in tracked(root) if p.parts[0] == "rust" and p.suffix == ".rs"]
    reached = set()
    todo = [
        p
        for p in files
        if p.parts[2:] in (("src", "lib.rs"), ("src", "main.rs"), ("build.rs",))
        or p.parts[2] in ("tests", "benches", "examples", "fuzz")
        or p.parts[2:4] == ("src", "bin")
    ]
    while todo:
        path = todo.pop()
        if path in reached or path not in files:
            continue
        reached.add(path)
        code = text_of(root, path)
        is_root = path.name in ("lib.rs", "main.rs", "mod.rs") or path.parts[2] != "src"
        here = path.parent if is_root else path.with_suffix("")
        for name in re.findall(r"(?m)^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", code):
            todo += [here / f"{name}.rs", here / name / "mod.rs"]
        for name in re.findall(r'(?:#\[path\s*=\s*|include!\()"([^"]+)"', code):
            todo.append(path.parent / name)
    return [f"{path}: no `mod` leads here" for path in files if path not in reached]


def dead_files(root):
    """Every file stands in a room, and every Python module is imported or run by somebody."""
    problems = [
        f"{path}: stands in no room of the project"
        for path in tracked(root)
        if not any(fnmatch(str(path), room) for room in ROOMS)
    ]
    known = modules(root)
    used = set()
    for name, path in known.items():
        for wanted in imports(root, path) - {name}:
            used |= {wanted, *(f"tests.{wanted}", f"bench.{wanted}")}
            used |= {".".join([*name.split(".")[:-1], wanted])}
    for name, path in known.items():
        run = path.name.startswith(("test_", "conftest", "bench_", "__")) or name == "pyoms.cli"
        if not run and path.parts[0] not in ("tools", "examples") and name not in used:
            problems.append(f"{path}: nobody imports it")
    return problems + rust_files(root)


def _constants_without_words(tree, lines):
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        above = lines[node.lineno - 2].lstrip().startswith("#") if node.lineno > 1 else False
        inline = "#" in lines[node.end_lineno - 1] or "#" in lines[node.lineno - 1]
        for name in names:
            if not name.startswith("_") and not (told or above or inline):
                yield node.lineno, name


def documented(root):
    """Every public module, class, function, method and constant of the packages has words."""
    problems = []
    for name, path in modules(root).items():
        if name.split(".")[0] not in ("pyoms", "pyoms_core"):
            continue
        text = text_of(root, path)
        if path.suffix == ".pyx":
            if not text.startswith('"""'):
                problems.append(f"{path}:1: the module has no docstring")
            definition = (
                r"(?m)^(?: {4})?(?:cdef class|cpdef [^=\n]*?|def|class) ([A-Za-z]\w*)[^\n]*:\n"
            )
            for found in re.finditer(definition, text):
                if not text[found.end() :].lstrip().startswith(('"""', 'r"""')):
                    line = text[: found.start()].count("\n") + 1
                    problems.append(f"{path}:{line}: {found[1]} has no docstring")
            continue
        tree = ast.parse(text)
        if ast.get_docstring(tree) is None:
            problems.append(f"{path}:1: the module has no docstring")
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        todo = [node for node in tree.body if isinstance(node, kinds)]
        while todo:
            node = todo.pop()
            if node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None:
                problems.append(f"{path}:{node.lineno}: {node.name} has no docstring")
            if isinstance(node, ast.ClassDef):
                todo += [inner for inner in node.body if isinstance(inner, kinds)]
        if path.name not in {"layout.py", "__init__.py"}:
            for line, constant in _constants_without_words(tree, text.splitlines()):
                problems.append(f"{path}:{line}: {constant} has no words")
    return problems


def open_questions(root):
    """No open question in the code: it is an issue, or it is answered."""
    words = re.compile(
        r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b"
    )
    return [
        f"{path}:{number}: {found[1]}"
        for path in tracked(root)
        if path.suffix not in (".lock", ".zst") and path.name != "LICENSE"
        for number, line in enumerate(text_of(root, path).splitlines(), 1)
        if (found := words.search(line))
    ]


def places(root):
    """No host but the public registries in a lock file, and no path of somebody's machine."""
    machine = re.compile(
        "(?<![\\w.<>])/(?:" + "|".join(("home", "root", "work", "Users")) + ")/\\w"
    )
    problems = []
    for path in tracked(root):
        for number, line in enumerate(text_of(root, path).splitlines(), 1):
            if path.suffix == ".lock":
                named = set(re.findall(r"https?://([^/\"\s:]+)", line)) - HOSTS
                problems += [f"{path}:{number}: names the host {host}" for host in named]
            elif found := machine.search(line):
                problems.append(f"{path}:{number}: names a path of one machine: {found[0]}...")
    return problems


def generated(root, fresh):
    """Compare the generated files with those in the folder `fresh`, byte for byte."""
    return [
        f"core/pyoms_core/{name}: differs from what the tables say; run `make emit`"
        for name in ("layout.pxd", "layout.py", "native.pxd")
        if (root / "core/pyoms_core" / name).read_bytes() != (fresh / name).read_bytes()
    ]


def old_compilers(root, promised):
    """Name the locked crates that ask for a newer compiler than the `promised` one."""
    metadata = ["cargo", "metadata", "--locked", "--format-version", "1"]
    told = subprocess.run(metadata, cwd=root, check=True, capture_output=True, text=True).stdout

    def number(version):
        return tuple(int(part) for part in version.split(".")[:2])

    return [
        f"Cargo.lock: {crate['name']} {crate['version']} wants Rust {crate['rust_version']}"
        for crate in json.loads(told)["packages"]
        if number(crate["rust_version"] or promised) > number(promised)
    ]


def mutants(root):
    """Table and sites of deliberate bugs agree one to one, and only their own tool builds them."""
    table, problems = "tests/data/mutants.toml", []
    sites: dict[str, list[Path]] = {}
    for path in tracked(root):
        text = text_of(root, path)
        if path.parts[0] == "rust" and path.suffix == ".rs" and path.name != "mutants.rs":
            for name in re.findall(r"\bmutant!\(\s*(\w+)", text):
                sites.setdefault(name, []).append(path)
        builds = path.suffix in (".toml", ".yml", ".lock") or path.parts[0] in ("tools", ".ci")
        builds |= path.name in ("Makefile", "setup.py", "build.rs")
        if builds and str(path) not in (table, "rust/arch/Cargo.toml", "tools/mutants"):
            problems += [
                f"{path}: names the feature mutants"
                for line in text.splitlines()
                if "cargo clippy" not in line  # which reads it and builds nothing
                if re.search(r"features?\b.*\bmutants\b|arch/mutants|cfg.*mutants", line)
            ]
    manifest = tomllib.loads(text_of(root, Path("rust/arch/Cargo.toml")))
    if manifest["features"] != {"mutants": []}:
        problems.append("rust/arch/Cargo.toml: its one feature is mutants, off by default")
    told = [row["name"] for row in tomllib.loads(text_of(root, Path(table)))["mutant"]]
    problems += [f"{table}: {name} has no site" for name in sorted(set(told) - sites.keys())]
    problems += [f"{table}: {n} stands there twice" for n in sorted(set(told)) if told.count(n) > 1]
    for name, paths in sorted(sites.items()):
        if name not in told:
            problems.append(f"{paths[0]}: mutant {name} is not in the table")
        if len(paths) > 1:
            problems.append(f"{paths[1]}: mutant {name} has a second site")
    return problems


RULES = (
    *(crate_imports, python_imports, unsafe_code, dead_files),
    *(documented, open_questions, places, mutants),
)
"""Every rule over a tree alone."""
