"""An engine's process: start, stop, kill, start again on the same directories."""

import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from compat_tests.clients import oracle
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.namespaces import HostNamespaces, Namespaces
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
WHARFD = os.environ.get("WHARFD", str(REPOSITORY / ".venv/bin/wharfd"))


@dataclass(frozen=True)
class DaemonOptions:
    """`kind` is `wharfd` or `dockerd`; `bridge` is the name of the default bridge where the engine can choose it."""

    kind: str
    state: Path
    bip: str = "10.213.0.1/24"
    bridge: str = ""
    arguments: tuple[str, ...] = ()
    namespaces: Namespaces = field(default_factory=HostNamespaces)


class Daemon:
    """One engine, with its state below `state`, its socket and its log there too."""

    def __init__(self, options: DaemonOptions) -> None:
        options.state.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.kind = options.kind
        self.state = options.state
        self.namespaces = options.namespaces
        self.socket = self.state / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.log_path = self.state / "daemon.log"
        self.data_root = self.state / "data"
        self.exec_root = self.state / "exec"
        self.api = RawHttp(str(self.socket))
        self.cli = DockerCli(self.host, self.state / "cli")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, timeout: float = 60) -> None:
        """Returns when the engine answers; RuntimeError with the end of its log when it does not."""
        self.launch()
        self.wait_ready(timeout)

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        argv, environment = self._command()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.namespaces.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                cwd="/",
            )

    def wait_ready(self, timeout: float = 60) -> None:
        def ready() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.kind} ended at start:\n{self.log()[-4000:]}")
            try:
                return self.api.request("GET", "/_ping", timeout=5).status == 200
            except OSError:
                return False

        eventually(ready, timeout, f"{self.kind} answers")

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, at this instant."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def restart(self) -> None:
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Remove every container, volume and network, so that nothing is left running when the daemon ends."""
        for container in self.api.get("/containers/json?all=1"):
            self.api.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for volume in self.api.get("/volumes").get("Volumes") or []:
            self.api.request("DELETE", f"/volumes/{volume['Name']}?force=1")
        for network in self.api.get("/networks"):
            if network["Name"] not in ("bridge", "host", "none"):
                self.api.request("DELETE", f"/networks/{network['Id']}")
        self.api.request("POST", "/networks/prune")

    def close(self) -> None:
        """End the daemon and whatever it left running, and remove its state."""
        if self.running:
            try:
                self.wipe()
                self.stop()
            finally:
                if self.running:
                    self.kill()
        self._end_strays()
        self._unmount()
        if not self.namespaces.private:
            self._clear_network()
        shutil.rmtree(self.state, ignore_errors=True)

    def strays(self) -> list[int]:
        """Processes whose command line names our state directory: monitors, shims, a containerd."""
        marker = os.fsencode(str(self.state))
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in (os.getpid(), self.namespaces.pid):
                try:
                    if marker in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def _end_strays(self) -> None:
        deadline = time.monotonic() + 10
        while (pids := self.strays()) and time.monotonic() < deadline:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)

    def _clear_network(self) -> None:
        """Remove the bridge and the rules that an engine keeps for its next start, as dockerd does."""
        bridge = self.options.bridge
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
        for family in ("ip", "ip6"):
            subprocess.run(["nft", "delete", "table", family, f"wharf-{bridge}"], check=False, capture_output=True)
        for program in ("iptables", "ip6tables"):
            saved = subprocess.run([f"{program}-save"], check=False, capture_output=True, text=True).stdout
            table = ""
            for line in saved.splitlines():
                table = line[1:] if line.startswith("*") else table
                if line.startswith("-A ") and bridge in line:
                    rule = ["-D", *shlex.split(line)[1:]]
                    subprocess.run([program, "-w", "-t", table, *rule], check=False, capture_output=True)

    def _unmount(self) -> None:
        for line in reversed(Path(f"/proc/{self.namespaces.pid}/mountinfo").read_text().splitlines()):
            target = line.split()[4]
            if target.startswith(f"{self.state}/"):
                subprocess.run(self.namespaces.command(["umount", "-l", target]), check=False, capture_output=True)

    def _command(self) -> tuple[list[str], dict[str, str]]:
        options = self.options
        if self.kind == "dockerd":
            return oracle.command(self.state, ["--bip", options.bip, *options.arguments])
        argv = [*shlex.split(WHARFD), "--data-root", str(self.data_root), "--exec-root", str(self.exec_root)]
        argv += ["-H", self.host, "-p", str(self.state / "wharfd.pid"), "--bip", options.bip]
        if options.bridge:
            argv += ["--bridge", options.bridge]
        config = self.state / "daemon.json"
        if not config.exists():
            config.write_text("{}")
        return [*argv, "--config-file", str(config), *options.arguments], dict(os.environ)
