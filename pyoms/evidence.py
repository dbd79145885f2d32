"""Evidence: a report, signed by the desk's own key (Ed25519), as JSON and as a page to print.

Called by `pyoms drill`. The key is made on the first use, in ``keys/`` of the desk directory, and
never leaves it. What must stay true: what is signed is the canonical text of the report, so that
any change of it is found; a key that others may read is not used; a good signature of another key
is told apart from one of this desk's.
"""

from __future__ import annotations

import base64
import html
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pyoms.errors import OmsError

KEY_FILE = "evidence.key"
"""Private key of the desk, PEM, mode 0600; the public one lies beside it as ``evidence.pub``."""

FILE_BYTES_MAX = 16 << 20
"""Largest evidence file that is read."""

_MODE = 0o600


class EvidenceError(OmsError):
    """Evidence or a key that cannot be read or written."""

    code = "evidence"


class ForgedError(OmsError):
    """Evidence that is not what was signed."""

    code = "evidence_forged"
    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Evidence with a good signature; `by_desk` tells whether the desk's own key made it.

    None where the desk has no key to compare with.
    """

    report: dict[str, Any]
    public_key: str
    by_desk: bool | None


def _text(report: dict[str, Any]) -> bytes:
    """Give the one text of a report that is signed."""
    return json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def own_key(keys: Path) -> Ed25519PrivateKey:
    """Give the private key below `keys`, made if there is none; EvidenceError if it is not safe."""
    path = keys / KEY_FILE
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return _new_key(path)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != _MODE:
                mode = stat.S_IMODE(status.st_mode)
                raise EvidenceError(f"{path} has mode {mode:04o}, allowed is 0600: others may sign")
            if status.st_uid != os.geteuid():
                raise EvidenceError(f"{path} belongs to user {status.st_uid}, not {os.geteuid()}")
            data = file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from None
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise EvidenceError(f"{path} is no Ed25519 key: move it away and a new one is made")
    return key


def _new_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _MODE), "wb") as file:
        file.write(private)
        file.flush()
        os.fsync(file.fileno())
    path.with_name("evidence.pub").write_bytes(public)
    return key


def sign(report: dict[str, Any], keys: Path) -> dict[str, Any]:
    """Give the report with its signature and the public key that checks it."""
    key = own_key(keys)
    signature = key.sign(_text(report))
    return {
        "report": report,
        "signature": base64.b64encode(signature).decode(),
        "public_key": base64.b64encode(_raw(key.public_key())).decode(),
        "signed": "Ed25519 over the report as JSON: sorted keys, no spaces, ASCII",
    }


def check(path: Path, keys: Path) -> Checked:
    """Check an evidence file; ForgedError where it is not what was signed."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from None
    try:
        evidence = json.loads(data)
        report = evidence["report"]
        signature = base64.b64decode(evidence["signature"], validate=True)
        raw = base64.b64decode(evidence["public_key"], validate=True)
        key = Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise EvidenceError(f"{path} is no evidence: report, signature and public_key") from None
    try:
        key.verify(signature, _text(report))
    except InvalidSignature:
        raise ForgedError(
            f"{path}: the signature does not fit the report: it was changed"
        ) from None
    return Checked(report=report, public_key=evidence["public_key"], by_desk=_is_own(raw, keys))


def _is_own(raw: bytes, keys: Path) -> bool | None:
    try:
        own = serialization.load_pem_public_key((keys / "evidence.pub").read_bytes())
    except (OSError, ValueError):
        return None
    return isinstance(own, Ed25519PublicKey) and _raw(own) == raw


def write(evidence: dict[str, Any], folder: Path, name: str, title: str) -> tuple[Path, Path]:
    """Write the evidence as `name`.json and `name`.html below `folder`; gives both paths."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        paths = (folder / f"{name}.json", folder / f"{name}.html")
        texts = (json.dumps(evidence, indent=2) + "\n", page(evidence, title))
        for path, text in zip(paths, texts, strict=True):
            fresh = path.with_name(f".{path.name}.{os.getpid()}")
            fresh.write_text(text)
            fresh.replace(path)
    except OSError as error:
        raise EvidenceError(f"{folder}: {error.strerror}") from None
    return paths


_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;color:#111}
h1{font-size:1.5rem}table{border-collapse:collapse;width:100%}
td{padding:.25rem .5rem;border-bottom:1px solid #ccc;vertical-align:top}
td+td{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
.good{color:#116611}.bad{color:#aa1111}@media print{body{margin:0}}
"""


def page(evidence: dict[str, Any], title: str) -> str:
    """Give the evidence as a page that needs nothing else."""
    report = evidence["report"]

    def shown(value: Any) -> str:
        return html.escape(value if isinstance(value, str) else json.dumps(value))

    rows = "".join(f"<tr><td>{shown(k)}</td><td>{shown(v)}</td></tr>" for k, v in report.items())
    good = report.get("good") is True
    verdict = (
        '<p class="good">Nothing left after an acknowledgement, nothing was left open.</p>'
        if good
        else '<p class="bad">NOT passed: see violations.</p>'
    )
    key, signature = shown(evidence["public_key"]), shown(evidence["signature"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{shown(title)}</title>'
        f"<style>{_STYLE}</style><h1>{shown(title)}</h1>{verdict}<table>{rows}</table>"
        f"<h2>Signature</h2><p>{shown(evidence['signed'])}. The JSON beside this page is what "
        "counts: <code>pyoms drill --check FILE.json</code>.</p>"
        f"<table><tr><td>public key</td><td>{key}</td></tr>"
        f"<tr><td>signature</td><td>{signature}</td></tr></table>"
        "<p>Held by ____________________ Seen by ____________________</p></html>\n"
    )
