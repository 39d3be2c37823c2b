"""The same Dockerfiles built here and by real dockerd: the same images, and the same steps done again.

Each is built, built once more, and built after a change of its context, through the classic builder and buildx.
"""

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compat_tests.build.remotes import free_port, prepare, serving
from compat_tests.clients.buildcontext import build
from compat_tests.clients.buildx import Buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.oracle import OracleMissing
from compat_tests.conftest import Suite, finish, load_busybox

pytestmark = [pytest.mark.wharfd_only("compares with dockerd"), pytest.mark.usefixtures("empty_cache")]

# What a container's start makes, and what differs by nature.
_MADE = re.compile(r"(\.dockerenv|(dev|proc|sys)(/.*)?|etc/(hosts|hostname|resolv\.conf|mtab))")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_FILES: dict[str, tuple[str, int]] = {
    "a.txt": ("a\n", 0o644),
    "b.txt": ("b\n", 0o600),
    "run.sh": ("#!/bin/sh\necho run\n", 0o755),
    "sub/c.txt": ("c\n", 0o644),
    "sub/deep/d.txt": ("d\n", 0o640),
    "ignored/e.txt": ("e\n", 0o644),
    "ignored/kept.txt": ("k\n", 0o644),
    ".dockerignore": ("ignored\n!ignored/kept.txt\n**/*.tmp\n", 0o644),
    "x.tmp": ("x\n", 0o644),
    "sub/s.sh": ("#!/bin/sh\n", 0o4711),
}
BOTH = {
    "values": """
        ARG VERSION=latest
        FROM busybox:$VERSION
        ARG NAME=wharf
        ENV A=1 B="two words" C=$NAME PATH=$PATH:/opt
        LABEL a=1 "b c"="d e"
        EXPOSE 80 53/udp
        STOPSIGNAL SIGUSR1
        HEALTHCHECK --interval=5s --retries=2 CMD true
        USER 12:34
        ENTRYPOINT ["sh", "-c"]
        CMD echo $A
    """,
    "copies": """
        FROM busybox
        COPY a.txt b.txt /x/
        COPY --chown=12:34 run.sh /run
        WORKDIR /w
        COPY sub .
        COPY sub/ dir/
        COPY *.txt globbed/
        COPY . /all/
        ADD a.txt renamed
    """,
    "commands": """
        FROM busybox
        COPY a.txt /
        RUN mkdir -p /d/e && cp /a.txt /d && chmod 700 /d/e && ln -s a.txt /link
        RUN ["rm", "/d/a.txt"]
        ENV X=y
        RUN echo $X > /x
        SHELL ["/bin/sh", "-ec"]
        RUN false || echo shell > /shell
        USER 12
        WORKDIR /tmp/w
        RUN id -u
    """,
    "stages": """
        FROM busybox AS base
        RUN echo base > /base
        FROM base AS unused
        RUN echo unused > /unused
        FROM base AS made
        COPY a.txt /in
        RUN tr a-z A-Z < /in > /out
        FROM scratch
        COPY --from=made /out /out
        COPY --from=0 /base /
        COPY --from=busybox /bin/busybox /bin/sh
        CMD ["/bin/sh"]
    """,
    "triggers": """
        FROM busybox AS parent
        ONBUILD COPY a.txt /t/
        ONBUILD RUN cp /t/a.txt /t/b.txt
        FROM parent
        ENV LAST=1
    """,
    "arguments": """
        FROM busybox
        ARG UNUSED=1
        RUN echo first > /first
        ARG USED
        ARG DEFAULT=d
        RUN echo "$USED $DEFAULT" > /second
        MAINTAINER somebody
    """,
}
BUILDKIT = {
    "heredocs": """
        FROM busybox
        ARG N=n
        COPY <<one.txt <<"two.txt" /h/
        $N
        one.txt
        $N
        two.txt
        RUN <<EOF
        echo a > /h/a
        echo b > /h/b
        EOF
    """,
    "flags": """
        FROM busybox
        COPY --chmod=640 --chown=1:2 a.txt /c
        COPY --chmod=u=rwX,go=rX sub /s
        COPY --link a.txt run.sh /l/
        COPY --exclude=*.txt . /e/
        ADD --link sub /al
    """,
    "mounts": """
        FROM busybox AS other
        RUN echo o > /o
        FROM busybox
        RUN --mount=target=/ctx cp /ctx/a.txt /a
        RUN --mount=from=other,source=/o,target=/o cp /o /o2
        RUN --mount=type=tmpfs,target=/t touch /t/x
        RUN --mount=type=cache,target=/cache echo c >> /cache/c && cp /cache/c /c
    """,
    "platforms": """
        FROM --platform=$BUILDPLATFORM busybox AS here
        ARG TARGETOS TARGETPLATFORM BUILDPLATFORM
        RUN [ "$TARGETPLATFORM" = "$BUILDPLATFORM" ] && echo $TARGETOS > /os
        FROM here
        VOLUME /v ["/w"]
    """,
    "variables": """
        # escape=`
        ARG OUTER=path/to/file.tar.gz
        ARG EMPTY=
        FROM busybox AS first
        ARG OUTER
        ARG EMPTY
        ARG DERIVED=${OUTER%%/*}
        ENV A=${OUTER:-x} B=${EMPTY:-default} C=${EMPTY-unset} D=${OUTER:+yes} E=${EMPTY:+no} F=${NONE:-none}
        ENV G=${OUTER#*/} H=${OUTER##*/} I=${OUTER%.*} J=${OUTER%%.*} K=${OUTER/path/way} L=${OUTER//t/T}
        ENV M=`$OUTER N='$OUTER' O="${OUTER}-$EMPTY-" P=${OUTER+set} Q=c:\\dir\\file
        ENV LEGACY one two  three
        LABEL l=${DERIVED} "two words"="${A}" `
        more=1
        WORKDIR /${OUTER%%/*}
        WORKDIR below
        COPY ${NONE:-a.txt} $DERIVED
        EXPOSE ${PORT:-8080}/tcp 9000-9002
        RUN echo "$A $B $DERIVED" > env `
        && echo more >> env
        FROM first
        ARG TARGETARCH BUILDARCH TARGETVARIANT TARGETOS
        ARG USED
        RUN echo "[$OUTER] [$DERIVED] [$USED] $TARGETOS $TARGETARCH $BUILDARCH $TARGETVARIANT" > /p
        HEALTHCHECK NONE
        STOPSIGNAL 9
        ENTRYPOINT exec sh
    """,
    "trees": """
        FROM busybox
        RUN echo user:x:7:8::/:/bin/sh >> /etc/passwd && echo group:x:9: >> /etc/group
        ADD files.tgz /u/
        ADD --chown=user:group files.tgz /o/
        ADD --unpack=false files.tgz /n/
        COPY files.tgz /k/
        COPY --chown=user link sub /l/
        COPY --chmod=a-x,g+w run.sh sub/s.sh /m/
        COPY --exclude=**/*.txt --exclude=sub/deep . /e/
        COPY ["a.txt", "/with space/"]
        ADD --chmod=0711 sub/s.sh /s
        WORKDIR /made/by/workdir
        USER user
        WORKDIR /made/by/user
        RUN touch /tmp/own || true
    """,
    "fetched": """
        FROM busybox
        ADD http://127.0.0.1:WEB/remote /r/
        ADD --checksum=sha256:CHECKSUM --chmod=600 --chown=1:2 http://127.0.0.1:WEB/remote /named
        ADD http://127.0.0.1:WEB/c.tgz /packed/
        ADD --unpack=true http://127.0.0.1:WEB/c.tgz /unpacked/
        ADD git://127.0.0.1:GIT/r.git#old:sub /g/
        ADD --keep-git-dir=false git://127.0.0.1:GIT/r.git /all/
        COPY a.txt /
    """,
    "surroundings": """
        FROM busybox AS other
        COPY sub /sub
        FROM busybox
        RUN --mount=type=secret,id=s --mount=type=secret,id=s,target=/t,mode=0444,uid=3 wc -c < /t > /secret
        RUN --mount=type=secret,id=s,env=S [ -n "$S" ] && echo env >> /secret
        RUN --network=none ls /sys/class/net > /net
        RUN --mount=rw,target=/m touch /m/new && ls /m/a.txt > /bind
        RUN --mount=from=other,source=sub,target=/x,rw rm /x/c.txt && ls -R /x > /rest
        RUN --mount=type=tmpfs,target=/f,size=1m df /f | wc -l > /df
        RUN --mount=type=cache,id=i,target=/cc,mode=0700,uid=5,sharing=locked stat -c "%a %u" /cc > /mode
    """,
}


