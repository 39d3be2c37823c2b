"""Freezing and thawing all processes of a cgroup, on v1 and v2. Everything here blocks; call in a thread."""

import select
import time
from pathlib import Path

_PATIENCE = 10.0


class FreezeFailed(OSError):
    """The kernel did not freeze a cgroup in time: some process is in a state that cannot be frozen."""


def set_v2(cgroup: Path, *, frozen: bool) -> None:
    """Write `cgroup.freeze` and wait until `cgroup.events` says it is so. Raises OSError, FreezeFailed."""
    wanted = f"frozen {int(frozen)}"
    deadline = time.monotonic() + _PATIENCE
    with (cgroup / "cgroup.events").open() as events:
        (cgroup / "cgroup.freeze").write_text(str(int(frozen)))
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while wanted not in events.read().splitlines():
            if time.monotonic() > deadline:
                raise FreezeFailed(f"{cgroup} did not become {wanted}")
            poll.poll(100)
            events.seek(0)


def set_v1(cgroup: Path, *, frozen: bool) -> None:
    """Write `freezer.state` until it says so: the kernel gives no notice of it. Raises OSError, FreezeFailed."""
    wanted = "FROZEN" if frozen else "THAWED"
    state = cgroup / "freezer.state"
    deadline = time.monotonic() + _PATIENCE
    delay = 0.0005
    state.write_text(wanted)
    while state.read_text().strip() != wanted:
        if time.monotonic() > deadline:
            state.write_text("THAWED")
            raise FreezeFailed(f"{cgroup} did not become {wanted}")
        time.sleep(delay)
        delay = min(delay * 2, 0.05)
        # A process that forked meanwhile keeps it at FREEZING until it is written again (as runc does).
        state.write_text(wanted)
