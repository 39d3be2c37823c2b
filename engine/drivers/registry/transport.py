"""HTTP as registries need it: TLS by `certs.d`, proxies, plain HTTP where that is allowed, careful redirects.

Credentials travel in the headers that a caller gives; they are dropped at a redirect that leaves the origin.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from engine.core import os_errors
from engine.drivers.linux.tls import client_context, unverified_context
from engine.drivers.registry.failures import (
    CertificateUnreadable,
    ClientCertificateIncomplete,
    RegistryUnreachable,
)
from engine.drivers.registry.settings import Endpoint, RegistrySettings, proxy_for

_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=30, sock_read=90)
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 10
_BUFFER = 1 << 20
_SECRETS = ("authorization", "cookie")
_CERTIFICATE_REASONS = {
    "self-signed": "x509: certificate signed by unknown authority",
    "local issuer": "x509: certificate signed by unknown authority",
    "expired": "x509: certificate has expired or is not yet valid",
}


class Transport:
    """One HTTP client for all registries."""

    def __init__(self, settings: RegistrySettings, user_agent: str = "docker/28.5.2 wharf") -> None:
        self.settings = settings
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[tuple[str, bool], tuple[list[tuple[str, int]], ssl.SSLContext]] = {}
        self._plain: set[str] = set()
        self._known: set[str] = set()
        self._asking: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
                timeout=_TIMEOUT,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                read_bufsize=_BUFFER,
                max_field_size=65536,
            )
        return self._session

    def url(self, endpoint: Endpoint, path: str) -> str:
        """Return the full URL of a path that begins with `/`, at the scheme that the endpoint is known to speak."""
        url = endpoint.url
        if endpoint.may_be_plain and endpoint.host in self._plain:
            url = "http" + url.removeprefix("https")
        return url + path

    async def send(
        self, endpoint: Endpoint, method: str, path: str, headers: Mapping[str, str], data: Any = None
    ) -> aiohttp.ClientResponse:
        """Send a request below an endpoint. `path` may be a full URL. Raises RegistryUnreachable.

        The caller closes the response. Of several first requests one finds out whether it speaks TLS; the others wait.
        """
        if not endpoint.may_be_plain or endpoint.host in self._known:
            return await self._send(endpoint, method, path, headers, data)
        async with self._asking.setdefault(endpoint.host, asyncio.Lock()):
            if endpoint.host not in self._known:
                response = await self._send(endpoint, method, path, headers, data)
                self._known.add(endpoint.host)
                return response
        return await self._send(endpoint, method, path, headers, data)

    async def _send(
        self, endpoint: Endpoint, method: str, path: str, headers: Mapping[str, str], data: Any
    ) -> aiohttp.ClientResponse:
        url = path if "://" in path else self.url(endpoint, path)
        try:
            return await self._follow(endpoint, method, url, headers, data)
        except RegistryUnreachable as error:
            if not (endpoint.may_be_plain and url.startswith("https:") and _speaks_plain(error.__cause__, url)):
                raise
        self._plain.add(endpoint.host)
        return await self._follow(endpoint, method, "http" + url.removeprefix("https"), headers, data)

    async def _follow(
        self, endpoint: Endpoint, method: str, url: str, headers: Mapping[str, str], data: Any
    ) -> aiohttp.ClientResponse:
        origin = _origin(url)
        for _ in range(_MAX_REDIRECTS):
            response = await self._once(endpoint, method, url, headers, data)
            target = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not target or method not in ("GET", "HEAD"):
                return response
            response.release()
            url = urljoin(url, target)
            if (scheme := urlsplit(url).scheme) not in ("http", "https"):
                raise RegistryUnreachable(method, url, f'unsupported protocol scheme "{scheme}"', temporary=False)
            if _origin(url) != origin:
                headers = {k: v for k, v in headers.items() if k.lower() not in _SECRETS}
        raise RegistryUnreachable(method, target, f"stopped after {_MAX_REDIRECTS} redirects", temporary=False)

    async def _once(
        self, endpoint: Endpoint, method: str, url: str, headers: Mapping[str, str], data: Any
    ) -> aiohttp.ClientResponse:
        context: ssl.SSLContext | bool = True
        if url.startswith("https:"):
            host = urlsplit(url).netloc.rpartition("@")[2]
            verify = endpoint.verify or host != endpoint.host
            context = await self._context(host, verify=verify)
        try:
            return await self._client().request(
                method,
                _exactly(url),
                headers=headers,
                data=data,
                ssl=context,
                proxy=proxy_for(url, self.settings.proxies),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise RegistryUnreachable(method, url, explain(error)) from error

    async def _context(self, host: str, *, verify: bool) -> ssl.SSLContext:
        """Return what judges the host's certificate, made anew when its files change; hosts without any share one."""
        directory = self.settings.certs_directory / host
        files = await asyncio.to_thread(_files, directory)
        key = (host if files else "", verify)
        known = self._contexts.get(key)
        if known is None or known[0] != files:
            make = partial(_make_context, directory, verify=verify)
            known = self._contexts[key] = (files, await asyncio.to_thread(make))
        return known[1]


