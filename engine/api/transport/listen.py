"""The sockets that the daemon listens on: Unix, TCP with or without TLS, or inherited from systemd.

Opened before anything else can fail slowly, so that clients wait instead of being refused, and served when the daemon
is ready. A Unix socket's file that was made here is removed at the end; one of systemd's is not.
"""

import asyncio
import contextlib
import errno
import grp
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.transport.connection import Server
from engine.api.transport.tls import TlsConnection
from engine.config.hosts import tcp_address
from engine.drivers.linux.activation import inherited_sockets

_BACKLOG = 4096
_MODE = 0o660
_DEFAULT_GROUP = "docker"
# uvloop and, from 3.13 on, asyncio would remove the file of a Unix socket that is systemd's.
_KEEP_FILE: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


class ListenFailed(OSError):
    """A host of `-H` cannot be listened on."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"failed to load listeners: {host}: {reason}")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A server's certificate and key; with a CA, clients must show a certificate of it."""

    certificate: str
    key: str
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket. `path` is the file of a Unix socket made here, `inode` tells it from a later one."""

    host: str
    socket: socket.socket
    context: ssl.SSLContext | None = None
    path: Path | None = None
    inode: int = 0

    def close(self) -> None:
        """Stop listening and remove the socket's file, if it is still ours."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                if self.path.lstat().st_ino == self.inode:
                    self.path.unlink()
        self.socket.close()


def open_listeners(hosts: Sequence[str], group: str, tls: TlsFiles | None) -> list[Listener]:
    """Open all hosts, given in full (see `config/hosts.py`), or none. Blocks, briefly. Raises ListenFailed."""
    context = None
    opened: list[Listener] = []
    try:
        if tls is not None:
            context = _tls_context(tls)
        for host in hosts:
            opened += _open(host, group, context)
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def _open(host: str, group: str, context: ssl.SSLContext | None) -> list[Listener]:
    scheme, _, rest = host.partition("://")
    try:
        if scheme == "fd":
            return _inherited(host, rest, context)
        if scheme == "unix":
            return [_open_unix(host, Path(rest), group)]
        return [_open_tcp(host, context)]
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenFailed(host, f"bind: {reason[:1].lower()}{reason[1:]}") from error


def _inherited(host: str, name: str, context: ssl.SSLContext | None) -> list[Listener]:
    wanted = [
        found.socket for found in inherited_sockets() if name in ("", "*", found.name, str(found.socket.fileno()))
    ]
    if not wanted:
        raise ListenFailed(host, "no sockets found via socket activation: make sure the service was started by systemd")
    return [Listener(host, found, None if found.family == socket.AF_UNIX else context) for found in wanted]


def _open_unix(host: str, path: Path, group: str) -> Listener:
    _remove_stale(host, path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        # Nobody can connect before listen().
        path.chmod(_MODE)
        _give_to_group(host, path, group)
        listener = Listener(host, sock, path=path, inode=path.lstat().st_ino)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return listener


def _remove_stale(host: str, path: Path) -> None:
    """Remove the file of a socket that nobody listens on any more."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ListenFailed(host, "the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        # A full queue (EAGAIN) has a listener, too.
        if probe.connect_ex(str(path)) in (0, errno.EAGAIN):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink(missing_ok=True)


def _give_to_group(host: str, path: Path, group: str) -> None:
    """Let a group use the socket. The default group need not exist; then the socket is root's alone."""
    if not group:
        return
    try:
        number = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        if group == _DEFAULT_GROUP:
            return
        path.unlink(missing_ok=True)
        raise ListenFailed(host, f"could not change group of {path} to {group}: group {group} not found") from None
    os.chown(path, 0, number)


def _open_tcp(host: str, context: ssl.SSLContext | None) -> Listener:
    name, port = tcp_address(host)
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As Go: the first IPv4 address of a name, else what there is.
    family, kind, protocol, _, address = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return Listener(host, sock, context)


def _tls_context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.ca:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        pair = f'cert: "{tls.certificate}", key: "{tls.key}"'
        raise ListenFailed("tls", f"Could not load X509 key pair ({pair}): {error}") from error
    return context


class Serving:
    """Listeners that are being served."""

    def __init__(self, listeners: Sequence[Listener], servers: Sequence[asyncio.AbstractServer]) -> None:
        self._listeners = listeners
        self._servers = servers

    def close(self) -> None:
        """Take no more connections; those that exist go on (see `App.close`)."""
        for server in self._servers:
            server.close()
        for listener in self._listeners:
            listener.close()


def _factory(server: Server, context: ssl.SSLContext | None) -> Callable[[], asyncio.Protocol]:
    return server if context is None else lambda: TlsConnection(context, server)


async def serve(server: Server, listeners: Sequence[Listener]) -> Serving:
    """Let the server accept on all listeners."""
    loop = asyncio.get_running_loop()
    servers = []
    for listener in listeners:
        listener.socket.setblocking(False)
        if listener.socket.family == socket.AF_UNIX:
            started: asyncio.AbstractServer = await loop.create_unix_server(
                server, sock=listener.socket, backlog=_BACKLOG, **_KEEP_FILE
            )
        else:
            # Connections have it from here; aiohttp would set it on each one, Unix sockets too.
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            started = await loop.create_server(
                _factory(server, listener.context), sock=listener.socket, backlog=_BACKLOG
            )
        servers.append(started)
    return Serving(listeners, servers)
