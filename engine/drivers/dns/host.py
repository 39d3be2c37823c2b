"""The host's own name servers."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

_FRESH = 2.0


class HostServers:
    """What /etc/resolv.conf says, looked at again now and then."""

    def __init__(self, path: Path = Path("/etc/resolv.conf")) -> None:
        self._path = path
        self._servers: Sequence[str] = ()
        self._read_at = 0.0

    async def servers(self) -> Sequence[str]:
        """Return the addresses of the host's name servers, those on its loopback, too: it is the host that asks."""
        if time.monotonic() - self._read_at > _FRESH or not self._read_at:
            self._servers = await asyncio.to_thread(_nameservers, self._path)
            self._read_at = time.monotonic()
        return self._servers


def _nameservers(path: Path) -> Sequence[str]:
    """Blocks; call in a thread."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    fields = (line.split() for line in lines)
    return tuple(f[1] for f in fields if len(f) >= 2 and f[0] == "nameserver")