def _files(directory: Path) -> list[tuple[str, int]]:
    """Return a directory's files and when they changed. Blocks; call in a thread."""
    if not directory.is_dir():
        return []
    return sorted((entry.name, entry.stat().st_mtime_ns) for entry in directory.iterdir())


def _make_context(directory: Path, *, verify: bool) -> ssl.SSLContext:
    """Make what judges a registry's certificate: the system's authorities and those of `certs.d`. Blocks.

    `*.crt` are authorities, `*.cert` and `*.key` of one name are what we show of ourselves.
    """
    context = client_context() if verify else unverified_context()
    if not directory.is_dir():
        return context
    _add_certificates(context, directory)
    return context


def _add_certificates(context: ssl.SSLContext, directory: Path) -> None:
    """Raises ClientCertificateIncomplete, CertificateUnreadable. Blocks."""
    for key in sorted(directory.glob("*.key")):
        if not key.with_suffix(".cert").exists():
            raise ClientCertificateIncomplete(directory, key.with_suffix(".cert").name, key.name)
    for authority in sorted(directory.glob("*.crt")):
        try:
            context.load_verify_locations(authority)
        except (ssl.SSLError, OSError) as error:
            raise CertificateUnreadable(f'unable to load CA cert "{authority}"') from error
    for certificate in sorted(directory.glob("*.cert")):
        key = certificate.with_suffix(".key")
        if not key.exists():
            raise ClientCertificateIncomplete(directory, key.name, certificate.name)
        try:
            context.load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError) as error:
            raise CertificateUnreadable(f"failed to load X509 key pair: {_pair_reason(certificate, error)}") from error


def _pair_reason(certificate: Path, error: OSError) -> str:
    """Say which of the two is no PEM file, as crypto/tls does."""
    for path, what in ((certificate, "certificate"), (certificate.with_suffix(".key"), "key")):
        if b"-----BEGIN " not in path.read_bytes():
            return f"tls: failed to find any PEM data in {what} input"
    reason = getattr(error, "reason", None) or str(error)
    return f"tls: {str(reason).replace('_', ' ').lower()}"


def _exactly(url: str) -> URL:
    """Return a URL that is sent as it is written: signed ones must not be quoted anew."""
    return URL(url, encoded=True) if url.isascii() and url.isprintable() and " " not in url else URL(url)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def _speaks_plain(cause: BaseException | None, url: str) -> bool:
    """Tell whether a failure of TLS looks like that of a server that speaks plain HTTP."""
    if isinstance(cause, aiohttp.ClientSSLError | ssl.SSLError):
        return True
    if isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return True
    if isinstance(cause, aiohttp.ClientConnectorError):
        return isinstance(cause.os_error, ssl.SSLError) or (
            cause.os_error.errno == errno.ECONNREFUSED and urlsplit(url).port is None
        )
    return isinstance(cause, aiohttp.ClientOSError)


def explain(error: BaseException) -> str:
    """Say why there was no answer, in the words of Go's net package, which users and tools know."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return _explain_connect(error)
    for found in (error, error.__cause__):
        if isinstance(found, ssl.SSLError):
            return _explain_tls(found.reason or str(found))
    if isinstance(error, OSError) and not isinstance(error, TimeoutError | aiohttp.ServerDisconnectedError):
        return _reason(error)
    return _explain_silence(error)


def _explain_silence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "unexpected EOF"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return error.message
    return str(error) or type(error).__name__


def _explain_connect(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"tls: failed to verify certificate: {_ssl_reason(error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: {_lookup_reason(error.os_error)}"
    return f"dial tcp {error.host}:{error.port}: connect: {_reason(error.os_error)}"


def _explain_tls(reason: str) -> str:
    """An alert is what the other side says: the registry may want a certificate of us."""
    _, alert, what = reason.partition("ALERT_")
    return (
        f"remote error: tls: {what.lower().replace('_', ' ')}" if alert else f"tls: {reason.lower().replace('_', ' ')}"
    )


def _ssl_reason(error: aiohttp.ClientError) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause)
    return next((go for ours, go in _CERTIFICATE_REASONS.items() if ours in reason), reason)


def _lookup_reason(error: OSError) -> str:
    if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
        return "no such host"
    return "Temporary failure in name resolution" if error.errno == socket.EAI_AGAIN else str(error)


def _reason(error: OSError) -> str:
    """uvloop puts its own words into `strerror`."""
    return os_errors.reason(OSError(error.errno, os.strerror(error.errno))) if error.errno else str(error)
