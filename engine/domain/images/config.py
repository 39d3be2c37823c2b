"""Image configurations: the JSON that a manifest's `config` points at, to the model and back.

Pure. Source: OCI image spec ("Image Configuration") and Moby's image JSON. Values of a wrong type are an error with the
field's name, never a guess.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.core import times
from engine.core.model.container import ContainerConfig, Empty, Healthcheck
from engine.core.model.image import Descriptor, HistoryEntry, Image, Platform
from engine.core.references import is_digest
from engine.domain.images.documents import Manifest
from engine.domain.images.failures import MalformedImage

_TEXTS = {"User": "user", "WorkingDir": "working_dir", "StopSignal": "stop_signal"}
_LISTS = {"Env": "env", "Cmd": "cmd", "Entrypoint": "entrypoint", "OnBuild": "on_build", "Shell": "shell"}
_SETS = {"ExposedPorts": "exposed_ports", "Volumes": "volumes"}
_TIMES = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start_period",
    "StartInterval": "start_interval",
}


def read_image(target: Descriptor, manifest_at: Descriptor, manifest: Manifest, data: bytes) -> Image:
    """Return the image that a manifest and its configuration's bytes describe. Raises MalformedImage."""
    found = _object(_decode(data), "configuration")
    diff_ids = _diff_ids(found)
    if len(diff_ids) != len(manifest.layers):
        raise MalformedImage("mismatched image rootfs and manifest layers")
    history = [_history_entry(_object(h, "history")) for h in _list(found, "history")]
    return Image(
        id=target.digest,
        target=target,
        manifest=manifest_at,
        config_descriptor=manifest.config,
        created=_instant(found.get("created")),
        author=_text(found, "author"),
        comment=_comment(found, history),
        docker_version=_text(found, "docker_version"),
        platform=Platform(
            os=_text(found, "os"),
            architecture=_text(found, "architecture"),
            variant=_text(found, "variant"),
            os_version=_text(found, "os.version"),
        ),
        config=read_config(_nested(found, "config")),
        layers=manifest.layers,
        diff_ids=diff_ids,
        history=history,
    )


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedImage(f"invalid image configuration: {error}") from error


def _wrong(field: str) -> MalformedImage:
    return MalformedImage(f"invalid image configuration: unusable value of {field}")


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(field)
    return value


def _nested(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the object behind a key, an empty one for null."""
    value = found.get(key)
    return {} if value is None else _object(value, key)


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(key)
    return value or ""


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    if value is not None and not isinstance(value, list):
        raise _wrong(key)
    return value or []


def _diff_ids(found: Mapping[str, Any]) -> list[str]:
    rootfs = _nested(found, "rootfs")
    diff_ids = _list(rootfs, "diff_ids")
    if not all(isinstance(d, str) and is_digest(d) and d.startswith("sha256:") for d in diff_ids):
        raise _wrong("rootfs.diff_ids")
    return diff_ids


def _instant(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _wrong("created")
    try:
        return times.parse_rfc3339(value)
    except (ValueError, OverflowError) as error:
        raise _wrong("created") from error


def _history_entry(found: dict[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        created=_instant(found.get("created")) or 0,
        created_by=_text(found, "created_by"),
        author=_text(found, "author"),
        comment=_text(found, "comment"),
        empty_layer=_truth(found, "empty_layer"),
    )


def _comment(found: Mapping[str, Any], history: list[HistoryEntry]) -> str:
    """Moby shows the image's own comment, or else that of its last step."""
    return _text(found, "comment") or (history[-1].comment if history else "")


def _truth(found: Mapping[str, Any], key: str) -> bool:
    value = found.get(key)
    if value is not None and not isinstance(value, bool):
        raise _wrong(key)
    return bool(value)


def read_config(found: Mapping[str, Any]) -> ContainerConfig:
    """Return the run configuration. Fields of a container alone (host name, tty, …) are not an image's to set."""
    fields: dict[str, Any] = {ours: _text(found, theirs) for theirs, ours in _TEXTS.items()}
    fields |= {ours: _texts(found, theirs) for theirs, ours in _LISTS.items()}
    fields |= {ours: _set(found, theirs) for theirs, ours in _SETS.items()}
    return ContainerConfig(
        labels=_labels(found),
        healthcheck=_healthcheck(found.get("Healthcheck")),
        args_escaped=_truth(found, "ArgsEscaped"),
        stop_timeout=_optional_number(found, "StopTimeout"),
        **fields,
    )


def _texts(found: Mapping[str, Any], key: str) -> list[str] | None:
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, str) and key in ("Cmd", "Entrypoint", "Shell"):
        return [value]
    if not isinstance(value, list) or not all(isinstance(v, str) and "\0" not in v for v in value):
        raise _wrong(key)
    return value


def _set(found: Mapping[str, Any], key: str) -> dict[str, Empty] | None:
    value = found.get(key)
    return None if value is None else {name: Empty() for name in _object(value, key)}


def _labels(found: Mapping[str, Any]) -> dict[str, str] | None:
    value = found.get("Labels")
    if value is None:
        return None
    if not all(isinstance(v, str) for v in _object(value, "Labels").values()):
        raise _wrong("Labels")
    labels: dict[str, str] = value
    return labels


def _number(found: Mapping[str, Any], key: str) -> int:
    value = found.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise _wrong(key)
    return value


def _optional_number(found: Mapping[str, Any], key: str) -> int | None:
    return None if found.get(key) is None else _number(found, key)


def _healthcheck(value: Any) -> Healthcheck | None:
    if value is None:
        return None
    found = _object(value, "Healthcheck")
    spans = {ours: _number(found, theirs) for theirs, ours in _TIMES.items()}
    return Healthcheck(test=_texts(found, "Test"), retries=_number(found, "Retries"), **spans)


def write_config(image: Image) -> bytes:
    """Return the configuration of an image that is made here, as JSON."""
    found: dict[str, Any] = {
        "architecture": image.platform.architecture,
        "os": image.platform.os,
        "created": times.rfc3339(image.created or 0),
        "config": _config_json(image.config),
        "rootfs": {"type": "layers", "diff_ids": image.diff_ids},
        "history": [_history_json(h) for h in image.history],
    }
    if image.author:
        found["author"] = image.author
    if image.platform.variant:
        found["variant"] = image.platform.variant
    return msgspec.json.encode(found)


def _config_json(config: ContainerConfig) -> dict[str, Any]:
    found: dict[str, Any] = {theirs: getattr(config, ours) for theirs, ours in {**_TEXTS, **_LISTS}.items()}
    found |= {theirs: {key: {} for key in getattr(config, ours) or {}} for theirs, ours in _SETS.items()}
    found["Labels"] = config.labels
    if config.healthcheck is not None:
        check = config.healthcheck
        shown = {theirs: getattr(check, ours) for theirs, ours in _TIMES.items()}
        found["Healthcheck"] = {k: v for k, v in {"Test": check.test, "Retries": check.retries, **shown}.items() if v}
    if config.stop_timeout is not None:
        found["StopTimeout"] = config.stop_timeout
    return {k: v for k, v in found.items() if v not in (None, "", {})}


def _history_json(entry: HistoryEntry) -> dict[str, Any]:
    found: dict[str, Any] = {"created": times.rfc3339(entry.created)} if entry.created else {}
    for key in ("created_by", "author", "comment", "empty_layer"):
        if getattr(entry, key):
            found[key] = getattr(entry, key)
    return found
