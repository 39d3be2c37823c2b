"""`python -m compat_tests.sdk.dockerpy [--engine dockerd] [pytest's arguments]`: docker-py's own integration tests.

Only its source archive of 7.0.0 on PyPI carries them. The engine gets a network of its own and a mirror of Docker Hub in it,
which has the three images and the plugin that the tests pull.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon, DaemonOptions
from compat_tests.clients.namespaces import PrivateNamespaces
from compat_tests.clients.registry import Registry
from compat_tests.conftest import finish
from compat_tests.plugins import managed

RELEASE = "7.0.0"
HOST = "tcp://127.0.0.1:2375"
FILES = [
    "api_container",
    "models_containers",
    "api_exec",
    "api_healthcheck",
    "regression",
    "errors",
    "api_client",
    "client",
    "api_network",
    "models_networks",
    "api_volume",
    "models_volumes",
    "api_plugin",
]
PLUGIN = "vieux/sshfs"
# What fails here with dockerd 28.5 as well.
EXPECTED = {
    "ContainerTest::test_exec_run_failed": "wants 126 of a command that does not exist; runc and dockerd say 127",
    "test_run_with_image_that_does_not_exist": "asks the real Docker Hub",
}
# What fails with wharfd only.
DIFFERENT = {
    f"TestNetworks::test_{name}": "an overlay network, which needs swarm mode"
    for name in ("create_inspect_network_with_scope", "create_network_attachable", "create_network_ingress")
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["wharfd", "dockerd"], default="wharfd")
    options, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="dockerpy-", dir="/var/tmp") as scratch:
        suite = _unpack(Path(scratch))
        return _run(Path(scratch), suite, options.engine, rest)


def _unpack(scratch: Path) -> Path:
    """Fetch the source archive; the tests that are in it."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps"]
    subprocess.run([*command, "-d", str(scratch), f"docker=={RELEASE}"], check=True)
    with tarfile.open(scratch / f"docker-{RELEASE}.tar.gz") as archive:
        tests = [m for m in archive.getmembers() if re.match(r"[^/]+/(tests/|pytest\.ini)", m.name)]
        archive.extractall(scratch, tests, filter="data")
    suite = scratch / f"docker-{RELEASE}"
    # Only the tests over SSH, which are not run, use more of it than a name.
    (suite / "paramiko.py").write_text("class Channel: ...\n")
    return suite


def _run(scratch: Path, suite: Path, kind: str, arguments: list[str]) -> int:
    namespaces = PrivateNamespaces()
    registry = Registry(namespaces, scratch / "registry")
    wanted = ("-H", HOST, "--registry-mirror", f"http://{registry.address}", "--experimental")
    daemon = Daemon(DaemonOptions(kind, scratch / "engine", arguments=wanted, namespaces=namespaces))
    try:
        registry.push(imagefiles.busybox(), "library/busybox", "latest")
        registry.push(imagefiles.derived(_alpine()), "library/alpine", "latest", "3.10")
        daemon.start()
        for image in ("busybox", "alpine", "alpine:3.10"):
            daemon.cli.ok("pull", "-q", image)
        _push_plugin(daemon, registry)
        expected = {**EXPECTED, **(DIFFERENT if kind == "wharfd" else {})}
        return _judge(_pytest(daemon, suite, arguments), expected)
    finally:
        registry.close()
        finish(daemon)


def _push_plugin(daemon: Daemon, registry: Registry) -> None:
    """Put a volume driver where the tests look for SSHFS; all that they want of it is a setting."""
    name = f"{registry.address}/{PLUGIN}:latest"
    settings = [{"name": "DEBUG", "settable": ["value"], "value": "0"}]
    body = managed.archive(managed.config(env=settings))
    answers = [
        daemon.api.request("POST", f"/plugins/create?name={name}", body, managed.TAR),
        daemon.api.post(f"/plugins/{name}/push"),
        daemon.api.request("DELETE", f"/plugins/{name}"),
    ]
    assert [answer.status for answer in answers] == [204, 200, 200], answers


def _alpine() -> imagefiles.Layer:
    """What the tests want of Alpine's image: a user and a directory."""
    accounts = b"root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n"
    return imagefiles.Layer(imagefiles.tar([imagefiles.directory("var/opt"), imagefiles.file("etc/passwd", accounts)]))


def _pytest(daemon: Daemon, suite: Path, arguments: list[str]) -> str:
    """What pytest says of each test."""
    paths = [] if any(a.startswith("tests/") for a in arguments) else [f"tests/integration/{f}_test.py" for f in FILES]
    command = [sys.executable, "-m", "pytest", "-rA", "--tb=short", "-p", "no:cacheprovider", "--timeout=120"]
    home = suite / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "DOCKER_HOST": HOST,
        "DOCKER_TEST_API_VERSION": "1.45",
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("DOCKER_CONFIG", None)
    # Entering a mount namespace leaves the working directory.
    inside = ["sh", "-c", 'cd "$0" && exec "$@"', str(suite), *command, *paths, *arguments]
    argv = daemon.namespaces.command(inside)
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    return done.stdout


def _judge(output: str, expected: dict[str, str]) -> int:
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR|XPASS|XFAIL) (\S+)", output, re.MULTILINE)
    bad = [name for outcome, name in outcomes if outcome in ("FAILED", "ERROR")]
    for name in bad:
        reason = next((why for part, why in expected.items() if name.endswith(part)), "")
        print(f"{'expected' if reason else 'FAILED'}: {name}{': ' + reason if reason else ''}")
    unexpected = [name for name in bad if not any(name.endswith(part) for part in expected)]
    passed = sum(outcome == "PASSED" for outcome, _ in outcomes)
    print(f"{passed} passed, {len(unexpected)} failed")
    return 1 if unexpected or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
