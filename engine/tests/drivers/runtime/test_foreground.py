"""Containers held by the runtime's own `run`; the runtime is a script here."""

import asyncio
import json
from pathlib import Path

import pytest

from engine.drivers.runtime import foreground
from engine.drivers.runtime.foreground import Bundle
from engine.drivers.runtime.oci import OciRuntime, RuntimeProgram

SCRIPT = """#!/bin/sh
for last; do :; done
case "$*" in
*" run "*) mkdir -p {state}/$last; echo $$ > {state}/$last/pid; trap '' TERM; {body} ;;
*" delete "*) kill -9 $(cat {state}/$last/pid) 2> /dev/null; rm -r {state}/$last; echo deleted >> {log} ;;
esac
"""


@pytest.fixture
def runtime(tmp_path):
    def make(body):
        program = tmp_path / "runtime"
        state, log = tmp_path / "state", tmp_path / "log"
        program.write_text(SCRIPT.format(state=state, body=body, log=log))
        program.chmod(0o755)
        return OciRuntime(RuntimeProgram("script", str(program)), state)

    return make


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "bundle").mkdir()
    return Bundle("step", tmp_path / "bundle", {"ociVersion": "1.0.2"})


async def run(runtime, bundle):
    heard = []
    code = await foreground.run(runtime, bundle, lambda stream, data: heard.append((stream, data)))
    return code, sorted(heard)


async def test_output_and_exit_code(runtime, bundle):
    assert await run(runtime("echo out; echo err >&2; exit 7"), bundle) == (7, [(1, b"out\n"), (2, b"err\n")])
    assert json.loads((bundle.directory / "config.json").read_text()) == {"ociVersion": "1.0.2"}


async def test_standard_input_is_empty(runtime, bundle):
    assert await run(runtime("cat; echo end"), bundle) == (0, [(1, b"end\n")])


async def test_a_runtime_that_is_killed_takes_the_container_with_it(runtime, bundle, tmp_path):
    code, _ = await run(runtime("kill -9 $$"), bundle)
    assert code == 137
    assert (tmp_path / "log").read_text() == "deleted\n"


async def test_nobody_waits_any_more(runtime, bundle, tmp_path):
    running = asyncio.ensure_future(run(runtime("sleep 100 > /dev/null 2>&1 < /dev/null; true"), bundle))
    while not (tmp_path / "state/step/pid").exists() or not (tmp_path / "state/step/pid").read_text():
        await asyncio.sleep(0.01)
    pid = int((tmp_path / "state/step/pid").read_text())
    running.cancel()
    await asyncio.wait([running])
    assert not Path(f"/proc/{pid}").exists()
    assert (tmp_path / "log").read_text() == "deleted\n"


async def test_a_runtime_that_is_not_there(tmp_path, bundle):
    with pytest.raises(FileNotFoundError):
        await run(OciRuntime(RuntimeProgram("none", str(tmp_path / "none")), tmp_path / "state"), bundle)
