"""Checkpoints: what is refused without `--experimental`, and what goes without criu."""

from collections.abc import Callable, Iterator

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.conftest import Suite

DISABLED = "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it."


def test_without_experimental_features(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/c1")):
        answer = api.request(method, f"/containers/{container}/checkpoints{path}")
        assert (answer.status, answer.message) == (501, DISABLED)
    answer = api.post(f"/containers/{container}/start?checkpoint=c1")
    assert (answer.status, answer.message) == (400, "checkpoint is only supported in experimental mode")


@pytest.fixture(scope="module")
def experimental(suite: Suite) -> Iterator[Daemon]:
    with suite.running("--experimental") as daemon:
        yield daemon


def test_what_is_not_there(experimental: Daemon) -> None:
    cli, api = experimental.cli, experimental.api
    assert api.request("GET", "/_ping").headers["docker-experimental"] == "true"
    cli.ok("run", "-d", "--name", "web", "busybox", "sleep", "300")
    assert cli.ok("checkpoint", "ls", "web") == "CHECKPOINT NAME"
    assert cli.fails("checkpoint", "rm", "web", "c1").endswith("checkpoint c1 does not exist for container web")
    answer = api.post("/containers/web/checkpoints", {"CheckpointID": "../x"})
    assert (answer.status, answer.message) == (
        500,
        "Invalid checkpoint ID (../x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    )
    cli.ok("stop", "-t", "0", "web")
    answer = api.post("/containers/web/checkpoints", {"CheckpointID": "c1"})
    assert (answer.status, answer.message[:10]) == (409, "container ")
    assert cli.fails("start", "--checkpoint", "c1", "web").endswith("checkpoint c1 does not exist for container /web")
    answer = api.post("/containers/web/start?checkpoint=c1&checkpoint-dir=/tmp")
    assert (answer.status, answer.message) == (403, "custom checkpointdir is not supported")


def test_one_that_cannot_be_made_leaves_nothing(experimental: Daemon) -> None:
    api = experimental.api
    experimental.cli.ok("run", "-d", "--name", "db", "--runtime", "runc", "busybox", "sleep", "300")
    answer = api.post("/containers/db/checkpoints", {"CheckpointID": "c1"})
    if answer.status == 201:
        pytest.skip("this host can make checkpoints")
    assert answer.status == 500
    assert answer.message.startswith("Cannot checkpoint container db: runc did not terminate successfully: ")
    assert api.get("/containers/db/checkpoints") == []
    assert api.get("/containers/db/json")["State"]["Running"] is True
