"""Stages that overlap, clients that vanish without a word, and what registries show of what was pushed."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.clients.buildcontext import build, context
from compat_tests.clients.buildx import Buildx
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import Registry
from compat_tests.clients.waiting import eventually

pytestmark = pytest.mark.usefixtures("empty_cache")
_MEET = "touch /c/{mine}; for i in $(seq 200); do [ -e /c/{other} ] && exit 0; sleep 0.1; done; exit 1"


def test_independent_stages_overlap(buildx: Buildx) -> None:
    """Each waits for the other: one after the other they could not end."""
    mount = f"RUN --mount=type=cache,target=/c,id=meet{time.time_ns()} "
    stages = [(name, mount + _MEET.format(mine=name, other=other)) for name, other in (("one", "two"), ("two", "one"))]
    lines = [f"FROM busybox AS {name}\n{run} && touch /{name}\n".replace("exit 0", "break") for name, run in stages]
    lines = [line.replace("; exit 1 &&", "; [ -e /c/one ] && [ -e /c/two ] &&") for line in lines]
    buildx.write({"Dockerfile": "".join(lines) + "FROM busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\n"})
    buildx.ok(timeout=60)


def _running(marker: str) -> bool:
    return subprocess.run(["pgrep", "-f", marker], capture_output=True, check=False).returncode == 0


def test_a_client_that_is_killed_in_mid_command(buildx: Buildx) -> None:
    marker = f"sleep 88{time.time_ns() % 10**6}"
    buildx.write({"Dockerfile": f"FROM busybox\nRUN echo begun; exec {marker}\n"})
    with buildx.cli.spawn(*buildx.arguments("--no-cache")) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(b" begun"):
                break
        os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: not _running(f"{marker}$"), what="the command ends with its client")
    buildx.write({"Dockerfile": "FROM busybox\nRUN true\n"})
    buildx.ok("--no-cache")


@pytest.mark.parametrize("delay", [0.1, 0.3, 0.6])
def test_a_client_that_is_killed_in_mid_upload(buildx: Buildx, delay: float) -> None:
    noise = os.urandom(30_000_000).hex()
    buildx.write({"Dockerfile": "FROM busybox\nCOPY . /\n", **{f"d/{number}": noise for number in range(3)}})
    with buildx.cli.spawn(*buildx.arguments()) as process:
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
    buildx.ok()
    found = buildx.ok()
    assert found.of("COPY") == "CACHED"


def test_an_upload_that_breaks_off(api: RawHttp, engine: Daemon) -> None:
    """To the classic builder: half an archive builds nothing."""
    head = b"POST /build?t=half:1 HTTP/1.1\r\nHost: docker\r\nContent-Type: application/x-tar\r\nContent-Length: 100000\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(engine.host.removeprefix("unix://"))
        client.sendall(head + context("FROM busybox\n")[:700])
    assert api.request("GET", "/images/half:1/json").status == 404
    assert build(api, context("FROM busybox\nRUN echo next\n")).text[-1] == "Successfully built ID"


def test_imagetools(engine: Daemon, buildx: Buildx, registry: Registry, run_inside: Callable[..., str]) -> None:
    """Of a pushed image with statements, by the registry alone."""
    name = f"{registry.address}/shown/tools:1"
    buildx.write({"Dockerfile": "FROM busybox\nENV shown=1\n"})
    buildx.ok("-t", name, "--push", "--provenance=mode=max")
    shown = run_inside("buildx", "imagetools", "inspect", name)
    assert re.search(r"^MediaType: application/vnd\.oci\.image\.index\.v1\+json$", shown, re.MULTILINE), shown
    assert len(re.findall(r"^  Platform: +(?:linux/|unknown/unknown)", shown, re.MULTILINE)) == 2, shown
    assert engine.api.get(f"/images/{name}/json")["Id"] in shown
    raw = json.loads(run_inside("buildx", "imagetools", "inspect", "--raw", name))
    assert [entry["mediaType"] for entry in raw["manifests"]] == ["application/vnd.oci.image.manifest.v1+json"] * 2
    config = json.loads(run_inside("buildx", "imagetools", "inspect", "--format", "{{json .Image}}", name))
    assert "shown=1" in config["config"]["Env"]
    provenance = json.loads(run_inside("buildx", "imagetools", "inspect", "--format", "{{json .Provenance}}", name))
    assert "SLSA" in provenance


@pytest.fixture
def run_inside(engine: Daemon, buildx: Buildx, tmp_path: Path) -> Callable[..., str]:
    """The client in the engine's network, where the registry is."""

    def run(*arguments: str) -> str:
        argv = engine.namespaces.command(buildx.cli.argv(*arguments))
        done = subprocess.run(
            argv, env=buildx.cli.environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
