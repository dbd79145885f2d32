"""The compiled core: Cython over one table of Rust functions (`pyoms_native`).

Importing the package loads neither: `pyoms_core.layout` must work with the standard library alone,
for the kill switch. Every compiled module checks at import that its layout is the core's.
"""
