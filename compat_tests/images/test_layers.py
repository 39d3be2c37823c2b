"""What layers may hold arrives as it was: names, links, attributes, times, holes; and there may be many of them."""

import os
import tarfile
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

Load = Callable[[Image, str], None]
CAPABILITY = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)  # cap_net_bind_service, revision 2


def pax(entry: Entry, **headers: str) -> Entry:
    entry[0].pax_headers = headers
    return entry


def xattr(entry: Entry, name: str, value: bytes) -> Entry:
    return pax(entry, **{f"SCHILY.xattr.{name}": value.decode("latin-1")})


@pytest.fixture
def tree(api: RawHttp, load: Load, cli: DockerCli) -> Iterator[Callable[..., Path]]:
    """`tree(layer, …)`: the root of a running container of busybox with these layers, as the host sees it."""

    def run(*layers: Layer) -> Path:
        load(imagefiles.derived(*layers), "layers:1")
        container = cli.ok("run", "-d", "layers:1", "sleep", "100")
        return Path(f"/proc/{api.get(f'/containers/{container}/json')['State']['Pid']}/root")

    yield run


def inside(root: Path, path: str) -> Path:
    return root / path


def test_links(tree: Callable[..., Path]) -> None:
    first = tar([directory("l"), file("l/one", b"1"), hardlink("l/two", "l/one"), symlink("l/three", "one")])
    second = tar([file("l/one", b"1"), hardlink("l/four", "l/one"), symlink("l/five", "/nowhere/at/all")])
    root = tree(Layer(first), Layer(second))
    one = inside(root, "l/one").stat()
    assert one.st_ino == inside(root, "l/four").stat().st_ino
    assert one.st_nlink == 2
    assert inside(root, "l/two").read_bytes() == b"1"
    assert (inside(root, "l/three").readlink(), inside(root, "l/five").readlink()) == (
        Path("one"),
        Path("/nowhere/at/all"),
    )


def test_modes_and_owners(tree: Callable[..., Path]) -> None:
    root = tree(
        Layer(
            tar(
                [
                    file("su", b"x", 0o4755, 1000, 1001),
                    directory("sg", 0o2775, 0, 50),
                    directory("sticky", 0o1777),
                    file("nothing", b"x", 0),
                    file("far", b"x", 0o600, 2**31, 2**32 - 2),
                ]
            )
        )
    )
    found = {name: inside(root, name).stat() for name in ("su", "sg", "sticky", "nothing", "far")}
    assert {name: (s.st_mode & 0o7777, s.st_uid, s.st_gid) for name, s in found.items()} == {
        "su": (0o4755, 1000, 1001),
        "sg": (0o2775, 0, 50),
        "sticky": (0o1777, 0, 0),
        "nothing": (0, 0, 0),
        "far": (0o600, 2**31, 2**32 - 2),
    }


def test_attributes(tree: Callable[..., Path]) -> None:
    root = tree(
        Layer(
            tar(
                [
                    xattr(file("cap", b"x", 0o755), "security.capability", CAPABILITY),
                    xattr(file("own", b"x"), "user.mime", b"text/plain"),
                    xattr(directory("dir"), "user.kind", b"\x00\xff"),
                ]
            )
        )
    )
    assert os.getxattr(inside(root, "cap"), "security.capability") == CAPABILITY
    assert os.getxattr(inside(root, "own"), "user.mime") == b"text/plain"
    assert os.getxattr(inside(root, "dir"), "user.kind") in (b"\x00\xff", b"\x00\xc3\xbf")


def test_times_to_the_nanosecond(tree: Callable[..., Path]) -> None:
    entries = [
        pax(file("exact", b"x"), mtime="1714979289.123456789"),
        pax(directory("dir"), mtime="1000000000.5"),
        file("dir/later", b"x"),
        pax(symlink("link", "exact"), mtime="1111111111.25"),
        pax(file("epoch", b"x"), mtime="0"),
    ]
    root = tree(Layer(tar(entries)))
    found = {name: inside(root, name).lstat().st_mtime_ns for name in ("exact", "dir", "link", "epoch")}
    assert found == {
        "exact": 1714979289_123456789,
        "dir": 1000000000_500000000,
        "link": 1111111111_250000000,
        "epoch": 0,
    }


