"""COPY, ADD and the other file operations of builds, in confined workers. Needs root."""

import io
import os
import stat
import tarfile

import pytest

from engine.drivers.confine.confine import Confine
from engine.drivers.confine.failures import ArchiveRefused

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


@pytest.fixture
async def confine():
    confine = Confine()
    await confine._workers.start()
    yield confine
    await confine.close()


@pytest.fixture
def source(tmp_path):
    top = tmp_path / "source"
    (top / "dir/sub").mkdir(parents=True)
    (top / "a.txt").write_text("a")
    (top / "b.txt").write_text("b")
    (top / "dir/x.md").write_text("x")
    (top / "dir/sub/y.txt").write_text("y")
    (top / "dir/link").symlink_to("x.md")
    (top / "link").symlink_to("a.txt")
    (top / "dir").chmod(0o750)
    (top / "dir/sub").chmod(0o700)
    os.utime(top / "dir/sub", (1000, 1000))
    os.utime(top / "a.txt", (1000, 1000))
    return top


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def copy(path, dest, **changes):
    action = {
        "do": "copy",
        "source": 0,
        "path": path,
        "dest": dest,
        "uid": 0,
        "gid": 0,
        "follow": True,
        "contents": True,
        "wildcard": True,
        "empty_wildcard": True,
        "create_dest": True,
        "unpack": False,
        "replace": False,
    }
    return action | changes


def listing(tree):
    return sorted(str(p.relative_to(tree)) for p in tree.rglob("*"))


@pytest.mark.parametrize(
    ("path", "dest", "expected"),
    [
        ("/a.txt", "/", ["a.txt"]),
        ("/a.txt", "/new", ["new"]),
        ("/a.txt", "/new/", ["new", "new/a.txt"]),
        ("/a.txt", "/p/q/r", ["p", "p/q", "p/q/r"]),
        ("/*.txt", "/", ["a.txt", "b.txt"]),
        ("/link", "/", ["link"]),
        ("/dir", "/d", ["d", "d/link", "d/sub", "d/sub/y.txt", "d/x.md"]),
        ("/dir/", "/", ["link", "sub", "sub/y.txt", "x.md"]),
        ("/none*", "/", []),
    ],
)
async def test_copies(confine, source, tree, path, dest, expected):
    await confine.file_op(tree, [copy(path, dest)], [source])
    assert listing(tree) == expected
    assert not (tree / "link").is_symlink() or dest == "/"


async def test_a_link_is_followed_or_copied(confine, source, tree):
    await confine.file_op(tree, [copy("/link", "/f"), copy("/link", "/l", follow=False, wildcard=False)], [source])
    assert (tree / "f").read_text() == "a"
    assert not (tree / "f").is_symlink()
    assert str((tree / "l").readlink()) == "a.txt"


async def test_modes_owners_and_times(confine, source, tree):
    await confine.file_op(tree, [copy("/dir", "/d", uid=7, gid=8), copy("/a.txt", "/f", mode="0600")], [source])
    # The destination itself is made; what is in it is copied.
    assert stat.S_IMODE((tree / "d").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "d/sub").stat().st_mode) == 0o700
    assert (tree / "d/sub").stat().st_mtime == 1000
    assert {(p.lstat().st_uid, p.lstat().st_gid) for p in (tree / "d").rglob("*")} == {(7, 8)}
    assert (tree / "d").stat().st_uid == 7
    assert (tree / "d").stat().st_mtime == (source / "dir").stat().st_mtime
    assert stat.S_IMODE((tree / "f").stat().st_mode) == 0o600
    assert (tree / "f").stat().st_mtime == 1000


async def test_symbolic_modes(confine, source, tree):
    await confine.file_op(tree, [copy("/dir", "/d", mode="u=rwX,go=rX"), copy("/a.txt", "/f", mode="+x")], [source])
    assert stat.S_IMODE((tree / "d/sub").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "d/x.md").stat().st_mode) == 0o644
    assert stat.S_IMODE((tree / "f").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"exclude": ["**/*.md"]}, ["link", "sub", "sub/y.txt"]),
        ({"exclude": ["sub"]}, ["link", "x.md"]),
        ({"exclude": ["sub", "!sub/y.txt"]}, ["link", "sub", "sub/y.txt", "x.md"]),
        ({"include": ["sub/*.txt"]}, ["sub", "sub/y.txt"]),
        ({"include": ["**"], "exclude": ["*"]}, []),
    ],
)
async def test_patterns_narrow_a_directory(confine, source, tree, patterns, expected):
    await confine.file_op(tree, [copy("/dir", "/", **patterns)], [source])
    assert listing(tree) == expected


async def test_what_is_not_there_is_named(confine, source, tree):
    with pytest.raises(ArchiveRefused, match="^lstat /none.txt: no such file or directory$"):
        await confine.file_op(tree, [copy("/none.txt", "/")], [source])


