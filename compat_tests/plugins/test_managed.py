"""Plugins that the engine installs and runs: from an archive or a registry to removal, used by containers meanwhile."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import Registry
from compat_tests.clients.waiting import eventually
from compat_tests.plugins.managed import TAR, archive, config

NAME = "test/plug:latest"
Install = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def no_plugins_left(engine: Daemon) -> Iterator[None]:
    yield
    engine.wipe()
    for plugin in engine.api.get("/plugins"):
        answer = engine.api.request("DELETE", f"/plugins/{plugin['Name']}?force=1")
        assert answer.status == 200, answer
    assert engine.api.get("/plugins") == []


@pytest.fixture(scope="module")
def plugin_registry(engine: Daemon) -> Iterator[Registry]:
    made = Registry(engine.namespaces, engine.state / "plugin-registry")
    yield made
    made.close()


@pytest.fixture
def install(api: RawHttp) -> Install:
    """`install(env=…)`: a plugin `test/plug` that is not enabled; what inspect says of it."""

    def create(name: str = "test/plug", **changes: Any) -> dict[str, Any]:
        answer = api.request("POST", f"/plugins/create?name={name}", archive(config(**changes), name), TAR)
        assert answer.status == 204, answer
        found: dict[str, Any] = api.get(f"/plugins/{name}/json")
        return found

    return create


def enable(api: RawHttp, name: str = "test/plug") -> None:
    answer = api.post(f"/plugins/{name}/enable?timeout=0")
    assert (answer.status, answer.body) == (200, b""), answer


def test_inspect_and_list(cli: DockerCli, api: RawHttp, install: Install) -> None:
    mount = {"name": "m", "source": "/etc", "destination": "/mounted", "type": "bind", "options": ["rbind"]}
    found = install(mounts=[{**mount, "settable": ["source"]}], ipchost=True)
    assert found["Name"] == found["PluginReference"] == NAME
    assert (found["Enabled"], len(found["Id"])) == (False, 64)
    assert found["Config"].pop("DockerVersion")
    assert len(found["Config"].pop("rootfs")["diff_ids"]) == 1
    shown = {"Description": "", "Destination": "/mounted", "Name": "m", "Options": ["rbind"], "Settable": ["source"]}
    mounts = [{**shown, "Source": "/etc", "Type": "bind"}]
    assert found["Config"] == {
        "Args": {"Description": "", "Name": "args", "Settable": ["value"], "Value": ["two"]},
        "Description": "a driver for tests",
        "Documentation": "https://example.org",
        "Entrypoint": ["/driver", "one"],
        "Env": [
            {"Description": "", "Name": "COLOUR", "Settable": ["value"], "Value": "red"},
            {"Description": "", "Name": "DIE", "Settable": ["value"], "Value": "0"},
            {"Description": "", "Name": "FIXED", "Settable": None, "Value": "f"},
        ],
        "Interface": {"Socket": "test.sock", "Types": ["docker.volumedriver/1.0"]},
        "IpcHost": True,
        "Linux": {"AllowAllDevices": False, "Capabilities": ["CAP_SYS_ADMIN"], "Devices": None},
        "Mounts": mounts,
        "Network": {"Type": ""},
        "PidHost": False,
        "PropagatedMount": "/data",
        "User": {},
        "WorkDir": "",
    }
    assert found["Settings"] == {
        "Args": ["two"],
        "Devices": [],
        "Env": ["COLOUR=red", "DIE=0", "FIXED=f"],
        "Mounts": mounts,
    }
    listed = cli.ok("plugin", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}} {{.Description}} {{.Enabled}}")
    assert listed == f"{found['Id']} {NAME} a driver for tests false"
    for name in ("test/plug", NAME, found["Id"], found["Id"][:10]):
        assert api.get(f"/plugins/{name}/json")["Id"] == found["Id"]
    for name in ("plug", "test/plug:other"):
        missing = api.request("GET", f"/plugins/{name}/json")
        assert (missing.status, missing.message) == (404, f'plugin "{name}" not found')


def test_filters(api: RawHttp, install: Install) -> None:
    install()
    install("second", interface={"types": ["docker.volumedriver/1.0", "docker.authz/1.0"], "socket": "test.sock"})
    enable(api)

    def names(filters: dict[str, list[str]]) -> list[str]:
        return sorted(p["Name"] for p in api.get(f"/plugins?filters={json.dumps(filters).replace(' ', '')}"))

    assert names({}) == ["second:latest", NAME]
    assert names({"enabled": ["true"]}) == [NAME]
    assert names({"enabled": ["false"]}) == ["second:latest"]
    assert names({"capability": ["volumedriver"]}) == [NAME]
    assert names({"capability": ["volumedriver", "authz"]}) == ["second:latest", NAME]
    for filters, text in (('{"enabled":["x"]}', "invalid filter 'enabled=[x]'"), ('{"x":["y"]}', "invalid filter 'x'")):
        bad = api.request("GET", f"/plugins?filters={filters}")
        assert (bad.status, bad.message) == (400, text)


def test_containers_use_its_volumes(cli: DockerCli, api: RawHttp, install: Install) -> None:
    install()
    assert cli.ok("plugin", "enable", "test/plug") == "test/plug"
    assert cli.ok("volume", "create", "-d", "test/plug", "data") == "data"
    found = api.get("/volumes/data")
    assert (found["Driver"], found["Scope"], found["Mountpoint"]) == (NAME, "global", "/data/data")
    assert found["Status"] == {"arguments": "one two", "colour": "red", "mounted": False}
    cli.ok("run", "--rm", "-v", "data:/dd", "busybox", "sh", "-c", "echo kept > /dd/f")
    assert cli.ok("run", "--rm", "-v", "data:/dd", "busybox", "cat", "/dd/f") == "kept"
    for request in (("POST", "/plugins/test/plug/disable"), ("DELETE", "/plugins/test/plug")):
        busy = api.request(*request)
        assert (busy.status, busy.message) == (409, f"plugin {NAME} is in use")
    cli.ok("run", "--rm", "-v", "data:/dd", "busybox", "rm", "/dd/f")
    cli.ok("volume", "rm", "data")
    assert cli.ok("plugin", "disable", "test/plug") == "test/plug"
    refused = api.post("/volumes/create", {"Name": "data", "Driver": "test/plug"})
    text = "create data: error looking up volume plugin test/plug: plugin test/plug found but disabled"
    assert (refused.status, refused.message) == (409, text)


def test_enable_and_disable(api: RawHttp, install: Install) -> None:
    install()
    for request, status, text in (
        ("/plugins/nosuch/enable?timeout=0", 404, 'plugin "nosuch" not found'),
        ("/plugins/test/plug/disable", 409, f"plugin is already disabled: plugin {NAME} found but disabled"),
        ("/plugins/test/plug/enable", 500, 'strconv.Atoi: parsing "": invalid syntax'),
    ):
        answer = api.post(request)
        assert (answer.status, answer.message) == (status, text)
    enable(api)
    for method, request, status, text in (
        ("POST", "/plugins/test/plug/enable?timeout=0", 409, f"plugin already enabled: plugin {NAME} is enabled"),
        ("DELETE", "/plugins/test/plug", 409, f"plugin {NAME} is enabled"),
    ):
        answer = api.request(method, request)
        assert (answer.status, answer.message) == (status, text)
    answer = api.post("/plugins/test/plug/set", ["COLOUR=blue"])
    assert (answer.status, answer.message) == (500, "cannot set on an active plugin, disable plugin before setting")
    answer = api.post("/plugins/test/plug/disable")
    assert (answer.status, answer.body) == (200, b"")
    answer = api.request("DELETE", "/plugins/test/plug")
    assert (answer.status, answer.body) == (200, b"")


def test_settings(cli: DockerCli, api: RawHttp, install: Install, tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    mount = {"name": "m", "destination": "/mounted", "type": "bind", "options": ["rbind"], "settable": ["source"]}
    install(mounts=[{**mount, "source": "/nowhere"}])
    for assignment, text in (
        ("FIXED=x", '"FIXED" is not settable'),
        ("COLOUR.name=x", '"COLOUR.name" is not settable'),
        ("m.type=x", '"m.type" is not settable'),
        ("NOSUCH=x", 'setting "NOSUCH" not found in the plugin configuration'),
        ("=x", "invalid format, must be <name>[.<field>][=<value>]"),
    ):
        answer = api.post("/plugins/test/plug/set", [assignment])
        assert (answer.status, answer.message) == (500, text)
    cli.ok("plugin", "set", "test/plug", "COLOUR=deep blue", f"m.source={tmp_path}", "args=three four")
    settings = api.get("/plugins/test/plug/json")["Settings"]
    assert settings["Env"] == ["COLOUR=deep blue", "DIE=0", "FIXED=f"]
    assert (settings["Args"], settings["Mounts"][0]["Source"]) == (["three", "four"], str(tmp_path))
    enable(api)
    cli.ok("volume", "create", "-d", "test/plug", "data")
    status = {"arguments": "one three four", "colour": "deep blue", "mounted": True}
    assert api.get("/volumes/data")["Status"] == status


def test_names_and_archives_that_are_refused(api: RawHttp, install: Install) -> None:
    install()
    small = archive(config(), program=False)

    def create(name: str, body: bytes) -> tuple[int, str]:
        answer = api.request("POST", f"/plugins/create?name={name}", body, TAR)
        return answer.status, answer.message

    assert create("test/plug", small) == (409, f"plugin {NAME} already exists")
    assert create("", small) == (500, "failed to parse reference : invalid reference format")
    upper = "invalid reference format: repository name (library/BAD) must be lowercase"
    assert create("BAD", small) == (500, f"failed to parse reference BAD: {upper}")
    assert create(f"a/b@sha256:{'a' * 64}", small) == (500, "canonical references are not permitted")
    assert create("x/none", archive(None, program=False)) == (500, "config not found")
    assert create("x/empty", b"") == (500, "config not found")
    status, text = create("x/bad", archive(b"no json", program=False))
    assert (status, text.startswith("failed to parse config: ")) == (500, True)
    status, text = create("x/garbage", b"garbage")
    assert (status, text.startswith("failed to read from tar: ")) == (500, True)
    assert [p["Name"] for p in api.get("/plugins")] == [NAME]


def test_a_plugin_that_does_not_listen_is_not_enabled(api: RawHttp, install: Install) -> None:
    install(env=[{"name": "DIE", "value": "1"}])
    answer = api.post("/plugins/test/plug/enable?timeout=1")
    assert answer.status == 500
    assert answer.message.endswith("test.sock: connect: no such file or directory")
    assert api.get("/plugins/test/plug/json")["Enabled"] is False


def test_events(api: RawHttp, install: Install) -> None:
    with api.stream("GET", '/events?filters={"type":["plugin"]}') as stream:
        found = install()
        enable(api)
        api.post("/plugins/test/plug/disable")
        api.request("DELETE", "/plugins/test/plug")
        events = [event for _, event in zip(range(4), stream.lines(), strict=False)]
    assert [event["Action"] for event in events] == ["create", "enable", "disable", "remove"]
    assert {event["Actor"]["ID"] for event in events} == {found["Id"]}
    names = [event["Actor"]["Attributes"] for event in events]
    assert names == [{"name": NAME}, *([{"name": "test/plug"}] * 3)]


def test_registries(cli: DockerCli, api: RawHttp, install: Install, plugin_registry: Registry) -> None:
    name = f"{plugin_registry.address}/test/plug:1"
    install(name)
    sent = api.post(f"/plugins/{name}/push")
    lines = [json.loads(line) for line in sent.body.splitlines()]
    assert lines[0] == {"status": f"The push refers to repository [{plugin_registry.address}/test/plug]"}
    assert lines[-1]["aux"]["Tag"] == "1"
    assert api.request("DELETE", f"/plugins/{name}").status == 200
    wanted = [{"Name": "capabilities", "Value": ["CAP_SYS_ADMIN"]}]
    described = [{**wanted[0], "Description": "list of additional capabilities required"}]
    assert api.get(f"/plugins/privileges?remote={name}") == described
    alias = ("plugin", "install", "--alias", "aliased:2", "--grant-all-permissions", name, "COLOUR=green")
    assert f"Installed plugin {name}" in cli.ok(*alias)
    found = api.get("/plugins/aliased:2/json")
    assert (found["PluginReference"], found["Enabled"]) == (name, True)
    assert found["Settings"]["Env"][0] == "COLOUR=green"
    assert "must be disabled before upgrading" in cli.fails("plugin", "upgrade", "aliased:2", name)
    cli.ok("plugin", "disable", "aliased:2")
    cli.ok("plugin", "upgrade", "--grant-all-permissions", "aliased:2", name)
    upgraded = api.get("/plugins/aliased:2/json")
    assert (upgraded["Id"], upgraded["Settings"]) == (found["Id"], found["Settings"])
    cli.ok("plugin", "enable", "aliased:2")
    taken = api.post(f"/plugins/pull?remote={name}&name=aliased:2", wanted)
    assert (taken.status, taken.message) == (400, "plugin aliased:2 already exists")
    missing = api.post(f"/plugins/pull?remote={plugin_registry.address}/nosuch", [])
    text = f"error resolving plugin reference: {plugin_registry.address}/nosuch:latest: not found"
    assert (missing.status, missing.message) == (404, text)


def test_privileges_must_be_agreed_to_exactly(api: RawHttp, install: Install, plugin_registry: Registry) -> None:
    """One too few, one too many, another value (CVE-2026-33997)."""
    name = f"{plugin_registry.address}/test/wants:1"
    install(name, network={"type": "host"}, pidhost=True)
    assert api.post(f"/plugins/{name}/push").status == 200
    assert api.request("DELETE", f"/plugins/{name}").status == 200
    wanted = api.get(f"/plugins/privileges?remote={name}")
    assert [p["Name"] for p in wanted] == ["network", "host pid namespace", "capabilities"]
    changed = [*wanted[:2], {**wanted[2], "Value": ["CAP_SYS_TIME"]}]
    for agreed in ([], wanted[:-1], wanted[1:], [*wanted, wanted[0]], changed):
        assert b"incorrect privileges" in api.post(f"/plugins/pull?remote={name}", agreed).body
        assert api.get("/plugins") == []
    assert b"errorDetail" not in api.post(f"/plugins/pull?remote={name}", list(reversed(wanted))).body
    assert [p["Name"] for p in api.get("/plugins")] == [name]


def test_an_image_is_no_plugin(cli: DockerCli, api: RawHttp, plugin_registry: Registry) -> None:
    name = f"{plugin_registry.address}/image:1"
    cli.ok("tag", "busybox", name)
    cli.ok("push", "-q", name)
    cli.ok("rmi", name)
    answer = api.request("GET", f"/plugins/privileges?remote={name}")
    assert (answer.status, answer.message) == (500, f"did not find plugin config for specified reference {name}")
    assert b"plugin config" in api.post(f"/plugins/pull?remote={name}", []).body
    assert api.get("/plugins") == []


def test_a_plugin_is_no_image(cli: DockerCli, api: RawHttp, install: Install, plugin_registry: Registry) -> None:
    name = f"{plugin_registry.address}/test/noimage:1"
    install(name)
    assert api.post(f"/plugins/{name}/push").status == 200
    assert cli.run("pull", "-q", name).code == 1
    api.request("DELETE", f"/images/{name}")  # dockerd keeps the name.


def test_it_authorizes_until_it_is_disabled(api: RawHttp, engine: Daemon, install: Install) -> None:
    install(interface={"types": ["docker.authz/1.0"], "socket": "test.sock"})
    enable(api)
    settings = engine.state / ("daemon.json" if engine.kind == "wharfd" else "oracle.json")
    before = settings.read_text()
    settings.write_text(json.dumps({**json.loads(before), "authorization-plugins": [NAME]}))
    try:
        engine.reload()
        eventually(lambda: api.request("GET", "/volumes/forbidden").status == 403, what="it is asked")
        denied = api.request("GET", "/volumes/forbidden")
        assert denied.message == f"authorization denied by plugin {NAME}: not that one"
        assert api.request("GET", "/volumes/other").status == 404
        assert api.post("/plugins/test/plug/disable").status == 200
        assert api.request("GET", "/volumes/forbidden").status == 404
    finally:
        settings.write_text(before)
        engine.reload()


def _drivers(engine: Daemon) -> list[str]:
    found = subprocess.run(["pgrep", "-f", "^/driver one"], capture_output=True, text=True, check=False)
    return [pid for pid in found.stdout.split() if str(engine.state) in Path(f"/proc/{pid}/mountinfo").read_text()]


def test_it_is_started_again_when_it_ends(cli: DockerCli, api: RawHttp, engine: Daemon, install: Install) -> None:
    install()
    enable(api)
    cli.ok("volume", "create", "-d", "test/plug", "data")
    (before,) = _drivers(engine)
    subprocess.run(["kill", "-9", before], check=True)
    eventually(lambda: _drivers(engine) not in ([], [before]), 20, "a new process")
    eventually(lambda: api.request("GET", "/volumes/data").status == 200, 20, "its volume is there")


@pytest.mark.wharfd_only("dockerd's plugins end with it")
@pytest.mark.parametrize("survives", [True, False])
def test_it_outlives_the_daemon(cli: DockerCli, api: RawHttp, engine: Daemon, install: Install, survives: bool) -> None:
    install()
    enable(api)
    cli.ok("volume", "create", "-d", "test/plug", "data")
    cli.ok("run", "-d", "--name", "user", "-v", "data:/dd", "busybox", "sleep", "600")
    before = _drivers(engine)
    engine.kill()
    if not survives:
        subprocess.run(["kill", "-9", *before], check=True)
        eventually(lambda: not _drivers(engine), what="it has ended")
    engine.start()
    after = _drivers(engine)
    assert len(after) == 1
    assert (after == before) is survives
    assert api.get("/plugins/test/plug/json")["Enabled"] is True
    assert api.get("/volumes/data")["Status"]["colour"] == "red"
    busy = api.post("/plugins/test/plug/disable")
    assert (busy.status, busy.message) == (409, f"plugin {NAME} is in use")
    cli.ok("rm", "-f", "user")
    cli.ok("volume", "rm", "data")


def test_what_it_prints_is_in_the_daemons_log(engine: Daemon, api: RawHttp, install: Install) -> None:
    found = install(env=[{"name": "COLOUR", "value": "mauve"}])
    enable(api)

    def told(level: str, text: str) -> bool:
        wanted = (f"level={level} ", f'msg="{text}"', f"plugin={found['Id']}")
        return any(all(part in line for part in wanted) for line in engine.log().splitlines())

    eventually(lambda: told("info", "said mauve") and told("error", r"complained \"loudly\""))
