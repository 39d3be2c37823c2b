"""Telling the kernel ahead that a process will be put into cgroups, which saves each start and exec some 10 ms.

Whoever moves a process takes a lock that every fork and exit holds for reading. The first one to take it after a pause
waits for an RCU grace period, those soon after do not (kernel: `cgroup_threadgroup_rwsem`, `rcu_sync_enter`). The OCI
runtime moves the processes that it makes; we know of it while there is other work to do, and take the lock meanwhile,
by putting ourselves where we are.
"""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Forewarning:
    """Takes the lock in a thread of its own. `members` is the `cgroup.procs` of a cgroup that we are in."""

    def __init__(self, members: Path | None) -> None:
        self._members = members
        self._executor = ThreadPoolExecutor(1, "cgroup-forewarning")
        self._under_way: asyncio.Future[None] | None = None

    def give(self) -> None:
        """Make the kernel ready. Returns at once; where it cannot be done, nothing is lost but time."""
        if self._members is None or (self._under_way and not self._under_way.done()):
            return
        loop = asyncio.get_running_loop()
        self._under_way = loop.run_in_executor(self._executor, _stay, self._members)

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown(cancel_futures=True)


def _stay(members: Path) -> None:
    """Put ourselves where we are. Blocks for a grace period."""
    with contextlib.suppress(OSError):
        members.write_text("0")
