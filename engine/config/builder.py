"""The section `builder` of `daemon.json`: when the build cache is cleaned up, and what builds may be allowed.

Decoded as dockerd does it: keys in any case, unknown ones overlooked, the old `keepStorage` for `reservedSpace`. Sizes
stay texts here, as dockerd reads them at its start.
"""

from typing import Any

from engine.config.failures import Mismatch
from engine.config.settings import BuilderSettings, CacheRule, CacheSizes

_KINDS: dict[type, str] = {bool: "bool", str: "string", list: "array", dict: "object"}


class _Section:
    """An object, whose keys may be in any case."""

    def __init__(self, value: Any, where: str, wanted: str) -> None:
        if value is not None and not isinstance(value, dict):
            raise Mismatch(_found(value), where, wanted)
        self._keys = {key.lower(): key for key in value or {}}
        self._values = {key.lower(): each for key, each in (value or {}).items()}

    def get(self, name: str, kind: type, wanted: str) -> Any:
        """Return a value, None where there is none. Raises Mismatch."""
        value = self._values.get(name.lower())
        if value is not None and not isinstance(value, kind):
            raise Mismatch(_found(value), f"Go struct field .{self._keys[name.lower()]}", wanted)
        return value

    def text(self, *names: str) -> str:
        """Return the first text that is there."""
        return next(filter(None, (self.get(name, str, "string") for name in names)), "")

    def section(self, name: str, wanted: str) -> "_Section":
        """Return an object within."""
        return _Section(self._values.get(name), f"Go struct field .{self._keys.get(name, name)}", wanted)

    def anything(self, name: str) -> Any:
        """Return a value of whatever kind."""
        return self._values.get(name)


def _found(value: Any) -> str:
    return _KINDS.get(type(value), "number")


def decode(value: Any, name: str) -> BuilderSettings:
    """Return the settings. Raises Mismatch."""
    section = _Section(value, f"Go struct field Config.{name}", "config.BuilderConfig")
    collection = section.section("gc", "config.BuilderGCConfig")
    granted = section.section("entitlements", "config.BuilderEntitlements")
    rules = collection.get("policy", list, "[]config.BuilderGCRule")
    return BuilderSettings(
        gc=collection.get("enabled", bool, "bool") is not False,
        rules=None if rules is None else [_rule(rule) for rule in rules],
        sizes=CacheSizes(
            collection.text("defaultReservedSpace", "defaultKeepStorage"),
            collection.text("defaultMaxUsedSpace"),
            collection.text("defaultMinFreeSpace"),
        ),
        network_host=granted.get("network-host", bool, "bool") is not False,
        security_insecure=bool(granted.get("security-insecure", bool, "bool")),
        device=granted.get("device", bool, "bool") is not False,
    )


def _rule(value: Any) -> CacheRule:
    section = _Section(value, "Go value", "config.BuilderGCRule")
    return CacheRule(
        every=bool(section.get("all", bool, "bool")),
        filters=_filters(section.anything("filter")),
        sizes=CacheSizes(
            section.text("reservedSpace", "keepStorage"), section.text("maxUsedSpace"), section.text("minFreeSpace")
        ),
    )


def _filters(value: Any) -> dict[str, list[str]]:
    """Return values by name: of `["type=regular"]`, or, as older releases had it, of `{"type": {"regular": true}}`."""
    if isinstance(value, dict):
        return {name: list(given) for name, given in value.items() if isinstance(given, dict)}
    found: dict[str, list[str]] = {}
    for text in _Section({"filter": value}, "", "").get("filter", list, "config.BuilderGCFilter") or []:
        if not isinstance(text, str):
            raise Mismatch(_found(text), "Go value", "string")
        name, equals, wanted = text.partition("=")
        found.setdefault(name.strip().lower(), []).extend([wanted.strip()] if equals else [])
    return found
