"""`docker plugin push`: an installed plugin's blobs and manifest to a registry."""

from engine.core import ids, references
from engine.core.model.image import Descriptor
from engine.domain.images.progress import Note, Sent, Sink, Step
from engine.domain.plugins.failures import PluginNotPushed
from engine.domain.plugins.stores import PluginStores
from engine.domain.plugins.table import PluginTable
from engine.drivers.registry import upload
from engine.drivers.registry.credentials import Credentials
from engine.drivers.registry.failures import RegistryUnreachable
from engine.drivers.registry.repository import Repository, Source
from engine.drivers.registry.transport import Transport


class PluginPusher:
    """Sends plugins to registries."""

    def __init__(self, table: PluginTable, stores: PluginStores, transport: Transport) -> None:
        self._table = table
        self._stores = stores
        self._transport = transport

    async def push(self, text: str, credentials: Credentials, sink: Sink) -> None:
        """Push the plugin of a name to the registry that the name says. Raises PluginNotFound, PluginNotPushed, …"""
        plugin = self._table.get(text)
        reference = references.parse(plugin.name)
        source = Repository(self._transport, reference, credentials, "push").origin
        await sink(Note(f"The push refers to repository [{reference.familiar_name}]"))
        try:
            for blob in [*plugin.blobs, plugin.config_blob]:
                await self._send(source, blob, sink)
            data = await self._stores.content.read(plugin.manifest.digest)
            await upload.put_manifest(source, reference.tag, plugin.manifest.media_type, data)
        except RegistryUnreachable as error:
            raise PluginNotPushed(str(error)) from error
        await sink(Sent(reference.tag, plugin.manifest.digest, plugin.manifest.size))

    async def _send(self, source: Source, blob: Descriptor, sink: Sink) -> None:
        name = ids.short(blob.digest)
        await sink(Step(name, "Preparing"))
        if await upload.has_blob(source, blob.digest):
            await sink(Step(name, "Layer already exists"))
            return
        location = await upload.begin(source)
        file = upload.Blob(self._stores.content.path(blob.digest), blob)
        await upload.put_blob(source, location, file, lambda _: None)
        await sink(Step(name, "Upload complete"))