@dataclass(frozen=True)
class Pair:
    """The engine under test and dockerd."""

    ours: Daemon
    theirs: Daemon

    def each(self, work: Callable[[Daemon], Any]) -> list[Any]:
        """Do something with both at the same time."""
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(work, (self.ours, self.theirs)))


@pytest.fixture(scope="module")
def pair(suite: Suite, engine: Daemon) -> Iterator[Pair]:
    try:
        oracle = suite.daemon(kind="dockerd")
        oracle.start()
    except OracleMissing as error:
        pytest.skip(str(error))
    try:
        load_busybox(oracle)
        yield Pair(engine, oracle)
    finally:
        oracle.wipe()
        finish(oracle)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    for name, (text, mode) in _FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    (directory / "link").symlink_to("a.txt")
    with tarfile.open(directory / "files.tgz", "w:gz") as archive:
        archive.add(directory / "sub", "top", filter=_owned_by_root)
        archive.add(directory / "link", "top/link", filter=_owned_by_root)
    return directory


@pytest.fixture(scope="module")
def ports(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands in a Dockerfile for the ports of a git daemon and of a web server, the same ones beside both engines."""
    served, git, web = prepare(tmp_path_factory.mktemp("served")), free_port(), free_port()
    with serving(pair.ours, served, git, web), serving(pair.theirs, served, git, web):
        checksum = hashlib.sha256((served / "remote").read_bytes()).hexdigest()
        yield {"GIT": str(git), "WEB": str(web), "CHECKSUM": checksum}


def written(dockerfile: str) -> str:
    return "".join(f"{line.strip()}\n" for line in dockerfile.strip().splitlines())


@pytest.mark.parametrize("name", BOTH)
def test_classic(pair: Pair, context: Path, name: str) -> None:
    (context / "Dockerfile").write_text(written(BOTH[name]))
    (context / "sub/s.sh").chmod(0o711)  # dockerd's classic builder loses set-user-ID bits.

    def made(daemon: Daemon) -> list[bool]:
        found = build(daemon.api, _archive(context), t=f"matrix:{name}", buildargs={"USED": "u"})
        assert found.error is None, found.lines
        text = "".join(line.get("stream", "") for line in found.lines)
        return [" ---> Using cache" in step for step in text.split("\nStep ")]

    _compare(pair, context, name, made)


@pytest.mark.parametrize("name", [*BOTH, *BUILDKIT])
def test_buildx(pair: Pair, context: Path, tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
    text = written({**BOTH, **BUILDKIT}[name])
    if name == "trees":
        (context / "Dockerfile.dockerignore").write_text("ignored\n!ignored/kept.txt\n*.tmp\n**/d.txt\n")
    if name == "fetched":
        for word, value in request.getfixturevalue("ports").items():
            text = text.replace(word, value)
    (context / "Dockerfile").write_text(text)
    (tmp_path / "secret").write_text("hidden")
    options = ("--secret", f"id=s,src={tmp_path}/secret", "--build-arg", "USED=u", "-t", f"matrix:{name}")
    _compare(pair, context, name, lambda daemon: _steps(daemon, context, *options))


def _steps(daemon: Daemon, context: Path, *options: str) -> dict[str, str]:
    """What became of each step of the Dockerfile."""
    cli = DockerCli(daemon.host, context.parent / daemon.options.kind)
    steps = Buildx(cli, context).ok("--provenance=false", *options).steps
    return {step: state for step, state in steps.items() if re.match(r"\[(?!internal)", step) and "FROM" not in step}


_EDITED = """
    FROM busybox AS one
    ARG WHO
    COPY a.txt b.txt /x/
    RUN cat /x/* > /both
    FROM busybox AS two
    ENV COLOUR=red
    COPY sub /sub
    RUN ls -lR /sub > /listed
    COPY --link run.sh /bin/
    FROM two
    LABEL of=me
    COPY --from=one /both /
    RUN --mount=target=/c,ro cat /c/ignored/kept.txt > /kept
    RUN --mount=from=one,source=/x,target=/x wc -c /x/a.txt
    RUN echo $WHO > /who
    ADD files.tgz /u/
"""


def test_steps_done_again_after_each_kind_of_edit(pair: Pair, context: Path) -> None:
    dockerfile, options = context / "Dockerfile", list[str]()
    dockerfile.write_text(written(_EDITED))

    def replaced(old: str, new: str) -> None:
        text = dockerfile.read_text()
        assert old in text
        dockerfile.write_text(text.replace(old, new))

    def touched() -> None:
        os.utime(context / "a.txt", (1, 1))
        (context / "ignored/e.txt").write_text("changed\n")
        dockerfile.write_text(f"# changed\n{dockerfile.read_text()}")

    def other_mode_and_linked_copy() -> None:
        (context / "b.txt").chmod(0o640)
        (context / "run.sh").write_text("#!/bin/sh\n")

    def file_more_and_bind() -> None:
        (context / "sub/new").write_text("new\n")
        (context / "ignored/kept.txt").write_text("changed\n")

    def other_name_and_archive() -> None:
        (context / "sub/new").rename(context / "sub/newer")
        (context / "files.tgz").write_bytes((context / "files.tgz").read_bytes() + b"\0")

    edits: dict[str, Callable[[], object]] = {
        "none": lambda: None,
        "a time, an ignored file, a comment": touched,
        "a file's mode, a linked copy": other_mode_and_linked_copy,
        "a file more, a bind's file": file_more_and_bind,
        "a file less": (context / "sub/c.txt").unlink,
        "a file's name, an archive": other_name_and_archive,
        "a label": lambda: replaced("of=me", "of=you"),
        "a variable": lambda: replaced("COLOUR=red", "COLOUR=blue"),
        "an instruction": lambda: replaced("cat /x/* >", "cat /x/a.txt >"),
        "an argument that is used": lambda: replaced("LABEL of=you", "ARG WHO"),
        "its value": lambda: options.extend(["--build-arg", "WHO=me"]),
        "a stage without cache": lambda: options.extend(["--no-cache-filter", "two"]),
        "another target": lambda: options.extend(["--target", "one"]),
    }
    for name, edit in edits.items():
        edit()
        ours, theirs = pair.each(lambda daemon: _steps(daemon, context, "-o", "type=cacheonly", *options))
        assert ours == theirs, name


def _compare(pair: Pair, context: Path, name: str, made: Callable[[Daemon], Any]) -> None:
    def shown() -> list[Any]:
        return pair.each(lambda daemon: _shown(daemon, f"matrix:{name}"))

    pair.each(made)
    ours, theirs = shown()
    assert ours == theirs
    ours, theirs = pair.each(made)
    assert ours == theirs, "the second time"
    (context / "a.txt").write_text("changed\n")
    (context / "x.tmp").write_text("changed\n")
    ours, theirs = pair.each(made)
    assert ours == theirs, "after a change"
    ours, theirs = shown()
    assert ours == theirs


def _archive(context: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(context, ".", filter=_owned_by_root)
    return buffer.getvalue()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _shown(daemon: Daemon, image: str) -> dict[str, Any]:
    """An image without what every build gives anew: ids, times, digests."""
    found = daemon.api.get(f"/images/{image}/json")
    history = daemon.api.get(f"/images/{image}/history")
    return {
        "config": found["Config"],
        "platform": (found["Os"], found["Architecture"], found.get("Variant")),
        "author": found.get("Author"),
        "layers": len(found["RootFS"]["Layers"]),
        "history": [(_HASH.sub("HASH", step["CreatedBy"]), step["Comment"], step["Size"] > 0) for step in history],
        "tree": _tree(daemon, image),
    }


def _tree(daemon: Daemon, image: str) -> dict[str, Any]:
    created = daemon.api.request("POST", "/containers/create", {"Image": image, "Cmd": ["x"]})
    assert created.status == 201, created.body
    export = daemon.api.request("GET", f"/containers/{created.json()['Id']}/export")
    daemon.api.request("DELETE", f"/containers/{created.json()['Id']}?force=1")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(export.body)) as archive:
        for entry in archive:
            name = entry.name.removeprefix("./").strip("/")
            if name and not _MADE.fullmatch(name):
                found[name] = _entry(archive, entry)
    return found


def _entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> tuple[Any, ...]:
    file = archive.extractfile(entry) if entry.isreg() else None
    content = hashlib.sha256(file.read()).hexdigest() if file else entry.linkname
    return (entry.type, oct(entry.mode), entry.uid, entry.gid, content)
