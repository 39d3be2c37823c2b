"""Images in Docker's JSON, and what differs between API versions.

1.44 drops VirtualSize; 1.47 and 1.48 add manifests and descriptors; 1.50 shows only what an image can configure;
1.51 counts containers in lists.
"""

from collections.abc import Sequence
from typing import Any

from engine.api.wire.codec import encode
from engine.core import times
from engine.core.model.container import ContainerConfig
from engine.core.model.image import Image
from engine.domain.images.delete import Deleted
from engine.domain.images.documents import descriptor_json, platform_json
from engine.domain.images.history import HistoryStep
from engine.domain.images.inspect import Inspection, ManifestInfo
from engine.domain.images.prune import Pruned
from engine.domain.images.selection import Summary

_DRIVER = "overlayfs"
_ALWAYS = ("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir")
_WHERE_SET = ("ArgsEscaped", "ExposedPorts", "Healthcheck", "Shell", "StopSignal", "StopTimeout")
Version = tuple[int, int]


def encode_inspect(found: Inspection, version: Version, manifests: Sequence[ManifestInfo] | None) -> dict[str, Any]:
    """Return the answer of `GET /images/{name}/json`."""
    image = found.image
    answer: dict[str, Any] = {
        "Id": found.id,
        "RepoTags": list(found.tags),
        "RepoDigests": list(found.digests),
        "Parent": found.stored.parent,
        "Comment": image.comment,
        "DockerVersion": image.docker_version,
        "Author": image.author,
        "Config": _config(image.config, version),
        "Architecture": image.platform.architecture,
        "Os": image.platform.os,
        "Size": found.size,
        "GraphDriver": {"Data": None, "Name": _DRIVER},
        "RootFS": {"Type": "layers", "Layers": image.diff_ids} if image.diff_ids else {"Type": "layers"},
        "Metadata": {"LastTagTime": times.rfc3339(found.tagged_at)},
    }
    answer |= _inspect_extras(image)
    if version < (1, 44):
        answer["VirtualSize"] = found.size
    if version >= (1, 48):
        answer["Descriptor"] = descriptor_json(found.descriptor)
        if manifests is not None:
            answer["Manifests"] = [_manifest(m) for m in manifests]
    return answer


def _inspect_extras(image: Image) -> dict[str, Any]:
    """Return the fields that are left out where there is nothing to say."""
    extras: dict[str, Any] = {"Variant": image.platform.variant, "OsVersion": image.platform.os_version}
    extras["Created"] = None if image.created is None else times.rfc3339(image.created)
    return {key: value for key, value in extras.items() if value}


def _config(config: ContainerConfig, version: Version) -> dict[str, Any]:
    whole = encode(config)
    if version < (1, 50):
        return whole
    shown = {key: whole[key] for key in _ALWAYS}
    return shown | {key: whole[key] for key in _WHERE_SET if whole.get(key)}


def _manifest(found: ManifestInfo) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ID": found.descriptor.digest,
        "Descriptor": descriptor_json(found.descriptor),
        "Available": found.available,
        "Size": {"Content": found.content, "Total": found.content + found.unpacked},
        "Kind": found.kind,
    }
    if found.kind == "image":
        answer["ImageData"] = {
            "Platform": platform_json(found.platform),
            "Size": {"Unpacked": found.unpacked},
            "Containers": list(found.containers) or None,
        }
    if found.kind == "attestation":
        answer["AttestationData"] = {"For": found.attested}
    return answer


def encode_summary(
    summary: Summary, version: Version, manifests: Sequence[ManifestInfo] | None = None
) -> dict[str, Any]:
    """Return an item of `GET /images/json`."""
    tags, digests = list(summary.tags), list(summary.digests)
    if version < (1, 43) and not tags and not digests:
        tags, digests = ["<none>:<none>"], ["<none>@<none>"]
    answer: dict[str, Any] = {
        "Containers": len(summary.containers) if version >= (1, 51) else -1,
        "Created": (summary.image.created or 0) // 10**9,
        "Id": summary.stored.target.digest,
        "Labels": summary.image.config.labels,
        "ParentId": summary.stored.parent,
        "RepoDigests": digests,
        "RepoTags": tags,
        "SharedSize": summary.shared,
        "Size": summary.size,
    }
    if version < (1, 44):
        answer["VirtualSize"] = summary.size
    if version >= (1, 48):
        answer["Descriptor"] = descriptor_json(summary.stored.target)
    if manifests is not None and version >= (1, 47):
        answer["Manifests"] = [_manifest(m) for m in manifests]
    return answer


def encode_history(steps: Sequence[HistoryStep]) -> list[dict[str, Any]]:
    """Return the answer of `GET /images/{name}/history`."""
    return [
        {
            "Id": step.id,
            "Created": step.entry.created // 10**9,
            "CreatedBy": step.entry.created_by,
            "Tags": None if step.tags is None else list(step.tags) or None,
            "Size": step.size,
            "Comment": step.entry.comment,
        }
        for step in steps
    ]


def encode_deleted(report: Sequence[Deleted]) -> list[dict[str, str]]:
    """Return the answer of `DELETE /images/{name}`."""
    return [{"Untagged": d.untagged} if d.untagged else {"Deleted": d.deleted} for d in report]


def encode_pruned(pruned: Pruned) -> dict[str, Any]:
    """Return the answer of `POST /images/prune`."""
    return {"ImagesDeleted": encode_deleted(pruned.deleted) or None, "SpaceReclaimed": pruned.reclaimed}
