"""`POST /build`, version 1: which steps are taken from the cache after each kind of edit, as dockerd decides."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from compat_tests.clients.buildcontext import build, context, forget_built
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp

DOCKERFILE = """\
FROM busybox AS one
ARG A=1
ARG UNUSED
ENV E=$A
LABEL z=1 a=2
COPY a /a
RUN echo hi > /x
FROM busybox
ARG A
RUN echo $A
COPY --from=one /x /y
COPY d/ /d/
WORKDIR /w
USER 7
CMD ["x"]
"""
FILES = {"a": "1", "d/f": "2", "n": "3"}


@pytest.fixture(scope="module")
def built(engine: Daemon) -> Iterator[None]:
    assert build(engine.api, context(DOCKERFILE, FILES)).status == 200
    yield
    forget_built(engine)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("edit", "files", "query", "cached"),
    [
        ("", {}, {}, 13),
        ("# a comment\n", {}, {}, 13),
        ("", {"n": "9"}, {}, 13),
        ("", {"a": "9"}, {}, 11),
        ("", {"a": (b"1", 0o755)}, {}, 11),
        ("", {"d/f": "9"}, {}, 9),
        ("", {"d/g": "9"}, {}, 9),
        ("", {".dockerignore": "d/g\n", "d/g": "9"}, {}, 13),
        ("", {}, {"buildargs": '{"A":"2"}'}, 3),
        ("", {}, {"buildargs": '{"UNUSED":"2"}'}, 12),
        ("", {}, {"nocache": "1"}, 0),
        ("", {}, {"target": "one"}, 6),
        ("", {}, {"labels": '{"k":"v"}'}, 13),
    ],
)
def test_edits(api: RawHttp, edit: str, files: Mapping[str, Any], query: Mapping[str, str], cached: int) -> None:
    assert build(api, context(edit + DOCKERFILE, {**FILES, **files}), **query).cached == cached


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("old", "new", "cached"),
    [("RUN echo", "run echo", 13), ("z=1 a=2", "a=2 z=1", 10), ("/x /y", "/x /z", 8), ("USER 7", "USER 8", 11)],
)
def test_edits_of_the_dockerfile(api: RawHttp, old: str, new: str, cached: int) -> None:
    assert build(api, context(DOCKERFILE.replace(old, new), FILES)).cached == cached
