"""`POST /containers/create`: what is refused, and how."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.rawhttp import RawHttp

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "invalid JSON: got EOF while reading request body"),
        (b"{", 400, "invalid JSON: unexpected EOF"),
        (b"{}", 400, "config cannot be empty in order to create a container"),
        (b'{"Image":"nosuch:1"}', 404, "No such image: nosuch:1"),
        (b'{"Image":"nosuch"}', 404, "No such image: nosuch:latest"),
        (b'{"Image":"busybox","Env":["=x"]}', 400, "invalid environment variable: =x"),
        (b'{"Image":"busybox","StopSignal":"BOGUS"}', 400, "invalid signal: BOGUS"),
        (b'{"Image":"busybox","Healthcheck":{"Interval":5}}', 400, "Interval in Healthcheck cannot be less than 1ms"),
        (b'{"Image":"busybox","HostConfig":{"CapAdd":["BOGUS"]}}', 400, 'invalid CapAdd: unknown capability: "CAP_BOGUS"'),
        (b'{"Image":"busybox","HostConfig":{"PortBindings":{"99999/tcp":[{"HostPort":"1"}]}}}', 400, 'invalid port specification: "99999"'),
        (b'{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"abc"}]}}}', 400, 'invalid port specification: "abc"'),
        (b'{"Image":"busybox","HostConfig":{"VolumesFrom":["nope"]}}', 400, "No such container: nope"),
        (b'{"Image":"busybox","HostConfig":{"Links":["nope:x"]}}', 400, "could not get container for nope: No such container: nope"),
        (
            b'{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"bind","Source":"/nosuchdir2","Target":"/x"}]}}',
            400,
            'invalid mount config for type "bind": bind source path does not exist: /nosuchdir2',
        ),
        (
            b'{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"bogus","Target":"/x"}]}}',
            400,
            'invalid mount config for type "bogus": mount type unknown',
        ),
        (
            b'{"Image":"busybox","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}',
            400,
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            b'{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"bogus"}}}',
            400,
            'error looking up logging plugin bogus: plugin "bogus" not found',
        ),
    ],
)  # fmt: skip
def test_refused(api: RawHttp, body: bytes, status: int, message: str) -> None:
    answer = api.request("POST", "/v1.51/containers/create", body, JSON)
    assert (answer.status, answer.message) == (status, message)
    assert api.get("/containers/json?all=1") == []


def test_content_type_must_be_json(api: RawHttp) -> None:
    answer = api.request("POST", "/containers/create", b'{"Image":"busybox"}', {"Content-Type": "text/plain"})
    assert (answer.status, answer.message) == (
        400,
        "unsupported Content-Type header (text/plain): must be 'application/json'",
    )


def test_wrong_type_of_a_field(api: RawHttp) -> None:
    answer = api.post("/containers/create", {"Image": "busybox", "Cmd": 5})
    assert answer.status == 400
    assert answer.message.startswith("invalid JSON: json: cannot unmarshal number into Go ")


@pytest.mark.parametrize(
    "body",
    [
        {"Image": "busybox", "Cmd": "echo string"},
        {"image": "busybox", "cMD": ["true"], "hostconfig": {"autoremove": False}},
        {"Image": "busybox", "Bogus": 1, "HostConfig": {"Bogus": [1]}},
        {"Image": "busybox", "Cmd": None, "Entrypoint": None, "Env": None, "HostConfig": None},
        {"Image": "busybox", "HostConfig": {"NetworkMode": "default"}},
    ],
)
def test_accepted(api: RawHttp, body: dict[str, object]) -> None:
    answer = api.post("/containers/create", body)
    assert answer.status == 201, answer
    assert answer.json()["Warnings"] == []
    assert re.fullmatch(r"[0-9a-f]{64}", answer.json()["Id"])
    assert answer.json()["Id"] == api.get(f"/containers/{answer.json()['Id']}/json")["Id"]


def test_name_conflict(api: RawHttp) -> None:
    first = api.post("/containers/create?name=web", {"Image": "busybox"}).json()["Id"]
    answer = api.post("/containers/create?name=/web", {"Image": "busybox"})
    assert answer.status == 409
    assert answer.message == (
        f'Conflict. The container name "/web" is already in use by container "{first}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


@pytest.mark.parametrize("name", ["a", "-web", "we%20b", ".x"])
def test_bad_name(api: RawHttp, name: str) -> None:
    answer = api.post(f"/containers/create?name={name}", {"Image": "busybox"})
    assert answer.status == 400
    shown = name.replace("%20", " ")
    assert answer.message == f"Invalid container name ({shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_the_working_directory_is_made_with_the_container(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true", WorkingDir="/new/deep")
    assert api.request("HEAD", f"/containers/{container}/archive?path=/new/deep").status == 200
    refused = api.post("/containers/create", {"Image": "busybox", "WorkingDir": "/etc/passwd"})
    assert (refused.status, refused.message) == (500, "Cannot mkdir: /etc/passwd is not a directory")


def test_wrong_platform(api: RawHttp) -> None:
    answer = api.post("/containers/create?platform=linux/arm64", {"Image": "busybox"})
    assert answer.status == 404
    assert (
        "does not match the specified platform" in answer.message
        or "does not provide the specified platform" in answer.message
    )


def test_defaults_that_inspect_shows(api: RawHttp) -> None:
    answer = api.post("/containers/create?name=plain", {"Image": "busybox"})
    found = api.get(f"/containers/{answer.json()['Id']}/json")
    assert found["Name"] == "/plain"
    assert found["State"]["Status"] == "created"
    assert found["Config"]["Cmd"] == ["sh"]
    assert found["Config"]["Hostname"] == answer.json()["Id"][:12]
    assert found["Config"]["Image"] == "busybox"
    assert found["HostConfig"]["NetworkMode"] in ("default", "bridge")
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert found["HostConfig"]["LogConfig"]["Type"] == "json-file"
    assert found["HostConfig"]["ShmSize"] == 64 * 1024 * 1024
    assert found["HostConfig"]["Runtime"]
    assert "/proc/kcore" in found["HostConfig"]["MaskedPaths"]
    assert "/proc/sys" in found["HostConfig"]["ReadonlyPaths"]
    assert found["Path"] == "sh"
    assert found["Args"] == []
    assert found["State"]["StartedAt"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("body", [{"Env": ["A=b\0c"]}, {"HostConfig": {"Tmpfs": {"/x\0y": ""}}}, {"Hostname": "a\0b"}])
def test_null_bytes_go_no_further(api: RawHttp, create: Callable[..., str], body: dict[str, Any]) -> None:
    """A runtime in C would take what is before one for all of it."""
    assert api.post(f"/containers/{create('true', **body)}/start").status == 500
