"""A creator among stand-ins, and the JSON that clients would see of what it makes."""

import json
from pathlib import Path

import msgspec

from engine.api.wire.containers import InspectExtras, encode_inspect
from engine.api.wire.create_request import decode_create
from engine.core.errors import Conflict, Internal, InvalidParameter, NotFound
from engine.core.model.container import Container, ContainerConfig, Empty, Healthcheck, HostConfig, MountPoint
from engine.core.model.image import Descriptor, Image, Platform
from engine.core.model.network import IPAM, IPAMPool, Network
from engine.core.model.volume import Volume
from engine.domain.containers.create import CreateOptions, Creator, Surroundings
from engine.domain.containers.erase import Belongings
from engine.domain.containers.image_mounts import ImageMounts, MountSources
from engine.domain.containers.limits import Limits
from engine.domain.containers.log_drivers.failures import UnknownLogDriver
from engine.domain.containers.merge import Defaults
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.table import ContainerTable

PEER = "f" * 64
_STATUS = ((NotFound, 404), (Conflict, 409), (InvalidParameter, 400), (Internal, 500))


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


class NoSuchImage(NotFound):
    """As the image store says it."""


class FakeStore:
    """Keeps the last state of each record."""

    def __init__(self):
        self.records = {}
        self.fail_on = None

    def load(self, kind, type_):
        return {}

    async def commit(self, *operations):
        for operation in operations:
            if operation.__class__.__name__ == "Put":
                self.records[operation.key] = operation.record
            else:
                self.records.pop(operation.key, None)


def image(identifier: str, config: ContainerConfig) -> Image:
    """Return an image with a configuration."""
    target = Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest=identifier, size=405)
    return Image(
        id=identifier,
        target=target,
        manifest=target,
        config_descriptor=target,
        config=config,
        platform=Platform(os="linux", architecture="amd64"),
    )


RICH = ContainerConfig(
    env=["A=1", "B=2"],
    entrypoint=["/bin/echo", "hi"],
    cmd=["x"],
    exposed_ports={"443/tcp": Empty(), "53/udp": Empty(), "80/tcp": Empty()},
    volumes={"/data": Empty(), "/v2": Empty()},
    labels={"a": "img", "b": "img"},
    user="nobody",
    working_dir="/w",
    stop_signal="SIGINT",
    healthcheck=Healthcheck(test=["CMD-SHELL", "true"], interval=5_000_000_000),
    on_build=["RUN true"],
)


class FakeImages:
    """Two images; remembers who holds them."""

    def __init__(self, busybox: str, rich: str):
        self._known = {"busybox": image(busybox, ContainerConfig(cmd=["sh"])), "rich": image(rich, RICH)}
        for name in ("busybox:latest", "docker.io/library/busybox", busybox, busybox[7:19], f"busybox@{busybox}"):
            self._known[name] = self._known["busybox"]
        self._known["rich:latest"] = self._known["rich"]
        self.held = {}

    def resolve(self, reference, platform=""):
        if reference not in self._known:
            raise NoSuchImage(f"No such image: {reference}" + ("" if ":" in reference else ":latest"))
        return self._known[reference]

    def id_of(self, reference):
        return self._known[reference].id if reference in self._known else None

    def acquire(self, holder, hold):
        self.held.setdefault(hold.image_id, set()).add(holder)

    def release(self, image_id, holder):
        self.held.get(image_id, set()).discard(holder)

    async def unpacked(self, _):
        return ["sha256:1"]


class FakeVolumes:
    """Remembers volumes and who holds them; refuses to make the one called `fail_on`."""

    def __init__(self):
        self.made, self.held, self.fail_on = {}, {}, None

    async def create(self, request):
        if request.name == self.fail_on:
            raise Internal("no space left on device")
        return self.made.setdefault(
            request.name,
            Volume(name=request.name, created_at=1, mountpoint=f"/volumes/{request.name}/_data", driver="local"),
        )

    async def acquire(self, name, holder):
        self.held.setdefault(holder, set()).add(name)

    def release(self, holder):
        self.held.pop(holder, None)

    async def remove_unused(self, name):
        self.made.pop(name, None)


