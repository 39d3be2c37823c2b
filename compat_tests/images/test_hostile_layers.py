"""Layers that mean harm, loaded and pulled: refused with a clear error, or harmless; never an effect outside."""

import io
import json
import shutil
import tarfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Entry, Image, Layer, directory, file, hardlink, symlink, tar
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import StubRegistry

OUTSIDE = Path("/var/tmp/wct-outside")
UP = "../" * 12
END = bytes(1024)


def special(name: str, kind: bytes, **attributes: Any) -> Entry:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, b""


def pax(entry: Entry, **headers: str) -> Entry:
    entry[0].pax_headers = headers
    return entry


def xattr(entry: Entry, name: str, value: str) -> Entry:
    return pax(entry, **{f"SCHILY.xattr.{name}": value})


def header(name: bytes, size: bytes = b"00000000001", kind: bytes = b"0", checksum: bytes = b"") -> bytes:
    """A block that tarfile would not write."""
    block = bytearray(512)
    for start, text in ((0, name), (100, b"0000644"), (108, b"0000000"), (116, b"0000000"), (124, size)):
        block[start : start + len(text)] = text
    block[136:147] = b"00000000000"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = checksum or b"%06o\0 " % sum(block)
    return bytes(block)


def sparse(size: str, chunks: str) -> bytes:
    fields = {"major": "0", "minor": "1", "map": chunks, "size": size, "name": "sparse"}
    return tar([pax(file("sparse", b"DATA"), **{f"GNU.sparse.{key}": value for key, value in fields.items()})])


REFUSED = {
    "whiteout of the parent": tar([file(".wh...")]),
    "whiteout of itself": tar([file(".wh..")]),
    "whiteout of nothing": tar([file(".wh.")]),
    "hard link to an absolute name": tar([hardlink("h", f"{OUTSIDE}/kept")]),
    "hard link upwards": tar([hardlink("h", f"{UP}{OUTSIDE}/kept")]),
    "hard link through a symbolic one": tar([symlink("d", str(OUTSIDE)), hardlink("h", "d/kept")]),
    "loop of symbolic links": tar([symlink("a", "b"), symlink("b", "a"), file("a/x", b"x")]),
    "a file as a directory": tar([file("f", b"1"), file("f/x", b"2")]),
    "unknown kind of entry": tar([special("odd", b"9")]),
    "negative size": header(b"n", b"-0000000001") + b"x" + bytes(511) + END,
    "negative binary size": header(b"n", b"\xff" * 12) + END,
    "enormous binary size": header(b"n", b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7) + b"x" + bytes(511) + END,
    "size beyond the end": header(b"n", b"00000010000") + b"x" + bytes(511),
    "noise": b"\x8f" * 4096,
    "wrong checksum": header(b"n", checksum=b"0000000\0") + END,
    "enormous extension": tar([pax(file("p", b"x"), comment="c" * 3_000_000)]),
    "enormous path": tar([pax(file("p", b"x"), path="a/" * 200_000)]),
    "name too long": tar([file("n" * 300, b"x")]),
    "name with a zero byte": tar([pax(file("p", b"x"), path="a\0b")]),
    "capabilities that are none": tar([xattr(file("c", b"x", 0o755), "security.capability", "zz")]),
    "time without end": tar([pax(file("t", b"x"), mtime="1e30")]),
    "no time": tar([pax(file("t", b"x"), mtime="nan")]),
    "sparse file without end": sparse(str(1 << 62), "1000,4"),
    "sparse file in disorder": sparse("5000", "1000,4,1000,4"),
}
# dockerd makes something harmless of these.
REFUSED_HERE = {
    "upwards": tar([file(f"{UP}escaped", b"x")]),
    "upwards in the middle": tar([directory("a"), file("a/../../escaped", b"x")]),
    "through a link upwards": tar([symlink("d", f"{UP}{OUTSIDE}"), file("d/written", b"x")]),
    "owner beyond 32 bits": tar([pax(file("o", b"x"), uid=str(1 << 32))]),
    "owner that means nobody": tar([pax(file("o", b"x"), uid=str((1 << 32) - 1))]),
    "the top as a file": tar([file(".", b"x")]),
    "the top as a link": tar([symlink(".", str(OUTSIDE))]),
}
# What the image holds then: `find` from its top, without what busybox brings.
HARMLESS = {
    "absolute name": (tar([file("/absolute", b"x")]), {"absolute"}),
    "through an absolute link": (
        tar([symlink("d", str(OUTSIDE)), file("d/written", b"x")]),
        {"d", "var/tmp", "var/tmp/wct-outside", "var/tmp/wct-outside/written"},
    ),
    "whiteout through a link": (tar([symlink("d", str(OUTSIDE)), file("d/.wh.kept")]), None),
    "opaque through a link": (tar([symlink("d", str(OUTSIDE)), file("d/.wh..wh..opq")]), None),
    "directory in place of a link": (
        tar([symlink("d", str(OUTSIDE)), directory("d", 0o700), file("d/after", b"x")]),
        {"d", "d/after"},
    ),
    "link in place of a directory": (
        tar([directory("d"), file("d/x", b"1"), symlink("d", str(OUTSIDE)), file("d/y", b"2")]),
        {"d", "var/tmp", "var/tmp/wct-outside", "var/tmp/wct-outside/y"},
    ),
    "hard link to a symbolic one": (tar([symlink("s", f"{OUTSIDE}/kept"), hardlink("h", "s")]), {"s", "h"}),
    "several of one name": (
        tar([file("n", b"1"), directory("n"), file("n/in", b"2"), file("n", b"3")]),
        {"n"},
    ),
    "marks of overlayfs": (
        tar([xattr(directory("bin"), "trusted.overlay.opaque", "y"), file("m", b"x")]),
        {"m"},
    ),
    "nothing": (b"", set()),
    "no end": (tar([file("noend", b"x")])[:1024], {"noend"}),
}


