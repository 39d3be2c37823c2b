"""What good archives become: every kind of entry, whiteouts, sparse files, and the way back to an archive."""

import bz2
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import threading

import pytest
import zstandard

from engine.drivers.confine import decompress
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.layer_tar import pack
from engine.drivers.confine.measure import disk_usage
from engine.drivers.confine.unpack import unpack
from engine.tests.drivers.confine.archive import extract, member, tar

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes, owners and trusted attributes")


@pytest.fixture
def tree(tmp_path):
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


def packed(tree):
    fd, root = os.memfd_create("packed"), os.open(tree, os.O_RDONLY)
    pack(root, fd)
    os.lseek(fd, 0, os.SEEK_SET)
    data = os.read(fd, 1 << 26)
    os.close(fd)
    os.close(root)
    return data


def looks(tree):
    """Everything that must survive a round trip, by name."""
    found = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        target = str(path.readlink()) if path.is_symlink() else None
        attributes = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
        seconds = int(status.st_mtime)
        what = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, seconds, content, target, attributes)
        found[str(path.relative_to(tree))] = what
    return found


def sample():
    described, data = member("etc/caps", b"#!", mode=0o755)
    described.pax_headers = {"SCHILY.xattr.user.note": "hello"}
    return [
        member("./", kind="dir", mode=0o755, mtime=5),
        member("./etc/", kind="dir", mode=0o2750, uid=3, gid=4, mtime=7),
        member("etc/passwd", b"root:x:0:0\n", mtime=1_600_000_000),
        (described, data),
        member("bin/su", b"\x7fELF", mode=0o4755, gid=5),
        member("bin/sh", kind="link", link="bin/su"),
        member("run", kind="symlink", link="/var/run", uid=9, mtime=11),
        member("tmp", kind="dir", mode=0o1777, mtime=13),
        member("dev/null", kind="char", devmajor=1, devminor=3, mode=0o666),
        member("dev/loop", kind="block", devmajor=7, devminor=0, mode=0o660),
        member("dev/pipe", kind="fifo", mode=0o600),
        member("long/" + "n" * 150 + "/" + "m" * 120, b"long", mtime=17),
    ]


