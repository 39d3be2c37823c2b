"""Extended attributes, as far as they belong to a tree rather than to the filesystem that holds it."""

import contextlib
import errno
import os
from collections.abc import Iterator

OPAQUE = b"trusted.overlay.opaque"
_OVERLAY = b"trusted.overlay."
_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EPERM, errno.ENODATA})


def set_on(target: int | bytes, attributes: dict[bytes, bytes]) -> None:
    """Set attributes on a descriptor or, without following a link, on a name in the working directory.

    overlayfs's own are left out: they would give an archive power over layers that are not its own. Those that the
    filesystem does not have are left out too, as containerd does.
    """
    for name, value in attributes.items():
        if name.startswith(_OVERLAY) or b"\0" in name:
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise


def copied(target: int | bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the attributes that a copy of a file must have. Filesystems without attributes have none."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listxattr(target) if isinstance(target, int) else os.listxattr(target, follow_symlinks=False)
    for name in names:
        raw = os.fsencode(name)
        if raw.startswith(_OVERLAY):
            continue
        with contextlib.suppress(OSError):
            yield (
                raw,
                os.getxattr(target, name)
                if isinstance(target, int)
                else os.getxattr(target, name, follow_symlinks=False),
            )


def is_opaque(directory: int) -> bool:
    """Tell whether overlayfs hides what lies below this directory."""
    try:
        return os.getxattr(directory, OPAQUE) == b"y"
    except OSError:
        return False


def set_by_name(above: int, name: bytes, attributes: dict[bytes, bytes]) -> None:
    """`set_on` for what cannot be opened, without following it."""
    with entered(above):
        set_on(name, attributes)


@contextlib.contextmanager
def entered(directory: int) -> Iterator[None]:
    """Make a directory the working one for a while: no system call for attributes takes a directory's descriptor."""
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.fchdir(directory)
        yield
    finally:
        os.fchdir(here)
        os.close(here)
