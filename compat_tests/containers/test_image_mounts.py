"""`--mount type=image`: other images' files in a container (API 1.48)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp

DATA = "data:1"


@pytest.fixture
def data(load: Callable[[imagefiles.Image, str], None]) -> str:
    bottom = [
        imagefiles.directory("sub"),
        imagefiles.file("sub/file", b"below\n"),
        imagefiles.file("gone", b"gone"),
        imagefiles.symlink("out", "../../.."),
    ]
    top = [imagefiles.directory("sub"), imagefiles.file("sub/file", b"hello\n"), imagefiles.file(".wh.gone")]
    load(imagefiles.Image(tuple(imagefiles.Layer(imagefiles.tar(layer)) for layer in (bottom, top))), DATA)
    return DATA


def mounted(subpath: str = "", **options: Any) -> dict[str, Any]:
    if subpath:
        options["ImageOptions"] = {"Subpath": subpath}
    return {"Mounts": [{"Type": "image", "Source": DATA, "Target": "/m", **options}]}


def run(cli: DockerCli, *arguments: str) -> tuple[int, str, str]:
    result = cli.run("run", "--rm", *arguments)
    return result.code, result.out, result.err.replace("WARNING: Image mount is an experimental feature\n", "")


@pytest.mark.cli_since("28.0")
def test_whole(cli: DockerCli, data: str) -> None:
    mount = ("--mount", f"type=image,source={data},target=/m", "busybox")
    assert run(cli, *mount, "sh", "-c", "ls /m; cat /m/sub/file") == (0, "out\nsub\nhello\n", "")
    assert run(cli, *mount, "touch", "/m/x") == (1, "", "touch: /m/x: Read-only file system\n")


@pytest.mark.cli_since("28.0")
@pytest.mark.parametrize(
    ("subpath", "command", "out"),
    [("sub", "ls", "file\n"), ("sub/../sub", "ls", "file\n"), ("sub/file", "cat", "hello\n")],
)
def test_part(cli: DockerCli, data: str, subpath: str, command: str, out: str) -> None:
    mount = f"type=image,source={data},target=/m,image-subpath={subpath}"
    assert run(cli, "--mount", mount, "busybox", command, "/m") == (0, out, "")


@pytest.mark.parametrize(
    ("subpath", "status", "message"),
    [
        ("nope", 404, "cannot access path BASE/nope: lstat BASE/nope: no such file or directory"),
        ("out", 400, "path concatenation escapes the base directory, base: BASE, subpath: out"),
    ],
)
def test_part_that_is_not_there(
    api: RawHttp, create: Callable[..., str], data: str, subpath: str, status: int, message: str
) -> None:
    container = create("true", HostConfig=mounted(subpath))
    base = api.get(f"/containers/{container}/json")["Mounts"][0]["Source"]
    answer = api.post(f"/containers/{container}/start")
    assert (answer.status, answer.message) == (status, message.replace("BASE", base))


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"Source": ""}, 400, 'invalid mount config for type "image": field Source must not be empty'),
        ({"Source": "nope:1"}, 404, "No such image: nope:1"),
        (
            {"ImageOptions": {"Subpath": "../x"}},
            400,
            'invalid mount config for type "image": subpath must be a relative path within the volume',
        ),
        ({"VolumeOptions": {"NoCopy": True}}, 400, 'VolumeOptions must not be specified on mount type "image"'),
    ],
)
def test_refused(api: RawHttp, data: str, options: dict[str, Any], status: int, message: str) -> None:
    answer = api.post("/containers/create", {"Image": "busybox", "HostConfig": mounted(**options)})
    assert (answer.status, answer.message) == (status, message)


def test_older_api(api: RawHttp, data: str) -> None:
    answer = api.post("/v1.47/containers/create", {"Image": "busybox", "HostConfig": mounted()})
    assert (answer.status, answer.message) == (400, 'Mount type "Image" needs API v1.48 or newer')


def test_inspect(api: RawHttp, create: Callable[..., str], data: str) -> None:
    found = api.get(f"/containers/{create('true', HostConfig=mounted())}/json")
    [mount] = found["Mounts"]
    assert mount.pop("Source").startswith("/")
    assert mount == {
        "Type": "image",
        "Name": data,
        "Destination": "/m",
        "Mode": "",
        "RW": False,
        "Propagation": "rprivate",
    }
    assert found["HostConfig"]["Mounts"] == mounted()["Mounts"]


def test_the_image_is_held(cli: DockerCli, api: RawHttp, start: Callable[..., str], data: str) -> None:
    image = api.get(f"/images/{data}/json")["Id"].removeprefix("sha256:")
    container = start("sleep", "300", name="web", HostConfig=mounted())
    refused = api.request("DELETE", f"/images/{data}")
    assert refused.status == 409
    assert refused.message == (
        f"conflict: unable to delete {data} (must be forced) - container {container[:12]} is using its referenced image "
        f"{image[:12]}"
    )
    assert api.request("DELETE", f"/images/{data}?force=1").status == 200
    cli.ok("restart", "-t", "0", "web")
    assert cli.ok("exec", "web", "cat", "/m/sub/file") == "hello"
    cli.ok("run", "--rm", "--volumes-from", "web", "busybox", "grep", "hello", "/m/sub/file")


def test_cp(cli: DockerCli, create: Callable[..., str], data: str, tmp_path: Path) -> None:
    create("true", name="web", HostConfig=mounted())
    cli.ok("cp", "web:/m/sub/file", str(tmp_path / "got"))
    assert (tmp_path / "got").read_text() == "hello\n"
    assert "mounted volume is marked read-only" in cli.fails("cp", str(tmp_path / "got"), "web:/m/")


def test_a_killed_daemon_finds_it_again(cli: DockerCli, engine: Daemon, start: Callable[..., str], data: str) -> None:
    start("sleep", "300", name="web", HostConfig=mounted())
    cli.ok("rmi", "-f", data)
    engine.kill()
    engine.start()
    assert cli.ok("ps", "-aq", "--filter", "name=web") != ""
    cli.ok("restart", "-t", "0", "web")
    assert cli.ok("exec", "web", "cat", "/m/sub/file") == "hello"
