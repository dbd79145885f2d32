"""pyoms, an order management system: Rust decides, Cython carries, Python chooses.

The package itself imports nothing, so that `pyoms.kill` needs the standard library alone. Import
what you use from its modules.
"""

__version__ = "0.1.0"
