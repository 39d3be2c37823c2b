"""OCI configurations as crun takes them. Pure.

What it gets wrong, seen with 1.8 and, with systemd's cgroups, 1.21: it writes numbers that stand for "no limit" to
where the kernel wants "max" (pids.max), or as unsigned ones (cpu.cfs_quota_us); with systemd, rules that deny single
devices are an error.
"""

from collections.abc import Mapping
from typing import Any

from engine.drivers.runtime.failures import RuntimeFailed

_MOST_PIDS = 4 << 20  # PID_MAX_LIMIT of 64-bit kernels.
_MOST_SHARES = 1 << 18  # MAX_SHARES of the kernel's scheduler.


def creatable(spec: dict[str, Any], *, systemd_cgroup: bool) -> dict[str, Any]:
    """Return a container's configuration; the same object where nothing is amiss in it."""
    linux = spec.get("linux") or {}
    resources = linux.get("resources") or {}
    cpu = resources.get("cpu") or {}
    changes: dict[str, Any] = {}
    if cpu.get("quota", 0) < 0:
        # A new cgroup has no quota.
        changes["cpu"] = _without_quota(cpu)
    if systemd_cgroup:
        # systemd denies what is not allowed.
        rules = resources.get("devices") or ()
        changes["devices"] = [rule for rule in rules if rule["allow"] or "major" not in rule]
    return {**spec, "linux": {**linux, "resources": {**resources, **changes}}} if changes else spec


def updatable(resources: Mapping[str, Any], *, systemd_cgroup: bool) -> dict[str, Any]:
    """Return limits to set on what runs, as near as crun comes to them. Raises RuntimeFailed.

    Who calls takes away himself what the limits lift. systemd must hear of it all the same: it writes its own limits
    again when it is reloaded.
    """
    cpu = resources.get("cpu") or {}
    if cpu.get("shares", 0) > _MOST_SHARES:
        # The kernel takes the most instead without a word; runc reads it back and complains.
        raise RuntimeFailed(f"the maximum allowed cpu-shares is {_MOST_SHARES}")
    changes: dict[str, Any] = {}
    if cpu.get("quota", 0) < 0 and not systemd_cgroup:
        changes["cpu"] = _without_quota(cpu)
    if (resources.get("pids") or {}).get("limit", 0) < 0:
        changes["pids"] = {"limit": _MOST_PIDS}
    return {**resources, **changes}


def _without_quota(cpu: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in cpu.items() if key != "quota"}
