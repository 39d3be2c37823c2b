"""`--userns-remap`: containers whose root is nobody on the host."""

import fcntl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients.buildx import Buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.conftest import Suite, finish

FIRST, COUNT = 1_234_567_000, 65_536
USER = "games"  # A user of every Debian system, without ids to give.


@pytest.fixture(scope="module")
def ids() -> Iterator[None]:
    """Subordinate ids for that user, as long as the tests run. Other runs may want the same."""
    files = [Path("/etc/subuid"), Path("/etc/subgid")]
    entry = f"{USER}:{FIRST}:{COUNT}\n"
    with Path("/run/lock/wharf-test-subids").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = [file.read_text() if file.exists() else "" for file in files]
        for file, text in zip(files, before, strict=True):
            file.write_text(text + entry)
        try:
            yield
        finally:
            for file in files:
                file.write_text(file.read_text().replace(entry, "", 1))


@pytest.fixture(scope="module")
def remapped(suite: Suite, ids: None) -> Iterator[Daemon]:
    with suite.running("--userns-remap", USER) as daemon:
        yield daemon


def test_root_is_root_inside_only(remapped: Daemon) -> None:
    assert "name=userns" in remapped.api.get("/info")["SecurityOptions"]
    script = "id -u; cut -d' ' -f1- /proc/self/uid_map | tr -s ' '; touch /x; chown 5:6 /x; ls -ln /x | tr -s ' ' | cut -d' ' -f3,4"
    out = remapped.cli.ok("run", "--rm", "busybox", "sh", "-c", script)
    assert out.splitlines() == ["0", f" 0 {FIRST} {COUNT}", "5 6"]
    container = remapped.cli.ok("run", "-d", "busybox", "sleep", "300")
    pid = remapped.api.get(f"/containers/{container}/json")["State"]["Pid"]
    assert Path(f"/proc/{pid}").stat().st_uid == FIRST
    assert remapped.cli.ok("exec", "-u", "33", container, "id", "-u") == "33"
    assert remapped.cli.ok("top", container, "-o", "pid,uid").splitlines()[1].split() == [str(pid), str(FIRST)]
    assert Path("/dev/null").stat().st_uid == 0


def test_network_and_files_in_etc(remapped: Daemon) -> None:
    cli = remapped.cli
    cli.ok(
        "run",
        "-d",
        "--name",
        "server",
        "-p",
        "127.0.0.1::80",
        "busybox",
        "sh",
        "-c",
        "echo pong | nc -l -p 80; sleep 300",
    )
    address = remapped.api.get("/containers/server/json")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert cli.ok("run", "--rm", "busybox", "nc", "-w", "5", address, "80") == "pong"
    assert f"{address}\t" in cli.ok("exec", "server", "cat", "/etc/hosts")
    assert (
        cli.ok("exec", "server", "sh", "-c", "echo >> /etc/hosts; ls -ln /etc/hosts | tr -s ' ' | cut -d' ' -f3") == "0"
    )
    shared = cli.ok(
        "run", "--rm", "--network", "container:server", "busybox", "sh", "-c", "ip addr; readlink /proc/self/ns/user"
    )
    assert f"inet {address}/" in shared
    assert "eth0" not in cli.ok("run", "--rm", "--network", "none", "busybox", "ip", "addr")
    cli.ok("network", "create", "own")
    cli.ok("run", "-d", "--name", "peer", "--network", "own", "busybox", "sleep", "300")
    assert "1 packets received" in cli.ok("run", "--rm", "--network", "own", "busybox", "ping", "-c1", "-W5", "peer")
    cli.ok("rm", "-f", "peer", "server")
    cli.ok("network", "rm", "own")


