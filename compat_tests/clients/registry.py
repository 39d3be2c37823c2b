"""Registries on loopback: Debian's `docker-registry`, and one of our own that misbehaves to order."""

import base64
import json
import socket
import subprocess
import threading
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from compat_tests.clients.imagefiles import AnyImage
from compat_tests.clients.namespaces import Namespaces
from compat_tests.clients.waiting import eventually

USER, PASSWORD = "ali", "sesame"
_HTPASSWD = "ali:$2b$05$3mmv9O51v1r5Ze.Y0rKG..pXFmec073a/AQeJesfv5MLtC3YH.TZm\n"
_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""
_AUTH = "auth:\n  htpasswd: {{realm: wharf, path: {path}}}\n"


def free_port(namespaces: Namespaces) -> int:
    """A TCP port of loopback that nobody uses at this moment."""

    def probe() -> int:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            return int(sock.getsockname()[1])

    return namespaces.call(probe)


class Registry:
    """`docker-registry serve` with its files below `root`, or in `files` where several servers share them.

    With `auth`, basic auth for USER and PASSWORD.
    """

    def __init__(self, namespaces: Namespaces, root: Path, auth: bool = False, files: Path | None = None) -> None:
        self._namespaces = namespaces
        self._auth = auth
        root.mkdir(parents=True)
        self.address = f"127.0.0.1:{free_port(namespaces)}"
        config = _CONFIG.format(root=files or root / "files", port=self.address.rpartition(":")[2])
        if auth:
            (root / "htpasswd").write_text(_HTPASSWD)
            config += _AUTH.format(path=root / "htpasswd")
        (root / "config.yml").write_text(config)
        with (root / "log").open("wb") as log:
            argv = namespaces.command(["docker-registry", "serve", str(root / "config.yml")])
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(self._answers, 20, "registry up")

    def push(self, image: AnyImage, name: str, *tags: str) -> str:
        """Put the image there under these tags; its reference `HOST:PORT/name` is returned."""
        for key, blob in image.blobs.items():
            self._upload(name, key, blob)
        for key, (media_type, data) in image.manifests.items():
            self._call("PUT", f"/v2/{name}/manifests/{key}", data, media_type)
        top_type, top = list(image.manifests.values())[-1]
        for tag in tags:
            self._call("PUT", f"/v2/{name}/manifests/{tag}", top, top_type)
        return f"{self.address}/{name}"

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _upload(self, name: str, key: str, blob: bytes) -> None:
        location = self._call("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        path = location.split(self.address, 1)[-1]
        joiner = "&" if "?" in path else "?"
        self._call("PUT", f"{path}{joiner}digest={key}", blob, "application/octet-stream")

    def _call(self, method: str, path: str, data: bytes | None = None, media_type: str = "") -> Any:
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, method=method)
        if media_type:
            request.add_header("Content-Type", media_type)
        if self._auth:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return self._namespaces.call(lambda: opener.open(request, timeout=30))

    def _answers(self) -> bool:
        assert self._process.poll() is None, "docker-registry has ended"
        try:
            self._call("GET", "/v2/")
        except OSError:
            return False
        return True


