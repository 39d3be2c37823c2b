"""`docker inspect` of a container: what was asked is what is shown."""

import json
import os
from collections.abc import Callable
from typing import Any

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp


def rich(cli: DockerCli) -> dict[str, Any]:
    cli.ok(
        "run", "-d", "--name", "rich", "-e", "A=1", "-l", "k=v", "-w", "/tmp", "-u", "1000", "-h", "box",
        "-p", "127.0.0.1:34580:80", "-v", "vol:/data:ro", "--tmpfs", "/t:size=1m", "--memory", "64m", "--cpus", "0.5",
        "--pids-limit", "50", "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "--dns", "9.9.9.9", "--add-host", "db:10.1.1.1",
        "--restart", "on-failure:3", "--ulimit", "nofile=1000:2000", "--stop-timeout", "7", "--stop-signal", "INT",
        "--security-opt", "no-new-privileges", "--shm-size", "32m", "--log-opt", "max-size=1m", "busybox", "sleep", "60",
    )  # fmt: skip
    found: dict[str, Any] = json.loads(cli.ok("inspect", "rich"))[0]
    return found


def test_config(cli: DockerCli) -> None:
    found = rich(cli)
    config = found["Config"]
    assert (config["Hostname"], config["User"], config["WorkingDir"]) == ("box", "1000", "/tmp")
    assert (config["StopSignal"], config["StopTimeout"]) == ("INT", 7)
    assert config["Cmd"] == ["sleep", "60"]
    assert "A=1" in config["Env"]
    assert config["Labels"] == {"k": "v"}
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert (config["Tty"], config["OpenStdin"], config["AttachStdout"]) == (False, False, False)
    assert (found["Path"], found["Args"]) == ("sleep", ["60"])


def test_host_config(cli: DockerCli) -> None:
    host = rich(cli)["HostConfig"]
    assert host["Binds"] == ["vol:/data:ro"]
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "34580"}]}
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    # Since 28, the CLI writes them in full.
    assert [name.removeprefix("CAP_") for name in (*host["CapAdd"], *host["CapDrop"])] == ["NET_ADMIN", "CHOWN"]
    assert (host["Dns"], host["ExtraHosts"]) == (["9.9.9.9"], ["db:10.1.1.1"])
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": 2000, "Soft": 1000}]
    assert host["Tmpfs"] == {"/t": "size=1m"}
    assert host["ShmSize"] == 32 << 20
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}


def test_network_settings_and_mounts(cli: DockerCli, engine: Daemon) -> None:
    found = rich(cli)
    settings = found["NetworkSettings"]
    prefix, _, bits = engine.options.bip.partition("/")
    network = settings["Networks"]["bridge"]
    assert network["Gateway"] == prefix
    assert network["IPPrefixLen"] == int(bits)
    assert network["MacAddress"].count(":") == 5
    assert settings["IPAddress"] == network["IPAddress"]
    assert settings["Ports"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "34580"}]}
    assert os.path.basename(settings["SandboxKey"])
    mount = found["Mounts"][0]
    assert (mount["Type"], mount["Name"], mount["Destination"], mount["Driver"], mount["RW"]) == (
        "volume",
        "vol",
        "/data",
        "local",
        False,
    )
    assert mount["Source"].endswith("/vol/_data")


def test_state(cli: DockerCli) -> None:
    found = rich(cli)
    state = found["State"]
    assert state["Status"] == "running"
    assert os.path.exists(f"/proc/{state['Pid']}")
    assert state["FinishedAt"] == "0001-01-01T00:00:00Z"
    assert found["RestartCount"] == 0
    assert found["Platform"] == "linux"


def test_paths_that_tools_look_for(api: RawHttp, engine: Daemon, start: Callable[..., str]) -> None:
    container = start("sleep", "60")
    found = api.get(f"/containers/{container}/json")
    for key, name in (("HostnamePath", "hostname"), ("HostsPath", "hosts"), ("ResolvConfPath", "resolv.conf")):
        assert found[key] == f"{engine.data_root}/containers/{container}/{name}"
        assert os.path.exists(found[key])


def test_inspect_of_several_kinds(cli: DockerCli, start: Callable[..., str]) -> None:
    start("sleep", "60", name="web")
    cli.ok("volume", "create", "vol1")
    found = json.loads(cli.ok("inspect", "web", "busybox", "vol1"))
    assert found[0]["Name"] == "/web"
    assert found[1]["RepoTags"] == ["busybox:latest"]
    assert found[2]["Name"] == "vol1"
    result = cli.run("inspect", "web", "nosuch")
    assert result.code == 1
    assert result.err.lower() == "error: no such object: nosuch\n"


def test_what_inspect_shows_can_be_created_again(api: RawHttp, cli: DockerCli) -> None:
    found = rich(cli)
    cli.ok("rm", "-f", "rich")
    body = {**found["Config"], "HostConfig": found["HostConfig"]}
    body["NetworkingConfig"] = {"EndpointsConfig": found["NetworkSettings"]["Networks"]}
    answer = api.post("/containers/create?name=clone", body)
    assert answer.status == 201, answer
    assert api.post("/containers/clone/start").status == 204
    clone = api.get("/containers/clone/json")
    assert clone["HostConfig"] == found["HostConfig"]
    assert {key: clone["Config"][key] for key in found["Config"]} == found["Config"]
