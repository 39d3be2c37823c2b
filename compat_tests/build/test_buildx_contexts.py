"""What a client gives to a build over BuildKit's API: secrets, agents, contexts of all kinds."""

import io
import os
import re
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.build.projects import build, write
from compat_tests.clients.buildx import Buildx, outcome
from compat_tests.clients.cli import DockerCli

pytestmark = pytest.mark.usefixtures("empty_cache")


# What the client serves.


def test_secrets(client: DockerCli, context: Path, tmp_path: Path) -> None:
    write(context, Dockerfile="FROM busybox\nRUN --mount=type=secret,id=s cat /run/secrets/s | tr a-z A-Z\n")
    (tmp_path / "secret").write_text("hidden\n")
    code, text = build(client, context, "--no-cache", "--secret", f"id=s,src={tmp_path}/secret")
    assert code == 0, text
    assert outcome(code, text).said("RUN --mount") == "HIDDEN\n"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """Something that answers like an SSH agent with no keys."""
    path = tmp_path / "agent"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    code = (
        "import socket, sys\nserver = socket.socket(fileno=int(sys.argv[1]))\n"
        "while True:\n    peer = server.accept()[0]\n"
        "    while peer.recv(100):\n        peer.sendall(b'\\0\\0\\0\\5\\x0c\\0\\0\\0\\0')\n"
    )
    command = ["python3", "-c", code, str(server.fileno())]
    with subprocess.Popen(command, pass_fds=[server.fileno()]) as process:
        yield path
        process.kill()
    server.close()


def test_ssh_agents(client: DockerCli, context: Path, agent: Path) -> None:
    run = "RUN --mount=type=ssh stat -c '%F %a %u' $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK"
    write(context, Dockerfile=f"FROM busybox\n{run}\n")
    code, text = build(client, context, "--no-cache", "--ssh", f"default={agent}")
    assert code == 0, text
    assert outcome(code, text).said("type=ssh") == "socket 600 0\n/run/buildkit/ssh_agent.0\n"


def test_an_agent_that_is_required(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN --mount=type=ssh,required true\n"})
    found = buildx.build("--no-cache")
    assert found.code == 1
    assert "unset ssh forward key default" in found.text or "no ssh handler for id default" in found.text, found.text


def test_contexts_are_filtered_by_the_client(buildx: Buildx) -> None:
    dockerfile = "FROM busybox\nCOPY . /c/\nRUN cd /c; find . -type f | sort\n"
    files = {"Dockerfile": dockerfile, "a": "", "b.log": "", "d/c.log": "", "d/keep.log": "", "e/f": ""}
    buildx.write({**files, ".dockerignore": "*.log\n**/*.log\n!d/keep.log\ne\n"})
    assert buildx.ok("--no-cache").said("find").split() == ["./.dockerignore", "./Dockerfile", "./a", "./d/keep.log"]


def test_contexts_keep_links_modes_and_odd_names(buildx: Buildx) -> None:
    buildx.write(
        {"Dockerfile": "FROM busybox\nCOPY . /c/\nRUN cd /c; stat -c '%N %a %u' * | sort; stat -c %h a\n", "a": "1"}
    )
    directory = buildx.directory
    (directory / "a").chmod(0o751)
    os.chown(directory / "a", 5, 6)
    (directory / "l").symlink_to("../../etc/passwd")
    os.link(directory / "a", directory / "same")
    (directory / "ünïcode name").write_text("")
    said = buildx.ok("--no-cache").said("stat").splitlines()
    assert "'a' 751 0" in said or "a 751 0" in said
    assert any("l' -> '../../etc/passwd' 777 0" in line for line in said)
    assert any("ünïcode name" in line for line in said) or any("\\" in line for line in said), said


def test_a_context_is_sent_again_only_where_it_has_changed(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nCOPY . /c/\nRUN wc -c /c/big /c/small\n", "small": "1"})
    (buildx.directory / "big").write_bytes(os.urandom(3 << 20))

    def transferred(text: str) -> str:
        return re.findall(r"transferring context: (\S+)", text)[-1]

    assert transferred(buildx.ok().text).endswith("MB")
    (buildx.directory / "small").write_text("22")
    found = buildx.ok()
    assert transferred(found.text).endswith("B")
    assert not transferred(found.text).endswith("MB")
    assert found.said("wc").split()[2:4] == ["2", "/c/small"]
    (buildx.directory / "big").unlink()
    (buildx.directory / "big").mkdir()
    buildx.write({"Dockerfile": "FROM busybox\nCOPY . /c/\nRUN find /c | sort\n", "big/inner": "3"})
    assert buildx.ok().said("find").split() == ["/c", "/c/Dockerfile", "/c/big", "/c/big/inner", "/c/small"]


def test_a_context_from_standard_input(client: DockerCli, context: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in {"Dockerfile": "FROM busybox\nCOPY x /x\nRUN cat /x\n", "x": "from stdin\n"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    result = client.run("build", "--progress=plain", "--no-cache", "-", stdin=archive.getvalue())
    assert result.code == 0, result.err
    assert outcome(0, result.err).said("cat /x") == "from stdin\n"


def test_a_dockerfile_from_standard_input(client: DockerCli, context: Path) -> None:
    write(context, x="beside\n")
    dockerfile = b"FROM busybox\nCOPY x /x\nRUN cat /x\n"
    result = client.run("build", "--progress=plain", "--no-cache", "-f", "-", str(context), stdin=dockerfile)
    assert result.code == 0, result.err
    assert outcome(0, result.err).said("cat /x") == "beside\n"


def test_named_contexts(client: DockerCli, context: Path, tmp_path: Path) -> None:
    write(
        context, Dockerfile="FROM busybox\nCOPY --from=other f /f\nCOPY --from=base /bin/sh /sh2\nRUN cat /f; ls /sh2\n"
    )
    write(tmp_path / "other", f="other's\n")
    contexts = ["--build-context", f"other={tmp_path}/other", "--build-context", "base=docker-image://busybox"]
    code, text = build(client, context, "--no-cache", *contexts)
    assert code == 0, text
    assert outcome(code, text).said("cat /f").splitlines() == ["other's", "/sh2"]
    assert "[context other] load from client" in text
