"""How archives may be sent: in chunks or with a length, in one piece or slowly, whole or not, compressed or not."""

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from compat_tests.archive.test_cp import content, get, tar_of
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import file, symlink, tar
from compat_tests.clients.rawhttp import RawHttp

_TAR = {"Content-Type": "application/x-tar"}
_DATA = bytes(range(256)) * 4096
_CHUNKED = "Transfer-Encoding: chunked\r\n"


def chunked(data: bytes, size: int = 32768) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


class Sender:
    """A connection on which requests are sent by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def head(self, container: str, headers: str, path: str = "/") -> None:
        line = f"PUT /v1.47/containers/{container}/archive?path={path} HTTP/1.1\r\nHost: d\r\n"
        self.socket.sendall(f"{line}Content-Type: application/x-tar\r\n{headers}\r\n".encode())

    def status(self) -> int:
        """The status of the answer that comes next; its body is read."""
        code, size = int(self._file.readline().split()[1]), 0
        while line := self._file.readline().strip().lower():
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        self._file.read(size)
        return code


@pytest.fixture
def sender(engine: Daemon) -> Iterator[Sender]:
    with connected(engine) as made:
        yield made


@contextmanager
def connected(engine: Daemon) -> Iterator[Sender]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(engine.socket))
        yield Sender(connection)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("size", [1000, 32768, 1 << 21])
def test_chunks_of_any_size(
    sender: Sender, api: RawHttp, create: Callable[..., str], start: Callable[..., str], size: int, running: bool
) -> None:
    container = (start if running else create)("sleep", "600")
    sender.head(container, _CHUNKED)
    sender.socket.sendall(chunked(tar_of(("f", _DATA)), size))
    assert sender.status() == 200
    assert content(get(api, container, "/f"), "f") == _DATA


def test_a_length_and_pieces_that_come_slowly(sender: Sender, api: RawHttp, create: Callable[..., str]) -> None:
    container, data = create("true"), gzip.compress(tar_of(("f", _DATA), ("g", b"x")))
    sender.head(container, f"Content-Length: {len(data)}\r\n")
    for at in range(0, len(data), 700):
        sender.socket.sendall(data[at : at + 700])
    assert sender.status() == 200
    assert content(get(api, container, "/f"), "f") == _DATA
    assert content(get(api, container, "/g"), "g") == b"x"


def test_a_client_that_waits_to_be_asked(sender: Sender, create: Callable[..., str]) -> None:
    sender.head(create("true"), _CHUNKED + "Expect: 100-continue\r\n")
    assert sender.status() == 100
    sender.socket.sendall(chunked(tar_of(("f", _DATA))))
    assert sender.status() == 200


def test_a_connection_goes_on_after_a_refusal(sender: Sender, create: Callable[..., str]) -> None:
    for wanted, container in ((404, "no-such"), (200, create("true"))):
        sender.head(container, _CHUNKED)
        sender.socket.sendall(chunked(tar_of(("f", b"x"))))
        assert sender.status() == wanted


@pytest.mark.parametrize(("path", "status"), [("/none", 404), ("/bin/busybox", 400)])
def test_a_refusal_reaches_a_client_that_still_sends(
    sender: Sender, create: Callable[..., str], path: str, status: int
) -> None:
    sender.head(create("true"), "Content-Length: 100000000\r\n", path)
    sender.socket.sendall(bytes(100_000))
    assert sender.status() == status


@pytest.mark.wharfd_only("dockerd now and then keeps the container locked")
def test_a_client_that_leaves_in_the_middle(engine: Daemon, api: RawHttp, create: Callable[..., str]) -> None:
    container = create("true")
    with connected(engine) as sender:
        sender.head(container, _CHUNKED)
        sender.socket.sendall(chunked(tar_of(("f", _DATA)))[:100_000])
    assert api.request("DELETE", f"/containers/{container}").status == 204


def test_chunks_that_make_no_sense(sender: Sender, create: Callable[..., str]) -> None:
    sender.head(create("true"), _CHUNKED)
    sender.socket.sendall(chunked(tar_of(("f", _DATA)))[:66_000] + b"nonsense\r\n\r\n" * 10_000)
    assert sender.status() in (400, 500)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/f/", 500, "lstat /f/: not a directory"),
        ("/f/.", 500, "lstat /f/.: not a directory"),
        ("/f/x", 500, "not a directory"),
        ("/f", 400, "extraction point is not a directory"),
        ("/loop", 500, "EvalSymlinks: too many links"),
        ("/%00", 500, "lstat /\0: invalid argument"),
    ],
)
def test_where_nothing_can_be_put(api: RawHttp, create: Callable[..., str], path: str, status: int, text: str) -> None:
    container = create("true")
    entries = tar([file("f", b"x"), symlink("loop", "loop")])
    assert api.request("PUT", f"/containers/{container}/archive?path=/", entries, _TAR).status == 200
    answer = api.request("PUT", f"/containers/{container}/archive?path={path}", entries, _TAR)
    assert (answer.status, answer.message) == (status, text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"nonsense", "unexpected EOF"),
        (b"\x1f\x8b\x08nonsense", "unexpected EOF"),
        (b"n" * 2000, "archive/tar: invalid tar header"),
        (tar([file("../a", b"x")]), 'invalid entry name "../a"'),
    ],
)
def test_what_is_no_archive(api: RawHttp, create: Callable[..., str], data: bytes, text: str) -> None:
    answer = api.request("PUT", f"/containers/{create('true')}/archive?path=/", data, _TAR)
    assert (answer.status, answer.message) == (500, text)


@pytest.mark.parametrize("left", [0, 100])
def test_the_last_block_need_not_be_full(api: RawHttp, create: Callable[..., str], left: int) -> None:
    """As some programs write archives, and Go's archive/tar reads them; the data itself must be whole."""
    container, end = create("true"), 2 * 512 + 512 + 700
    data = tar([file("a", b"a" * 100), file("b", b"b" * 700)])
    put = api.request("PUT", f"/containers/{container}/archive?path=/", data[: end + left], _TAR)
    assert (put.status, content(get(api, container, "/b"), "b")) == (200, b"b" * 700)
    put = api.request("PUT", f"/containers/{container}/archive?path=/", data[: end - 1], _TAR)
    assert (put.status, put.message) == (500, "unexpected EOF")


@pytest.mark.parametrize(
    ("path", "text"),
    [("/loop", "evalSymlinksInScope: too many links in /loop"), ("/%00", "lstat /\0: invalid argument")],
)
def test_what_cannot_be_taken_out(api: RawHttp, create: Callable[..., str], path: str, text: str) -> None:
    container = create("true")
    api.request("PUT", f"/containers/{container}/archive?path=/", tar([symlink("loop", "loop")]), _TAR)
    answer = api.request("GET", f"/containers/{container}/archive?path={path}")
    assert (answer.status, answer.message) == (500, text)
