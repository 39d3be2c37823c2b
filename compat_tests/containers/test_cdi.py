"""Devices of the Container Device Interface (`--device vendor.com/class=name`), and `--gpus` without a driver."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.conftest import Suite

SPEC = {
    "cdiVersion": "0.6.0",
    "kind": "wharf.test/thing",
    "devices": [
        {
            "name": "one",
            "containerEdits": {
                "env": ["ONE=1"],
                "deviceNodes": [
                    {"path": "/dev/thing1", "hostPath": "/dev/zero"},
                    {"path": "/dev/thing2", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 5, "gid": 6},
                ],
            },
        },
        {
            "name": "two",
            "containerEdits": {
                "mounts": [{"hostPath": "/etc", "containerPath": "/thing", "options": ["ro", "nosuid", "bind"]}],
                "hooks": [
                    {
                        "hookName": "createRuntime",
                        "path": "/bin/sh",
                        "args": ["sh", "-c", "echo $H > HOOKED"],
                        "env": ["H=1"],
                    }
                ],
            },
        },
    ],
    "containerEdits": {"env": ["KIND=thing"]},
}
YAML = 'cdiVersion: "0.5.0"\nkind: wharf.test/other\ndevices:\n- name: "0"\n  containerEdits:\n    env: [OTHER=0]\n'


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cdi") / "hooked"


@pytest.fixture(scope="module")
def host(suite: Suite, hooked: Path) -> Iterator[Daemon]:
    """A daemon with specification files of its own."""
    specs = hooked.parent / "specs"
    specs.mkdir()
    (specs / "thing.json").write_text(json.dumps(SPEC).replace("HOOKED", str(hooked)))
    (specs / "other.yaml").write_text(YAML)
    (specs / "broken.json").write_text("{")
    with suite.running("--cdi-spec-dir", str(specs)) as daemon:
        yield daemon


def test_environment_and_nodes(host: Daemon) -> None:
    command = "env | grep -E '^(ONE|KIND)' | sort; ls -ln /dev/thing* | tr -s ' ' | cut -d' ' -f1,3-6,10-; head -c 2 /dev/thing1 | wc -c"
    out = host.cli.ok(
        "run", "--rm", "--device", "wharf.test/thing=one", "-e", "ONE=own", "busybox", "sh", "-c", command
    )
    assert out.splitlines() == [
        "KIND=thing",
        "ONE=1",
        "crw-rw-rw- 0 0 1, 5 /dev/thing1",
        "crw------- 5 6 1, 5 /dev/thing2",
        "2",
    ]


def test_mounts_hooks_and_yaml(host: Daemon, hooked: Path) -> None:
    devices = ("--device", "wharf.test/thing=two", "--device", "wharf.test/other=0", "--device", "/dev/zero:/dev/plain")
    command = "env | grep OTHER; grep -o '/thing .*' /proc/mounts | cut -d, -f1-2; ls /dev/plain /thing/hostname"
    out = host.cli.ok("run", "--rm", *devices, "busybox", "sh", "-c", command).splitlines()
    assert (out[0], out[1].split()[2], out[2:]) == ("OTHER=0", "ro,nosuid", ["/dev/plain", "/thing/hostname"])
    assert hooked.read_text() == "1\n"


def test_info_and_inspect(host: Daemon) -> None:
    info = host.api.get("/info")
    assert len(info["CDISpecDirs"]) == 1
    names = ("wharf.test/other=0", "wharf.test/thing=one", "wharf.test/thing=two")
    assert info["DiscoveredDevices"] == [{"Source": "cdi", "ID": name} for name in names]
    assert "DiscoveredDevices" not in host.api.get("/v1.49/info")
    host.cli.ok("create", "--name", "web", "--device", "wharf.test/thing=one", "busybox")
    found = host.api.get("/containers/web/json")["HostConfig"]
    assert found["Devices"] == []
    assert found["DeviceRequests"] == [
        {"Driver": "cdi", "Count": 0, "DeviceIDs": ["wharf.test/thing=one"], "Capabilities": None, "Options": None}
    ]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"Driver": "cdi", "DeviceIDs": ["wharf.test/thing=three", "bad", "wharf.test/thing=one"]},
            "CDI device injection failed: unresolvable CDI devices wharf.test/thing=three, bad",
        ),
        (
            {"Driver": "cdi", "DeviceIDs": ["wharf.test/thing=one"], "Count": 1},
            "unexpected count in CDI device request",
        ),
        ({"Driver": "cdi", "Options": {"a": "b"}}, "unexpected options in CDI device request"),
        (
            {"Driver": "", "Count": -1, "Capabilities": [["gpu"]]},
            'could not select device driver "" with capabilities: [[gpu]]',
        ),
        (
            {"Driver": "nope", "Capabilities": [["gpu", "nvidia"], ["x"]]},
            'could not select device driver "nope" with capabilities: [[gpu nvidia] [x]]',
        ),
    ],
    ids=["unknown", "count", "options", "gpu", "driver"],
)
def test_refused(host: Daemon, request_: dict[str, Any], message: str) -> None:
    body = {"Image": "busybox", "HostConfig": {"DeviceRequests": [request_]}}
    container = host.api.post("/containers/create", body).json()["Id"]
    answer = host.api.post(f"/containers/{container}/start")
    assert (answer.status, answer.message) == (500, message)
