"""The kinds of values that settings have: how a flag's text, and a JSON value, become one, and how Go prints it.

Lists, maps and such of repeated flags grow: `parse` gets what earlier ones gave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.config import builder, decoding, values
from engine.config.settings import AddressPool, RuntimeSetting
from engine.core import units
from engine.core.model.container import Ulimit

_ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip
_RESERVED_RUNTIMES = ("runc",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of value. `placeholder` stands for it in --help; without one, the flag needs no value.

    `empty` makes what the first of repeated flags grows from.
    """

    placeholder: str
    parse: Callable[[str, Any], Any]
    decode: Callable[[Any, str], Any]
    show: Callable[[Any], str]
    empty: Callable[[], Any] = str


def go_text(value: Any) -> str:
    """Format a value as Go's %v."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{' '.join(map(go_text, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _pool(text: str, previous: list[AddressPool]) -> list[AddressPool]:
    base, size = "", 0
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"invalid field '{part}' must be a key=value pair")
        if key.lower() == "base":
            base = _pool_base(value)
        elif key.lower() == "size":
            size = _pool_size(part, value)
        else:
            raise ValueError(f"unexpected key '{key}' in '{part}'")
    return [*previous, AddressPool(base, size)]


def _pool_base(text: str) -> str:
    try:
        return values.prefix(text)
    except ValueError as error:
        raise ValueError(f'invalid base prefix "{text}": {error}') from None


def _pool_size(part: str, text: str) -> int:
    try:
        return values.integer(text, "Atoi")
    except ValueError as error:
        raise ValueError(f'invalid size value: "{part}" (must be integer): {error}') from None


def _runtime(text: str, previous: dict[str, RuntimeSetting]) -> dict[str, RuntimeSetting]:
    name, equals, path = (part.strip() for part in text.partition("="))
    if not equals or not name or not path:
        raise ValueError(f"invalid runtime argument: {text}")
    name = name.lower()
    if name in _RESERVED_RUNTIMES:
        raise ValueError(f"runtime name '{name}' is reserved")
    if name in previous:
        raise ValueError(f"runtime '{name}' was already defined")
    return {**previous, name: RuntimeSetting(path=path)}


def _ulimit(text: str, previous: dict[str, Ulimit]) -> dict[str, Ulimit]:
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    if limits.count(":") > 1:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    numbers = [values.integer(part) for part in limits.split(":")]
    soft, hard = numbers[0], numbers[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {**previous, name: Ulimit(name=name, soft=soft, hard=hard)}


def _pair(text: str, previous: dict[str, str]) -> dict[str, str]:
    key, _, value = text.partition("=")
    return {**previous, key: value}


def _switch(text: str, previous: dict[str, bool]) -> dict[str, bool]:
    key, equals, value = text.partition("=")
    return {**previous, key: values.boolean(value) if equals else True}


def _nested_pair(text: str, previous: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    root, _, rest = text.partition("=")
    key, equals, value = rest.partition("=")
    if not equals:
        raise ValueError(f'invalid value "{text}" for map option, should be root-key=key=value')
    return {**previous, root: {**previous.get(root, {}), key: value}}


def _size_text(size: int) -> str:
    number, unit = float(size), 0
    while number >= 1024 and unit < 5:
        number, unit = number / 1024, unit + 1
    return f"{number:.4g}{('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[unit]}"


def strings(placeholder: str = "list", check: Callable[[str], str] = values.text) -> Kind:
    """Return the kind of a list whose flag is given once per element."""
    return Kind(
        placeholder=placeholder,
        parse=lambda text, previous: [*previous, check(text)],
        decode=decoding.strings,
        show=go_text,
        empty=list,
    )


def addresses(placeholder: str, check: Callable[[str], str]) -> Kind:
    """Return the kind of a list of IP addresses."""
    return Kind(
        placeholder=placeholder,
        parse=lambda text, previous: [*previous, *map(check, text.split(","))],
        decode=decoding.addresses,
        show=go_text,
        empty=list,
    )


STRING = Kind(placeholder="string", parse=lambda text, _: text, decode=decoding.string, show=str)
BOOL = Kind(placeholder="", parse=lambda text, _: values.boolean(text), decode=decoding.bool_, show=go_text)
INT = Kind(placeholder="int", parse=lambda text, _: values.integer(text), decode=decoding.int_, show=str)
ADDRESS = Kind(placeholder="ip", parse=lambda text, _: values.single_address(text), decode=decoding.address, show=str)
SIZE = Kind(placeholder="bytes", parse=lambda text, _: units.ram_in_bytes(text), decode=decoding.size, show=_size_text)
MAP = Kind(placeholder="map", parse=_pair, decode=decoding.string_map, show=go_text, empty=dict)
SWITCHES = Kind(placeholder="map", parse=_switch, decode=decoding.bool_map, show=go_text, empty=dict)
NESTED_MAP = Kind(placeholder="mapmap", parse=_nested_pair, decode=decoding.nested_map, show=go_text, empty=dict)
RUNTIMES = Kind(placeholder="runtime", parse=_runtime, decode=decoding.runtimes, show=go_text, empty=dict)
POOLS = Kind(
    placeholder="pool-options",
    parse=_pool,
    decode=decoding.pools,
    show=lambda pools: " ".join(f"{pool.base} {pool.size}" for pool in pools),
    empty=list,
)
ULIMITS = Kind(
    placeholder="ulimit",
    parse=_ulimit,
    decode=decoding.ulimits,
    show=lambda limits: f"[{' '.join(f'{limit.name}={limit.soft}:{limit.hard}' for limit in limits.values())}]",
    empty=dict,
)
BUILDER = Kind(placeholder="", parse=lambda text, _: text, decode=builder.decode, show=go_text)
ANYTHING = Kind(placeholder="string", parse=lambda text, _: text, decode=lambda value, _: value, show=go_text)