async def test_files_replace_files_but_no_directories(confine, source, tree):
    (tree / "a.txt").symlink_to("/outside")
    (tree / "x.md").mkdir()
    await confine.file_op(tree, [copy("/a.txt", "/a.txt")], [source])
    assert (tree / "outside").read_text() == "a"
    await confine.file_op(tree, [copy("/a.txt", "/")], [source])
    assert not (tree / "a.txt").is_symlink()
    with pytest.raises(ArchiveRefused, match="cannot replace to directory"):
        await confine.file_op(tree, [copy("/dir", "/")], [source])
    await confine.file_op(tree, [copy("/dir", "/", replace=True)], [source])
    assert (tree / "x.md").read_text() == "x"


async def test_links_in_the_tree_lead_inside_it(confine, source, tree, tmp_path):
    (tree / "abs").symlink_to(tmp_path)
    (tree / "up").symlink_to("../../..")
    await confine.file_op(tree, [copy("/a.txt", "/abs/x/"), copy("/a.txt", "/up/y/")], [source])
    assert (tree / "y/a.txt").exists()
    assert not (tmp_path / "x").exists()
    assert (tree / str(tmp_path).lstrip("/") / "x/a.txt").exists()


async def test_links_in_the_source_lead_inside_it(confine, source, tree, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (source / "out").symlink_to(tmp_path / "secret")
    (source / "up").symlink_to("../secret")
    for name in ("out", "up"):
        with pytest.raises((ArchiveRefused, OSError)):
            await confine.file_op(tree, [copy(f"/{name}", "/")], [source])
    assert listing(tree) == []


async def test_hard_links_stay_such(confine, source, tree):
    os.link(source / "dir/x.md", source / "dir/z.md")
    await confine.file_op(tree, [copy("/dir", "/d")], [source])
    assert (tree / "d/x.md").stat().st_ino == (tree / "d/z.md").stat().st_ino


async def test_archives_are_unpacked(confine, source, tree):
    with tarfile.open(source / "t.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("in/file")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"abc"))
    await confine.file_op(tree, [copy("/t.tar.gz", "/u/", unpack=True), copy("/a.txt", "/u/", unpack=True)], [source])
    assert (tree / "u/in/file").read_text() == "abc"
    assert (tree / "u/a.txt").read_text() == "a"


async def test_unpacked_files_get_the_owner_that_is_asked_for(confine, source, tree):
    with tarfile.open(source / "t.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("f"))
    await confine.file_op(tree, [copy("/t.tar", "/u/", unpack=True, uid=5, gid=6)], [source])
    assert (tree / "u/f").stat().st_uid == 5
    assert (tree / "u/f").stat().st_gid == 6


async def test_wildcards_find_links_that_lead_nowhere(confine, source, tree):
    (source / "dir/dangling").symlink_to("/none")
    with pytest.raises(ArchiveRefused, match='^"/dir/dangling": not found$'):
        await confine.fingerprint(source, [{"path": "/dir/d*", "wildcard": True, "follow": True}])


async def test_directories_files_links_removals(confine, tree, tmp_path):
    content = os.memfd_create("content")
    os.write(content, b"data")
    os.lseek(content, 0, 0)
    await confine.file_op(
        tree,
        [
            {"do": "directory", "path": "/p/q", "mode": 0o711, "parents": True, "uid": 3, "gid": 4},
            {"do": "file", "path": "/p/f", "mode": 0o640, "source": 0, "uid": 1, "gid": 2},
            {"do": "link", "path": "/p/l", "target": "f"},
            {"do": "directory", "path": "/gone", "mode": 0o755, "parents": False},
            {"do": "remove", "path": "/gone", "allow_missing": False, "wildcard": False},
            {"do": "remove", "path": "/none", "allow_missing": True, "wildcard": False},
        ],
        [content],
    )
    os.close(content)
    assert listing(tree) == ["p", "p/f", "p/l", "p/q"]
    assert (tree / "p/f").read_bytes() == b"data"
    assert stat.S_IMODE((tree / "p/f").stat().st_mode) == 0o640
    assert (tree / "p/q").stat().st_gid == 4
    with pytest.raises(ArchiveRefused, match="not found"):
        await confine.file_op(tree, [{"do": "remove", "path": "/no", "allow_missing": False, "wildcard": False}], [])


async def test_fingerprints_do_not_see_times(confine, source):
    selection = [{"path": "/dir", "wildcard": True, "follow": True}]
    first = await confine.fingerprint(source, selection)
    os.utime(source / "dir/x.md", (5, 5))
    assert await confine.fingerprint(source, selection) == first
    (source / "a.txt").write_text("other")
    assert await confine.fingerprint(source, selection) == first
    (source / "dir/x.md").chmod(0o600)
    assert await confine.fingerprint(source, selection) != first
    with pytest.raises(ArchiveRefused, match='^"/none": not found$'):
        await confine.fingerprint(source, [{"path": "/none", "wildcard": True}])


async def test_fingerprints_see_what_patterns_leave(confine, source):
    selection = [{"path": "/", "follow": True, "exclude": ["**/*.md"]}]
    first = await confine.fingerprint(source, selection)
    (source / "dir/x.md").write_text("other")
    assert await confine.fingerprint(source, selection) == first
    (source / "dir/sub/y.txt").write_text("other")
    assert await confine.fingerprint(source, selection) != first
