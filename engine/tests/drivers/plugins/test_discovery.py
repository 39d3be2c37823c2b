"""Where plugins are found: sockets, spec files, and what is no plugin."""

import socket

import pytest

from engine.drivers.plugins.discovery import Places, find, names
from engine.drivers.plugins.failures import InvalidSpec


@pytest.fixture
def places(tmp_path):
    for name in ("run", "etc", "usr"):
        (tmp_path / name).mkdir()
    return Places((tmp_path / "run", tmp_path / "missing"), (tmp_path / "etc", tmp_path / "usr"))


def _listen(path):
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def test_sockets_beside_and_in_directories_of_their_own(places):
    run = places.sockets[0]
    _listen(run / "one.sock")
    _listen(run / "two/two.sock")
    (run / "file.sock").write_text("")
    assert find(places, "one").path == run / "one.sock"
    assert find(places, "two").path == run / "two/two.sock"
    assert find(places, "file") is None
    assert {"one", "two"} <= set(names(places))


def test_spec_files(places):
    etc, usr = places.specs
    (usr / "far.spec").write_text("tcp://10.0.0.1:8080\n")
    (etc / "safe.json").write_text('{"Name": "safe", "Addr": "https://h:1", "TLSConfig": {"CAFile": "/ca"}}')
    assert find(places, "far").url == "tcp://10.0.0.1:8080"
    assert find(places, "safe").tls.ca_file == "/ca"
    assert names(places) == ["far", "safe"]


@pytest.mark.parametrize("content", ["", "nothing", "ftp://h", "unix://"])
def test_bad_spec_files(places, content):
    (places.specs[0] / "bad.spec").write_text(content)
    with pytest.raises(InvalidSpec):
        find(places, "bad")


@pytest.mark.parametrize("name", ["", "..", "a/b", "../run/one", "x\0"])
def test_names_that_leave_the_directory(places, name):
    _listen(places.sockets[0] / "one.sock")
    assert find(places, name) is None
