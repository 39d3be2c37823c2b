"""Content digests: `sha256:` and 64 hex digits."""

import hashlib
import re
from collections.abc import Sequence

_ANY = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_HEXADECIMAL = re.compile(r"[0-9a-f]+")


def of(data: bytes) -> str:
    """Return the digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the chain ID of each layer, bottom first (OCI image spec, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def problem_of(digest: str) -> str:
    """Return what is wrong with a digest, in the words of Go's digest package; nothing where it is one."""
    algorithm, _, encoded = digest.partition(":")
    length = {"sha256": 64, "sha384": 96, "sha512": 128}.get(algorithm)
    if length is None or not encoded:
        return "unsupported digest algorithm" if _ANY.fullmatch(digest) else "invalid checksum digest format"
    if len(encoded) != length:
        return "invalid checksum digest length"
    return "" if _HEXADECIMAL.fullmatch(encoded) else "invalid checksum digest format"
