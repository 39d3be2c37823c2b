"""Where an installed plugin's things are."""

import posixpath
from dataclasses import dataclass
from pathlib import Path

from engine.domain.plugins.failures import OutsidePlugin


@dataclass(frozen=True, slots=True)
class PluginPaths:
    """`data` is `<data-root>/plugins`, `run` is `<exec-root>/installed-plugins`."""

    data: Path
    run: Path

    def prepare(self) -> None:
        """Make the directories. Blocks; used at start-up only."""
        for directory in (self.data / "propagated", self.run):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def propagated(self, plugin_id: str) -> Path:
        """Return the directory that mounts of the plugin appear below, on the host, too."""
        return self.data / "propagated" / plugin_id

    def bundle(self, plugin_id: str) -> Path:
        """Return the OCI bundle of a run; while it exists, a run has not been tidied up."""
        return self.run / plugin_id

    def sockets(self, plugin_id: str) -> Path:
        """Return what the plugin has as /run/docker/plugins."""
        return self.run / plugin_id / "sockets"

    def fifos(self, plugin_id: str) -> Path:
        """Return what the plugin has as /run/docker/logging."""
        return self.run / plugin_id / "logging"

    def output(self, plugin_id: str) -> Path:
        """Return the file of what a run prints; it has a directory of its own."""
        return self.run / plugin_id / "output" / "log"

    def rootfs(self, plugin_id: str) -> Path:
        """Return where its tree is mounted."""
        return self.data / "overlay" / plugin_id / "merged"

    def on_host(self, plugin_id: str, propagated_mount: str, path: str) -> str:
        """Return where on the host a path of the plugin's is. Raises OutsidePlugin. Blocks; call in a thread.

        A plugin has its own tree and no more, so neither `..` nor links may lead out of it.
        """
        path, inside = posixpath.normpath(f"/{path.lstrip('/')}"), propagated_mount.rstrip("/")
        if inside and (path == inside or path.startswith(f"{inside}/")):
            root, below = self.propagated(plugin_id), path[len(inside) :]
        else:
            root, below = self.rootfs(plugin_id), path
        found = root.resolve() / below.lstrip("/")
        if found.resolve() != found:
            raise OutsidePlugin(path)
        return str(found)
