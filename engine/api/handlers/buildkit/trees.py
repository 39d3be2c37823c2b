"""The methods of BuildKit's `LLBBridge` service that look at trees and images."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engine.api.handlers.buildkit.within import within
from engine.api.transport.rpc import Call, Code, Endpoint, RpcError
from engine.api.wire.fsutil import encode_entry
from engine.domain.builder.builds import Build, Builds
from engine.domain.builder.llb import decode
from engine.domain.builder.protocol.messages import Message, gateway, pb
from engine.domain.builder.solver.reader import TreeReader
from engine.domain.builder.solver.solver import Solver
from engine.domain.builder.sources.resolve import ImageResolver, ResolvedImage
from engine.drivers.confine import look

_IMAGE = "docker-image://"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where answers come from."""

    solver: Solver
    reader: TreeReader
    resolver: ImageResolver


class TreeMethods:
    """Files of what a build has made so far, and what images' names stand for."""

    def __init__(self, builds: Builds, sources: Sources) -> None:
        self._builds = builds
        self._sources = sources

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {
            "ReadDir": self._read_dir,
            "ReadFile": self._read_file,
            "ResolveImageConfig": self._resolve_config,
            "ResolveSourceMeta": self._resolve_source,
            "StatFile": self._stat_file,
        }

    async def _read_file(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        edge = build.edge(request.Ref)
        if edge is None:
            raise RpcError(Code.UNKNOWN, f"open {request.FilePath}: no such file or directory")
        data = await self._sources.reader.read_file(edge, request.FilePath, build.job)
        if request.HasField("Range"):
            start = max(0, request.Range.Offset)
            data = data[start : start + request.Range.Length] if request.Range.Length else data[start:]
        return gateway.ReadFileResponse(Data=data)

    async def _read_dir(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        path, pattern = request.DirPath, request.IncludePattern
        entries = await self._look(build, request.Ref, lambda root: look.entries_in(root, path, pattern))
        return gateway.ReadDirResponse(entries=[encode_entry(entry) for entry in entries])

    async def _stat_file(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        entry = await self._look(build, request.Ref, lambda root: look.entry_at(root, request.Path))
        return gateway.StatFileResponse(stat=encode_entry(entry))

    async def _look(self, build: Build, ref: str, looked: Callable[[Path], T]) -> T:
        async with self._sources.solver.tree(build.edge(ref), build.job) as root:
            return await asyncio.to_thread(looked, root)

    async def _resolve_config(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        found = await self._resolve(request.Ref, request, build)
        return gateway.ResolveImageConfigResponse(Digest=found.digest, Config=found.config, Ref=found.reference)

    async def _resolve_source(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        identifier = request.Source.identifier
        if not identifier.startswith(_IMAGE):
            return gateway.ResolveSourceMetaResponse(Source=request.Source)
        found = await self._resolve(identifier.removeprefix(_IMAGE), request, build)
        source = pb.SourceOp(identifier=_IMAGE + found.reference, attrs=request.Source.attrs)
        image = gateway.ResolveSourceImageResponse(Digest=found.digest, Config=found.config)
        return gateway.ResolveSourceMetaResponse(Source=source, Image=image)

    async def _resolve(self, reference: str, request: Message, build: Build) -> ResolvedImage:
        platform = decode.platform(request.Platform) if request.HasField("Platform") else None
        return await self._sources.resolver.resolve(reference, platform, request.ResolveMode or "default", build.job)
