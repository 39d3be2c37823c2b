"""Options of the local driver, seen from inside; what they and requests in general cannot be."""

import json
import subprocess
from pathlib import Path

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp


def mounted(cli: DockerCli, volume: str, *command: str) -> str:
    """The options of what a container has at /dd, and what a command says there."""
    script = " ; ".join(["grep ' /dd ' /proc/mounts | cut -d' ' -f3,4", *command])
    return cli.ok("run", "--rm", "-v", f"{volume}:/dd", "busybox", "sh", "-c", script)


def create(api: RawHttp, name: str, **options: str) -> None:
    answer = api.post("/volumes/create", {"Name": name, "DriverOpts": options})
    assert answer.status == 201, answer


def test_tmpfs(cli: DockerCli, api: RawHttp) -> None:
    create(api, "ram", type="tmpfs", device="tmpfs", o="size=2m,uid=1000,mode=700,noexec,nosuid")
    kind, _, rest = mounted(cli, "ram", "stat -c '%u %a' /dd").partition(" ")
    options, facts = rest.split("\n")
    assert kind == "tmpfs"
    assert {"rw", "nosuid", "noexec", "size=2048k", "mode=700", "uid=1000"} <= set(options.split(","))
    assert facts == "1000 700"
    assert api.get("/volumes/ram")["Options"]["o"] == "size=2m,uid=1000,mode=700,noexec,nosuid"


def test_read_only(cli: DockerCli, api: RawHttp, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("here\n")
    create(api, "ram", type="tmpfs", device="tmpfs", o="ro")
    create(api, "bound", type="none", device=str(tmp_path), o="bind,ro")
    for volume in ("ram", "bound"):
        assert "Read-only file system" in cli.fails("run", "--rm", "-v", f"{volume}:/dd", "busybox", "touch", "/dd/g")
    assert cli.ok("run", "--rm", "-v", "bound:/dd", "busybox", "cat", "/dd/f") == "here"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("how", ["-v", "volume"])
def test_what_the_host_forbids_stays_forbidden(cli: DockerCli, engine: Daemon, tmp_path: Path, how: str) -> None:
    mount = engine.namespaces.command(["mount", "-t", "tmpfs", "-o", "nosuid,nodev,noexec", "tmpfs", str(tmp_path)])
    subprocess.run(mount, check=True)
    try:
        source = str(tmp_path)
        if how == "volume":
            source = "bound"
            options = ("-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}")
            cli.ok("volume", "create", *options, source)
        options_inside = mounted(cli, source).split()[1].split(",")
        assert {"rw", "nosuid", "nodev", "noexec"} <= set(options_inside)
    finally:
        engine.wipe()
        subprocess.run(engine.namespaces.command(["umount", "-l", str(tmp_path)]), check=True)


def test_a_mount_goes_with_its_last_user(cli: DockerCli, api: RawHttp, engine: Daemon) -> None:
    create(api, "ram", type="tmpfs", device="tmpfs")

    def there() -> bool:
        return f"{engine.data_root}/volumes/ram/_data " in Path(f"/proc/{engine.namespaces.pid}/mounts").read_text()

    cli.ok("run", "-d", "--name", "one", "-v", "ram:/dd", "busybox", "sleep", "60")
    cli.ok("run", "-d", "--name", "two", "-v", "ram:/dd", "busybox", "sleep", "60")
    cli.ok("exec", "one", "touch", "/dd/f")
    cli.ok("rm", "-f", "one")
    assert there()
    assert cli.ok("exec", "two", "ls", "/dd") == "f"
    cli.ok("rm", "-f", "two")
    assert not there()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"o": "ro"}, 'missing required option: "device"'),
        ({"bogus": "1"}, 'invalid option: "bogus"'),
        ({"size": "1m"}, "quota size requested but no quota support"),
    ],
)
def test_options_that_make_no_sense(api: RawHttp, options: dict[str, str], text: str) -> None:
    answer = api.post("/volumes/create", {"Name": "bad", "DriverOpts": options})
    assert (answer.status, answer.message) == (400, f"create bad: {text}")
    assert api.request("GET", "/volumes/bad").status == 404


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"type": "none", "device": "/nosuchdirectory", "o": "bind"}, "no such file or directory"),
        ({"type": "nosuchfs", "device": "x"}, "no such device"),
    ],
)
def test_what_cannot_be_mounted(
    cli: DockerCli, api: RawHttp, engine: Daemon, options: dict[str, str], text: str
) -> None:
    create(api, "bad", **options)
    said = cli.fails("run", "--rm", "-v", "bad:/dd", "busybox", "true")
    path = f"{engine.data_root}/volumes/bad/_data"
    assert (
        f"error while mounting volume '{path}': failed to mount local volume: mount {options['device']}:{path}" in said
    )
    assert f": {text}" in said
    assert cli.ok("volume", "rm", "bad") == "bad"