class StubRegistry:
    """Serves images from memory and does as told: counts requests, cuts blobs short, asks for bearer tokens.

    `cut[digest] = [n, …]`: the next answers with that blob end after n bytes. `gate`, while cleared, holds back the
    `held` blobs, from the `held_from[digest]`-th byte on. `wrong` blobs are served with their last byte changed. `token`:
    the bearer token that is demanded. `status`, where set, is the answer to everything. It can be used as an HTTP proxy:
    then it serves whatever host is asked for. `results` are what a search finds. `rude[path]` answers instead of it.
    """

    def __init__(self, namespaces: Namespaces, token: str = "") -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.cut: dict[str, list[int]] = {}
        self.wrong: set[str] = set()
        self.fetched: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.seen: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.held: set[str] = set()
        self.held_from: dict[str, int] = {}
        self.status = 0
        self.results: list[dict[str, Any]] | None = None
        self.rude: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.token = token
        stub = self

        class Handler(_StubHandler):
            registry = stub

        self._server = namespaces.call(lambda: ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def add(self, image: AnyImage, name: str, tag: str) -> str:
        self.blobs |= image.blobs
        self.manifests |= image.manifests
        self.manifests[f"{name}:{tag}"] = list(image.manifests.values())[-1]
        return f"{self.address}/{name}:{tag}"

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: StubRegistry

    def handle_one_request(self) -> None:
        if self.rfile.peek(1)[:1] == b"\x16":  # a TLS greeting: say plainly that this is HTTP, as Go's clients expect
            self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            self.close_connection = True
            return
        super().handle_one_request()

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self.registry.seen.append(f"{self.command} {self.path}")
        self.send_response(200)  # the tunnel leads back here, where the greeting of TLS is refused
        self.end_headers()

    def do_GET(self) -> None:
        self.registry.seen.append(f"{self.command} {self.path}")
        if self.path.startswith("/v1/search") and self.registry.results is not None:
            found = {"num_results": len(self.registry.results), "results": self.registry.results}
            self._answer(200, "application/json", json.dumps(found).encode())
        elif self.registry.status:
            self._answer(self.registry.status, "application/json", _error("UNKNOWN", "as told"))
        elif rude := self.registry.rude.get(urllib.parse.urlsplit(self.path).path):
            self.registry.headers.append(dict(self.headers))
            rude(self)
        else:
            self._get()

    def _get(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if path == "/token":
            return self._token()
        if self.registry.token and self.headers.get("Authorization") != f"Bearer {self.registry.token}":
            return self._challenge()
        if path.rstrip("/") == "/v2":
            return self._answer(200, "application/json", b"{}")
        _, _, rest = path.partition("/v2/")
        if "/manifests/" in rest:
            return self._manifest(*rest.split("/manifests/"))
        if "/blobs/" in rest:
            return self._blob(rest.split("/blobs/")[1])
        return self._answer(404, "application/json", _error("NAME_UNKNOWN", "not here"))

    def do_POST(self) -> None:
        """OAuth2's way of asking for a token, which containerd tries first."""
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        if self.path == "/token" and (form.get("username"), form.get("password")) == ([USER], [PASSWORD]):
            return self._answer(200, "application/json", json.dumps({"access_token": self.registry.token}).encode())
        return self._answer(401, "application/json", _error("UNAUTHORIZED", "incorrect username or password"))

    def _token(self) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            return self._answer(401, "application/json", _error("UNAUTHORIZED", "incorrect username or password"))
        return self._answer(200, "application/json", json.dumps({"token": self.registry.token}).encode())

    def _challenge(self) -> None:
        challenge = f'Bearer realm="http://{self.registry.address}/token",service="stub",scope="repository:x:pull"'
        data = _error("UNAUTHORIZED", "authentication required")
        self._answer(401, "application/json", data, {"WWW-Authenticate": challenge})

    def _manifest(self, name: str, reference: str) -> None:
        found = self.registry.manifests.get(reference) or self.registry.manifests.get(f"{name}:{reference}")
        if found is None:
            return self._answer(404, "application/json", _error("MANIFEST_UNKNOWN", "manifest unknown"))
        return self._answer(200, *found)

    def _blob(self, key: str) -> None:
        data = self.registry.blobs.get(key)
        if data is None:
            return self._answer(404, "application/json", _error("BLOB_UNKNOWN", "blob unknown to registry"))
        if self.command == "HEAD":
            return self._answer(200, "application/octet-stream", data)
        self.registry.fetched[key] += 1
        if key in self.registry.held and key not in self.registry.held_from:
            self.registry.gate.wait(30)
        if key in self.registry.wrong:
            data = data[:-1] + bytes([data[-1] ^ 1])
        cuts = self.registry.cut.get(key)
        return self._part(data, cuts.pop(0) if cuts else None, self.registry.held_from.get(key))

    def _part(self, data: bytes, cut: int | None, held_from: int | None) -> None:
        wanted, start, fields = self.headers.get("Range"), 0, {}
        if wanted:
            self.registry.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            fields = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        body = data[start:]
        self._head(206 if wanted else 200, "application/octet-stream", len(body), fields)
        if held_from is not None and start < held_from:
            self.wfile.write(body[: held_from - start])
            self.wfile.flush()
            self.registry.gate.wait(30)
            body = body[held_from - start :]
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def _answer(self, status: int, media_type: str, data: bytes, fields: dict[str, str] | None = None) -> None:
        self._head(status, media_type, len(data), fields or {})
        if self.command != "HEAD":
            self.wfile.write(data)

    def _head(self, status: int, media_type: str, size: int, fields: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()
