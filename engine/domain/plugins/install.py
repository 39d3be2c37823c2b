"""How plugins come in: from an archive (`docker plugin create`), from a registry (install, upgrade).

Nothing is visible before everything is there. An installed plugin does not run yet.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core import ids, references
from engine.core.errors import NotFound, WharfError
from engine.core.model.event import EventType
from engine.core.model.image import Descriptor
from engine.core.model.plugin import InstalledPlugin, PluginConfig, PluginRootfs, Privilege
from engine.core.model.product import DOCKER_VERSION
from engine.core.references import InvalidReference, Reference
from engine.domain.events.bus import EventBus
from engine.domain.images import documents
from engine.domain.images.documents import DOCKER_MANIFEST, PLUGIN_CONFIG, Manifest
from engine.domain.images.downloads import Downloader
from engine.domain.images.progress import Note, Sink, Step
from engine.domain.plugins.config import encode_config, initial_settings, privileges, read_config
from engine.domain.plugins.failures import (
    CanonicalName,
    ConfigMissing,
    NotAPlugin,
    PluginEnabled,
    PluginExists,
    PluginNameTaken,
    PluginNotInRegistry,
    PluginNotResolved,
    UnparsableName,
    UnreadableArchive,
    WrongPrivileges,
)
from engine.domain.plugins.stores import PluginStores
from engine.domain.plugins.table import PluginTable
from engine.drivers.plugins import archive
from engine.drivers.plugins.archive import NotAnArchive
from engine.drivers.registry.credentials import ANONYMOUS, Credentials
from engine.drivers.registry.failures import RegistryUnreachable
from engine.drivers.registry.repository import Repository
from engine.drivers.registry.transport import Transport
from engine.drivers.storage import layer_blob
from engine.drivers.storage.layer_blob import LayerBlob

_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A plugin at a registry, the name that it gets here, and what its user has agreed to."""

    reference: Reference
    name: str = ""
    agreed: Sequence[Privilege] = ()
    credentials: Credentials = ANONYMOUS

    @property
    def local_name(self) -> str:
        """The name that the plugin gets here. Raises UnparsableName, CanonicalName."""
        return _new_name(self.name) if self.name else self.reference.with_default_tag().familiar


@dataclass(frozen=True, slots=True)
class _Found:
    """What a registry has."""

    target: Descriptor
    manifest: Manifest
    config: PluginConfig


