"""What a runtime makes only to mount on it does not stay."""

import os
from pathlib import Path

import pytest

from engine.drivers.confine.stubs import find_missing, real_places, remove_stubs


@pytest.fixture
def tree(tmp_path):
    """A tree as it is seen, and the directory of its changes: here what is in both is a copy."""
    (tmp_path / "merged/etc").mkdir(parents=True)
    (tmp_path / "upper").mkdir()
    return tmp_path / "merged", tmp_path / "upper"


def make(upper, path, text=None):
    target = upper / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        target.mkdir()
    else:
        target.write_text(text)


def test_what_is_there_is_no_stub(tree):
    merged, _ = tree
    (merged / "etc/hosts").write_text("")
    assert find_missing(merged, ["/etc/hosts", "/etc", "/"]) == []


def test_empty_files_and_directories_go_with_those_around(tree):
    merged, upper = tree
    stubs = find_missing(merged, ["/etc/hosts", "/a/b/c"])
    assert [(stub.above, list(stub.names)) for stub in stubs] == [("etc", ["hosts"]), ("", ["a", "b", "c"])]
    make(upper, "etc/hosts", "")
    make(upper, "a/b/c")
    remove_stubs(upper, stubs)
    assert list(upper.iterdir()) == []


@pytest.mark.parametrize("path", ["etc/hosts", "etc/other"])
def test_what_somebody_has_put_there_stays(tree, path):
    merged, upper = tree
    stubs = find_missing(merged, ["/etc/hosts"])
    make(upper, "etc/hosts", "")
    make(upper, path, "mine")
    remove_stubs(upper, stubs)
    assert (upper / path).read_text() == "mine"


def test_a_directory_that_was_changed_stays(tree):
    merged, upper = tree
    stubs = find_missing(merged, ["/etc/hosts"])
    make(upper, "etc/hosts", "")
    (upper / "etc").chmod(0o700)
    remove_stubs(upper, stubs)
    assert [p.name for p in upper.iterdir()] == ["etc"]
    assert not (upper / "etc/hosts").exists()


def test_links_are_followed_within_the_tree_only(tree, tmp_path):
    merged, _ = tree
    (merged / "run").mkdir()
    (merged / "var").symlink_to("/run")
    (merged / "out").symlink_to(tmp_path)
    stubs = find_missing(merged, ["/var/x", "/out/y"])
    assert stubs[0].above == "run"
    assert str(tmp_path).strip("/") not in [stub.above for stub in stubs]


def test_removal_does_not_follow_links(tree, tmp_path):
    merged, upper = tree
    stubs = find_missing(merged, ["/etc/hosts"])
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/hosts").write_text("")
    (upper / "etc").symlink_to(tmp_path / "outside")
    remove_stubs(upper, stubs)
    assert (tmp_path / "outside/hosts").exists()


def test_nothing_was_made(tree):
    merged, upper = tree
    remove_stubs(upper, find_missing(merged, ["/etc/hosts", "/x"]))
    assert os.listdir(upper) == []
    assert Path(merged).exists()


def test_places_are_where_links_lead_even_if_there_is_nothing(tmp_path):
    (tmp_path / "d").mkdir()
    for name, target in (("out", "/nope"), ("up", "../../d"), ("d/in", "far"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    places = ["/out", "/out/x", "/up/y", "/d/in", "/plain/z", "/d/../out"]
    assert real_places(tmp_path, places) == ["/nope", "/nope/x", "/d/y", "/d/far", "/plain/z", "/nope"]
    assert real_places(tmp_path, ["/loop"]) == ["/loop"]
