"""Volumes: named, anonymous, copied up, read-only, pruned."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp


def test_create_inspect_list_remove(cli: DockerCli, api: RawHttp, engine: Daemon) -> None:
    assert cli.ok("volume", "create", "--label", "a=1", "vol1") == "vol1"
    found = api.get("/volumes/vol1")
    assert found["Mountpoint"] == f"{engine.data_root}/volumes/vol1/_data"
    assert (found["Driver"], found["Scope"], found["Labels"], found["Options"]) == ("local", "local", {"a": "1"}, None)
    assert os.path.isdir(found["Mountpoint"])
    assert found["CreatedAt"].startswith("20")
    again = api.post("/volumes/create", {"Name": "vol1"})
    assert again.status == 201
    assert again.json()["Labels"] == {"a": "1"}
    assert cli.ok("volume", "ls", "-q") == "vol1"
    assert cli.ok("volume", "rm", "vol1") == "vol1"
    assert not os.path.exists(found["Mountpoint"])
    gone = api.request("GET", "/volumes/vol1")
    assert (gone.status, gone.message) == (404, "get vol1: no such volume")
    assert api.request("DELETE", "/volumes/vol1").status == 404
    assert api.request("DELETE", "/volumes/vol1?force=1").status == 204


def test_name_is_made_up(cli: DockerCli) -> None:
    name = cli.ok("volume", "create")
    assert len(name) == 64
    assert "com.docker.volume.anonymous" in json.loads(cli.ok("volume", "inspect", name))[0]["Labels"]


def test_bad_requests(api: RawHttp) -> None:
    bad = api.post("/volumes/create", {"Name": "../x"})
    assert bad.status == 400
    assert "includes invalid characters for a local volume name" in bad.message
    missing = api.post("/volumes/create", {"Name": "x1", "Driver": "nosuch"})
    assert missing.status == 404
    assert "nosuch" in missing.message


def test_data_outlives_containers(cli: DockerCli) -> None:
    cli.ok("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo kept > /d/f")
    assert cli.ok("run", "--rm", "-v", "data:/d:ro", "busybox", "cat", "/d/f") == "kept"
    assert "Read-only file system" in cli.fails("run", "--rm", "-v", "data:/d:ro", "busybox", "touch", "/d/g")


def test_copy_up(cli: DockerCli) -> None:
    script = "cat /opt/data/seed /opt/data/link; stat -c '%a %u:%g' /opt/data /opt/data/seed; readlink /opt/data/link"
    expected = "from the image\nfrom the image\n750 1000:1000\n640 1000:1000\nseed"
    assert cli.ok("run", "--rm", "-v", "seeded:/opt/data", "busybox", "sh", "-c", script) == expected
    cli.ok("run", "--rm", "-v", "seeded:/opt/data", "busybox", "sh", "-c", "echo changed > /opt/data/seed")
    assert cli.ok("run", "--rm", "-v", "seeded:/opt/data", "busybox", "cat", "/opt/data/seed") == "changed"


def test_nocopy_and_binds_show_no_image_files(cli: DockerCli, tmp_path: Path) -> None:
    assert cli.ok("run", "--rm", "-v", "empty:/opt/data:nocopy", "busybox", "ls", "/opt/data") == ""
    assert cli.ok("run", "--rm", "-v", f"{tmp_path}:/opt/data", "busybox", "ls", "/opt/data") == ""


def test_anonymous_volumes(cli: DockerCli, api: RawHttp, load: Callable[..., None]) -> None:
    load(imagefiles.derived(Volumes={"/opt/data": {}}), "withvolume:1")
    cli.ok("run", "--name", "one", "withvolume:1", "cat", "/opt/data/seed")
    mount = api.get("/containers/one/json")["Mounts"][0]
    assert (mount["Type"], mount["Destination"], len(mount["Name"])) == ("volume", "/opt/data", 64)
    assert cli.ok("volume", "ls", "-q") == mount["Name"]
    cli.ok("rm", "one")
    assert cli.ok("volume", "ls", "-q") == mount["Name"]
    cli.ok("volume", "rm", mount["Name"])
    cli.ok("run", "--rm", "withvolume:1", "true")
    assert cli.ok("volume", "ls", "-q") == ""
    cli.ok("run", "--name", "two", "-v", "named:/named", "withvolume:1", "true")
    cli.ok("rm", "-v", "two")
    assert cli.ok("volume", "ls", "-q") == "named"


def test_volume_in_use(cli: DockerCli, api: RawHttp) -> None:
    container = cli.ok("create", "-v", "busy:/d", "busybox")
    answer = api.request("DELETE", "/volumes/busy")
    assert (answer.status, answer.message) == (409, f"remove busy: volume is in use - [{container}]")


def test_volumes_from(cli: DockerCli) -> None:
    cli.ok("run", "--name", "source", "-v", "shared:/s", "busybox", "sh", "-c", "echo here > /s/f")
    assert cli.ok("run", "--rm", "--volumes-from", "source", "busybox", "cat", "/s/f") == "here"
    assert "Read-only" in cli.fails("run", "--rm", "--volumes-from", "source:ro", "busybox", "touch", "/s/g")


def test_subpath(cli: DockerCli) -> None:
    cli.ok("run", "--rm", "-v", "tree:/t", "busybox", "sh", "-c", "mkdir /t/sub; echo deep > /t/sub/f")
    mount = "type=volume,src=tree,dst=/m,volume-subpath=sub"
    assert cli.ok("run", "--rm", "--mount", mount, "busybox", "cat", "/m/f") == "deep"


@pytest.mark.parametrize("subpath", ["../..", "escape"])
def test_subpath_cannot_leave_the_volume(cli: DockerCli, subpath: str) -> None:
    cli.ok("run", "--rm", "-v", "tree:/t", "busybox", "ln", "-s", "/etc", "/t/escape")
    result = cli.run(
        "run", "--rm", "--mount", f"type=volume,src=tree,dst=/m,volume-subpath={subpath}", "busybox", "ls", "/m"
    )
    assert result.code != 0


def test_tmpfs_backed_volume(cli: DockerCli) -> None:
    cli.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "ram")
    assert (
        cli.ok("run", "--rm", "-v", "ram:/r", "busybox", "sh", "-c", "df -k /r | tail -1 | awk '{print $2}'") == "1024"
    )


def test_bind_backed_volume(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("bound\n")
    cli.ok("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind", "bound")
    assert cli.ok("run", "--rm", "-v", "bound:/b", "busybox", "cat", "/b/f") == "bound"


def test_list_filters(cli: DockerCli) -> None:
    cli.ok("volume", "create", "--label", "kind=a", "alpha")
    cli.ok("volume", "create", "beta")
    cli.ok("create", "-v", "beta:/b", "busybox")
    assert cli.ok("volume", "ls", "-q", "-f", "dangling=true") == "alpha"
    assert cli.ok("volume", "ls", "-q", "-f", "dangling=false") == "beta"
    assert cli.ok("volume", "ls", "-q", "-f", "label=kind=a") == "alpha"
    assert cli.ok("volume", "ls", "-q", "-f", "name=bet") == "beta"
    assert cli.ok("volume", "ls", "-q", "-f", "driver=local") == "alpha\nbeta"


def test_prune(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("volume", "create", "named")
    anonymous = cli.ok("volume", "create")
    cli.ok("run", "-d", "-v", "used:/u", "busybox", "sleep", "60")
    assert api.post("/volumes/prune").json()["VolumesDeleted"] == [anonymous]
    assert anonymous not in cli.ok("volume", "ls", "-q")
    assert "named" in cli.ok("volume", "prune", "-af")
    assert cli.ok("volume", "ls", "-q") == "used"