class PluginInstaller:
    """Makes plugins out of archives and of what registries have."""

    def __init__(
        self,
        table: PluginTable,
        stores: PluginStores,
        downloader: Downloader,
        transport: Transport,
        bus: EventBus,
        spool: Path,
    ) -> None:
        """`spool` is a directory for archives on their way."""
        self._table = table
        self._stores = stores
        self._downloader = downloader
        self._transport = transport
        self._bus = bus
        self._spool = spool

    async def create(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Make a plugin from an archive. Raises UnparsableName, CanonicalName, PluginExists, ConfigMissing, …"""
        familiar = _new_name(name)
        self._table.require_free(familiar)
        async with self._stores.busy:
            config, blob = await self._read_archive(chunks)
            rootfs = PluginRootfs(type="layers", diff_ids=[blob.diff_id])
            config = msgspec.structs.replace(config, rootfs=rootfs, docker_version=DOCKER_VERSION)
            layer = Descriptor(media_type=_LAYER, digest=blob.digest, size=blob.size)
            config_blob = await self._put(msgspec.json.encode(encode_config(config)), PLUGIN_CONFIG)
            manifest = await self._put(_manifest(config_blob, [layer]), DOCKER_MANIFEST)
            found = _Found(manifest, Manifest(config=config_blob, layers=[layer]), config)
            plugin = await self._install(familiar, familiar, found)
        self._publish("create", plugin)

    async def _read_archive(self, chunks: AsyncIterator[bytes]) -> tuple[PluginConfig, LayerBlob]:
        received = self._spool / f"plugin-{secrets.token_hex(8)}"
        layer = received.with_suffix(".layer")
        try:
            await _save(received, chunks)
            try:
                parts = await asyncio.to_thread(archive.split, received, layer)
            except NotAnArchive as error:
                raise UnreadableArchive(str(error)) from error
            if parts.config is None:
                raise ConfigMissing
            return read_config(parts.config), await layer_blob.store(self._stores.content, _pieces(layer))
        finally:
            await asyncio.to_thread(_unlink, received, layer)

    async def _put(self, data: bytes, media_type: str) -> Descriptor:
        return Descriptor(media_type=media_type, digest=await self._stores.content.put(data), size=len(data))

    async def privileges(self, request: PullRequest) -> list[Privilege]:
        """Return what a plugin at a registry wants. Raises NotAPlugin, ResolveFailed, …"""
        async with self._stores.busy:
            return privileges((await self._find(self._repository(request), request)).config)

    async def pull(self, request: PullRequest, sink: Sink) -> None:
        """Install a plugin from a registry. Raises PluginExists, WrongPrivileges, NotAPlugin, ResolveFailed, …"""
        name = request.local_name
        try:
            self._table.require_free(name)
        except PluginExists as error:
            raise PluginNameTaken(name) from error
        async with self._stores.busy:
            repository = self._repository(request)
            found = await self._find(repository, request)
            _require_agreed(found.config, request.agreed)
            await self._fetch_all(repository, request.reference, found, sink)
            plugin = await self._install(name, request.reference.with_default_tag().familiar, found)
            await _tell(found, "Complete", sink)
        self._publish("pull", plugin)

    async def upgrade(self, text: str, request: PullRequest, sink: Sink) -> None:
        """Replace a plugin that does not run. Raises PluginNotFound, PluginEnabled, PluginInUse, and as `pull`."""
        async with self._table.lock(self._table.get(text).id), self._stores.busy:
            plugin = self._table.get(text)
            if plugin.enabled:
                raise PluginEnabled(plugin.name)
            repository = self._repository(request)
            found = await self._find(repository, request)
            _require_agreed(found.config, request.agreed)
            await self._fetch_all(repository, request.reference, found, sink)
            layers = await self._stores.unpack(_diff_ids(found), found.manifest.layers)
            await self._stores.overlay.remove(plugin.id)
            await self._stores.overlay.create(plugin.id, layers)
            reference = request.reference.with_default_tag().familiar
            changed = msgspec.structs.replace(_record(plugin.name, reference, found), id=plugin.id, layers=layers)
            await self._table.put(msgspec.structs.replace(changed, settings=plugin.settings))
            await _tell(found, "Complete", sink)
            await self._stores.drop_unused(self._table.all())
        self._publish("pull", plugin)

    def _repository(self, request: PullRequest) -> Repository:
        return Repository(self._transport, request.reference.with_default_tag(), request.credentials)

    async def _find(self, repository: Repository, request: PullRequest) -> _Found:
        reference = request.reference.with_default_tag()
        target = await _resolve(repository, reference)
        document = documents.parse(await self._document(repository, target, manifest=True), target.media_type)
        if not isinstance(document, Manifest) or document.config.media_type != PLUGIN_CONFIG:
            raise NotAPlugin(str(reference))
        config = read_config(await self._document(repository, document.config, manifest=False))
        return _Found(target, document, config)

    async def _document(self, repository: Repository, descriptor: Descriptor, *, manifest: bool) -> bytes:
        content = self._stores.content
        if not content.has(descriptor.digest):
            fetch = repository.manifest if manifest else repository.document
            await content.put(await fetch(descriptor), descriptor.digest)
        return await content.read(descriptor.digest)

    async def _fetch_all(self, repository: Repository, reference: Reference, found: _Found, sink: Sink) -> None:
        await sink(Note(f"Pulling from {reference.familiar_name}", reference.with_default_tag().tag))
        await sink(Note(f"Digest: {found.target.digest}"))
        for blob in found.manifest.layers:
            here = self._stores.content.has(blob.digest)
            await sink(Step(ids.short(blob.digest), "Already exists" if here else "Waiting"))
            if not here:
                await self._downloader.wait(self._downloader.begin(repository, blob))

    async def _install(self, name: str, reference: str, found: _Found) -> InstalledPlugin:
        plugin = _record(name, reference, found)
        layers = await self._stores.unpack(_diff_ids(found), found.manifest.layers)
        self._table.require_free(name)
        await self._stores.overlay.create(plugin.id, layers)
        return await self._table.put(msgspec.structs.replace(plugin, layers=layers))

    def _publish(self, action: str, plugin: InstalledPlugin) -> None:
        self._bus.publish(EventType.PLUGIN, action, plugin.id, {"name": plugin.name})


async def _tell(found: _Found, status: str, sink: Sink) -> None:
    for blob in found.manifest.layers:
        await sink(Step(ids.short(blob.digest), status))


def _record(name: str, reference: str, found: _Found) -> InstalledPlugin:
    return InstalledPlugin(
        id=ids.new_id(),
        name=name,
        reference=reference,
        config=found.config,
        settings=initial_settings(found.config),
        manifest=found.target,
        config_blob=found.manifest.config,
        blobs=list(found.manifest.layers),
        layers=[],
    )


def _diff_ids(found: _Found) -> list[str]:
    """Raises NotAPlugin where there are not as many layers as the configuration says."""
    diff_ids = list(found.config.rootfs.diff_ids or ()) if found.config.rootfs else []
    if len(diff_ids) != len(found.manifest.layers):
        raise NotAPlugin(found.target.digest)
    return diff_ids


def _new_name(text: str) -> str:
    try:
        reference = references.parse(text)
    except InvalidReference as error:
        raise UnparsableName(text, str(error)) from error
    if reference.digest:
        raise CanonicalName
    return reference.with_default_tag().familiar


def _require_agreed(config: PluginConfig, agreed: Sequence[Privilege]) -> None:
    """Raise WrongPrivileges unless exactly what the plugin wants has been agreed to (CVE-2026-33997)."""
    if _comparable(privileges(config)) != _comparable(agreed):
        raise WrongPrivileges


def _comparable(wanted: Sequence[Privilege]) -> list[tuple[str, list[str]]]:
    return sorted((privilege.name, sorted(privilege.value or ())) for privilege in wanted)


async def _resolve(repository: Repository, reference: Reference) -> Descriptor:
    try:
        return await repository.resolve(reference)
    except NotFound as error:
        raise PluginNotInRegistry(str(error)) from error
    except RegistryUnreachable as error:
        raise PluginNotResolved(f"failed to do request: {error}") from error
    except WharfError as error:
        raise PluginNotResolved(str(error)) from error


def _manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _described(config),
        "layers": [_described(layer) for layer in layers],
    }
    return msgspec.json.encode(document)


def _described(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest}


async def _save(path: Path, chunks: AsyncIterator[bytes]) -> None:
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _CHUNK):
            yield piece
    finally:
        await asyncio.to_thread(file.close)


def _unlink(*paths: Path) -> None:
    """Blocks; call in a thread."""
    for path in paths:
        path.unlink(missing_ok=True)
