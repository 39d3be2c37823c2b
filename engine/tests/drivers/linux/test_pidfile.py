"""A pid file is held by the living process alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.drivers.linux.pidfile import PidFile, StillRunning

_HOLDER = """
import sys
from pathlib import Path
from engine.drivers.linux.pidfile import PidFile
PidFile(Path(sys.argv[1])).take()
print("held", flush=True)
sys.stdin.read()
"""


def test_held_by_another_process_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "wharf.pid"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StillRunning, match=f"process with PID {holder.pid} is still running"):
            PidFile(path).take()
        holder.kill()
        holder.wait()
    # What a killed daemon leaves does not stop the next.
    again = PidFile(path)
    again.take()
    again.release()
    assert not path.exists()
