"""Containers that run as long as somebody waits for them, without a monitor: the steps of builds.

The runtime's own `run` holds the container; its exit status is the container's. What the container, or the runtime
about a failure, writes is handed over as it comes. A container that nobody waits for any more is killed.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.drivers.linux import proc
from engine.drivers.linux.output_pipe import OutputPipe
from engine.drivers.runtime.configuration import encoded
from engine.drivers.runtime.failures import RuntimeFailed
from engine.drivers.runtime.oci import ENVIRONMENT, OciRuntime

_DRAIN = 5.0
_LEARNING, _LOOKS = 0.005, 20

Sink = Callable[[int, bytes], None]
"""Takes output: 1 or 2 for the stream, and the bytes."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A container to run: its id, the directory for its configuration, the OCI configuration."""

    id: str
    directory: Path
    spec: dict[str, Any]


async def run(runtime: OciRuntime, bundle: Bundle, sink: Sink) -> int:
    """Run a container to its end; return its exit code. Cancelled, it is killed. Raises OSError."""
    spec: Mapping[str, Any] = runtime.prepared(bundle.spec)
    await asyncio.to_thread((bundle.directory / "config.json").write_bytes, encoded(spec))
    readers = [OutputPipe(partial(sink, stream)) for stream in (1, 2)]
    try:
        pid = await _start(runtime, bundle, readers)
    except BaseException:
        for reader in readers:
            reader.abandon()
        # Who leaves while the runtime is being started may find it under way already.
        await asyncio.shield(asyncio.ensure_future(kill(runtime, bundle.id)))
        raise
    for reader in readers:
        reader.start()
    learning = asyncio.ensure_future(_learn(runtime, bundle))
    try:
        code = await _ended(runtime, bundle, pid)
        await asyncio.wait([reader.ended for reader in readers], timeout=_DRAIN)
        return code
    finally:
        learning.cancel()
        for reader in readers:
            reader.close()


async def _start(runtime: OciRuntime, bundle: Bundle, readers: list[OutputPipe]) -> int:
    argv = [runtime.executable, *runtime.arguments, "run", "--bundle", str(bundle.directory), bundle.id]
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await proc.start(argv, {0: null, 1: readers[0].child_end, 2: readers[1].child_end}, ENVIRONMENT)
    finally:
        os.close(null)


async def _ended(runtime: OciRuntime, bundle: Bundle, pid: int) -> int:
    """Wait for the runtime, which ends with the container."""
    try:
        code = await proc.reap(pid)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(kill(runtime, bundle.id)))
        raise
    if code < 0:
        await kill(runtime, bundle.id)
    return code if code >= 0 else 128 - code


async def kill(runtime: OciRuntime, container_id: str) -> None:
    """Kill and remove a container, where there is one."""
    with contextlib.suppress(RuntimeFailed):
        await runtime.delete(container_id, force=True)


async def _learn(runtime: OciRuntime, bundle: Bundle) -> None:
    for _ in range(_LOOKS):
        await asyncio.sleep(_LEARNING)
        if runtime.knows(bundle.id):
            await runtime.learn(bundle.id, bundle.spec)
