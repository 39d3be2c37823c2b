"""Runtimes that the settings add."""

import json
from pathlib import Path

from compat_tests.conftest import Suite, finish, load_busybox

# What it is told comes first; the rest is for runc.
WRAPPER = """#!/bin/sh
echo "$@" >> {log}
[ "$1" = --marker ] && shift
exec runc "$@"
"""


def test_a_runtime_with_arguments_of_its_own(suite: Suite, tmp_path: Path) -> None:
    log, wrapper = tmp_path / "log", tmp_path / "wrapper"
    wrapper.write_text(WRAPPER.format(log=log))
    wrapper.chmod(0o755)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"runtimes": {"wrapped": {"path": str(wrapper), "runtimeArgs": ["--marker"]}}}))
    daemon = suite.daemon("--config-file", str(settings))
    try:
        daemon.start()
        load_busybox(daemon)
        assert daemon.cli.ok("run", "--rm", "--runtime", "wrapped", "busybox", "echo", "it", "runs") == "it runs"
        created = [line for line in log.read_text().splitlines() if " create " in line]
        assert len(created) == 1
        assert created[0].startswith("--marker ")
        assert daemon.api.get("/info")["Runtimes"]["wrapped"]["path"] == str(wrapper)
    finally:
        finish(daemon)
