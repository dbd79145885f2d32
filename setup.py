"""The compiled half of `pyoms`: every `core/pyoms_core/*.pyx` becomes one extension module.

Called by setuptools only. Two things must stay true: the flags match `.cargo/config.toml`, and the
C sources go to `build/cython`, so that the tree stays clean.
"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": True,
}

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"pyoms_core.{path.stem}",
                [str(path)],
                extra_compile_args=["-O3", "-march=x86-64-v3"],
            )
            for path in sorted(Path("core/pyoms_core").glob("*.pyx"))
        ],
        include_path=["core"],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
    )
)
