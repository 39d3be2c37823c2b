"""Volume drivers of plugins: a third-party server on a unix socket, driven through the CLI and the API."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.plugin import Plugin, VolumePlugin, sockets, unused_name
from compat_tests.clients.rawhttp import RawHttp

CREATE, GET, MOUNT, UNMOUNT = "VolumeDriver.Create", "VolumeDriver.Get", "VolumeDriver.Mount", "VolumeDriver.Unmount"


@pytest.fixture
def driver(engine: Daemon, keep: Callable[[VolumePlugin], VolumePlugin]) -> Iterator[VolumePlugin]:
    """A volume plugin with a name of its own for each test, since an engine keeps what it knows of a plugin."""
    root = engine.state / "plugin-volumes"
    plugin = keep(VolumePlugin(sockets(engine) / f"{unused_name('vol')}.sock", root))
    yield plugin
    plugin.reset()


def test_create_inspect_list_remove(cli: DockerCli, api: RawHttp, driver: VolumePlugin) -> None:
    made = api.post(
        "/volumes/create",
        {"Name": "data", "Driver": driver.name, "DriverOpts": {"size": "3"}, "Labels": {"team": "a"}},
    )
    assert made.status == 201
    shown = {"Driver": driver.name, "Name": "data", "Options": {"size": "3"}, "Labels": {"team": "a"}, "Scope": "local"}
    assert made.json() == {**shown, "Mountpoint": "", "CreatedAt": "0001-01-01T00:00:00Z"}
    assert driver.bodies(CREATE) == [{"Name": "data", "Opts": {"size": "3"}}]
    assert driver.headers[0]["Accept"] == "application/vnd.docker.plugins.v1.2+json"
    assert driver.methods()[0] == "Plugin.Activate"
    assert api.get("/volumes/data") == {
        **shown,
        "Mountpoint": str(driver.root / "data"),
        "CreatedAt": "2024-05-06T07:08:09Z",
        "Status": {"colour": "green", "size": 3},
    }
    assert api.get("/volumes") == {
        "Volumes": [{**shown, "Mountpoint": str(driver.root / "data"), "CreatedAt": "0001-01-01T00:00:00Z"}],
        "Warnings": None,
    }
    assert cli.ok("volume", "ls", "--format", "{{.Driver}} {{.Name}}") == f"{driver.name} data"
    assert cli.ok("volume", "ls", "-q", "-f", f"driver={driver.name}") == "data"
    assert cli.ok("volume", "ls", "-q", "-f", "driver=local") == ""
    assert cli.ok("volume", "ls", "-q", "-f", "label=team=a") == "data"
    assert driver.name in api.get("/info")["Plugins"]["Volume"]
    assert cli.ok("volume", "rm", "data") == "data"
    assert driver.options == {}
    gone = api.request("GET", "/volumes/data")
    assert (gone.status, gone.message) == (404, "get data: no such volume")


def test_containers_use_it(cli: DockerCli, api: RawHttp, driver: VolumePlugin) -> None:
    cli.ok("volume", "create", "-d", driver.name, "data")
    cli.ok("run", "--rm", "-v", "data:/dd", "busybox", "sh", "-c", "echo kept > /dd/f")
    assert (driver.root / "data/f").read_text() == "kept\n"
    assert [len(body["ID"]) for body in driver.bodies(MOUNT)] == [64]
    assert driver.bodies(MOUNT) == driver.bodies(UNMOUNT)
    container = cli.ok("run", "-d", "--name", "user", "-v", "data:/dd:ro", "busybox", "sleep", "60")
    assert cli.ok("exec", "user", "cat", "/dd/f") == "kept"
    assert "Read-only" in cli.fails("exec", "user", "touch", "/dd/g")
    assert len(driver.mounts["data"]) == 1
    mount = api.get("/containers/user/json")["Mounts"][0]
    assert (mount["Type"], mount["Name"], mount["Driver"], mount["Source"]) == ("volume", "data", driver.name, "")
    busy = api.request("DELETE", "/volumes/data")
    assert (busy.status, busy.message) == (409, f"remove data: volume is in use - [{container}]")
    cli.ok("rm", "-f", "user")
    assert driver.mounts["data"] == set()


def test_volume_driver_of_a_container(cli: DockerCli, driver: VolumePlugin) -> None:
    cli.ok("run", "--name", "one", "--volume-driver", driver.name, "-v", "named:/n", "-v", "/anon", "busybox", "true")
    assert sorted(map(len, driver.options)) == [5, 64]
    cli.ok("rm", "-v", "one")
    assert list(driver.options) == ["named"]
    mount = f"type=volume,src=other,dst=/m,volume-driver={driver.name},volume-opt=k=v"
    cli.ok("run", "--rm", "--mount", mount, "busybox", "true")
    assert driver.options["other"] == {"k": "v"}


def test_image_files_are_copied_up(cli: DockerCli, driver: VolumePlugin) -> None:
    cli.ok("volume", "create", "-d", driver.name, "seeded")
    assert cli.ok("run", "--rm", "-v", "seeded:/opt/data", "busybox", "cat", "/opt/data/seed") == "from the image"
    assert (driver.root / "seeded/seed").exists()


def test_names_are_unique_among_drivers(api: RawHttp, driver: VolumePlugin) -> None:
    assert api.post("/volumes/create", {"Name": "theirs", "Driver": driver.name}).status == 201
    assert api.post("/volumes/create", {"Name": "mine"}).status == 201
    for name, other, owner in (("theirs", "local", driver.name), ("mine", driver.name, "local")):
        answer = api.post("/volumes/create", {"Name": name, "Driver": other})
        text = f"create {name}: driver '{owner}' already has volume '{name}': volume name must be unique"
        assert (answer.status, answer.message) == (409, text)
    assert api.post("/volumes/create", {"Name": "theirs"}).json()["Driver"] == driver.name


def test_volumes_that_the_plugin_has_already(cli: DockerCli, api: RawHttp, driver: VolumePlugin) -> None:
    driver.create({"Name": "older"})
    cli.ok("volume", "create", "-d", driver.name, "first")
    assert driver.bodies(CREATE) == [{"Name": "first", "Opts": None}]
    assert cli.ok("volume", "ls", "-q") == "first\nolder"
    assert api.get("/volumes/older")["Driver"] == driver.name
    cli.ok("run", "--rm", "-v", "older:/dd", "busybox", "touch", "/dd/here")
    assert (driver.root / "older/here").exists()


def test_prune_and_df_leave_them_alone(cli: DockerCli, api: RawHttp, driver: VolumePlugin) -> None:
    cli.ok("volume", "create", "-d", driver.name, "data")
    assert api.post('/volumes/prune?filters={"all":["1"]}').json()["VolumesDeleted"] in ([], None)
    assert not api.get("/system/df?type=volume")["Volumes"]
    assert list(driver.options) == ["data"]


def test_failures_of_the_plugin(cli: DockerCli, api: RawHttp, driver: VolumePlugin) -> None:
    cli.ok("volume", "create", "-d", driver.name, "data")
    for reply, said in (
        ({"Err": "nope"}, "nope"),
        ((500, b'{"Err": "really nope"}'), f"{CREATE}: really nope"),
        ((500, b"plain text"), f"{CREATE}: plain text"),
    ):
        driver.handlers[CREATE] = lambda _, reply=reply: reply  # type: ignore[misc]
        answer = api.post("/volumes/create", {"Name": "other", "Driver": driver.name})
        assert (answer.status, answer.message) == (500, f"create other: {said}")
    driver.handlers[MOUNT] = lambda _: {"Err": "cannot mount"}
    said = cli.fails("run", "--rm", "-v", "data:/dd", "busybox", "true")
    assert re.search("error while mounting volume '.*': cannot mount", said), said
    driver.handlers[MOUNT] = driver.mount
    driver.handlers[UNMOUNT] = lambda _: {"Err": "cannot unmount"}
    cli.ok("run", "--rm", "-v", "data:/dd", "busybox", "true")
    driver.handlers["VolumeDriver.Remove"] = lambda _: {"Err": "cannot remove"}
    for force in ("", "?force=1"):
        answer = api.request("DELETE", f"/volumes/data{force}")
        assert (answer.status, answer.message) == (500, "remove data: cannot remove")
    driver.handlers["VolumeDriver.List"] = lambda _: {"Err": "cannot list"}
    assert f"list {driver.name}: cannot list" in api.get("/volumes")["Warnings"]


def test_plugins_that_cannot_be_used(api: RawHttp, engine: Daemon) -> None:
    def create(driver: str) -> tuple[int, str]:
        answer = api.post("/volumes/create", {"Name": "x1", "Driver": driver})
        assert answer.message.startswith(f"create x1: error looking up volume plugin {driver}: ")
        return answer.status, answer.message.partition(f"plugin {driver}: ")[2]

    assert create("nosuchdriver") == (404, 'plugin "nosuchdriver" not found')
    name = unused_name("other")
    with Plugin(sockets(engine) / f"{name}.sock", ["authz"]):
        text = "legacy plugin: Plugin does not implement the requested driver: "
        assert create(name) == (500, f'{text}plugin="{name}", requested implementation="VolumeDriver"')
    name = unused_name("bad")
    with Plugin(sockets(engine) / f"{name}.sock", [], {"Plugin.Activate": lambda _: (500, b"broken")}):
        assert create(name) == (500, "legacy plugin: Plugin.Activate: broken")


def test_a_plugin_that_is_just_starting_is_waited_for(
    api: RawHttp, engine: Daemon, keep: Callable[[VolumePlugin], VolumePlugin]
) -> None:
    path = sockets(engine) / f"{unused_name('late')}.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    late = VolumePlugin(path, engine.state / "plugin-volumes")
    started = time.monotonic()
    timer = threading.Timer(0.3, keep, [late])
    timer.start()
    answer = api.post("/volumes/create", {"Name": "late", "Driver": late.name})
    timer.join()
    assert answer.status == 201
    assert time.monotonic() - started >= 0.3


def test_spec_files_name_a_plugin_elsewhere(
    api: RawHttp, engine: Daemon, keep: Callable[[VolumePlugin], VolumePlugin]
) -> None:
    name = unused_name("spec")
    spec = Path("/etc/docker/plugins") / f"{name}.spec"
    plugin = keep(VolumePlugin(engine.state / "elsewhere.sock", engine.state / "plugin-volumes"))
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(f"unix://{plugin.path}\n")
    try:
        assert api.post("/volumes/create", {"Name": "far", "Driver": name}).json()["Driver"] == name
        assert list(plugin.options) == ["far"]
        assert api.request("DELETE", "/volumes/far").status == 204
    finally:
        spec.unlink()


@pytest.mark.wharfd_only("dockerd makes an empty local volume of that name")
def test_the_volumes_of_a_plugin_that_is_gone_are_not_replaced(cli: DockerCli, api: RawHttp, engine: Daemon) -> None:
    with VolumePlugin(sockets(engine) / f"{unused_name('gone')}.sock", engine.state / "plugin-volumes") as plugin:
        cli.ok("volume", "create", "-d", plugin.name, "--label", "a=b", "data")
    said = f'error looking up volume plugin {plugin.name}: plugin "{plugin.name}" not found'
    assert said in cli.fails("run", "--rm", "-v", "data:/dd", "busybox", "true")
    assert api.request("GET", "/volumes/data").status == 404
    plugin.start()
    assert api.get("/volumes/data")["Labels"] == {"a": "b"}
    plugin.close()
    assert api.request("DELETE", "/volumes/data").status == 404
    assert api.request("DELETE", "/volumes/data?force=1").status == 204
    assert api.post("/volumes/create", {"Name": "data"}).json()["Driver"] == "local"


@pytest.mark.wharfd_only("dockerd ends containers with itself")
def test_a_killed_daemon_knows_volumes_and_their_users_again(
    cli: DockerCli, driver: VolumePlugin, engine: Daemon
) -> None:
    cli.ok("volume", "create", "-d", driver.name, "--label", "a=b", "data")
    cli.ok("run", "-d", "--name", "user", "-v", "data:/dd", "busybox", "sleep", "600")
    engine.kill()
    calls = len(driver.calls)
    engine.start()
    assert engine.api.get("/volumes/data")["Labels"] == {"a": "b"}
    assert "in use" in cli.fails("volume", "rm", "data")
    assert MOUNT not in driver.methods()[calls:]
    assert len(driver.mounts["data"]) == 1
    cli.ok("rm", "-f", "user")
    assert driver.mounts["data"] == set()
