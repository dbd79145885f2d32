LAYOUT_HASH: int
TABLE_HASH: int
__version__: str

def native_pxd() -> str: ...