@root_only
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_every_kind_of_entry(tree, form):
    data = tar(*sample(), form=form)
    answer = extract(data, tree)
    assert answer["diff_id"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert answer["archive_size"] == len(data)
    etc, su, null = (tree / "etc").stat(), (tree / "bin/su").stat(), (tree / "dev/null").stat()
    assert (stat.S_IMODE(etc.st_mode), etc.st_uid, etc.st_gid, etc.st_mtime) == (0o2750, 3, 4, 7)
    assert (tree / "etc/passwd").stat().st_gid == 0, "a directory's set-group-ID bit has reached a file"
    assert (stat.S_IMODE(su.st_mode), su.st_gid, su.st_nlink) == (0o4755, 5, 2)
    assert (tree / "bin/su").samefile(tree / "bin/sh")
    assert (tree / "run").readlink().as_posix() == "/var/run"
    assert ((tree / "run").lstat().st_uid, (tree / "run").lstat().st_mtime) == (9, 11)
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev) == (True, os.makedev(1, 3))
    assert stat.S_ISFIFO((tree / "dev/pipe").stat().st_mode)
    assert (tree / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (tree / "bin").stat().st_mode & 0o7777 == 0o755
    assert tree.stat().st_mtime == 5
    if form == tarfile.PAX_FORMAT:
        assert os.getxattr(tree / "etc/caps", "user.note") == b"hello"


@root_only
def test_packing_and_unpacking_gives_the_same_tree(tree, tmp_path):
    extract(tar(*sample(), member(".wh.gone"), member("tmp/.wh..wh..opq")), tree)
    first = packed(tree)
    again = tmp_path / "again"
    again.mkdir()
    extract(first, again)
    assert looks(again) == looks(tree)
    assert packed(again) == first


def test_sizes_are_those_of_the_disk(tree):
    answer = extract(tar(member("a", b"x" * 5000), member("d", kind="dir"), member("d/b", b"y")), tree)
    root = os.open(tree, os.O_RDONLY)
    assert answer["size"] == disk_usage(root)
    os.close(root)


def test_times_are_exact_to_the_nanosecond(tree):
    info, data = member("a", b"x")
    info.pax_headers = {"mtime": "1234567890.123456789"}
    old, more = member("old", b"x")
    old.pax_headers = {"mtime": "-1.5"}
    extract(tar((info, data), (old, more)), tree)
    assert (tree / "a").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert (tree / "old").stat().st_mtime_ns == -1_500_000_000


def test_names_that_are_not_utf_8_stay_as_they_are(tree):
    extract(tar(member(os.fsdecode(b"caf\xe9"), b"x"), form=tarfile.GNU_FORMAT), tree)
    assert os.listdir(os.fsencode(tree)) == [b"caf\xe9"]


def test_the_last_entry_of_a_name_counts(tree):
    members = [
        member("a", b"1"),
        member("a", b"22"),
        member("d", kind="dir"),
        member("d/x", b"1"),
        member("d", kind="dir", mode=0o700),
        member("e", kind="dir"),
        member("e/x", b"1"),
        member("e", b"file"),
        member("a", kind="link", link="a"),
    ]
    extract(tar(*members), tree)
    assert (tree / "a").read_bytes() == b"22"
    assert (tree / "d/x").exists() and (tree / "d").stat().st_mode & 0o777 == 0o700
    assert (tree / "e").read_bytes() == b"file"


def test_a_link_in_the_way_is_followed_inside_the_tree(tree):
    members = [
        member("usr/lib", kind="dir"),
        member("lib", kind="symlink", link="usr/lib"),
        member("lib/x", b"1"),
        member("y", kind="link", link="lib/x"),
    ]
    extract(tar(*members), tree)
    assert (tree / "usr/lib/x").stat().st_nlink == 2


def is_whiteout(path):
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def opaque(path):
    try:
        return os.getxattr(path, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


@root_only
def test_whiteouts(tree):
    members = [
        member("a/.wh.gone"),
        member("b/.wh..wh..opq"),
        member("c/x", b"1"),
        member(".wh.c"),
        member(".wh.d"),
        member("d", kind="dir"),
        member("e", b"kept"),
        member(".wh.e"),
        member(".wh.f"),
        member("f", b"new"),
        member(".wh..wh.plnk", kind="dir"),
    ]
    extract(tar(*members), tree)
    assert is_whiteout(tree / "a/gone")
    assert opaque(tree / "b") and opaque(tree / "c") and opaque(tree / "d") and not opaque(tree / "a")
    assert (tree / "e").read_bytes() == b"kept" and (tree / "f").read_bytes() == b"new"
    assert sorted(p.name for p in tree.iterdir()) == ["a", "b", "c", "d", "e", "f"]


@root_only
def test_implied_directories_look_like_those_below(tree, tmp_path):
    below = tmp_path / "below"
    (below / "tmp/deep").mkdir(parents=True)
    (below / "tmp").chmod(0o1777)
    os.chown(below / "tmp/deep", 7, 8)
    parent = os.open(below, os.O_RDONLY)
    extract(tar(member("tmp/deep/x", b"1"), member("new/x", b"1")), tree, parents=[parent])
    os.close(parent)
    assert (tree / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (tree / "tmp/deep").stat().st_uid == 7
    assert (tree / "new").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("form", ["0.0", "0.1", "1.0"])
def test_sparse_files(tree, form):
    data = b"head" + b"tail"
    info, _ = member("s", data)
    if form == "0.0":
        # tarfile cannot repeat a record, so the two fragments are one here.
        info.pax_headers = {"GNU.sparse.size": "100008", "GNU.sparse.offset": "100000", "GNU.sparse.numbytes": "8"}
    elif form == "0.1":
        info.pax_headers = {"GNU.sparse.size": "100008", "GNU.sparse.map": "0,4,100004,4"}
    else:
        data = b"2\n0\n4\n100004\n4\n".ljust(512, b"\0") + data
        info.size = len(data)
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100008"}
        info.pax_headers["GNU.sparse.name"] = "s"
    extract(tar((info, data), member("after", b"x")), tree)
    content = (tree / "s").read_bytes()
    assert len(content) == 100008
    assert content.strip(b"\0") == (b"headtail" if form == "0.0" else b"head" + bytes(100000) + b"tail")
    assert (tree / "s").stat().st_blocks * 512 < 50000
    assert (tree / "after").read_bytes() == b"x"


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, lambda d: gzip.compress(d[:700]) + gzip.compress(d[700:]) + bytes(50), bz2.compress,
     lzma.compress, zstandard.compress, lambda d: zstandard.compress(d[:700]) + zstandard.compress(d[700:])],
    ids=["plain", "gzip", "gzip-members", "bzip2", "xz", "zstd", "zstd-frames"],
)  # fmt: skip
def test_every_compression(tree, compress):
    data = tar(member("a", os.urandom(700_000)), member("b", bytes(700_000)))
    answer = extract(compress(data), tree)
    assert answer["diff_id"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (tree / "b").read_bytes() == bytes(700_000)


@pytest.mark.parametrize("data", [b"", bytes(1024), bytes(10240)], ids=["nothing", "end", "padded"])
def test_empty_archives(tree, data):
    answer = extract(data, tree)
    assert answer["archive_size"] == len(data)
    assert list(tree.iterdir()) == []


@pytest.mark.parametrize("end", [1024 + 512 + 5, 1024 + 512 + 300, 2048])
def test_the_last_block_need_not_be_full(tree, end):
    data = tar(member("a", b"x"), member("b", b"whole"))[:end]
    assert extract(data, tree)["diff_id"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (tree / "b").read_bytes() == b"whole"


def test_what_follows_the_archive_counts_for_its_digest(tree):
    data = tar(member("a", b"x")) + b"rest" * 1000
    assert extract(data, tree)["diff_id"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_nothing_reads_on_behind_a_descriptor_that_is_closed(tmp_path, monkeypatch):
    """A refused archive leaves a thread that still reads: not from what has the descriptor's number next."""
    swapped, over = threading.Event(), threading.Event()
    reads = []

    def read(fd, size, own_read=os.read):
        reads.append(fd)
        if len(reads) <= 2:  # One looks at what compression it is.
            return own_read(fd, size)
        swapped.wait(10)
        try:
            return own_read(fd, size)
        finally:
            over.set()

    source, following = os.memfd_create("refused"), os.memfd_create("next")
    for fd in (source, following):
        os.write(fd, b"x" * 4096)
        os.lseek(fd, 0, os.SEEK_SET)
    monkeypatch.setattr(decompress, "_READ", 1024)
    monkeypatch.setattr(decompress, "CHUNK", 1024)
    monkeypatch.setattr(os, "read", read)
    root = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(ArchiveRefused):
        unpack(source, root, ())
    os.dup2(following, source)
    swapped.set()
    assert over.wait(10)
    assert os.lseek(following, 0, os.SEEK_CUR) == 0
    for fd in (source, following, root):
        os.close(fd)