def test_volumes_and_binds(remapped: Daemon, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("host\n")
    mounts = ("-v", "vol:/etc/copied", "-v", f"{tmp_path}:/host")
    script = "ls -lnd /etc/copied /host | tr -s ' ' | cut -d' ' -f3,4; touch /etc/copied/new; cat /host/file; touch /host/new"
    result = remapped.cli.run("run", "--rm", *mounts, "busybox", "sh", "-c", script)
    assert result.out.splitlines() == ["0 0", "65534 65534", "host"]
    assert "touch: /host/new: Permission denied" in result.err
    again = remapped.cli.ok(
        "run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", "ls -ln /v | grep new | tr -s ' ' | cut -d' ' -f3"
    )
    assert again == "0"
    remapped.cli.ok("volume", "rm", "vol")


def owners_in(cli: DockerCli, *archive: str) -> dict[str, str]:
    """The owners of files in an archive that the CLI writes to its output."""
    packed = subprocess.run(cli.argv(*archive), env=cli.environment, capture_output=True, check=True).stdout
    listed = subprocess.run(
        ["tar", "tvf", "-", "--numeric-owner"], input=packed, capture_output=True, check=True
    ).stdout
    return {line.split()[-1]: line.split()[1] for line in listed.decode().splitlines()}


@pytest.mark.difference("cp-tells-ids-inside")
def test_an_archive_from_a_running_container_has_the_ids_inside(remapped: Daemon) -> None:
    cli = remapped.cli
    cli.ok("run", "-d", "--name", "cup", "busybox", "sh", "-c", "mkdir /own; touch /own/f; chown 7:8 /own/f; sleep 300")
    try:
        cli.ok("exec", "cup", "sh", "-c", "while [ ! -e /own/f ]; do sleep 0.1; done; sleep 0.2")
        assert owners_in(cli, "cp", "cup:/own", "-")["own/f"] == "7/8"
    finally:
        cli.ok("rm", "-f", "cup")


def test_cp_export_diff_and_commit_speak_of_ids_inside(remapped: Daemon, tmp_path: Path) -> None:
    cli = remapped.cli
    cli.ok(
        "run",
        "-d",
        "--name",
        "box",
        "-w",
        "/made/here",
        "busybox",
        "sh",
        "-c",
        "mkdir /own; touch /own/f; chown 7:8 /own/f; sleep 300",
    )
    cli.ok("cp", "/etc/hostname", "box:/own/in")
    assert (
        cli.ok("exec", "box", "sh", "-c", "ls -lnd /own/in /made/here | tr -s ' ' | cut -d' ' -f3,4").split()
        == ["0"] * 4
    )
    owners = owners_in(cli, "export", "box")
    assert (owners["own/f"], owners["own/in"]) == ("7/8", "0/0")
    assert "A /own/f" in cli.ok("diff", "box").splitlines()
    cli.ok("commit", "box", "boxed:1")
    assert cli.ok("run", "--rm", "boxed:1", "sh", "-c", "ls -ln /own/f | tr -s ' ' | cut -d' ' -f3,4") == "7 8"
    cli.ok("stop", "-t", "0", "box")
    cli.ok("cp", "/etc/hostname", "box:/own/later")
    cli.ok("start", "box")
    assert cli.ok("exec", "box", "sh", "-c", "ls -ln /own/later | tr -s ' ' | cut -d' ' -f3") == "0"
    cli.ok("rm", "-f", "box")
    cli.ok("rmi", "boxed:1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--privileged"],
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace",
        ),
        (["--network", "host"], "cannot share the host's network namespace when user namespaces are enabled"),
        (["--pid", "host"], "cannot share the host PID namespace when user namespaces are enabled"),
    ],
)
def test_what_would_share_too_much(remapped: Daemon, options: list[str], message: str) -> None:
    assert message in remapped.cli.fails("run", "--rm", *options, "busybox", "true")
    out = remapped.cli.ok("run", "--rm", "--userns", "host", *options, "busybox", "cat", "/proc/self/uid_map")
    assert out.split() == ["0", "0", "4294967295"]


def test_containers_outlive_the_daemon(remapped: Daemon) -> None:
    remapped.cli.ok("run", "-d", "--name", "box", "--restart", "always", "-v", "vol:/v", "busybox", "sleep", "300")
    remapped.kill()
    remapped.start()
    assert remapped.cli.ok("exec", "box", "sh", "-c", "touch /v/x /x; id -u") == "0"
    remapped.cli.ok("restart", "-t", "0", "box")
    assert remapped.cli.ok("exec", "box", "ls", "/v", "/x").split() == ["/x", "/v:", "x"]
    remapped.cli.ok("rm", "-f", "box")
    remapped.cli.ok("volume", "rm", "vol")


