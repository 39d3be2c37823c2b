"""JSON values to settings, with the texts of Go's decoder for values of the wrong type.

Each function takes the value and where it stands; a null is the kind's empty value. Raises Mismatch or ValueError.
"""

from typing import Any

from engine.config import values
from engine.config.failures import Mismatch
from engine.config.settings import AddressPool, RuntimeSetting
from engine.core import units
from engine.core.model.container import Ulimit


def _found(value: Any, kind: type) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return f"number {value}" if kind is int else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _expect(value: Any, kind: type, where: str, wanted: str) -> Any:
    if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise Mismatch(_found(value, kind), where, wanted)


def _field(name: str) -> str:
    return f"Go struct field Config.{name}"


def _string(value: Any, where: str) -> str:
    return _expect(value, str, where, "string") or ""


def _map(value: Any, where: str, wanted: str) -> dict[str, Any]:
    return _expect(value, dict, where, wanted) or {}


def string(value: Any, name: str) -> str:
    """Decode a string."""
    return _string(value, _field(name))


def bool_(value: Any, name: str) -> bool:
    """Decode true or false."""
    return bool(_expect(value, bool, _field(name), "bool"))


def int_(value: Any, name: str) -> int:
    """Decode a whole number of 64 bits."""
    number: int = _expect(value, int, _field(name), "int") or 0
    if not -(1 << 63) <= number < 1 << 63:
        raise Mismatch(f"number {number}", _field(name), "int")
    return number


def strings(value: Any, name: str) -> list[str]:
    """Decode an array of strings."""
    given = _expect(value, list, _field(name), "[]string") or []
    return [_string(item, f"Config.{name}.{index}") for index, item in enumerate(given)]


def address(value: Any, name: str) -> str:
    """Decode an IP address."""
    given = string(value, name)
    return values.file_address(given) if given else ""


def addresses(value: Any, name: str) -> list[str]:
    """Decode an array of IP addresses, or, as the old `host-gateway-ip` had it, one."""
    if isinstance(value, str) and name == "host-gateway-ip":
        value = [value]
    return [values.file_address(item) for item in strings(value, name)]


def string_map(value: Any, name: str) -> dict[str, str]:
    """Decode an object of strings."""
    given = _map(value, _field(name), "map[string]string")
    return {key: string(item, f"{name}.{key}") for key, item in given.items()}


def nested_map(value: Any, name: str) -> dict[str, dict[str, str]]:
    """Decode an object of objects of strings."""
    given = _map(value, _field(name), "map[string]map[string]string")
    return {key: string_map(item, f"{name}.{key}") for key, item in given.items()}


def bool_map(value: Any, name: str) -> dict[str, bool]:
    """Decode an object of truth values."""
    given = _map(value, _field(name), "map[string]bool")
    return {key: bool_(item, f"{name}.{key}") for key, item in given.items()}


def size(value: Any, _name: str) -> int:
    """Decode a size with a unit; dockerd takes no bare number."""
    if not isinstance(value, str):
        raise ValueError(f'invalid size: "{value}"')
    return units.ram_in_bytes(value)


def pools(value: Any, _name: str) -> list[AddressPool]:
    """Decode address pools."""
    given = _expect(value, list, "Go value", "[]*ipamutils.NetworkToSplit") or []
    return [_pool(item, index) for index, item in enumerate(given)]


def _pool(value: Any, index: int) -> AddressPool:
    given = _map(value, f".{index}", "ipamutils.NetworkToSplit")
    base = _string(given.get("base"), f"Go struct field .{index}.base")
    length = _expect(given.get("size"), int, f"Go struct field .{index}.size", "int") or 0
    return AddressPool(values.prefix(base), length)


def runtimes(value: Any, name: str) -> dict[str, RuntimeSetting]:
    """Decode runtimes by name."""
    given = _map(value, _field(name), "map[string]system.Runtime")
    return {key: _runtime(item, f"{name}.{key}") for key, item in given.items()}


def _runtime(value: Any, name: str) -> RuntimeSetting:
    given = _map(value, _field(name), "system.Runtime")
    return RuntimeSetting(
        path=string(given.get("path"), f"{name}.path"),
        runtime_args=strings(given.get("runtimeArgs"), f"{name}.runtimeArgs"),
        runtime_type=string(given.get("runtimeType"), f"{name}.runtimeType"),
    )


def ulimits(value: Any, name: str) -> dict[str, Ulimit]:
    """Decode resource limits by name."""
    given = _map(value, _field(name), "map[string]*units.Ulimit")
    return {key: _ulimit(item, key, f"{name}.{key}") for key, item in given.items()}


def _ulimit(value: Any, limit: str, name: str) -> Ulimit:
    given = {key.lower(): item for key, item in _map(value, _field(name), "units.Ulimit").items()}
    hard, soft = (int_(given.get(key.lower()), f"{name}.{key}") for key in ("Hard", "Soft"))
    return Ulimit(name=limit, hard=hard, soft=soft)
