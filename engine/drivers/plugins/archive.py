"""The archive of `docker plugin create`: `config.json` beside `rootfs/`, which becomes a layer's archive.

Nothing is unpacked here: entries go from one archive to another, with `rootfs/` cut from their names. What their names
do is judged where layers are unpacked.
"""

import copy
import tarfile
from dataclasses import dataclass
from pathlib import Path

_CONFIG = "config.json"
_ROOT = "rootfs"
_MAX_CONFIG = 4 << 20


class NotAnArchive(ValueError):
    """The file is no tar archive, or ends too early."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The configuration's bytes, None where there was none."""

    config: bytes | None


def split(archive: Path, layer: Path) -> Parts:
    """Write the layer's archive and return the rest. Raises NotAnArchive, OSError. Blocks; call in a thread."""
    config = None
    try:
        # Empty input is an empty archive, as with Go.
        if archive.stat().st_size == 0:
            tarfile.open(layer, "w", format=tarfile.PAX_FORMAT).close()
            return Parts(None)
        with tarfile.open(archive, "r:") as source, tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as target:
            for member in source:
                name = _clean(member.name)
                if name == _CONFIG and member.isreg() and member.size <= _MAX_CONFIG:
                    config = _content(source, member)
                elif name.startswith(f"{_ROOT}/"):
                    _copy(source, member, target)
    except tarfile.TarError as error:
        raise NotAnArchive(str(error)) from error
    return Parts(config)


def _clean(name: str) -> str:
    return name.removeprefix("./").lstrip("/")


def _content(source: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = source.extractfile(member)
    return file.read() if file is not None else b""


def _copy(source: tarfile.TarFile, member: tarfile.TarInfo, target: tarfile.TarFile) -> None:
    changed = copy.copy(member)
    changed.name = _clean(member.name).removeprefix(f"{_ROOT}/")
    changed.pax_headers = {k: v for k, v in member.pax_headers.items() if k not in ("path", "linkpath")}
    if member.islnk():
        changed.linkname = _clean(member.linkname).removeprefix(f"{_ROOT}/")
    if member.isreg():
        target.addfile(changed, source.extractfile(member))
    else:
        target.addfile(changed)
