"""Makes archives for the tests: an archive is a list of what `member` returns."""

import gzip
import io
import os
import tarfile

from engine.drivers.confine.unpack import unpack

TYPES = {
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def member(name, data=b"", kind="file", link="", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.type = TYPES.get(kind, tarfile.REGTYPE)
    info.mode = 0o755 if kind == "dir" else 0o644
    info.linkname = link
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(*members, form=tarfile.PAX_FORMAT):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return output.getvalue()


def extract(data, target, *, compress=False, parents=()):
    """Unpack bytes into a directory, in this process."""
    fd = os.memfd_create("archive")
    os.write(fd, gzip.compress(data, 1) if compress else data)
    os.lseek(fd, 0, os.SEEK_SET)
    root = os.open(target, os.O_RDONLY)
    try:
        return unpack(fd, root, parents)
    finally:
        os.close(fd)
        os.close(root)