def test_names(tree: Callable[..., Path]) -> None:
    deep = "/".join(["d" * 200] * 19) + "/f"
    names = ["n" * 255, "spaces and\ttabs", "späße-日本", "-rf *", "a\\b", ".hidden", "..."]
    root = tree(Layer(tar([*(file(f"names/{name}", b"x") for name in names), file(deep, b"deep")])))
    assert sorted(os.listdir(inside(root, "names"))) == sorted(names)
    fd = os.open(root, os.O_PATH)
    for part in deep.split("/"):
        fd, above = os.open(part, os.O_RDONLY, dir_fd=fd), fd
        os.close(above)
    assert os.read(fd, 10) == b"deep"
    os.close(fd)


def gnu_sparse() -> bytes:
    """An archive of GNU tar's with a file of 8 MiB and 4 KiB of data in it."""
    info = tarfile.TarInfo("sparse")
    info.mode = 0o644
    fields = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(8 << 20)}
    info.pax_headers = {**fields, "GNU.sparse.name": "sparse"}
    data = b"1\n4194304\n4096\n".ljust(512, b"\0") + b"D" * 4096
    info.size = len(data)
    return tar([(info, data)])


def test_holes(tree: Callable[..., Path], engine: Daemon) -> None:
    root = tree(Layer(gnu_sparse()))
    found = inside(root, "sparse")
    assert found.stat().st_size == 8 << 20
    if engine.kind == "wharfd":  # dockerd fills holes with zeros
        assert found.stat().st_blocks * 512 < 1 << 20
    data = found.read_bytes()
    assert data.count(b"D") == 4096
    assert data[4194304:4198400] == b"D" * 4096


def test_whiteouts_of_all_kinds(tree: Callable[..., Path]) -> None:
    first = [
        directory("w"),
        *(file(f"w/{name}", b"1") for name in ("file", "kept", "again")),
        symlink("w/link", "kept"),
    ]
    first += [directory("w/dir"), file("w/dir/in", b"1"), directory("w/opaque"), file("w/opaque/old", b"1")]
    second = [file(f"w/.wh.{name}") for name in ("file", "link", "dir", "again")]
    second += [directory("w/opaque", 0o700), file("w/opaque/.wh..wh..opq"), file("w/opaque/new", b"2")]
    third = [file("w/again", b"3"), directory("w/dir"), file("w/dir/other", b"3")]
    root = tree(Layer(tar(first)), Layer(tar(second)), Layer(tar(third)))
    top = inside(root, "w")
    assert sorted(str(path.relative_to(top)) for path in top.rglob("*")) == [
        "again",
        "dir",
        "dir/other",
        "kept",
        "opaque",
        "opaque/new",
    ]
    assert inside(root, "w/again").read_bytes() == b"3"
    assert inside(root, "w/opaque").stat().st_mode & 0o777 == 0o700


def test_a_directory_in_place_of_a_file_and_back(tree: Callable[..., Path]) -> None:
    first = tar([file("a", b"1"), directory("b"), file("b/in", b"1")])
    second = tar([directory("a"), file("a/in", b"2"), file("b", b"2")])
    root = tree(Layer(first), Layer(second))
    assert inside(root, "a/in").read_bytes() == b"2"
    assert inside(root, "b").read_bytes() == b"2"


def test_as_many_layers_as_there_may_be(cli: DockerCli, stub_registry: StubRegistry) -> None:
    layers = [Layer(tar([file(f"layer-{n}", str(n).encode()), file("last", str(n).encode())])) for n in range(126)]
    name = stub_registry.add(imagefiles.derived(*layers), "tests/many", "1")
    cli.ok("pull", "-q", name)
    assert len(cli.ok("history", "-q", name).splitlines()) == 127
    assert cli.ok("run", "--rm", name, "sh", "-c", "ls / | grep -c layer-; cat /last") == "126\n125"


def test_the_same_layer_twice(cli: DockerCli, load: Load) -> None:
    one, two = Layer(tar([file("x", b"1")])), Layer(tar([file(".wh.x")]))
    load(imagefiles.derived(one, two, one, two, one), "twice:1")
    assert cli.ok("run", "--rm", "twice:1", "cat", "/x") == "1"


def test_an_image_without_layers(cli: DockerCli, load: Load, api: RawHttp) -> None:
    load(Image((), {"Cmd": ["/x"]}), "empty:1")
    found: dict[str, Any] = api.get("/images/empty:1/json")
    assert found["RootFS"] == {"Type": "layers"}
    assert cli.ok("history", "-q", "empty:1") == ""
    assert cli.run("create", "empty:1").code == 0
