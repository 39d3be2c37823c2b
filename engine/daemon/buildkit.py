"""Builds the front that serves BuildKit's API, for buildx and Compose."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass

from engine.api.app import Handlers
from engine.api.handlers.buildkit import bridge, control
from engine.api.handlers.buildkit.bridge import BridgeService
from engine.api.handlers.buildkit.control import ControlService
from engine.api.handlers.buildkit.edge import BuildKitHandlers
from engine.api.handlers.buildkit.failure import rpc_error
from engine.api.handlers.buildkit.session.sessions import Sessions
from engine.api.transport.h2c import RpcServer
from engine.api.wire.buildkit_worker import Worker, worker_labels
from engine.config.settings import Config
from engine.daemon.build_fronts import dockerfile_frontend
from engine.daemon.builder import Builder
from engine.daemon.drivers import Drivers
from engine.domain.builder.builds import Builds, Exporter, Parts
from engine.domain.builder.contexts import Contexts
from engine.domain.builder.exporters.archives import ArchiveExporter
from engine.domain.builder.exporters.files import LocalExporter, TarExporter
from engine.domain.images.platforms import host


@dataclass(frozen=True, slots=True)
class BuildKit:
    """The front, before its builder. `server` takes connections that speak HTTP/2 from their first byte, too."""

    builder: Builder
    server: RpcServer
    builds: Builds
    contexts: Contexts
    handlers: Sequence[Handlers]

    async def close(self) -> None:
        """End all connections and with them their builds."""
        self.server.close()
        self.builds.close()
        await self.contexts.close()


def build_buildkit(config: Config, drivers: Drivers, builder: Builder, engine_id: str) -> BuildKit:
    """Build the front. Needs a running event loop."""
    frontends = {"dockerfile.v0": dockerfile_frontend(builder, drivers)}
    builds = Builds(Parts(builder.solver, frontends, _exporters(drivers, builder)))
    sessions, contexts = Sessions(), Contexts(config.data_root / "build" / "synced")
    worker = Worker(engine_id, worker_labels(platform.node(), ""), [host()])
    services = {
        control.SERVICE: ControlService(builds, sessions, contexts, worker).endpoints(),
        bridge.SERVICE: BridgeService(builds, worker).endpoints(),
    }
    server = RpcServer(services, rpc_error)
    return BuildKit(builder, server, builds, contexts, [BuildKitHandlers(server, sessions)])


def _exporters(drivers: Drivers, builder: Builder) -> dict[str, Exporter]:
    return {
        "moby": builder.image_exporter,
        "image": builder.image_exporter,
        "local": LocalExporter(builder.solver),
        "tar": TarExporter(builder.solver, drivers.confine),
        "oci": ArchiveExporter(builder.assembler, drivers.content, docker=False),
        "docker": ArchiveExporter(builder.assembler, drivers.content, docker=True),
    }
