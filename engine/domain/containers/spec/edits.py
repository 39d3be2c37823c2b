"""What devices change in an OCI configuration that is otherwise ready (Container Device Interface). Pure."""

from collections.abc import Iterable
from typing import Any

from engine.core.model.cdi import CdiMount, ContainerEdits, DeviceNode, Hook

_Object = dict[str, Any]


def edited(spec: _Object, edits: ContainerEdits) -> _Object:
    """Return a configuration with the edits; the one given stays as it is."""
    result = spec | {"process": _process(spec["process"], edits)}
    if edits.device_nodes:
        result["linux"] = _linux(spec["linux"], edits.device_nodes)
    if edits.mounts:
        result["mounts"] = _mounts(spec["mounts"], edits.mounts)
    if edits.hooks:
        result["hooks"] = _hooks(spec.get("hooks", {}), edits.hooks)
    return result


def _process(process: _Object, edits: ContainerEdits) -> _Object:
    """Variables of a device outweigh those of the container."""
    names = {entry.partition("=")[0] for entry in edits.env or ()}
    kept = [entry for entry in process["env"] if entry.partition("=")[0] not in names]
    user = process["user"]
    groups = [*user.get("additionalGids", ()), *(gid for gid in edits.additional_gids or () if gid)]
    return process | {
        "env": [*kept, *(edits.env or ())],
        "user": user | {"additionalGids": list(dict.fromkeys(groups))},
    }


def _linux(linux: _Object, nodes: Iterable[DeviceNode]) -> _Object:
    devices = {node["path"]: node for node in linux.get("devices", ())}
    rules = list(linux["resources"]["devices"])
    for node in nodes:
        devices[node.path] = _node(node)
        if node.type in ("b", "c"):
            access = node.permissions or "rwm"
            rules.append({"allow": True, "type": node.type, "major": node.major, "minor": node.minor, "access": access})
    return linux | {"devices": list(devices.values()), "resources": linux["resources"] | {"devices": rules}}


def _node(node: DeviceNode) -> _Object:
    values: _Object = {
        "path": node.path,
        "type": node.type,
        "major": node.major,
        "minor": node.minor,
        "fileMode": node.file_mode,
        "uid": node.uid,
        "gid": node.gid,
    }
    return {key: value for key, value in values.items() if value is not None}


def _mounts(present: Iterable[_Object], wanted: Iterable[CdiMount]) -> list[_Object]:
    """A device's mount takes the place of another at the same path; what lies deeper is mounted later."""
    added = {mount.container_path: mount for mount in wanted}
    kept = [mount for mount in present if mount["destination"] not in added]
    kept += [
        {
            "destination": mount.container_path,
            "type": mount.type or "bind",
            "source": mount.host_path,
            "options": mount.options or [],
        }
        for mount in added.values()
    ]
    return sorted(kept, key=lambda mount: mount["destination"].rstrip("/").count("/"))


def _hooks(present: _Object, wanted: Iterable[Hook]) -> _Object:
    result = {moment: list(hooks) for moment, hooks in present.items()}
    for hook in wanted:
        values: _Object = {"path": hook.path, "args": hook.args, "env": hook.env, "timeout": hook.timeout}
        entry = {key: value for key, value in values.items() if value is not None}
        result.setdefault(hook.hook_name, []).append(entry)
    return result