def test_a_setting_that_means_nobody(suite: Suite) -> None:
    daemon = suite.daemon("--userns-remap", "no-such-user")
    try:
        with pytest.raises(RuntimeError, match="ended at start"):
            daemon.start()
    finally:
        finish(daemon)


DOCKERFILE = """\
FROM busybox
COPY file /copied
COPY --chown=33:44 file /given
RUN touch /made && chown 5:6 /made
RUN cat /copied > /seen && rm /copied && cp /seen /copied
RUN tr -s ' ' < /proc/self/uid_map > /map
"""
OWNERS = """\
ls -ln /copied /given /made /seen | tr -s ' ' | cut -d' ' -f1,3,4
echo more >> /copied; echo more >> /given; cat /map
"""
MOUNTS = """\
FROM busybox AS other
RUN mkdir /d && echo theirs > /d/f && chown 7:8 /d/f && chmod 600 /d/f
FROM busybox
COPY --from=other /d/f /copied
RUN --mount=from=other,source=/d,target=/d --mount=type=cache,target=/c,id=remapped --mount=type=tmpfs,target=/t \\
    ls -ln /d/f | tr -s ' ' | cut -d' ' -f1,3,4 > /seen && cat /d/f >> /seen && touch /c/x /t/x && chown 9:9 /c/x
RUN --mount=type=cache,target=/c,id=remapped ls -ln /c/x | tr -s ' ' | cut -d' ' -f3,4 >> /seen
RUN --mount=type=secret,id=s --mount=type=secret,id=s,uid=33,gid=44,mode=0440,target=/s \\
    cat /run/secrets/s /s >> /seen; ls -ln /s | tr -s ' ' | cut -d' ' -f1,3,4 >> /seen
RUN --mount=from=other,source=/d,target=/d,rw echo >> /d/f && echo >> /d/new
RUN --network=none ip link | grep -c ^[0-9] >> /seen && ping -c 1 127.0.0.1 > /dev/null && echo pong >> /seen
USER nobody
RUN id -un > /tmp/me
"""
SEEN = ["-rw------- 7 8", "theirs", "9 9", "quiet", "quiet", "-r--r----- 33 44", "1", "pong"]


@pytest.mark.difference("builds-when-remapped")
def test_mounts_of_steps(remapped: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(MOUNTS)
    (tmp_path / "secret").write_text("quiet\n")
    Buildx(remapped.cli, tmp_path).ok("-t", "made:mounts", "--secret", f"id=s,src={tmp_path}/secret")
    out = remapped.cli.ok("run", "--rm", "made:mounts", "cat", "/seen", "/tmp/me")
    assert out.splitlines() == [*SEEN, "nobody"]
    assert remapped.cli.ok("run", "--rm", "-u", "0", "made:mounts", "stat", "-c", "%u %g %a", "/copied") == "7 8 600"


@pytest.mark.difference("builds-when-remapped")
def test_what_steps_cannot_share(remapped: Daemon, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN true\n")
    failed = Buildx(remapped.cli, tmp_path).build("--network", "host", "--allow", "network.host")
    assert failed.code == 1
    assert "cannot share the host's network namespace when user namespaces are enabled" in failed.text


@pytest.mark.difference("builds-when-remapped")
@pytest.mark.parametrize("front", ["classic", "buildx"])
def test_what_is_built_belongs_to_those_inside(remapped: Daemon, tmp_path: Path, front: str) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "file").chmod(0o600)
    if front == "classic":
        context = subprocess.run(["tar", "-C", str(tmp_path), "-c", "."], check=True, capture_output=True).stdout
        answer = remapped.api.request("POST", "/build?t=made:classic", context, {"Content-Type": "application/x-tar"})
        assert b"Successfully built" in answer.body, answer.body
    else:
        Buildx(remapped.cli, tmp_path).ok("-t", "made:buildx")
    out = remapped.cli.ok("run", "--rm", f"made:{front}", "sh", "-c", OWNERS)
    assert out.splitlines() == ["-rw-r--r-- 0 0", "-rw------- 33 44", "-rw-r--r-- 5 6", "-rw-r--r-- 0 0", f" 0 {FIRST} {COUNT}"]
