"""Parts of trees, mounted where nobody can exchange them. Needs root."""

import os
from pathlib import Path

import pytest

from engine.drivers.confine.pin import pin, unpin_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tree/dir").mkdir(parents=True)
    (tmp_path / "tree/dir/file").write_text("inside")
    yield tmp_path
    unpin_all(tmp_path / "pins")
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize(("path", "expected"), [("/dir", "dir"), ("dir/file", "file"), ("/", "dir")])
def test_directories_and_files(place, path, expected):
    pin(place / "tree", path, place / "pins/0")
    assert (place / "pins/0").is_dir() is (expected == "dir")


def test_links_lead_within_the_tree(place):
    (place / "outside").mkdir()
    (place / "tree/abs").symlink_to("/dir")
    (place / "tree/up").symlink_to("../../../../dir")
    (place / "tree/out").symlink_to(place / "outside")
    for number, name in enumerate(("abs", "up")):
        pin(place / "tree", name, place / f"pins/{number}")
        assert (place / f"pins/{number}/file").read_text() == "inside"
    with pytest.raises(FileNotFoundError):
        pin(place / "tree", "out", place / "pins/9")


def test_what_was_found_stays_whatever_is_done_to_the_tree(place):
    pin(place / "tree", "dir", place / "pins/0")
    (place / "tree/dir").rename(place / "tree/other")
    (place / "tree/dir").symlink_to("/etc")
    assert (place / "pins/0/file").read_text() == "inside"


def test_nothing_to_unpin(tmp_path):
    unpin_all(tmp_path / "none")
