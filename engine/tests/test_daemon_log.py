"""The daemon's own log."""

import json
import logging
from collections.abc import Iterator

import pytest

from engine import daemon_log


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("engine")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    ours.setLevel(own_level)


def test_debug_lines_are_ours_alone(capsys: pytest.CaptureFixture[str]) -> None:
    daemon_log.start("debug", "json")
    for name in ("engine.domain.x", "hpack.hpack", "grpclib.server", "aiohttp.client"):
        logging.getLogger(name).debug("authorization: secret")
    logging.getLogger("hpack.hpack").warning("odd")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["module"], line["level"]) for line in lines] == [
        ("engine.domain.x", "debug"),
        ("hpack.hpack", "warning"),
    ]


def test_another_level(capsys: pytest.CaptureFixture[str]) -> None:
    daemon_log.start("info", "text")
    daemon_log.set_level("error")
    logging.getLogger("engine.x").warning("not shown")
    logging.getLogger("engine.x").error('say "this"')
    shown = capsys.readouterr().err
    assert shown.startswith('time="')
    assert shown.endswith('Z" level=error msg="say \\"this\\"" module=engine.x\n')
