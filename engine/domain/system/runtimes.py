"""What `/info` says of the OCI runtimes: where they are and what they can do."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from engine.drivers.linux import proc
from engine.drivers.runtime.oci import OciRuntime, Runtimes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """A runtime by its name in the API. `features`: JSON as `RUNTIME features` prints it, empty where it cannot."""

    name: str
    path: str
    version: str = ""
    commit: str = ""
    features: str = ""


async def describe_all(runtimes: Runtimes) -> Sequence[RuntimeInfo]:
    """Ask all runtimes at once."""
    return await asyncio.gather(*(_describe(runtime) for runtime in runtimes.all()))


async def _describe(runtime: OciRuntime) -> RuntimeInfo:
    program = runtime.program
    features = await _features(program.path)
    return RuntimeInfo(program.name, program.path, program.version, _commit(features), features)


async def _features(path: str) -> str:
    """Return compact JSON; nothing of a runtime that does not know the command (OCI runtime-spec 1.1, features.md)."""
    try:
        done = await proc.run([path, "features"])
        return msgspec.json.format(done.stdout, indent=-1).decode() if done.returncode == 0 else ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.debug("%s features: %s", path, error)
        return ""


class _Annotated(msgspec.Struct):
    annotations: dict[str, str] = {}


def _commit(features: str) -> str:
    try:
        annotations = msgspec.json.decode(features.encode(), type=_Annotated).annotations
    except msgspec.DecodeError:
        return ""
    return next((v for k, v in annotations.items() if k.endswith(".commit")), "")
