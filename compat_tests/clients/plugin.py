"""A third-party plugin as a small server: it listens on a unix socket that engines find by its name.

It speaks the plugin protocol (`POST /Interface.Method`, JSON both ways) and writes down every call.
"""

import base64
import contextlib
import itertools
import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from compat_tests.clients.daemon import Daemon

Reply = dict[str, Any] | tuple[int, bytes] | Iterator[bytes]
Handler = Callable[[dict[str, Any]], Reply]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    plugin: "Plugin"


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self._body()
        server = self.server
        assert isinstance(server, _Server)
        reply = server.plugin.answer(self.path.lstrip("/"), body, dict(self.headers.items()))
        if isinstance(reply, Iterator):
            self._stream(reply)
            return
        status, data = reply if isinstance(reply, tuple) else (200, json.dumps(reply).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data


class Plugin:
    """A plugin `NAME.sock`. `handlers` maps a method (`VolumeDriver.Create`) to its answer; `calls` are all calls."""

    def __init__(self, path: Path, implements: list[str], handlers: dict[str, Handler] | None = None) -> None:
        self.path = path
        self.name = path.stem
        self.handlers: dict[str, Handler] = {"Plugin.Activate": lambda _: {"Implements": implements}}
        self.handlers |= handlers or {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self._server: _Server | None = None

    def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._server = _Server(str(self.path), _Request)
        self._server.plugin = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, method: str, body: bytes, headers: dict[str, str]) -> Reply:
        value = json.loads(body) if body.strip() else {}
        self.calls.append((method, value))
        self.headers.append(headers)
        handler = self.handlers.get(method)
        return handler(value) if handler is not None else (404, b"404 page not found\n")

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def bodies(self, method: str) -> list[dict[str, Any]]:
        return [body for called, body in self.calls if called == method]

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Plugin":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class VolumePlugin(Plugin):
    """A volume driver that keeps its volumes in directories below `root`."""

    def __init__(self, path: Path, root: Path, scope: str = "local") -> None:
        super().__init__(path, ["VolumeDriver"])
        self.root = root
        self.options: dict[str, dict[str, str]] = {}
        self.mounts: dict[str, set[str]] = {}
        self._scope = scope
        self.reset()

    def reset(self) -> None:
        """Answer properly again."""
        self.handlers |= {
            "VolumeDriver.Create": self.create,
            "VolumeDriver.Get": self.get,
            "VolumeDriver.List": lambda _: {"Volumes": [self._shown(n) for n in sorted(self.options)], "Err": ""},
            "VolumeDriver.Path": lambda body: {"Mountpoint": str(self.root / body["Name"]), "Err": ""},
            "VolumeDriver.Mount": self.mount,
            "VolumeDriver.Unmount": self.unmount,
            "VolumeDriver.Remove": self.remove,
            "VolumeDriver.Capabilities": lambda _: {"Capabilities": {"Scope": self._scope}},
        }

    def _shown(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Mountpoint": str(self.root / name), "CreatedAt": "2024-05-06T07:08:09Z"}

    def create(self, body: dict[str, Any]) -> Reply:
        (self.root / body["Name"]).mkdir(parents=True, exist_ok=True)
        self.options[body["Name"]] = body.get("Opts") or {}
        return {"Err": ""}

    def get(self, body: dict[str, Any]) -> Reply:
        if body["Name"] not in self.options:
            return {"Err": "no such thing here"}
        return {"Volume": {**self._shown(body["Name"]), "Status": {"colour": "green", "size": 3}}, "Err": ""}

    def mount(self, body: dict[str, Any]) -> Reply:
        self.mounts.setdefault(body["Name"], set()).add(body["ID"])
        return {"Mountpoint": str(self.root / body["Name"]), "Err": ""}

    def unmount(self, body: dict[str, Any]) -> Reply:
        self.mounts.get(body["Name"], set()).discard(body["ID"])
        return {"Err": ""}

    def remove(self, body: dict[str, Any]) -> Reply:
        self.options.pop(body["Name"], None)
        return {"Err": ""}


class NetworkPlugin(Plugin):
    """A network driver that connects each container by a veth whose host end has the gateway's address."""

    def __init__(self, path: Path, engine: Daemon) -> None:
        super().__init__(path, ["NetworkDriver"])
        self._engine = engine
        self.networks: dict[str, str] = {}
        self.reset()

    def reset(self) -> None:
        """Answer properly again, and forget what was asked."""
        self.calls.clear()
        for method in ("DeleteNetwork", "CreateEndpoint", "DeleteEndpoint", "ProgramExternalConnectivity"):
            self.handlers[f"NetworkDriver.{method}"] = lambda _: {}
        self.handlers |= {
            "NetworkDriver.GetCapabilities": lambda _: {"Scope": "local"},
            "NetworkDriver.EndpointOperInfo": lambda _: {"Value": {}},
            "NetworkDriver.RevokeExternalConnectivity": lambda _: {},
            "NetworkDriver.CreateNetwork": self.create,
            "NetworkDriver.Join": self.join,
            "NetworkDriver.Leave": self.leave,
        }

    def create(self, body: dict[str, Any]) -> Reply:
        self.networks[body["NetworkID"]] = body["IPv4Data"][0]["Gateway"]
        return {}

    def join(self, body: dict[str, Any]) -> Reply:
        outer, inner = (f"{side}{body['EndpointID'][:8]}" for side in "hc")
        gateway = self.networks[body["NetworkID"]]
        self._ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        self._ip("address", "add", gateway, "dev", outer)
        self._ip("link", "set", outer, "up")
        return {"InterfaceName": {"SrcName": inner, "DstPrefix": "plg"}, "Gateway": gateway.partition("/")[0]}

    def leave(self, body: dict[str, Any]) -> Reply:
        argv = ["ip", "link", "delete", f"h{body['EndpointID'][:8]}"]
        subprocess.run(self._engine.namespaces.command(argv), check=False, capture_output=True)
        return {}

    def _ip(self, *arguments: str) -> None:
        subprocess.run(self._engine.namespaces.command(["ip", *arguments]), check=True)


class AuthorizationPlugin(Plugin):
    """Lets everything pass but what `requests` and `answers` say: each maps a part of the URI to a reply."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ["authz"])
        self.requests: dict[str, Reply] = {}
        self.answers: dict[str, Reply] = {}
        self.handlers |= {
            "AuthZPlugin.AuthZReq": lambda body: self._reply(self.requests, body),
            "AuthZPlugin.AuthZRes": lambda body: self._reply(self.answers, body),
        }

    def reset(self) -> None:
        """Let everything pass, and forget what was asked."""
        self.requests, self.answers = {}, {}
        self.calls.clear()

    def _reply(self, rules: dict[str, Reply], body: dict[str, Any]) -> Reply:
        return next((reply for part, reply in rules.items() if part in body["RequestUri"]), {"Allow": True})

    def asked(self, uri: str) -> list[dict[str, Any]]:
        """What was asked before requests whose URI contains `uri`, with bodies decoded."""
        return [_decoded(b) for b in self.bodies("AuthZPlugin.AuthZReq") if uri in b["RequestUri"]]

    def answered(self, uri: str) -> list[dict[str, Any]]:
        """What was asked about their answers."""
        return [_decoded(b) for b in self.bodies("AuthZPlugin.AuthZRes") if uri in b["RequestUri"]]


def _decoded(call: dict[str, Any]) -> dict[str, Any]:
    bodies = {name: base64.b64decode(call[name]) for name in ("RequestBody", "ResponseBody") if name in call}
    return {**call, **bodies}


def sockets(engine: Daemon) -> Path:
    """Where an engine looks for plugins, and no other engine on this machine does."""
    if engine.kind == "wharfd":
        return engine.exec_root / "plugins"
    return Path(f"/proc/{engine.namespaces.pid}/root/run/docker/plugins")


_counter = itertools.count()


def unused_name(prefix: str) -> str:
    """A plugin's name that no other test on this machine has."""
    return f"{prefix}{os.getpid()}n{next(_counter)}"
