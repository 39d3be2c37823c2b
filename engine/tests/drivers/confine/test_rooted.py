"""Single files and directories inside a tree whose links lead everywhere."""

import os

import pytest

from engine.drivers.confine.failures import NotADirectory
from engine.drivers.confine.rooted import ensure_directory, read_file
from engine.drivers.linux.removal import remove_tree


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("inside")
    (tmp_path / "passwd").write_text("outside")
    return root


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../etc/passwd", "etc/passwd"])
def test_links_are_followed_inside(root, target):
    (root / "link").symlink_to(target)
    assert read_file(root, "/link", 100) == b"inside"


def test_what_cannot_be_read_is_nothing(root):
    os.mkfifo(root / "fifo")
    (root / "loop").symlink_to("loop")
    (root / "magic").symlink_to("/proc/self/root/etc/passwd")
    for path in ("/fifo", "/loop", "/magic", "/etc", "/none", "/etc/passwd/x", "/../passwd"):
        assert read_file(root, path, 100) is None
    assert read_file(root, "/etc/passwd", 5) is None


def test_directories_are_made(root):
    ensure_directory(root, "/a/b/../c", os.geteuid(), os.getegid())
    assert (root / "a/c").is_dir()
    assert (root / "a").stat().st_mode & 0o777 == 0o755
    ensure_directory(root, "a/c", 0, 0)


@pytest.mark.parametrize("target", ["/made/deep", "../../../made/deep", "etc/../made/deep"])
def test_links_that_lead_nowhere_are_completed_inside(root, target):
    (root / "link").symlink_to(target)
    ensure_directory(root, "/link/x", os.geteuid(), os.getegid())
    assert (root / "made/deep/x").is_dir()


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/passwd/x", "/link"])
def test_what_is_in_the_way_is_named(root, path):
    (root / "link").symlink_to("/etc/passwd")
    with pytest.raises(NotADirectory, match=f"^Cannot mkdir: {path} is not a directory$"):
        ensure_directory(root, path, 0, 0)


def test_a_path_of_two_thousand_components(root):
    ensure_directory(root, "/d" * 2000, os.geteuid(), os.getegid())
    # pytest's own clean-up of old runs gives up on a tree as deep as this.
    remove_tree(root / "d")
    assert not (root / "d").exists()
