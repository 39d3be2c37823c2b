"""Where a container's files are. Pure: makes and reads nothing."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ContainerPaths:
    """The directories of all containers: `data` survives a reboot, `run` does not."""

    data: Path
    run: Path

    def home(self, container_id: str) -> Path:
        """The container's own directory: hosts, hostname, resolv.conf, log."""
        return self.data / "containers" / container_id

    def log(self, container_id: str) -> Path:
        """Its log file, in the format of conmon."""
        return self.home(container_id) / f"{container_id}.log"

    def log_position(self, container_id: str) -> Path:
        """How much of the log has been sent to a collector."""
        return self.home(container_id) / "forward" / "position.json"

    def hostname(self, container_id: str) -> Path:
        """What the container sees as /etc/hostname."""
        return self.home(container_id) / "hostname"

    def hosts(self, container_id: str) -> Path:
        """What the container sees as /etc/hosts."""
        return self.home(container_id) / "hosts"

    def resolv_conf(self, container_id: str) -> Path:
        """What the container sees as /etc/resolv.conf."""
        return self.home(container_id) / "resolv.conf"

    def bundle(self, container_id: str) -> Path:
        """The OCI bundle of a started container; its presence says that a start began and its teardown did not end."""
        return self.run / "containers" / container_id

    def subpaths(self, container_id: str) -> Path:
        """Where parts of volumes are mounted for the container to be bound from."""
        return self.run / "containers" / container_id / "subpaths"

    def shm(self, container_id: str) -> Path:
        """The tmpfs that others may share as /dev/shm (`--ipc shareable`)."""
        return self.run / "containers" / container_id / "shm"
