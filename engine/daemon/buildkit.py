"""Builds the front that serves BuildKit's API, for buildx and Compose."""

import asyncio
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.api.app import Handlers
from engine.api.handlers.buildkit import bridge, content, control, health
from engine.api.handlers.buildkit.bridge import BridgeService
from engine.api.handlers.buildkit.cache import CacheMethods
from engine.api.handlers.buildkit.content import ContentService
from engine.api.handlers.buildkit.control import ControlService
from engine.api.handlers.buildkit.edge import BuildKitHandlers
from engine.api.handlers.buildkit.failure import rpc_error
from engine.api.handlers.buildkit.health import HealthService
from engine.api.handlers.buildkit.history import HistoryMethods
from engine.api.handlers.buildkit.session.build_session import BuildSession
from engine.api.handlers.buildkit.session.sessions import Sessions
from engine.api.handlers.buildkit.trees import Sources, TreeMethods
from engine.api.transport.h2c import RpcServer
from engine.api.transport.rpc import RpcError
from engine.api.wire.buildkit_history import decode_failure
from engine.api.wire.buildkit_progress import encode_progress
from engine.api.wire.buildkit_worker import Worker, worker_labels
from engine.config.settings import Config
from engine.core.model.build import BuildFailure
from engine.daemon.builder import Builder
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.builder.builds import Builds, Exporter, Parts
from engine.domain.builder.entitlements import Permission, entitlements
from engine.domain.builder.exporters.archives import ArchiveExporter
from engine.domain.builder.exporters.attested_trees import AttestedTrees
from engine.domain.builder.exporters.files import LocalExporter, TarExporter
from engine.domain.builder.frontend import DockerfileFrontend
from engine.domain.builder.gateway import GatewayFrontend
from engine.domain.builder.history import BuildHistory, Codec
from engine.domain.builder.progress import ProgressEvent
from engine.domain.builder.solver.reader import TreeReader
from engine.domain.images.platforms import host


@dataclass(frozen=True, slots=True)
class BuildKit:
    """The front, before its builder. `server` takes connections that speak HTTP/2 from their first byte, too."""

    builder: Builder
    server: RpcServer
    builds: Builds
    sessions: Sessions
    handlers: Handlers

    def client_of(self, session_id: str, options: Mapping[str, str]) -> BuildSession:
        """Return the client of a session, for a build with these options."""
        return BuildSession(session_id, options, self.sessions, self.builder.store.contexts)

    async def close(self) -> None:
        """End all connections and with them their builds."""
        self.server.close()
        await self.server.wait_closed()
        self.builds.close()
        await self.builder.solver.close()


async def build_buildkit(
    config: Config, drivers: Drivers, resources: Resources, builder: Builder, engine_id: str
) -> BuildKit:
    """Build the front, and read what is remembered of builds. Raises OSError."""
    store = builder.store
    codec = Codec(_kept_failure, _kept_progress)
    history = await asyncio.to_thread(BuildHistory, drivers.store, store.home / "history", codec)
    reader = TreeReader(builder.solver, drivers.confine)
    dockerfiles = DockerfileFrontend(reader, builder.resolver)
    parts = Parts(
        solver=builder.solver,
        frontends={"dockerfile.v0": dockerfiles, "gateway.v0": GatewayFrontend(dockerfiles)},
        exporters=_exporters(drivers, builder),
        cache_exporter=builder.cache_exporter,
        permit=Permission(entitlements(config.builder)),
        started=history.started,
        ended=history.ended,
    )
    builds, sessions = Builds(parts), Sessions()
    sources = Sources(builder.solver, reader, builder.resolver)
    labels = worker_labels(platform.node(), _gateway(config, resources))
    worker = Worker(engine_id, labels, [host()], store.gc.rules)
    server = RpcServer(
        {
            control.SERVICE: {
                **ControlService(builds, history, sessions, store.contexts, worker).endpoints(),
                **CacheMethods(store.usage, store.pruner).endpoints(),
                **HistoryMethods(history).endpoints(),
            },
            content.SERVICE: ContentService(history, drivers.content).endpoints(),
            health.SERVICE: HealthService().endpoints(),
            bridge.SERVICE: {
                **BridgeService(builds, worker).endpoints(),
                **TreeMethods(builds, sources).endpoints(),
            },
        },
        rpc_error,
    )
    return BuildKit(builder, server, builds, sessions, BuildKitHandlers(server, sessions))


def _gateway(config: Config, resources: Resources) -> str:
    """Return what `host-gateway` stands for in builds: as dockerd, the default bridge's address."""
    if config.host_gateway_ips:
        return config.host_gateway_ips[0]
    bridge = resources.networks.find("bridge")
    return bridge.pools[0].gateway if bridge and bridge.pools else ""


def _kept_failure(error: Exception) -> BuildFailure:
    return decode_failure(error if isinstance(error, RpcError) else rpc_error(error))


def _kept_progress(events: Iterable[ProgressEvent]) -> bytes:
    return bytes(encode_progress(events).SerializeToString())


def _exporters(drivers: Drivers, builder: Builder) -> dict[str, Exporter]:
    trees = AttestedTrees(builder.solver, builder.assembler.snapshots)
    return {
        "moby": builder.image_exporter,
        "image": builder.image_exporter,
        "local": LocalExporter(trees),
        "tar": TarExporter(trees, drivers.confine),
        "oci": ArchiveExporter(builder.assembler, drivers.content, docker=False),
        "docker": ArchiveExporter(builder.assembler, drivers.content, docker=True),
    }