@pytest.mark.parametrize("subpath", ["/abs", "../x", "nosuch"])
def test_subpaths_that_are_none(cli: DockerCli, api: RawHttp, subpath: str) -> None:
    create(api, "tree")
    mount = f"type=volume,src=tree,dst=/dd,volume-subpath={subpath}"
    assert cli.run("run", "--rm", "--mount", mount, "busybox", "true").code in (125, 127)


def test_cluster_volumes_need_a_swarm(api: RawHttp) -> None:
    create(api, "own")
    text = "volume update only valid for cluster volumes, but swarm is unavailable"
    for name in ("own", "nosuch"):
        answer = api.request("PUT", f"/volumes/{name}?version=1", {"Spec": {}})
        assert (answer.status, answer.message) == (503, text)
    answer = api.post("/volumes/create", {"Name": "cluster", "ClusterVolumeSpec": {}})
    assert answer.status == 503
    assert "This node is not a swarm manager" in answer.message


def test_sizes_and_users(cli: DockerCli, api: RawHttp) -> None:
    create(api, "idle")
    cli.ok("run", "-d", "-v", "busy:/dd", "busybox", "sh", "-c", "head -c 70000 /dev/zero > /dd/f; sleep 60")
    cli.ok("run", "--rm", "-v", "busy:/dd", "busybox", "sh", "-c", "until [ -s /dd/f ]; do sleep 0.05; done")
    usage = {v["Name"]: v["UsageData"] for v in api.get("/system/df?type=volume")["Volumes"]}
    assert usage["idle"] == {"RefCount": 0, "Size": 0}
    assert usage["busy"]["RefCount"] == 1
    assert usage["busy"]["Size"] >= 70000
    shown = json.loads(cli.ok("system", "df", "-v", "--format", "json"))["Volumes"]
    assert sorted(v["Name"] for v in shown) == ["busy", "idle"]


@pytest.mark.parametrize(
    ("filters", "pruned"),
    [
        ({}, ["anonymous"]),
        ({"all": ["0"]}, ["anonymous"]),
        ({"all": ["true"]}, ["anonymous", "kept", "named"]),
        ({"all": ["1"], "label": ["keep"]}, ["kept"]),
        ({"all": ["1"], "label!": ["keep=1"]}, ["anonymous", "named"]),
    ],
)
def test_prune(cli: DockerCli, api: RawHttp, filters: dict[str, list[str]], pruned: list[str]) -> None:
    anonymous = cli.ok("volume", "create")
    create(api, "named")
    cli.ok("volume", "create", "--label", "keep=1", "kept")
    cli.ok("create", "-v", "used:/dd", "busybox")
    text = json.dumps(filters).replace(" ", "")
    found = api.post(f"/volumes/prune?filters={text}").json()["VolumesDeleted"]
    assert sorted("anonymous" if name == anonymous else name for name in found) == pruned


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (("GET", '/volumes?filters={"bogus":["x"]}'), "invalid filter 'bogus'"),
        (("GET", '/volumes?filters={"dangling":["x"]}'), "invalid filter 'dangling=[x]'"),
        (("POST", '/volumes/prune?filters={"bogus":["x"]}'), "invalid filter 'bogus'"),
    ],
)
def test_wrong_filters(api: RawHttp, request_: tuple[str, str], text: str) -> None:
    answer = api.request(*request_)
    assert (answer.status, answer.message) == (400, text)
