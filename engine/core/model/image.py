"""Images: a name points at the digest of a manifest or index; that digest is the image's id."""

from msgspec import Struct

from engine.core.model.container import ContainerConfig


class Platform(Struct, frozen=True, kw_only=True):
    """An operating system and a processor, as image indexes name them."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: list[str] | None = None


class Descriptor(Struct, frozen=True, kw_only=True):
    """A typed pointer at a blob (OCI image spec, "Content Descriptors"). `size` in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str = ""
    urls: list[str] | None = None


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One step of an image's making. `created` in nanoseconds since the epoch, 0: not said."""

    created: int = 0
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Image(Struct, frozen=True, kw_only=True):
    """What the daemon needs to know of one platform's image, computed once from its blobs.

    `id` is the target's digest (an index or a manifest), by which users know it; `manifest` points at this platform's
    manifest, which is the target itself where there is no index. `layers` are the layers' descriptors and `diff_ids`
    their uncompressed digests, bottom first. `created` is None where the configuration says nothing of it.
    """

    id: str
    target: Descriptor
    manifest: Descriptor
    config_descriptor: Descriptor
    created: int | None = None
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    platform: Platform = Platform()
    config: ContainerConfig = ContainerConfig()
    layers: list[Descriptor] = []
    diff_ids: list[str] = []
    history: list[HistoryEntry] = []


class Statements(Struct, frozen=True, kw_only=True):
    """What is said of an image (BuildKit's attestations): a manifest whose layers are documents."""

    manifest: Descriptor
    config_descriptor: Descriptor
    layers: list[Descriptor] = []


class StoredImage(Struct, frozen=True, kw_only=True):
    """All that the store has of a target. It exists until it is deleted, whether it has names or not.

    `manifests` are the entries of an index in their order, or the target alone; `images` those of them whose content is
    here. `deleted`: gone for users; it is kept for the layers of the containers that still hold it. `stored_at` is when
    it came, in nanoseconds since the epoch. `parent` is the id of the image that a commit or a build step made it from,
    whether that still exists or not. `sources` are the repositories (`host/path`) in which its blobs are known to be.
    `statements` are those of the manifests that are none of images, where their content is here.
    """

    target: Descriptor
    manifests: list[Descriptor]
    images: list[Image]
    deleted: bool = False
    stored_at: int = 0
    parent: str = ""
    sources: list[str] = []
    statements: list[Statements] = []


class ImageName(Struct, frozen=True, kw_only=True):
    """A full reference (`docker.io/library/busybox:latest`) and the digest that it points at."""

    name: str
    target: str
    tagged_at: int
