"""Content digests: `sha256:` and 64 hex digits."""

import hashlib
from collections.abc import Sequence


def of(data: bytes) -> str:
    """Return the digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the chain ID of each layer, bottom first (OCI image spec, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
