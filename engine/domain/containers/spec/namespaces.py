"""Which namespaces a container gets, shares or joins. Pure."""

from collections.abc import Iterable
from typing import Any

from engine.core.model.id_mapping import IdMapping, IdRange
from engine.domain.containers.spec.request import SpecRequest


def namespaces(request: SpecRequest) -> list[dict[str, Any]]:
    """Return `linux.namespaces`, in Docker's order."""
    host_config, joined = request.container.host_config, request.joined
    result: list[dict[str, Any]] = [{"type": "mount"}]
    if request.mapping is not None:
        result.append(_namespace("user", joined.user))
    if joined.network is not None:
        result.append(_namespace("network", joined.network))
    if host_config.uts_mode != "host":
        result.append({"type": "uts"})
    if host_config.pid_mode != "host":
        result.append(_namespace("pid", joined.pid))
    if host_config.ipc_mode != "host":
        result.append(_namespace("ipc", joined.ipc))
    if host_config.cgroupns_mode == "private":
        result.append({"type": "cgroup"})
    return result


def id_mappings(mapping: IdMapping) -> dict[str, Any]:
    """Return `linux.uidMappings` and `linux.gidMappings`."""
    return {"uidMappings": _ranges(mapping.uids), "gidMappings": _ranges(mapping.gids)}


def _ranges(ranges: Iterable[IdRange]) -> list[dict[str, Any]]:
    return [{"containerID": r.inside, "hostID": r.outside, "size": r.size} for r in ranges]


def _namespace(kind: str, path: str) -> dict[str, Any]:
    return {"type": kind, "path": path} if path else {"type": kind}
