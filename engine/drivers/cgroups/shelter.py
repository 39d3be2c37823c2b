"""A place for the containers' monitors outside of the daemon's own cgroup, where systemd runs the daemon as a service.

`systemctl kill` ends everything in a service's cgroup, and so does systemd when the service runs out of memory: what
holds the containers must not be there. It goes into a scope (systemd.scope(5)) beside the service, which systemd makes
with the first process in it and drops after the last. Elsewhere than under systemd, nothing is moved.
"""

import asyncio
import errno
import logging
import time
from pathlib import Path

from engine.drivers.linux import proc

log = logging.getLogger(__name__)
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_ATTEMPTS = 3


class MonitorScope:
    """The scope `<service>-monitors.scope`."""

    def __init__(self, root: Path, own: dict[str, str], *, v2: bool) -> None:
        """`own` is where the daemon is (see `parse_proc_cgroup`), `root` where the hierarchies are mounted."""
        controller = "" if v2 else "systemd"
        parent, _, unit = own.get(controller, "").rpartition("/")
        self._unit = f"{unit.removesuffix('.service')}-monitors.scope" if unit.endswith(".service") else ""
        self._slice = parent.rpartition("/")[2] or "-.slice"
        self._members = root / controller / parent.lstrip("/") / self._unit / "cgroup.procs"
        self._tasks: set[asyncio.Task[None]] = set()
        self._making = asyncio.Lock()

    def admit(self, pid: int) -> None:
        """Move a monitor into the scope, soon."""
        if self._unit:
            task = asyncio.get_running_loop().create_task(self._admit(pid), name="monitor-scope")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _admit(self, pid: int) -> None:
        try:
            async with self._making:
                for _ in range(_ATTEMPTS):
                    if await asyncio.to_thread(self._moved, pid):
                        return
                    await self._make(pid)
        except OSError as error:
            log.warning("a container's monitor stays in the daemon's cgroup: %s", error)

    def _moved(self, pid: int) -> bool:
        """Put a process into the scope; False where that is not there. Blocks; call in a thread."""
        try:
            self._members.write_text(str(pid))
        except ProcessLookupError:
            return True
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):  # Not there, or about to go.
                return False
            raise
        return True

    async def _make(self, pid: int) -> None:
        properties = ["PIDs", "au", "1", str(pid), "Slice", "s", self._slice, "Delegate", "b", "true"]
        # It ends with its last monitor, not with a shutdown's first minutes.
        properties += ["DefaultDependencies", "b", "false", "CollectMode", "s", "inactive-or-failed"]
        call = ["busctl", "call", *_MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", self._unit, "fail"]
        done = await proc.run([*call, "5", *properties, "0"])
        if done.returncode and "exists" not in done.error and "already" not in done.error:
            raise OSError(f"systemd makes no scope {self._unit}: {done.error}")
        if not done.returncode:
            # systemd has taken the order and will carry it out.
            await asyncio.to_thread(self._until_there)

    def _until_there(self) -> None:
        """Blocks, for a second at most; call in a thread."""
        for _ in range(100):
            if self._members.exists():
                return
            time.sleep(0.01)

    async def close(self) -> None:
        """Finish moving."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
