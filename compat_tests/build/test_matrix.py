"""The same Dockerfiles built here and by real dockerd: the same images, and the same steps done again.

Each is built, built once more, and built after a change of its context, through the classic builder and buildx.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
}


@dataclass(frozen=True)
class Pair:
    """The engine under test and dockerd."""

    ours: Daemon
    theirs: Daemon


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
    return directory


def written(dockerfile: str) -> str:
    return "".join(f"{line.strip()}\n" for line in dockerfile.strip().splitlines())


@pytest.mark.parametrize("name", BOTH)
def test_classic(pair: Pair, context: Path, name: str) -> None:
    (context / "Dockerfile").write_text(written(BOTH[name]))

    def made(daemon: Daemon) -> list[bool]:
        found = build(daemon.api, _archive(context), t=f"matrix:{name}", buildargs={"USED": "u"})
        assert found.error is None, found.lines
        text = "".join(line.get("stream", "") for line in found.lines)
        return [" ---> Using cache" in step for step in text.split("\nStep ")]

    _compare(pair, context, name, made)


@pytest.mark.parametrize("name", [*BOTH, *BUILDKIT])
def test_buildx(pair: Pair, context: Path, tmp_path: Path, name: str) -> None:
    (context / "Dockerfile").write_text(written({**BOTH, **BUILDKIT}[name]))

    def made(daemon: Daemon) -> dict[str, str]:
        cli = DockerCli(daemon.host, tmp_path / daemon.options.kind)
        options = ("--provenance=false", "--build-arg", "USED=u", "-t", f"matrix:{name}")
        steps = Buildx(cli, context).ok(*options).steps
        return {
            step: state for step, state in steps.items() if re.match(r"\[(?!internal)", step) and "FROM" not in step
        }

    _compare(pair, context, name, made)


def _compare(pair: Pair, context: Path, name: str, made: Any) -> None:
    made(pair.ours), made(pair.theirs)
    image = f"matrix:{name}"
    assert _shown(pair.ours, image) == _shown(pair.theirs, image)
    assert made(pair.ours) == made(pair.theirs), "the second time"
    (context / "a.txt").write_text("changed\n")
    (context / "x.tmp").write_text("changed\n")
    assert made(pair.ours) == made(pair.theirs), "after a change"
    assert _shown(pair.ours, image) == _shown(pair.theirs, image)


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
