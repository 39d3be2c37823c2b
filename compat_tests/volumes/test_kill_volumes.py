"""A daemon that is killed while volumes come and go: what was answered holds, and no data is lost."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.conftest import Suite, finish


@pytest.fixture(scope="module")
def killed(suite: Suite, engine: Daemon) -> Iterator[Daemon]:
    """A daemon of this module's own, without images."""
    daemon = suite.daemon()
    try:
        daemon.start()
        yield daemon
    finally:
        finish(daemon)


class Churn:
    """Makes volumes with a file in each, and removes every other one; knows what the daemon has answered."""

    def __init__(self, daemon: Daemon, prefix: str) -> None:
        self._daemon = daemon
        self._prefix = prefix
        self.there: set[str] = set()
        self.gone: set[str] = set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            for number in range(10_000):
                name = f"{self._prefix}{number}"
                answer = self._daemon.api.post("/volumes/create", {"Name": name, "Labels": {"by": self._prefix}})
                assert answer.status == 201, answer
                Path(answer.json()["Mountpoint"], "data").write_text(name)
                self.there.add(name)
                if number % 2:
                    self.there.discard(name)
                    assert self._daemon.api.request("DELETE", f"/volumes/{name}").status == 204
                    self.gone.add(name)
        except OSError:
            return

    def end(self) -> None:
        self._thread.join()


@pytest.mark.wharfd_only("a daemon is killed half way")
@pytest.mark.parametrize("moment", [0.05, 0.11, 0.23])
def test_what_was_answered_holds(killed: Daemon, moment: float) -> None:
    churns = [Churn(killed, f"c{n}m{int(moment * 100)}-") for n in range(4)]
    time.sleep(moment)
    killed.kill()
    for churn in churns:
        churn.end()
    killed.start()
    volumes = {v["Name"]: v for v in killed.api.get("/volumes")["Volumes"]}
    for churn in churns:
        assert churn.there, "nothing happened before the kill"
        assert churn.there <= volumes.keys()
        assert not churn.gone & volumes.keys()
        for name in churn.there:
            assert Path(volumes[name]["Mountpoint"], "data").read_text() == name
            assert volumes[name]["Labels"] == {"by": churn._prefix}
    assert sorted(os.listdir(killed.data_root / "volumes")) == sorted(volumes)
    killed.wipe()
    assert os.listdir(killed.data_root / "volumes") == []
