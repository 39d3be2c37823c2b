"""Unpacked layers, each once, under their chain ID.

`<root>/<chain hex>/diff` is the tree, `size` beside it its size in bytes. A layer comes into being by one rename, so
that a daemon killed at any instant leaves either the whole layer or a temporary, which `clean` deletes at the next
start. A layer that a build has made has a name of its own, of the same form, until its chain ID is known. Says nothing
about who uses a layer.
"""

import secrets
from pathlib import Path

from engine.drivers.linux.removal import remove_tree

_TEMPORARY = ".new-"
_REMOVED = ".removed-"


class LayerStore:
    """The directory of unpacked layers. What it holds is known in memory: questions never touch the disk."""

    def __init__(self, root: Path) -> None:
        """`root` is made by `clean`, which must run first."""
        self._root = root
        self._sizes: dict[str, int] = {}

    def clean(self) -> None:
        """Make the directory, delete what a killed daemon left, load the rest. Blocks; call in a thread."""
        self._root.mkdir(mode=0o710, parents=True, exist_ok=True)
        for entry in list(self._root.iterdir()):
            if entry.name.startswith((_TEMPORARY, _REMOVED)):
                remove_tree(entry)
            elif len(entry.name) == 64:
                self._sizes[f"sha256:{entry.name}"] = int((entry / "size").read_text())

    def has(self, chain: str) -> bool:
        """Tell whether the layer is there."""
        return chain in self._sizes

    def path(self, chain: str) -> Path:
        """Return the layer's tree, whether it is there or not."""
        return self._root / _hex(chain) / "diff"

    def size(self, chain: str) -> int:
        """Return the size given at `commit`, in bytes; 0 for a layer that is not there."""
        return self._sizes.get(chain, 0)

    def all(self) -> list[str]:
        """Return the chain ID of each layer."""
        return list(self._sizes)

    def begin(self, chain: str) -> Path:
        """Make an empty tree to unpack a layer into, for `commit` or `discard`. Blocks; call in a thread."""
        home = self._root / f"{_TEMPORARY}{_hex(chain)[:12]}-{secrets.token_hex(4)}"
        home.mkdir(mode=0o710)
        tree = home / "diff"
        tree.mkdir()
        tree.chmod(0o755)
        return tree

    def commit(self, chain: str, temporary: Path, size: int) -> None:
        """Make the tree that `begin` gave the layer; the first of two is kept. Blocks; call in a thread."""
        home = temporary.parent
        (home / "size").write_text(str(size))
        try:
            home.rename(self._root / _hex(chain))
        except OSError:
            if not self.path(chain).is_dir():
                raise
            remove_tree(home)
            return
        self._sizes[chain] = size

    def adopt(self, layer: str, tree: Path) -> None:
        """Make a directory the layer by renaming it; its size is not known yet. Blocks; call in a thread."""
        temporary = self.begin(layer)
        try:
            temporary.rmdir()
            tree.rename(temporary)
            self.commit(layer, temporary, 0)
        except BaseException:
            self.discard(temporary)
            raise

    def rename(self, layer: str, chain: str) -> bool:
        """Give a layer its chain ID, unless there is such a layer already. Blocks; call in a thread."""
        if chain in self._sizes:
            return False
        (self._root / _hex(layer)).rename(self._root / _hex(chain))
        self._sizes[chain] = self._sizes.pop(layer, 0)
        return True

    def resize(self, layer: str, size: int) -> None:
        """Say how large a layer is, in bytes. Blocks; call in a thread."""
        (self._root / _hex(layer) / "size").write_text(str(size))
        self._sizes[layer] = size

    def discard(self, temporary: Path) -> None:
        """Delete a tree that will not become a layer. Blocks; call in a thread."""
        remove_tree(temporary.parent)

    def remove(self, chain: str) -> None:
        """Forget a layer at once and delete it. Raises OSError. Blocks; call in a thread."""
        self._sizes.pop(chain, None)
        grave = self._root / f"{_REMOVED}{secrets.token_hex(8)}"
        try:
            (self._root / _hex(chain)).rename(grave)
        except FileNotFoundError:
            return
        remove_tree(grave)


def _hex(chain: str) -> str:
    return chain.rpartition(":")[2]
