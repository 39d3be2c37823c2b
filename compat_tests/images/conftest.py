"""Fixtures of the tests of images: registries with TLS and tokens, and no images left after each test."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.registry import free_port
from compat_tests.clients.secure_registry import (
    Authority,
    ServedRegistry,
    TokenServer,
    tls_settings,
    token_settings,
)
from compat_tests.conftest import Suite

CERTIFICATES = Path("/etc/docker/certs.d")


def remove_images(daemon: Daemon) -> None:
    """Remove all images but busybox:latest."""
    daemon.wipe()
    for image in daemon.api.get("/images/json?all=1"):
        if "busybox:latest" not in image["RepoTags"]:
            daemon.api.request("DELETE", f"/images/{image['Id']}?force=1")
        else:
            for name in image["RepoTags"]:
                if name != "busybox:latest":
                    daemon.api.request("DELETE", f"/images/{name}")


@pytest.fixture(autouse=True)
def no_images_left(engine: Daemon) -> Iterator[None]:
    yield
    remove_images(engine)


@pytest.fixture(scope="session")
def authority(suite: Suite) -> Authority:
    return Authority(suite.scratch / "authority")


@pytest.fixture(scope="session")
def tokens(engine: Daemon, authority: Authority) -> Iterator[TokenServer]:
    made = TokenServer(engine.namespaces, authority.issue("tokens", "serverAuth"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def token_registry(suite: Suite, engine: Daemon, tokens: TokenServer, authority: Authority) -> Iterator[ServedRegistry]:
    """A real registry that wants tokens."""
    address = f"127.0.0.1:{free_port(engine.namespaces)}"
    root = suite.scratch / "token-registry"
    made = ServedRegistry(engine.namespaces, root, address, token_settings(tokens, authority))
    yield made
    made.close()


@pytest.fixture
def tls_registry(
    suite: Suite, engine: Daemon, authority: Authority, request: pytest.FixtureRequest
) -> Iterator[Callable[..., ServedRegistry]]:
    """`tls_registry(clients=True)`: a registry behind TLS at an address that is not loopback's."""
    made: list[ServedRegistry] = []

    def start(clients: bool = False) -> ServedRegistry:
        host = engine.options.bip.partition("/")[0]
        port = free_port(engine.namespaces)
        server = authority.issue(f"server{port}", "serverAuth", host)
        settings = tls_settings(server, authority.own.certificate if clients else None)
        root = suite.scratch / f"tls-registry-{port}"
        made.append(ServedRegistry(engine.namespaces, root, f"{host}:{port}", settings))
        return made[-1]

    yield start
    for each in made:
        each.close()
        shutil.rmtree(CERTIFICATES / each.address, ignore_errors=True)


@pytest.fixture
def skopeo(engine: Daemon) -> Callable[..., str]:
    """`skopeo("copy", …)` in the engine's network."""
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed (Debian package skopeo)")

    def run(*arguments: str) -> str:
        argv = engine.namespaces.command(["skopeo", "--insecure-policy", *arguments])
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def podman(engine: Daemon, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`podman("load", …)` with a storage of its own, in the engine's network."""
    found = shutil.which("podman") or "/var/cache/wharf-oracle/trixie/usr/bin/podman"
    if not Path(found).exists() or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no podman that runs here")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    short = Path(tempfile.mkdtemp(prefix="pm", dir="/tmp"))  # podman wants a short name
    own = [
        "--root",
        f"{short}/root",
        "--runroot",
        f"{short}/run",
        "--storage-driver",
        "vfs",
        "--cgroup-manager=cgroupfs",
    ]

    def run(*arguments: str) -> str:
        verb, *rest = arguments
        extra = [f"--signature-policy={policy}"] if verb in ("pull", "load", "push") else []
        extra += ["--tls-verify=false"] if verb in ("pull", "push") else []
        argv = engine.namespaces.command([found, *own, verb, *extra, *rest])
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    yield run
    shutil.rmtree(short, ignore_errors=True)
