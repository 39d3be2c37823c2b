"""A real firewalld in a network of its own, with a message bus and a configuration of its own."""

import os
import subprocess
from pathlib import Path

from compat_tests.clients.namespaces import PrivateNamespaces
from compat_tests.clients.waiting import eventually

_BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class Firewalld:
    """Runs in the network of `namespaces` until it is closed; what knows `environment` talks to it."""

    def __init__(self, namespaces: PrivateNamespaces, directory: Path) -> None:
        self._namespaces = namespaces
        self._directory = directory
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory / 'bus'}"}
        self._configuration = directory / "etc"
        self._configuration.mkdir()
        settings = directory / "bus.conf"
        settings.write_text(_BUS.format(socket=directory / "bus"))
        self._bus = self._spawn(["dbus-daemon", f"--config-file={settings}", "--nofork", "--nopidfile"])
        eventually((directory / "bus").exists)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it has set its rules."""
        options = ["--nofork", "--nopid", f"--system-config={self._configuration}", "--log-target=console"]
        self._process = self._spawn(["firewalld", *options])
        eventually(lambda: self.command("--state").returncode == 0, timeout=20)

    def stop(self) -> None:
        """End it; it takes its rules with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `firewall-cmd`."""
        argv = self._namespaces.command(["firewall-cmd", *arguments])
        return subprocess.run(argv, env=os.environ | self.environment, capture_output=True, text=True, check=False)

    def close(self) -> None:
        self.stop()
        self._bus.terminate()
        self._bus.wait()

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        with (self._directory / f"{argv[0]}.log").open("ab") as log:
            return subprocess.Popen(
                self._namespaces.command(argv),
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
