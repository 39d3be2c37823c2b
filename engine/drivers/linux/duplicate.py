"""Duplicates of descriptors for a program that is about to start."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

_FLOOR = 200


@contextmanager
def duplicated(files: Mapping[int, int]) -> Iterator[Sequence[tuple[int, int]]]:
    """Lend pairs (a duplicate, the child's number) for pairs (the child's number, our descriptor). Raises OSError.

    The duplicates lie above the child's numbers: a direct dup2 could overwrite a source that a later one still needs.
    """
    with ExitStack() as stack:
        pairs = []
        for number, fd in files.items():
            held = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(_FLOOR, *files) + 1)
            stack.callback(os.close, held)
            pairs.append((held, number))
        yield pairs
