"""Where real dockerd comes from: an installed one, a cache of unpacked Debian packages, or a start script.

`ORACLE_START`: a script called as `SCRIPT STATE --host-network -- DOCKERD-ARGS...`. Otherwise `ORACLE_CACHE` (default
`/var/cache/wharf-oracle`) holds `sid/` (dockerd 28.x, CLI) and `trixie/` (containerd), fetched here when missing from
the Debian mirror in the machine's own apt sources; without a mirror, `dockerd` in PATH.
"""

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

_SUITES = {
    "trixie": ["docker.io", "containerd", "docker-cli"],
    "sid": ["docker.io", "docker-cli"],
}
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_APT_CONF = """\
Dir::State::Lists "{dir}/apt/lists";
Dir::Cache "{dir}/apt/cache";
Dir::Etc::SourceList "{dir}/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "root";
"""


class OracleMissing(Exception):
    """No real dockerd can be had on this machine; the text says why."""


def cache_directory() -> Path:
    return Path(os.environ.get("ORACLE_CACHE", "/var/cache/wharf-oracle"))


def docker_cli() -> str:
    """The stock CLI: the one in PATH, or the cached one."""
    cached = cache_directory() / "sid/usr/bin/docker"
    found = os.environ.get("DOCKER_CLI") or shutil.which("docker") or (str(cached) if cached.exists() else None)
    if found is None:
        raise OracleMissing("no docker CLI in PATH or in ORACLE_CACHE")
    return found


@functools.cache
def cli_version() -> tuple[int, ...]:
    """The stock CLI's version; (0,) where there is none."""
    try:
        shown = subprocess.run([docker_cli(), "--version"], capture_output=True, text=True, check=True).stdout
    except OracleMissing:
        return (0,)
    found = re.search(r"version (\d+)\.(\d+)", shown)
    return tuple(map(int, found.groups())) if found else (0,)


def command(state: Path, arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command line and environment that start real dockerd with its state below `state`."""
    script = os.environ.get("ORACLE_START")
    if script:
        return [script, str(state), "--host-network", "--", *arguments], dict(os.environ)
    binary, path = _binaries(state)
    config = state / "oracle.json"
    if not config.exists():
        config.write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
    argv = [
        binary,
        "--config-file",
        str(config),
        "--data-root",
        str(state / "data"),
        "--exec-root",
        str(state / "exec"),
    ]
    argv += ["-H", f"unix://{state}/docker.sock", "-p", f"{state}/dockerd.pid", *arguments]
    return argv, {**os.environ, "PATH": path}


def _binaries(state: Path) -> tuple[str, str]:
    cache = cache_directory()
    system = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if not _complete(cache):
        installed = shutil.which("dockerd", path=system)
        if installed:
            return installed, system
        fetch(cache)
    # Debian 13's runc wants a newer C library than Debian 12 has: the system's runc serves all.
    runc = shutil.which("runc", path=f"/usr/sbin:{system}")
    if runc is None:
        raise OracleMissing("runc is not installed")
    (state / "bin").mkdir(parents=True, exist_ok=True)
    _link(state / "bin/runc", runc)
    tini = shutil.which("tini-static", path=f"/usr/bin:{system}")
    if tini:
        _link(state / "bin/docker-init", tini)
    path = [state / "bin", cache / "sid/usr/sbin", "/usr/sbin", cache / "trixie/usr/bin", cache / "trixie/usr/sbin"]
    return str(cache / "sid/usr/sbin/dockerd"), ":".join([*map(str, path), system])


def _link(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _complete(cache: Path) -> bool:
    needed = ("sid/usr/sbin/dockerd", "trixie/usr/bin/containerd")
    return all((cache / name).exists() for name in needed)


def fetch(cache: Path) -> None:
    """Download and unpack Debian's packages beside the system; OracleMissing when there is no mirror."""
    mirror = _mirror()
    for suite, packages in _SUITES.items():
        _unpack(cache / suite, f"deb [signed-by={_KEYRING}] {mirror} {suite} main\n", packages)


def _mirror() -> str:
    apt = Path("/etc/apt")
    names = [
        apt / "sources.list",
        *(apt / "sources.list.d").glob("*.sources"),
        *(apt / "sources.list.d").glob("*.list"),
    ]
    text = "\n".join(name.read_text() for name in names if name.exists())
    found = re.search(r"^(?:URIs:\s*|deb\s.*?)(https?:\S*/debian)/?(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise OracleMissing("no Debian mirror in this machine's apt sources")
    return found.group(1)


def _unpack(directory: Path, source: str, packages: list[str]) -> None:
    for part in ("apt/lists/partial", "apt/cache/archives/partial", "debs"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    (directory / "apt/sources.list").write_text(source)
    (directory / "apt/conf").write_text(_APT_CONF.format(dir=directory))
    environment = {**os.environ, "APT_CONFIG": str(directory / "apt/conf")}
    try:
        for argv in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "download", *packages]):
            subprocess.run(argv, cwd=directory / "debs", env=environment, check=True, timeout=300)
        for deb in sorted((directory / "debs").glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(deb), str(directory)], check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise OracleMissing(f"cannot fetch dockerd: {error}") from error
    finally:
        shutil.rmtree(directory / "apt", ignore_errors=True)
        shutil.rmtree(directory / "debs", ignore_errors=True)
