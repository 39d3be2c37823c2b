"""Where monitors go: beside the service that the daemon is, or nowhere."""

import os

import pytest

from engine.drivers.cgroups import shelter
from engine.drivers.cgroups.shelter import MonitorScope
from engine.drivers.linux.proc import Completed


class _Systemd:
    """Makes the scope when it is told to."""

    def __init__(self, root, status=0, error=b""):
        self.root, self.status, self.error = root, status, error
        self.calls = []

    async def run(self, argv):
        self.calls.append(argv)
        if not self.status:
            directory = self.root / "system.slice" / argv[argv.index("StartTransientUnit") + 2]
            directory.mkdir(parents=True)
            (directory / "cgroup.procs").write_text("")
        return Completed(tuple(argv), self.status, b"", self.error)


async def _admitted(scope, *pids):
    for pid in pids:
        scope.admit(pid)
    await scope.close()


async def test_the_first_monitor_makes_the_scope_and_the_next_joins(tmp_path, monkeypatch):
    systemd = _Systemd(tmp_path)
    monkeypatch.setattr(shelter.proc, "run", systemd.run)
    scope = MonitorScope(tmp_path, {"": "/system.slice/wharf.service"}, v2=True)
    await _admitted(scope, 11, 12)
    assert len(systemd.calls) == 1
    words = systemd.calls[0]
    assert words[words.index("PIDs") + 3] == "11"
    assert words[words.index("Slice") + 2] == "system.slice"
    assert (tmp_path / "system.slice/wharf-monitors.scope/cgroup.procs").read_text() == "12"


@pytest.mark.parametrize("own", [{}, {"": "/"}, {"": "/user.slice/user-0.slice/session-1.scope"}, {"": "/docker/abc"}])
async def test_elsewhere_nothing_is_moved(tmp_path, monkeypatch, own):
    systemd = _Systemd(tmp_path)
    monkeypatch.setattr(shelter.proc, "run", systemd.run)
    await _admitted(MonitorScope(tmp_path, own, v2=True), os.getpid())
    assert not systemd.calls
    assert not list(tmp_path.iterdir())


async def test_on_v1_it_is_systemds_own_hierarchy(tmp_path, monkeypatch):
    systemd = _Systemd(tmp_path / "systemd")
    monkeypatch.setattr(shelter.proc, "run", systemd.run)
    await _admitted(MonitorScope(tmp_path, {"systemd": "/system.slice/wharf.service"}, v2=False), 5)
    assert (tmp_path / "systemd/system.slice/wharf-monitors.scope/cgroup.procs").exists()


async def test_a_refusal_is_told_and_harms_nothing(tmp_path, monkeypatch, caplog):
    systemd = _Systemd(tmp_path, status=1, error=b"Access denied")
    monkeypatch.setattr(shelter.proc, "run", systemd.run)
    scope = MonitorScope(tmp_path, {"": "/system.slice/wharf.service"}, v2=True)
    await _admitted(scope, 7)
    assert "Access denied" in caplog.text
