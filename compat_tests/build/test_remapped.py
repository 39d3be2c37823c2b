"""What is built with `--userns-remap` is what is built without: the same layers, byte for byte."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compat_tests.build.test_buildx_contexts import agent
from compat_tests.clients.buildx import Buildx
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite
from compat_tests.containers.test_userns import FIRST, USER, ids

__all__ = ["agent", "ids"]  # Fixtures.

# Alone: says who it runs as, and with which rights. `give FILE`: gives a file CAP_NET_RAW. `call SOCKET`: connects.
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "give")) {
        unsigned rights[5] = {0x02000001, 1 << 13, 0, 0, 0};
        return setxattr(argv[2], "security.capability", rights, sizeof rights, 0) != 0;
    }
    if (argc > 2) {
        struct sockaddr_un address = {AF_UNIX};
        strcpy(address.sun_path, argv[2]);
        return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) != 0;
    }
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    printf("%d %d\n", geteuid(), getegid());
    while (fgets(line, sizeof line, status)) if (!strncmp(line, "CapEff", 6)) fputs(line, stdout);
    return 0;
}
"""
# Times are set, as two builds have nothing else that differs.
DOCKERFILE = """\
FROM busybox
COPY --chmod=755 program /program
RUN mkdir /d && cp /program /d/able && /program give /d/able && cp /program /d/id && chown 0:7 /d/id && chmod 6755 /d/id \\
    && mkfifo /d/pipe && ln /d/id /d/hard && mkdir -m 1777 /d/t && chown -R 5:6 /d/t \\
    && mkdir /out && chown 33 /out && touch -d @1000 /out && find /d -exec touch -h -d @1000 {} +
RUN rm -r /d/t && mkdir /d/t && chown 33:44 /d/pipe && find /d -exec touch -h -d @1000 {} +
USER 33:44
RUN (/d/able; /d/id) > /out/x && touch -d @1000 /out/x /out
"""
LOOK = "cat /out/x; /d/able; /d/id; stat -c '%n %u %g %a' /d/*"
RIGHTS = ["33 44", "CapEff:\t0000000000002000", "0 7"]
OWNERS = ["/d/able 0 0 755", "/d/hard 0 7 6755", "/d/id 0 7 6755", "/d/pipe 33 44 644", "/d/t 0 0 755"]


@pytest.fixture
def daemon(suite: Suite, ids: None) -> Iterator[Daemon]:
    with suite.running("--userns-remap", USER) as made:
        yield made


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory with the program in it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    directory = tmp_path / "context"
    directory.mkdir()
    (tmp_path / "program.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-static", "-O1", "-o", directory / "program", tmp_path / "program.c"], check=True)
    return directory


def build(daemon: Daemon, context: Path, front: str, tag: str) -> None:
    if front == "buildx":
        Buildx(daemon.cli, context).ok("-t", tag, "--no-cache")
        return
    archive = subprocess.run(["tar", "-C", str(context), "-c", "."], check=True, capture_output=True).stdout
    answer = daemon.api.request("POST", f"/build?t={tag}&nocache=1", archive, {"Content-Type": "application/x-tar"})
    assert b"Successfully built" in answer.body, answer.body


@pytest.mark.difference("builds-when-remapped")
@pytest.mark.parametrize("front", ["buildx", "classic"])
def test_the_same_layers_with_and_without(daemon: Daemon, context: Path, front: str) -> None:
    (context / "Dockerfile").write_text(DOCKERFILE)
    build(daemon, context, front, "made:mapped")
    seen = daemon.cli.ok("run", "--rm", "made:mapped", "sh", "-c", LOOK)
    lines = seen.splitlines()
    assert (lines[:3], lines[4:7], lines[8:]) == (RIGHTS, RIGHTS, OWNERS)

    daemon.stop()
    daemon.options = replace(daemon.options, arguments=())
    daemon.start()
    build(daemon, context, front, "made:plain")
    mapped, plain = (daemon.api.get(f"/images/made:{tag}/json")["RootFS"]["Layers"] for tag in ("mapped", "plain"))
    assert mapped == plain
    assert daemon.cli.ok("run", "--rm", "made:mapped", "sh", "-c", LOOK) == seen


@pytest.mark.difference("builds-when-remapped")
def test_agents_are_reached_by_their_owner(daemon: Daemon, context: Path, agent: Path) -> None:
    call = "stat -c '%F %a %u' $SSH_AUTH_SOCK; /program call $SSH_AUTH_SOCK && echo reached"
    steps = f"RUN --mount=type=ssh {call}\nUSER 33\nRUN --mount=type=ssh,uid=33 {call}\n"
    (context / "Dockerfile").write_text(f"FROM busybox\nCOPY --chmod=755 program /\n{steps}")
    found = Buildx(daemon.cli, context).ok("--no-cache", "--ssh", f"default={agent}")
    assert found.said("type=ssh stat") == "socket 600 0\nreached\n"
    assert found.said("uid=33") == "socket 600 33\nreached\n"


@pytest.mark.difference("builds-when-remapped")
def test_steps_have_no_special_rights(suite: Suite, ids: None, tmp_path: Path) -> None:
    settings = tmp_path / "daemon.json"
    settings.write_text(json.dumps({"builder": {"entitlements": {"security-insecure": True}}}))
    with suite.running("--userns-remap", USER, "--config-file", str(settings)) as daemon:
        project = Buildx(daemon.cli, tmp_path / "insecure")
        project.write({"Dockerfile": "FROM busybox\nRUN --security=insecure true\n"})
        found = project.build("--allow", "security.insecure")
        assert found.code == 1
        assert "privileged mode is incompatible with user namespaces" in found.text


def test_a_killed_daemon_leaves_nothing_of_a_command(daemon: Daemon, tmp_path: Path) -> None:
    project = Buildx(daemon.cli, tmp_path / "context")
    project.write({"Dockerfile": "FROM busybox\nRUN echo begun; sleep 600\n"})
    with project.cli.spawn(*project.arguments()) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.rstrip().endswith(b" begun"))
        assert remapped()
        daemon.kill()
        process.wait(30)
    daemon.start()
    eventually(lambda: not remapped())
    project.write({"Dockerfile": "FROM busybox\nRUN true\n"})
    project.ok()


def remapped() -> list[str]:
    """Processes in a user namespace with the remapped users' ids."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(FIRST) in (entry / "uid_map").read_text().split():
                found.append(entry.name)
    return found