def image_of(data: bytes) -> Image:
    return Image((*imagefiles.busybox().layers, Layer(data)), imagefiles.busybox().config)


@pytest.fixture(autouse=True)
def outside(engine: Daemon) -> Iterator[None]:
    """A directory of the host's that no image may touch."""
    OUTSIDE.mkdir(exist_ok=True)
    (OUTSIDE / "kept").write_text("kept")
    before = set(OUTSIDE.parent.iterdir())
    yield
    found = [(path.name, path.read_text(), path.stat().st_nlink) for path in OUTSIDE.iterdir()]
    shutil.rmtree(OUTSIDE)
    assert found == [("kept", "kept", 1)]
    assert not {path for path in OUTSIDE.parent.iterdir() if path.name == "escaped"} - before
    assert not any(path.name == "escaped" for path in engine.data_root.rglob("escaped"))


def pulled(api: RawHttp, registry: StubRegistry, image: Image) -> tuple[str, str]:
    """The image's name, and the error."""
    name = registry.add(image, "hostile", "1")
    answer = api.request("POST", f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
    last = json.loads(answer.body.splitlines()[-1])
    return name, last.get("error") or last.get("message") or ""


def loaded(api: RawHttp, image: Image) -> str:
    """The error."""
    answer = api.request("POST", "/images/load?quiet=1", imagefiles.archive(image, "docker.io/library/hostile:1"))
    return str(json.loads(answer.body.splitlines()[-1]).get("error", ""))


@pytest.mark.parametrize("case", list(REFUSED))
def test_pull_refuses(api: RawHttp, stub_registry: StubRegistry, case: str) -> None:
    name, error = pulled(api, stub_registry, image_of(REFUSED[case]))
    assert "failed to extract layer" in error
    assert api.request("GET", f"/images/{name}/json").status == 404


@pytest.mark.wharfd_only("dockerd makes something of some of them, and loads what it cannot unpack")
@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_HERE])
def test_load_refuses(api: RawHttp, case: str) -> None:
    image = image_of({**REFUSED, **REFUSED_HERE}[case])
    error = loaded(api, image)
    assert error.startswith(f"failed to extract layer {imagefiles.digest(image.layers[1].blob)}: ")
    assert "Errno" not in error
    assert len(error) < 1000
    assert api.request("GET", "/images/hostile:1/json").status == 404


@pytest.mark.parametrize("how", ["load", "pull"])
@pytest.mark.parametrize("case", list(HARMLESS))
def test_harmless(api: RawHttp, cli: DockerCli, stub_registry: StubRegistry, case: str, how: str) -> None:
    data, expected = HARMLESS[case]
    name, image = "hostile:1", image_of(data)
    error = ""
    if how == "load":
        error = loaded(api, image)
    else:
        name, error = pulled(api, stub_registry, image)
    assert error == ""
    container = cli.ok("create", name)
    answer = api.request("GET", f"/containers/{container}/export")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        found = {member.rstrip("/") for member in archive.getnames()}
    own = {entry[0].name for entry in imagefiles.busybox_entries()}
    made = {"", ".", "./", ".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab"}
    made |= {"dev/console", "dev/pts", "dev/shm", "proc", "sys"}
    if expected is not None:
        assert found - own - made == expected
    assert own <= found


