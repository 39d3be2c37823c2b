"""Trees that clients send: brought completely, kept where nothing changed, and never anything outside."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from engine.drivers.confine.receive_tree import TransferRefused, TreeReceiver
from engine.drivers.confine.send_tree import TreeSender
from engine.drivers.confine.tree_entry import TreeEntry

_FILE, _DIRECTORY, _LINK = stat.S_IFREG | 0o640, stat.S_IFDIR | 0o750, stat.S_IFLNK | 0o777
_NOW = 1_700_000_000_123_456_789


def _receive(root: Path, entries: Sequence[TreeEntry], content: bytes = b"data") -> list[int]:
    """Bring a tree; return the numbers of the files that were wanted."""
    with closing(TreeReceiver(root)) as receiver:
        wanted = [number for entry in entries if (number := receiver.add(entry)) is not None]
        for number in wanted:
            receiver.write(number, content)
            receiver.write(number, b"")
        assert receiver.waiting == 0
        receiver.finish()
    return wanted


def _file(path: str, size: int = 4, mtime: int = _NOW, **more: object) -> TreeEntry:
    return TreeEntry(path, _FILE, size=size, mtime=mtime, **more)  # type: ignore[arg-type]


def _directory(path: str) -> TreeEntry:
    return TreeEntry(path, _DIRECTORY, mtime=_NOW)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "root"
    made.mkdir()
    (tmp_path / "outside").mkdir()
    yield made
    assert list((tmp_path / "outside").iterdir()) == []


def test_brings_everything(root: Path) -> None:
    link = TreeEntry("d/l", _LINK, mtime=_NOW, link="../nowhere")
    fifo = TreeEntry("p", stat.S_IFIFO | 0o600, mtime=_NOW)
    entries = [_directory("d"), _file("d/f"), _file("d/h", size=0, link="d/f"), link, fifo, _file("z")]
    assert _receive(root, entries) == [1, 5]
    assert (root / "d/f").read_bytes() == b"data"
    assert (root / "d/f").stat().st_mode == _FILE
    assert (root / "d/f").stat().st_mtime_ns == (root / "d").stat().st_mtime_ns == _NOW
    assert (root / "d/h").samefile(root / "d/f")
    assert (root / "d/l").readlink() == Path("../nowhere")
    assert stat.S_ISFIFO((root / "p").stat().st_mode)


def test_keeps_what_is_the_same(root: Path) -> None:
    entries = [_directory("d"), _file("d/f"), _file("g")]
    assert _receive(root, entries) == [1, 2]
    assert _receive(root, entries) == []
    assert _receive(root, [_directory("d"), _file("d/f", mtime=_NOW + 1), _file("g")]) == [1]


def test_removes_what_has_vanished(root: Path) -> None:
    _receive(root, [_directory("d"), _directory("d/e"), _file("d/e/f"), _file("g"), _file("h")])
    _receive(root, [_file("h")])
    assert [path.name for path in root.iterdir()] == ["h"]


def test_one_kind_takes_the_place_of_another(root: Path) -> None:
    _receive(root, [_directory("a"), _file("a/x"), _file("b"), TreeEntry("c", _LINK, link="b")])
    _receive(root, [_file("a"), _directory("b"), _file("b/y"), _directory("c")])
    assert (root / "a").is_file()
    assert (root / "b/y").is_file()
    assert (root / "c").is_dir() and not (root / "c").is_symlink()


def test_a_transfer_that_was_cut_off_is_made_up_for(root: Path) -> None:
    with closing(TreeReceiver(root)) as receiver:
        assert receiver.add(_file("f", size=8)) == 0
        receiver.write(0, b"half")
    assert _receive(root, [_file("f", size=8)], b"complete") == [0]
    assert (root / "f").read_bytes() == b"complete"


def test_devices_and_sockets_are_left_out(root: Path) -> None:
    _receive(root, [TreeEntry("dev", stat.S_IFCHR | 0o666), TreeEntry("sock", stat.S_IFSOCK | 0o666), _file("z")])
    assert [path.name for path in root.iterdir()] == ["z"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([_file("..")], "not a name"),
        ([_file(".")], "not a name"),
        ([_file("")], "not a name"),
        ([_file("/etc")], "not a name"),
        ([_file("../outside/f")], "no directory before it"),
        ([_directory("d"), _file("d/../../outside/f")], "no directory before it"),
        ([_directory("d"), _file("d/..")], "not a name"),
        ([_directory("d"), _file("d/")], "not a name"),
        ([_file("d\0e")], "not a name"),
        ([_file("d/f")], "no directory before it"),
        ([TreeEntry("l", _LINK, link="../outside"), _file("l/f")], "no directory before it"),
        ([_file("f"), _file("f")], "sent twice"),
        ([_directory("a"), _directory("b"), _file("a/late")], "no directory before it"),
        ([_file("h", link="../outside")], "a hard link to nothing"),
        ([_file("h", link="/etc/passwd")], "a hard link to nothing"),
        ([TreeEntry("l", _LINK, link="/etc/passwd"), _file("m", link="l")], "a hard link to nothing"),
    ],
)
def test_hostile_entries_are_refused(root: Path, entries: list[TreeEntry], reason: str) -> None:
    with pytest.raises(TransferRefused, match=reason):
        _receive(root, entries)


def test_links_of_earlier_transfers_lead_nowhere(root: Path) -> None:
    _receive(root, [TreeEntry("d", _LINK, link="../outside")])
    _receive(root, [_directory("d"), _file("d/f")])
    assert (root / "d").is_dir() and not (root / "d").is_symlink()


def test_a_directory_that_becomes_a_link_while_content_comes(root: Path) -> None:
    with closing(TreeReceiver(root)) as receiver:
        receiver.add(_directory("d"))
        assert receiver.add(_file("d/f")) == 1
        (root / "d").rename(root / "moved")
        (root / "d").symlink_to("../outside")
        with pytest.raises(OSError, match="symbolic links"):
            receiver.write(1, b"x")


@pytest.mark.parametrize("number", [0, 7])
def test_content_that_nobody_asked_for(root: Path, number: int) -> None:
    with closing(TreeReceiver(root)) as receiver:
        receiver.add(_directory("d"))
        with pytest.raises(TransferRefused, match="nobody asked for"):
            receiver.write(number, b"x")


def test_what_is_sent_is_what_is_received(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d/e").mkdir(parents=True)
    (source / "d/f").write_bytes(b"data")
    os.link(source / "d/f", source / "d/g")
    (source / "d.x").write_bytes(b"data")
    (source / "l").symlink_to("d")
    with closing(TreeSender(source)) as sender:
        entries = sender.entries()
        assert [entry.path for entry in entries] == ["d", "d/e", "d/f", "d/g", "d.x", "l"]
        assert entries[3].link == "d/f"
        with pytest.raises(OSError, match="symbolic links"):
            sender.open("l/f")
    _receive(root, entries)
    with closing(TreeSender(root)) as sender:
        assert sender.entries() == entries
