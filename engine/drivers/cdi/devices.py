"""Which devices the specification files on this host describe, found anew each time, as files come and go."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core.model.cdi import ContainerEdits, DeviceNode
from engine.drivers.cdi.spec_file import SUFFIXES, Device, Spec, UnreadableSpec, read_spec
from engine.drivers.linux import devices

log = logging.getLogger(__name__)


class UnresolvableDevices(LookupError):
    """No file describes these devices."""


@dataclass(frozen=True, slots=True)
class _Found:
    spec: Spec
    device: Device


class CdiDevices:
    """The devices in some directories; of two files with the same device, that in the later directory counts."""

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = directories
        self._complained: set[tuple[Path, str]] = set()

    def names(self) -> list[str]:
        """Return the full names (`vendor.com/class=device`). Blocks; call in a thread."""
        return sorted(self._all())

    def edits(self, wanted: Sequence[str]) -> list[ContainerEdits]:
        """Return what these devices change in a container, in their order, that of a kind once.

        Raises UnresolvableDevices with the names, OSError for a node that the host lacks. Blocks; call in a thread.
        """
        known = self._all() if wanted else {}
        missing = [name for name in wanted if name not in known]
        if missing:
            raise UnresolvableDevices(*missing)
        result: list[ContainerEdits] = []
        seen: list[Spec] = []
        for name in wanted:
            found = known[name]
            if not any(found.spec is spec for spec in seen):
                seen.append(found.spec)
                result.append(found.spec.container_edits)
            result.append(found.device.container_edits)
        return [_completed(edits) for edits in result]

    def _all(self) -> Mapping[str, _Found]:
        result: dict[str, _Found] = {}
        for directory in self.directories:
            result |= _without_conflicts(self._specs(Path(directory)))
        return result

    def _specs(self, directory: Path) -> Iterator[Spec]:
        try:
            paths = sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES)
        except OSError:
            return
        for path in paths:
            try:
                yield read_spec(path)
            except (OSError, UnreadableSpec) as error:
                self._complain(path, str(error))

    def _complain(self, path: Path, problem: str) -> None:
        if (path, problem) not in self._complained:
            self._complained.add((path, problem))
            log.warning("CDI specification %s is left out: %s", path, problem)


def _without_conflicts(specs: Iterable[Spec]) -> dict[str, _Found]:
    """What two files of one directory both describe is described by neither."""
    result: dict[str, _Found] = {}
    conflicts: set[str] = set()
    for spec in specs:
        for device in spec.devices:
            name = f"{spec.kind}={device.name}"
            if name in result:
                conflicts.add(name)
            result[name] = _Found(spec, device)
    return {name: found for name, found in result.items() if name not in conflicts}


def _completed(edits: ContainerEdits) -> ContainerEdits:
    """Return the edits with the host's own numbers where a node says none."""
    if not edits.device_nodes:
        return edits
    return msgspec.structs.replace(edits, device_nodes=[_completed_node(node) for node in edits.device_nodes])


def _completed_node(node: DeviceNode) -> DeviceNode:
    if node.type and (node.major or node.type == "p"):
        return node
    path = node.host_path or node.path
    found = devices.lookup(path)
    if len(found) != 1 or found[0].path != path:
        raise FileNotFoundError(f"{path} is no device node")
    host = found[0]
    return msgspec.structs.replace(
        node,
        type=node.type or host.kind,
        major=node.major or host.major,
        minor=node.minor or host.minor,
        file_mode=host.mode if node.file_mode is None else node.file_mode,
        uid=(host.uid or None) if node.uid is None else node.uid,
        gid=(host.gid or None) if node.gid is None else node.gid,
    )
