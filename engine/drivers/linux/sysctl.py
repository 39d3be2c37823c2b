"""Kernel parameters below /proc/sys, those of the network in the calling thread's namespace."""

from pathlib import Path

_ROOT = Path("/proc/sys")


def read_sysctl(name: str) -> str | None:
    """Return the value of a parameter such as `net/ipv4/ip_forward`, None where the kernel has it not."""
    try:
        return (_ROOT / name).read_text().strip()
    except FileNotFoundError:
        return None


def write_sysctl(name: str, value: str) -> bool:
    """Set a parameter, where it has another value; tell whether the kernel has it. Raises PermissionError."""
    present = read_sysctl(name)
    if present is None:
        return False
    if present != value:
        (_ROOT / name).write_text(value)
    return True
