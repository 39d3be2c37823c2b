"""Images made here: layers as tars, OCI and Docker manifests, indexes, and archives for `docker load`."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CREATED = "2024-05-06T07:08:09Z"

_CONFIG_TYPE = {
    OCI_MANIFEST: "application/vnd.oci.image.config.v1+json",
    DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json",
}
_LAYER_TYPE = {
    OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar",
    DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar",
}
_SUFFIX = {
    (OCI_MANIFEST, "gzip"): "+gzip",
    (OCI_MANIFEST, "zstd"): "+zstd",
    (OCI_MANIFEST, "zstd:chunked"): "+zstd",
    (OCI_MANIFEST, "estargz"): "+gzip",
    (OCI_MANIFEST, "none"): "",
    (DOCKER_MANIFEST, "gzip"): ".gzip",
    (DOCKER_MANIFEST, "estargz"): ".gzip",
    (DOCKER_MANIFEST, "none"): "",
}

Entry = tuple[tarfile.TarInfo, bytes]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def file(name: str, data: bytes = b"", mode: int = 0o644, uid: int = 0, gid: int = 0) -> Entry:
    return _entry(name, tarfile.REGTYPE, data, mode=mode, uid=uid, gid=gid)


def directory(name: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return _entry(name, tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)


def symlink(name: str, target: str) -> Entry:
    return _entry(name, tarfile.SYMTYPE, linkname=target, mode=0o777)


def hardlink(name: str, target: str) -> Entry:
    return _entry(name, tarfile.LNKTYPE, linkname=target, mode=0o755)


def _entry(name: str, kind: bytes, data: bytes = b"", **attributes: Any) -> Entry:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.mtime = 1714979289
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def tar(entries: list[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@dataclass(frozen=True)
class Layer:
    """One layer: the tar and how it is compressed in the registry (`gzip`, `zstd`, `none`, or for lazy pulls)."""

    tar: bytes
    compression: str = "gzip"

    @property
    def blob(self) -> bytes:
        return _compressed(self.tar, self.compression)


@cache
def _compressed(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if compression == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    pieces = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    if compression == "zstd:chunked":
        # A frame for each chunk, and frames that a decompressor skips (containers/storage, "zstd:chunked").
        frames = b"".join(zstandard.ZstdCompressor().compress(piece) for piece in pieces)
        skipped = (b"\x50\x2a\x4d\x18" + len(extra).to_bytes(4, "little") + extra for extra in (b"{}", b"GNUlInUx"))
        return frames + b"".join(skipped)
    if compression == "estargz":
        # A member for each chunk, and an empty one that says where the table of contents is (stargz-snapshotter).
        return b"".join(gzip.compress(piece, 6, mtime=0) for piece in pieces) + _footer()
    return data


def _footer() -> bytes:
    subfield = b"0" * 16 + b"STARGZ"
    extra = b"SG" + len(subfield).to_bytes(2, "little") + subfield
    head = b"\x1f\x8b\x08\x04" + bytes(4) + b"\x00\xff" + len(extra).to_bytes(2, "little") + extra
    return head + b"\x01\x00\x00\xff\xff" + bytes(8)


@dataclass(frozen=True)
class Image:
    """An image of one platform; `config` is the `config` object of its configuration (Cmd, Env, …)."""

    layers: tuple[Layer, ...]
    config: dict[str, Any] = field(default_factory=dict)
    architecture: str = "amd64"
    media_type: str = OCI_MANIFEST

    @property
    def configuration(self) -> bytes:
        history = [{"created": _CREATED, "created_by": f"layer {number}"} for number in range(len(self.layers))]
        return json.dumps(
            {
                "architecture": self.architecture,
                "os": "linux",
                "created": _CREATED,
                "config": self.config,
                "rootfs": {"type": "layers", "diff_ids": [digest(layer.tar) for layer in self.layers]},
                "history": history,
            }
        ).encode()

    @property
    def manifest(self) -> bytes:
        layers = [
            _descriptor(_LAYER_TYPE[self.media_type] + _SUFFIX[self.media_type, layer.compression], layer.blob)
            for layer in self.layers
        ]
        config = _descriptor(_CONFIG_TYPE[self.media_type], self.configuration)
        document = {"schemaVersion": 2, "mediaType": self.media_type, "config": config, "layers": layers}
        return json.dumps(document).encode()

    @property
    def blobs(self) -> dict[str, bytes]:
        return {digest(blob): blob for blob in (self.configuration, *(layer.blob for layer in self.layers))}

    @property
    def manifests(self) -> dict[str, tuple[str, bytes]]:
        """Digest → (media type, bytes); the last is the top one."""
        return {digest(self.manifest): (self.media_type, self.manifest)}


@dataclass(frozen=True)
class Index:
    """A multi-platform image."""

    images: tuple[Image, ...]

    @property
    def manifest(self) -> bytes:
        entries = [
            _descriptor(image.media_type, image.manifest)
            | {"platform": {"os": "linux", "architecture": image.architecture}}
            for image in self.images
        ]
        return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()

    @property
    def blobs(self) -> dict[str, bytes]:
        return {key: blob for image in self.images for key, blob in image.blobs.items()}

    @property
    def manifests(self) -> dict[str, tuple[str, bytes]]:
        parts = {key: value for image in self.images for key, value in image.manifests.items()}
        return {**parts, digest(self.manifest): (OCI_INDEX, self.manifest)}


AnyImage = Image | Index


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def archive(image: AnyImage, *names: str) -> bytes:
    """What `docker save` writes: an OCI layout, with Docker's `manifest.json` for an image of one platform."""
    top_digest, (top_type, top) = list(image.manifests.items())[-1]
    blobs = {**image.blobs, **{key: data for key, (_, data) in image.manifests.items()}}
    descriptors = [
        {"mediaType": top_type, "digest": top_digest, "size": len(top)}
        | {
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            }
        }
        for name in names
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
    entries = [directory("blobs"), directory("blobs/sha256")]
    entries += [file(f"blobs/sha256/{key[7:]}", data) for key, data in blobs.items()]
    entries += [file("index.json", json.dumps(index).encode()), file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')]
    if isinstance(image, Image):
        entries.append(file("manifest.json", json.dumps([_docker_manifest(image, names)]).encode()))
    return tar(entries)


def _docker_manifest(image: Image, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "Config": f"blobs/sha256/{digest(image.configuration)[7:]}",
        "RepoTags": [name.removeprefix("docker.io/library/") for name in names],
        "Layers": [f"blobs/sha256/{digest(layer.blob)[7:]}" for layer in image.layers],
    }


@cache
def busybox_entries() -> tuple[Entry, ...]:
    """A small root file system round the machine's static busybox."""
    binary = Path(shutil.which("busybox", path="/bin:/usr/bin") or "/bin/busybox")
    applets = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout.split()
    names = ("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "usr/sbin", "sbin", "var", "opt")
    entries = [directory(name) for name in names]
    entries += [directory("tmp", 0o1777), directory("root", 0o700), directory("home/alice", 0o755, 1000, 1000)]
    entries.append(file("bin/busybox", binary.read_bytes(), 0o755))
    entries += [
        hardlink(f"bin/{name}", "bin/busybox") for name in applets if name not in ("busybox", "linuxrc", "init")
    ]
    entries += [
        file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
        file("etc/group", b"root:x:0:\nwheel:x:10:alice\nalice:x:1000:\nnogroup:x:65534:\n"),
        directory("opt/data", 0o750, 1000, 1000),
        file("opt/data/seed", b"from the image\n", 0o640, 1000, 1000),
        symlink("opt/data/link", "seed"),
        symlink("var/run", "/run"),
        directory("run"),
    ]  # fmt: skip
    return tuple(entries)


@cache
def busybox() -> Image:
    layer = Layer(tar(list(busybox_entries())))
    return Image(
        (layer,), {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    )


def derived(*extra: Layer, **config: Any) -> Image:
    """busybox with more layers and other configuration."""
    return Image((*busybox().layers, *extra), {**busybox().config, **config})


def noise(size: int) -> bytes:
    """Bytes that do not compress."""
    return os.urandom(size)
