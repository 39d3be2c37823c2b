"""docker cp: forms, errors, read-only places, and containers that swap links meanwhile."""

import base64
import contextlib
import gzip
import io
import json
import tarfile
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import Answer, RawHttp

_TREE = "mkdir -p /d/sub; echo hi > /d/f; ln -s /d /ld; ln -s d/f /lf; ln -s /nowhere /lb; ln /d/f /d/hard; sleep 600"


def tar_of(*members: tuple[str, bytes], uid: int = 0) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.gid = len(data), uid, uid
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def put(api: RawHttp, container: str, path: str, data: bytes, **options: str) -> Answer:
    query = urllib.parse.urlencode({"path": path, **options})
    return api.request("PUT", f"/containers/{container}/archive?{query}", data, {"Content-Type": "application/x-tar"})


def get(api: RawHttp, container: str, path: str, headers: dict[str, str] | None = None) -> Answer:
    return api.request(
        "GET",
        f"/containers/{container}/archive?path={urllib.parse.quote(path)}",
        headers={"Accept-Encoding": "identity", **(headers or {})},
    )


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        return archive.getnames()


def content(answer: Answer, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        member = archive.extractfile(name)
        assert member is not None
        return member.read()


def stat(api: RawHttp, container: str, path: str) -> dict[str, Any]:
    answer = api.request("HEAD", f"/containers/{container}/archive?path={urllib.parse.quote(path)}")
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"]))
    return found


@pytest.fixture
def tree(cli: DockerCli, start: Callable[..., str]) -> str:
    container = start("sh", "-c", _TREE)
    cli.ok("exec", container, "sh", "-c", "until test -e /d/hard; do sleep 0.01; done")
    return container


@pytest.mark.parametrize(
    ("path", "name", "mode", "target"),
    [
        ("/d", "d", 2147484141, ""),
        ("/d/.", ".", 2147484141, ""),
        ("/ld", "ld", 134218239, "/d"),
        ("/ld/", "ld", 2147484141, ""),
        ("/lf", "lf", 134218239, "/d/f"),
        ("/lb", "lb", 134218239, "/nowhere"),
        ("/", "/", 2147484141, ""),
        ("d/f", "f", 420, ""),
        ("/bin/../d", "d", 2147484141, ""),
    ],
)
def test_stat(api: RawHttp, tree: str, path: str, name: str, mode: int, target: str) -> None:
    found = stat(api, tree, path)
    assert (found["name"], found["mode"], found["linkTarget"]) == (name, mode, target)


def test_names_in_the_archive(api: RawHttp, tree: str) -> None:
    assert names(get(api, tree, "/d")) == ["d", "d/f", "d/hard", "d/sub"]
    assert names(get(api, tree, "/d/.")) == [".", "./f", "./hard", "./sub"]
    assert names(get(api, tree, "/ld")) == ["ld"]
    assert names(get(api, tree, "/ld/")) == ["ld", "ld/f", "ld/hard", "ld/sub"]
    assert names(get(api, tree, "/d/f")) == ["f"]


def test_gzip_where_it_is_accepted(api: RawHttp, tree: str) -> None:
    answer = get(api, tree, "/d/f", {"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(answer.body))) as archive:
        assert archive.getnames() == ["f"]


def test_errors(api: RawHttp, tree: str) -> None:
    assert get(api, tree, "/nope").message == f"Could not find the file /nope in container {tree}"
    assert get(api, tree, "/nope").status == 404
    empty = api.request("GET", f"/containers/{tree}/archive")
    assert (empty.status, empty.message) == (400, "bad parameter: pathcannot be empty")
    below_a_file = get(api, tree, "/d/f/x")
    assert (below_a_file.status, below_a_file.message) == (500, "lstat /d/f/x: not a directory")
    into_a_file = put(api, tree, "/d/f", tar_of(("a", b"x")))
    assert (into_a_file.status, into_a_file.message) == (400, "extraction point is not a directory")
    assert put(api, tree, "/nope", tar_of(("a", b"x"))).status == 404
    assert put(api, "nope", "/", tar_of(("a", b"x"))).message == "No such container: nope"


def test_read_only_places(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600", HostConfig={"ReadonlyRootfs": True, "Binds": ["cp-ro:/rov:ro", "cp-rw:/rwv"]})
    root = put(api, container, "/tmp", tar_of(("a", b"x")))
    assert (root.status, root.message) == (400, "container rootfs is marked read-only")
    volume = put(api, container, "/rov", tar_of(("a", b"x")))
    assert (volume.status, volume.message) == (400, "mounted volume is marked read-only")
    assert put(api, container, "/rwv", tar_of(("a", b"x"))).status == 200


def test_kinds_are_kept_where_wanted(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "600")
    cli.ok("exec", container, "mkdir", "-p", "/e/a")
    refused = put(api, container, "/e", tar_of(("a", b"x")), noOverwriteDirNonDir="1")
    assert (refused.status, refused.message) == (500, 'cannot overwrite directory "a" with non-directory "/e"')
    assert put(api, container, "/e", tar_of(("a", b"x"))).status == 200
    assert cli.ok("exec", container, "cat", "/e/a") == "x"


def test_links_on_the_way_and_owners(cli: DockerCli, api: RawHttp, tree: str) -> None:
    assert put(api, tree, "/ld", tar_of(("new/a", b"x"), uid=5)).status == 200
    assert cli.ok("exec", tree, "stat", "-c", "%u %g", "/d/new/a", "/d/new").split("\n") == ["5 5", "0 0"]
    assert put(api, tree, "/ld", tar_of(("b", b"x"), uid=5), copyUIDGID="1").status == 200


@pytest.mark.parametrize("running", [True, False])
def test_cli_round_trip(cli: DockerCli, tmp_path: Path, running: bool) -> None:
    (tmp_path / "in/s").mkdir(parents=True)
    (tmp_path / "in/a").write_text("a")
    (tmp_path / "in/s/b").write_text("b")
    cli.ok("create", "--name", "cp", "-v", "cp-vol:/vol", "busybox", "sleep", "600")
    if running:
        cli.ok("start", "cp")
    for target in ("cp:/new", "cp:/tmp", "cp:/vol/"):
        cli.ok("cp", str(tmp_path / "in"), target)
        cli.ok("cp", f"{tmp_path / 'in'}/.", target)
    assert cli.run("cp", str(tmp_path / "in/a"), "cp:/none/").code == 1
    for source, there in (("cp:/new", "new/s/b"), ("cp:/vol/in", "in/s/b"), ("cp:/tmp/.", "s/b")):
        (out := tmp_path / source.strip("cp:/.").replace("/", "-")).mkdir()
        cli.ok("cp", source, str(out))
        assert (out / there).read_text() == "b"
    if not running:
        cli.ok("start", "cp")
    assert cli.ok("exec", "cp", "cat", "/new/a", "/new/s/b", "/tmp/in/s/b", "/vol/a") == "abba"


def test_an_absolute_link_to_a_directory_works(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    """moby fb3702d033: /var/run is a link to /run in most images."""
    container = start("sleep", "600")
    cli.ok("exec", container, "sh", "-c", "mkdir -p /run/act /var; ln -s /run /var/run")
    assert put(api, container, "/var/run/act", tar_of(("a", b"x"))).status == 200
    assert cli.ok("exec", container, "cat", "/run/act/a") == "x"


def test_swapped_links_lead_nowhere_else(
    cli: DockerCli, api: RawHttp, start: Callable[..., str], tmp_path: Path
) -> None:
    """CVE-2018-15664: a container that swaps a directory and a link to the host's name of another, in both directions."""
    secret, inside = tmp_path / "secret", f"{tmp_path}/x"
    secret.mkdir()
    (secret / "f").write_text("host")
    swap = f"mkdir -p /w/x {inside} {secret}; echo in > /w/x/f; echo in > {secret}/f; cd /w; ln -s {secret} l; "
    container = start("sh", "-c", swap + "while :; do mv x y; mv l x; mv x l; mv y x; done")
    cli.ok("exec", container, "sh", "-c", "until test -e /w/l || test -e /w/y; do sleep 0.01; done")
    for _ in range(60):
        answer = get(api, container, "/w/x/f")
        if answer.status == 200:
            # dockerd's archive is cut or empty where the file goes away under it.
            with contextlib.suppress(tarfile.ReadError, KeyError):
                assert content(answer, "f") in (b"in\n", b"out")
        put(api, container, "/w/x", tar_of(("f", b"out")))
    assert (secret / "f").read_text() == "host"
    assert sorted(p.name for p in secret.iterdir()) == ["f"]


def test_no_program_of_the_container_runs(cli: DockerCli, api: RawHttp, start: Callable[..., str]) -> None:
    """CVE-2019-14271, CVE-2026-41567: decompressors and name services are never looked up in the container."""
    container = start("sleep", "600")
    trap = "for p in xz unpigz gzip zstd tar sh2; do printf '#!/bin/sh\\ntouch /caught\\n' > /bin/$p; chmod 755 /bin/$p; done"
    cli.ok("exec", container, "sh", "-c", trap)
    assert put(api, container, "/tmp", gzip.compress(tar_of(("a", b"x")))).status == 200
    assert names(get(api, container, "/tmp")) == ["tmp", "tmp/a"]
    assert cli.run("exec", container, "test", "-e", "/caught").code == 1


@pytest.mark.parametrize("name", ["../../escape", "/../../escape", "x/../../../escape"])
def test_names_that_climb(cli: DockerCli, api: RawHttp, start: Callable[..., str], name: str) -> None:
    container = start("sleep", "600")
    cli.ok("exec", container, "mkdir", "-p", "/w/in")
    put(api, container, "/w/in", tar_of((name, b"x")))
    assert not Path("/escape").exists()
