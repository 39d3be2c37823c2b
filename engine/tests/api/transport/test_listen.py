"""Listening sockets of all kinds, served by aiohttp's low-level server."""

import asyncio
import os
import socket
import ssl
import stat
import sys
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector, UnixConnector, web

from engine.api.transport.connection import Server
from engine.api.transport.listen import ListenFailed, TlsFiles, open_listeners, serve


async def _pong(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="OK")


async def _get(connector: UnixConnector | TCPConnector, url: str) -> str:
    async with ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.text()


def test_unix_socket_has_mode_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    host = f"unix://{path}"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = open_listeners([host], "", None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(ListenFailed, match="address already in use"):
        open_listeners([host], "", None)
    listener.close()
    assert not path.exists()


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(ListenFailed, match="not a socket"):
        open_listeners([f"unix://{tmp_path}/s"], "", None)
    assert (tmp_path / "s").read_text() == "precious"


def test_all_or_none(tmp_path: Path) -> None:
    with pytest.raises(ListenFailed, match="no such file or directory"):
        open_listeners([f"unix://{tmp_path}/a", f"unix://{tmp_path}/missing/b"], "", None)
    assert not (tmp_path / "a").exists()


def test_unknown_group(tmp_path: Path) -> None:
    with pytest.raises(ListenFailed, match="group no-such-group not found"):
        open_listeners([f"unix://{tmp_path}/a"], "no-such-group", None)
    assert not (tmp_path / "a").exists()


async def test_serves_unix_and_tcp_together(tmp_path: Path) -> None:
    listeners = open_listeners([f"unix://{tmp_path}/s", "tcp://127.0.0.1:0", "tcp://[::1]:0"], "", None)
    server = Server(_pong)
    serving = await serve(server, listeners)
    assert await _get(UnixConnector(f"{tmp_path}/s"), "http://d/_ping") == "OK"
    for listener in listeners[1:]:
        name, port = listener.socket.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        assert await _get(TCPConnector(), f"http://{shown}:{port}/_ping") == "OK"
    serving.close()
    await server.shutdown(1)
    server.hangups.close()
    assert not (tmp_path / "s").exists()


async def test_tlsverify_lets_in_only_those_with_a_certificate(certificates: Path) -> None:
    files = TlsFiles(*(str(certificates / name) for name in ("cert.pem", "key.pem", "ca.pem")))
    listeners = open_listeners(["tcp://127.0.0.1:0"], "", files)
    server = Server(_pong)
    serving = await serve(server, listeners)
    url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}/_ping"
    client = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    with pytest.raises((OSError, ClientError)):
        await _get(TCPConnector(ssl=client), url)
    client.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    assert await _get(TCPConnector(ssl=client), url) == "OK"
    serving.close()
    await server.shutdown(1)
    server.hangups.close()


async def test_a_peer_that_vanishes_is_noticed() -> None:
    (listener,) = open_listeners(["tcp://127.0.0.1:0"], "", None)
    server = Server(_pong, tcp_keepalive=False)
    serving = await serve(server, [listener])
    _, writer = await asyncio.open_connection(*listener.socket.getsockname())
    while not server.connections:
        await asyncio.sleep(0.01)
    accepted = server.connections[0].transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    writer.close()
    serving.close()
    await server.shutdown(1)
    server.hangups.close()


_ACTIVATED = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from engine.api.transport.listen import open_listeners
listeners = open_listeners(["fd://"], "", None)
assert "LISTEN_FDS" not in os.environ and not os.get_inheritable(3)
for listener in listeners:
    listener.close()
print(len(listeners))
"""


async def test_sockets_of_systemd_keep_their_file(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        process = await asyncio.create_subprocess_exec(
            "/bin/bash",
            "-c",
            f'exec "$0" -c "$1" 3<&{made.fileno()}',
            sys.executable,
            _ACTIVATED,
            pass_fds=(made.fileno(),),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "LISTEN_FDS": "1"},
        )
        output, _ = await process.communicate()
    assert output == b"1\n"
    assert (tmp_path / "s").exists()


def test_no_socket_of_systemd() -> None:
    with pytest.raises(ListenFailed, match="no sockets found via socket activation"):
        open_listeners(["fd://"], "", None)
