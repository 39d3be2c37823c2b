"""`/info`: the fields that the CLI and the SDKs read, with true values."""

import os
from collections.abc import Callable

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp


def test_counts_follow_the_containers(api: RawHttp, create: Callable[..., str], start: Callable[..., str]) -> None:
    create("true")
    start("sleep", "60")
    paused = start("sleep", "60")
    assert api.post(f"/containers/{paused}/pause").status == 204
    info = api.get("/info")
    shown = {key: info[key] for key in ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped")}
    assert shown == {"Containers": 3, "ContainersRunning": 1, "ContainersPaused": 1, "ContainersStopped": 1}
    assert info["Images"] == len(api.get("/images/json"))


def test_the_machine(api: RawHttp, engine: Daemon) -> None:
    info = api.get("/info")
    assert info["NCPU"] == os.cpu_count()
    assert info["MemTotal"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert info["KernelVersion"] == os.uname().release
    assert info["Name"] == os.uname().nodename
    assert info["OSType"] == "linux"
    assert info["Architecture"] == os.uname().machine
    assert info["DockerRootDir"] == str(engine.data_root)


def test_fields_of_the_engine(api: RawHttp) -> None:
    info = api.get("/info")
    assert info["Driver"] == "overlayfs"
    assert ["driver-type", "io.containerd.snapshotter.v1"] in info["DriverStatus"]
    assert info["LoggingDriver"] == "json-file"
    assert info["DefaultRuntime"] in info["Runtimes"]
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert "local" in info["Plugins"]["Volume"]
    assert {"bridge", "host", "ipvlan", "macvlan", "null"} <= set(info["Plugins"]["Network"])
    assert "json-file" in info["Plugins"]["Log"]
    assert "name=seccomp,profile=builtin" in info["SecurityOptions"]
    assert "127.0.0.0/8" in info["RegistryConfig"]["InsecureRegistryCIDRs"]
    assert info["CgroupVersion"] in ("1", "2")
    assert info["IndexServerAddress"] == "https://index.docker.io/v1/"
    assert info["ServerVersion"] == api.get("/version")["Version"]


def test_cli_prints_it(cli: DockerCli) -> None:
    shown = cli.ok("info")
    assert "Server:" in shown
    assert " Storage Driver: overlayfs" in shown
    assert " Logging Driver: json-file" in shown
