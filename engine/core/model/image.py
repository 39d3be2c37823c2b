"""Images: a name points at the digest of a manifest or index; that digest is the image's id."""

from msgspec import Struct

from engine.core.model.container import ContainerConfig


class Descriptor(Struct, frozen=True, kw_only=True):
    """A typed pointer at a blob (OCI image spec, "Content Descriptors"). `size` in bytes."""

    media_type: str
    digest: str
    size: int
    platform: str = ""
    annotations: dict[str, str] | None = None


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One step of an image's making."""

    created: int = 0
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Image(Struct, frozen=True, kw_only=True):
    """What the daemon needs to know of an image for this host's platform, computed once from its blobs.

    `id` is the target's digest (an index or a manifest); `manifest` is the digest of the platform's manifest and
    `config_digest` that of its config blob. `layers` are the layer descriptors and `diff_ids` their uncompressed
    digests, bottom first. `size` is what the store holds for it in bytes: content blobs and unpacked layers.
    """

    id: str
    target: Descriptor
    manifest: str
    config_digest: str
    created: int = 0
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = ""
    config: ContainerConfig = ContainerConfig()
    layers: list[Descriptor] = []
    diff_ids: list[str] = []
    history: list[HistoryEntry] = []
    size: int = 0
    tagged_at: int = 0
