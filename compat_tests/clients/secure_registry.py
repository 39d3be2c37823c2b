"""Registries behind TLS and behind a token server, with a certificate authority of their own."""

import base64
import json
import socket
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from compat_tests.clients.namespaces import Namespaces
from compat_tests.clients.registry import PASSWORD, USER
from compat_tests.clients.waiting import eventually

_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http:
  addr: "{address}"
{extra}
"""
_TLS = "  tls: {{certificate: {certificate}, key: {key}{clients}}}\n"
_TOKEN = """\
auth:
  token:
    realm: "http://{address}/token"
    service: wharf-tests
    issuer: wharf-tests
    rootcertbundle: {bundle}
"""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority, made with openssl."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True)
        self.own = Pair(directory / "ca.crt", directory / "ca.key")
        self._openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=wharf tests"),
            *("-keyout", str(self.own.key), "-out", str(self.own.certificate)),
        )

    def issue(self, name: str, usage: str, address: str = "") -> Pair:
        """A certificate for a server at an IP address, or for a client."""
        pair = Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        alternative = f"subjectAltName=IP:{address}\n" if address else ""
        extensions.write_text(f"{alternative}extendedKeyUsage={usage}\n")
        subject = ("-subj", f"/CN={name}")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", str(pair.key), "-out", str(request))
        self._openssl(
            *("x509", "-req", "-days", "2", "-in", str(request), "-extfile", str(extensions), "-CAcreateserial"),
            *("-CA", str(self.own.certificate), "-CAkey", str(self.own.key), "-out", str(pair.certificate)),
        )
        return pair

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class ServedRegistry:
    """`docker-registry serve` at an address, with some lines of configuration. Images come in through an engine."""

    def __init__(self, namespaces: Namespaces, root: Path, address: str, extra: str = "") -> None:
        root.mkdir(parents=True)
        self.address = address
        self.log_path = root / "log"
        (root / "config.yml").write_text(_CONFIG.format(root=root / "files", address=address, extra=extra))
        with self.log_path.open("wb") as log:
            argv = namespaces.command(["docker-registry", "serve", str(root / "config.yml")])
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(lambda: namespaces.call(self._listens), 20, "registry up")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log_path.read_text()
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return False
        return True


def tls_settings(server: Pair, clients: Path | None = None) -> str:
    """Configuration for TLS; with `clients`, whoever comes must have a certificate of that authority."""
    wanted = f", clientcas: [{clients}]" if clients else ""
    return _TLS.format(certificate=server.certificate, key=server.key, clients=wanted)


def token_settings(server: "TokenServer", authority: Authority) -> str:
    """Configuration for access by tokens."""
    return _TOKEN.format(address=server.address, bundle=authority.own.certificate)


class TokenServer:
    """Hands out tokens for a registry to USER with PASSWORD: GET with basic auth, POST as OAuth2 has it.

    `asked` keeps the scopes that were asked for. Nobody else gets any access.
    """

    def __init__(self, namespaces: Namespaces, signer: Pair) -> None:
        self.asked: list[str] = []
        self._signer = signer
        server = self

        class Handler(_TokenHandler):
            tokens = server

        self._server = namespaces.call(lambda: ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(self, scopes: list[str], known: bool) -> str:
        """A signed token with all that is asked for, or without any access."""
        self.asked += scopes
        now = int(time.time())
        claims = {
            "iss": "wharf-tests",
            "aud": "wharf-tests",
            "sub": USER if known else "",
            "iat": now,
            "nbf": now - 10,
            "exp": now + 300,
            "jti": str(time.monotonic_ns()),
            "access": [_access(scope) for scope in scopes] if known else [],
        }
        pem = self._signer.certificate.read_text().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(pem.split())]}
        signed = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"
        argv = ["openssl", "dgst", "-sha256", "-sign", str(self._signer.key)]
        signature = subprocess.run(argv, input=signed.encode(), capture_output=True, check=True).stdout
        return f"{signed}.{_base64(signature)}"


class _TokenHandler(BaseHTTPRequestHandler):
    tokens: TokenServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = self.headers.get("Authorization")
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._answer(query.get("scope", []), given == expected, refused=given not in (None, expected))

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        known = (form.get("username"), form.get("password")) == ([USER], [PASSWORD])
        scopes = [scope for value in form.get("scope", []) for scope in value.split()]
        self._answer(scopes, known, refused=not known)

    def _answer(self, scopes: list[str], known: bool, refused: bool) -> None:
        scopes = [scope for value in scopes for scope in value.split()]
        body: dict[str, object] = {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
        if not refused:
            token = self.tokens.token(scopes, known)
            body = {"token": token, "access_token": token, "expires_in": 300}
        data = json.dumps(body).encode()
        self.send_response(401 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _access(scope: str) -> dict[str, object]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