def test_names_that_are_not_text(api: RawHttp, cli: DockerCli) -> None:
    block = header(b"b\xff\xfe") + b"x" + bytes(511)
    assert loaded(api, image_of(block + tar([file("a\nb", b"y")]))) == ""
    assert cli.ok("run", "--rm", "hostile:1", "sh", "-c", "cat /b[!i]? '/a\nb'") == "xy"


def test_devices(api: RawHttp, cli: DockerCli) -> None:
    """They are there, and no use to a container that may not use them."""
    entries = [
        special("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        special("disk", tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666),
        special("pipe", tarfile.FIFOTYPE, mode=0o600),
    ]
    assert loaded(api, image_of(tar(entries))) == ""
    shown = cli.ok("run", "--rm", "hostile:1", "stat", "-c", "%n %F %a %t:%T", "/null", "/disk", "/pipe")
    assert shown.splitlines() == [
        "/null character special file 666 1:3",
        "/disk block special file 666 8:0",
        "/pipe fifo 600 0:0",
    ]
    assert cli.run("run", "--rm", "hostile:1", "head", "-c", "1", "/disk").code != 0


BOTH = {"manifests": [], "layers": [], "config": {"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": 1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {**m, **BOTH}, ""),
        (lambda m: {**m, "layers": [{**m["layers"][0], "size": m["layers"][0]["size"] + 1}]}, ""),
        (lambda m: {**m, "layers": [{**m["layers"][0], "digest": "sha256:" + "0" * 64}]}, ""),
        (lambda m: {**m, "layers": []}, ""),
        (lambda m: {**m, "schemaVersion": 1, "fsLayers": []}, ""),
        (lambda m: {**m, "config": {**m["config"], "digest": "md5:abc"}}, ""),
    ],
    ids=["index and manifest", "size", "missing blob", "too few layers", "schema 1", "digest"],
)
@pytest.mark.wharfd_only("dockerd takes some of them for what they say first")
def test_documents_that_lie(
    api: RawHttp, stub_registry: StubRegistry, change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    image = Image((Layer(tar([file("f", b"x")])),), {})
    data = json.dumps(change(json.loads(image.manifest))).encode()
    stub_registry.blobs |= image.blobs
    stub_registry.manifests[imagefiles.digest(data)] = stub_registry.manifests["lies:1"] = (image.media_type, data)
    name = f"{stub_registry.address}/lies:1"
    answer = api.request("POST", f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
    last = json.loads(answer.body.splitlines()[-1])
    assert "error" in last or answer.status >= 400
    assert message in str(last)
    assert api.request("GET", f"/images/{name}/json").status == 404


def test_a_layer_that_is_not_what_the_configuration_says(api: RawHttp, stub_registry: StubRegistry) -> None:
    image, other = image_of(tar([file("one", b"1")])), image_of(tar([file("other", b"2")]))
    manifest = json.loads(image.manifest)
    manifest["config"] = json.loads(other.manifest)["config"]
    data = json.dumps(manifest).encode()
    stub_registry.blobs |= {**image.blobs, **other.blobs}
    stub_registry.manifests[imagefiles.digest(data)] = stub_registry.manifests["mixed:1"] = (image.media_type, data)
    name = f"{stub_registry.address}/mixed:1"
    answer = api.request("POST", f"/images/create?fromImage={urllib.parse.quote(name, safe='')}")
    error = json.loads(answer.body.splitlines()[-1])["error"]
    wanted = imagefiles.digest(other.layers[1].tar)
    assert "wrong diff id calculated on extraction" in error
    assert wanted in error
    assert api.request("GET", f"/images/{name}/json").status == 404


def test_an_archive_with_an_enormous_index(api: RawHttp) -> None:
    """CVE-2023-25153: documents are read only so far."""
    index = b'{"schemaVersion":2,"manifests":[' + b" " * (12 << 20) + b"]}"
    archive = tar([file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), file("index.json", index)])
    answer = api.request("POST", "/images/load?quiet=1", archive)
    assert b"error" in answer.body
