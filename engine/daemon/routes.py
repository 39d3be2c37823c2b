"""Builds the handlers of all routes."""

from engine.api.app import Handlers
from engine.api.handlers.auth import AuthHandlers
from engine.api.handlers.containers.archive import ArchiveHandlers
from engine.api.handlers.containers.attach import StreamHandlers
from engine.api.handlers.containers.attach_ws import WebSocketHandlers
from engine.api.handlers.containers.checkpoint import CheckpointHandlers
from engine.api.handlers.containers.create import CreateHandlers
from engine.api.handlers.containers.exec import ExecHandlers
from engine.api.handlers.containers.export import ExportHandlers
from engine.api.handlers.containers.inspect import InspectHandlers
from engine.api.handlers.containers.lifecycle import LifecycleHandlers, WaitHandlers
from engine.api.handlers.containers.stats import StatsHandlers
from engine.api.handlers.containers.update import UpdateHandlers
from engine.api.handlers.distribution import DistributionHandlers
from engine.api.handlers.images.archives import ImageArchiveHandlers
from engine.api.handlers.images.change import ImageChangeHandlers
from engine.api.handlers.images.inspect import ImageInspectHandlers
from engine.api.handlers.images.pull import PullHandlers
from engine.api.handlers.images.push import PushHandlers
from engine.api.handlers.networks import NetworkHandlers
from engine.api.handlers.swarm import SwarmHandlers
from engine.api.handlers.volumes import VolumeHandlers
from engine.config.settings import Config
from engine.core.model.container import Status
from engine.daemon.containers import Containers
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources
from engine.domain.containers.network_connect import NetworkConnector
from engine.domain.containers.sandbox import ResolverDefaults, SandboxPreparer
from engine.domain.images.delete import Deleter
from engine.domain.images.history import History
from engine.domain.images.import_image import Importer
from engine.domain.images.inspect import Inspector
from engine.domain.images.load import Loader
from engine.domain.images.prune import Pruner
from engine.domain.images.pull import Puller
from engine.domain.images.push import Pusher
from engine.domain.images.registries import Registries
from engine.domain.images.save import Saver
from engine.domain.images.selection import Lister
from engine.domain.images.sizes import Sizer
from engine.domain.images.tag import Tagger


def build_handlers(config: Config, drivers: Drivers, resources: Resources, containers: Containers) -> list[Handlers]:
    """Return the handlers of all routes."""
    return [
        *_container_handlers(resources, containers),
        *_image_handlers(config, drivers, resources, containers),
        VolumeHandlers(resources.volumes),
        NetworkHandlers(resources.networks, _network_connector(config, resources, containers)),
        SwarmHandlers(),
    ]


def _network_connector(config: Config, resources: Resources, containers: Containers) -> NetworkConnector:
    resolver = ResolverDefaults(config.dns, config.dns_search, config.dns_opts)
    sandbox = SandboxPreparer(containers.table, resources.networks, containers.paths, resolver)
    return NetworkConnector(containers.table, resources.networks, containers.paths, sandbox)


def _container_handlers(resources: Resources, containers: Containers) -> list[Handlers]:
    parts = containers
    return [
        CreateHandlers(parts.creator),
        LifecycleHandlers(parts.supervisor, parts.stopper, parts.remover, parts.sizer, parts.checkpoints),
        CheckpointHandlers(parts.checkpoints),
        WaitHandlers(parts.table, parts.waits, parts.resizer),
        StreamHandlers(parts.table, parts.streams, parts.logs),
        ExecHandlers(parts.execs),
        InspectHandlers(parts.table, parts.execs, resources.images, parts.sizer, parts.top),
        StatsHandlers(parts.stats),
        WebSocketHandlers(parts.table, parts.streams),
        ArchiveHandlers(parts.archive),
        UpdateHandlers(parts.updater),
        ExportHandlers(parts.exporter, parts.committer),
    ]


def _image_handlers(config: Config, drivers: Drivers, resources: Resources, containers: Containers) -> list[Handlers]:
    stores, images, events = resources.stores, resources.images, resources.image_events
    catalog, garbage = stores.catalog, stores.garbage
    sizer = Sizer(drivers.content, drivers.layers)
    registries = Registries(drivers.transport)
    return [
        PullHandlers(
            Puller(stores, drivers.transport, resources.downloader, events), Importer(stores, events), drivers.transport
        ),
        PushHandlers(Pusher(stores, drivers.transport, events, config.max_concurrent_uploads or 5)),
        ImageArchiveHandlers(Loader(stores, events), Saver(catalog, images, drivers.content, events), garbage),
        ImageChangeHandlers(
            Tagger(catalog, images, events),
            Deleter(catalog, images, garbage, events, lambda container_id: _is_running(containers, container_id)),
            Pruner(catalog, images, garbage, events),
        ),
        ImageInspectHandlers(
            Lister(catalog, images, sizer), Inspector(catalog, images, sizer), History(catalog, images, sizer)
        ),
        DistributionHandlers(registries),
        AuthHandlers(registries),
    ]


def _is_running(containers: Containers, container_id: str) -> bool:
    container = containers.table.find(container_id)
    return container is not None and container.state.status in (Status.RUNNING, Status.PAUSED)
