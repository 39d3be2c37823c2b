"""Which capabilities a container's process has. Pure. Source of the default set: dockerd 28.5's own OCI bundles."""

from collections.abc import Iterable, Sequence

from engine.core.errors import InvalidParameter

# The kernel's numbering (include/uapi/linux/capability.h).
_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_DEFAULT_NAMES = """
CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
AUDIT_WRITE
"""
ALL = tuple(f"CAP_{name}" for name in _NAMES.split())
DEFAULT = tuple(f"CAP_{name}" for name in _DEFAULT_NAMES.split())
_KNOWN = frozenset(ALL)


class UnknownCapability(InvalidParameter):
    """`--cap-add` or `--cap-drop` names something else; `field` is CapAdd or CapDrop."""

    def __init__(self, field: str, name: str) -> None:
        super().__init__(f'invalid {field}: unknown capability: "{name}"')


def normalize(names: Iterable[str], field: str) -> list[str]:
    """Return capabilities as the kernel writes them; `ALL` stays. Raises UnknownCapability."""
    return [_normal(name, field) for name in names]


def _normal(name: str, field: str) -> str:
    upper = name.upper()
    if upper == "ALL":
        return upper
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in _KNOWN:
        raise UnknownCapability(field, full)
    return full


def effective(add: Sequence[str], drop: Sequence[str], available: Sequence[str], *, privileged: bool) -> list[str]:
    """Return the capabilities of a container.

    `available` is what the daemon itself may give; a default that it lacks is left out, one asked for by name stays, so
    that the runtime reports it. Raises UnknownCapability.
    """
    if privileged:
        return list(available)
    added, dropped = normalize(add, "CapAdd"), normalize(drop, "CapDrop")
    if "ALL" in added:
        return [c for c in available if c not in dropped]
    kept = [] if "ALL" in dropped else [c for c in DEFAULT if c in available and c not in dropped]
    return list(dict.fromkeys([*kept, *added]))


def from_mask(mask: int) -> tuple[str, ...]:
    """Return the capabilities of a bit mask, as in `CapBnd` of /proc/self/status."""
    return tuple(name for bit, name in enumerate(ALL) if mask >> bit & 1)