class FakeOverlay:
    """Remembers layers; fails where told to."""

    def __init__(self):
        self.made, self.fail = set(), False

    async def create(self, container_id, layers, working_directory=""):
        if self.fail:
            raise OSError("disk full")
        self.made.add(container_id)

    def view(self, container_id, name):
        return f"/views/{container_id}/{name}"

    async def remove(self, container_id):
        self.made.discard(container_id)


class FakeAnnouncer:
    """Remembers what was announced."""

    def __init__(self):
        self.told = []

    def container(self, container, action, **attributes):
        self.told.append((container.id, action))


async def no_log_plugin(name: str) -> None:
    """There is no log driver but our own."""
    raise UnknownLogDriver(name, f'plugin "{name}" not found')


class NoLogs:
    """Nothing is being sent."""

    async def release(self, container_id):
        pass


class Workshop:
    """A creator with everything it needs."""

    def __init__(self, tmp_path: Path, busybox="sha256:" + "a" * 64, rich="sha256:" + "b" * 64):
        self.paths = ContainerPaths(tmp_path / "data", tmp_path / "run")
        self.store, self.images = FakeStore(), FakeImages(busybox, rich)
        self.volumes, self.overlay, self.announcer = FakeVolumes(), FakeOverlay(), FakeAnnouncer()
        self.table = ContainerTable(self.store)
        belongings = Belongings(self.overlay, self.images, self.volumes, self.paths, NoLogs())
        limits = Limits(
            cpu_count=2,
            cpus="0-1",
            blkio_weight=False,
            blkio_weight_device=False,
            runtimes=("runc", "io.containerd.runc.v2"),
        )
        sources = MountSources(self.volumes, ImageMounts(self.images, self.overlay))
        around = Surroundings(self.paths, Defaults(hostname="vm"), limits, self.announcer, no_log_plugin, find_network)
        self.creator = Creator(self.table, self.images, sources, self.overlay, belongings, around)

    async def add_peer(self, source: str) -> None:
        """Add the container that recorded requests call `peer`."""
        mounts = [
            MountPoint(type="volume", name="v1", source="/volumes/v1/_data", destination="/pv", driver="local",
                       mode="ro", rw=False),
            MountPoint(type="bind", source=source, destination="/pb", propagation="rprivate"),
            MountPoint(type="volume", name="9" * 64, source="/volumes/9/_data", destination="/anonp", driver="local",
                       anonymous=True),
        ]  # fmt: skip
        peer = Container(
            id=PEER, name="peer", created_at=1, image="x", config=ContainerConfig(), host_config=HostConfig(),
            mounts=mounts,
        )  # fmt: skip
        self.table.reserve_name("peer", PEER)
        await self.table.insert(peer)

    async def create(self, body: str, version=(1, 51), name=""):
        """Create as the handler does; return the container's inspect JSON and the warnings."""
        wanted = decode_create(body.encode(), version)
        options = CreateOptions(
            config=wanted.config,
            host_config=wanted.host_config,
            networks=wanted.networks,
            name=name,
            readonly_is_shallow=wanted.readonly_is_shallow,
        )
        created = await self.creator.create(options)
        encoded = encode_inspect(self.table.get(created.id), version, InspectExtras())
        return json.loads(msgspec.json.encode(encoded)), [*created.warnings, *wanted.warnings]


def find_network(name: str) -> Network | None:
    """The networks of the recording: two predefined ones, one with a chosen subnet, one without."""
    pools = {"tn2": [IPAMPool(subnet="172.40.0.0/24")], "bridge": [IPAMPool(subnet="172.17.0.0/16")], "tn1": []}
    name = name.removeprefix("id")
    if name not in pools:
        return None
    return Network(name=name, id=name, created_at=1, ipam=IPAM(config=pools[name]))
