"""A registry on loopback that can misbehave: breaks connections, wants tokens, sends elsewhere, lies."""

import base64
import gzip
import io
import json
import tarfile
from collections import Counter

from aiohttp import web

from engine.core import digest as digests

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def tar(files: dict[str, bytes]) -> bytes:
    """Return an archive of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


class FakeRegistry:
    """Serves what it is given; `url` and `host` once started."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.gets: Counter[str] = Counter()
        self.break_after = 0
        self.breaks = 0
        self.ranges = True
        self.token = ""
        self.user = ""
        self.redirect_blobs = ""
        self.busy = 0
        self.gate = None
        self.host = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> "FakeRegistry":
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.host = f"127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        return self

    async def stop(self) -> None:
        """Close."""
        await self._runner.cleanup()

    def blob(self, data: bytes) -> dict[str, object]:
        """Add a blob."""
        digest = digests.of(data)
        self.blobs[digest] = data
        return {"digest": digest, "size": len(data)}

    def image(self, name: str, layers: list[dict[str, bytes]], **config: object) -> str:
        """Add an image of gzip layers under `repository:tag`; return its digest."""
        plain = [tar(files) for files in layers]
        descriptors = [{"mediaType": f"{LAYER}+gzip", **self.blob(gzip.compress(t, mtime=0))} for t in plain]
        settings = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"], "Labels": {"a": "b"}},
            "rootfs": {"type": "layers", "diff_ids": [digests.of(t) for t in plain]},
            "history": [{"created_by": f"step {i}"} for i in range(len(plain))],
            **config,
        }
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **self.blob(json.dumps(settings).encode())},
            "layers": descriptors,
        }
        return self.manifest(name, document, MANIFEST)

    def manifest(self, name: str, document: dict[str, object], media_type: str) -> str:
        """Add a manifest under `repository:tag`; return its digest."""
        data = json.dumps(document).encode()
        repository, _, tag = name.partition(":")
        digest = digests.of(data)
        self.manifests[f"{repository}:{tag}"] = self.manifests[f"{repository}:{digest}"] = (media_type, data)
        return digest

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs, dict(request.headers)))
        if request.path == "/token":
            return self._give_token(request)
        if self.busy:
            self.busy -= 1
            return web.Response(status=503)
        if not self._is_allowed(request):
            return self._challenge(request)
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.split("/")
        kind, repository = parts[-2], "/".join(parts[2:-2])
        if kind == "manifests":
            return self._manifest(request, f"{repository}:{parts[-1]}")
        if kind == "blobs":
            return await self._blob(request, parts[-1])
        if kind == "tags":
            return self._tags(repository)
        return web.Response(status=200 if request.path == "/v2/" else 404)

    def _tags(self, repository: str) -> web.Response:
        ours = [n.partition(":")[2] for n in self.manifests if n.startswith(f"{repository}:")]
        tags = [tag for tag in ours if not tag.startswith("sha256:")]
        return web.json_response({"tags": tags}) if tags else web.Response(status=404)

    def _is_allowed(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        if self.token:
            return given == f"Bearer {self.token}"
        return not self.user or given == f"Basic {base64.b64encode(self.user.encode()).decode()}"

    def _challenge(self, request: web.Request) -> web.Response:
        value = f'Bearer realm="http://{self.host}/token",service="svc",scope="repository:x:pull"'
        return web.Response(status=401, headers={"WWW-Authenticate": value if self.token else 'Basic realm="r"'})

    def _give_token(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "")
        if self.user and request.method == "GET" and given != f"Basic {base64.b64encode(self.user.encode()).decode()}":
            return web.Response(status=401)
        return web.json_response({"access_token": self.token})

    def _manifest(self, request: web.Request, key: str) -> web.Response:
        if key not in self.manifests:
            return web.Response(status=404)
        media_type, data = self.manifests[key]
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digests.of(data)}
        return web.Response(body=data, headers=headers)

    async def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        if request.method == "GET":
            self.gets[digest] += 1
        if self.redirect_blobs:
            return web.Response(status=307, headers={"Location": f"{self.redirect_blobs}/v2/x/blobs/{digest}"})
        if digest not in self.blobs:
            return web.Response(status=404)
        if self.gate is not None:
            await self.gate.wait()
        data, start = self.blobs[digest], 0
        if self.ranges and (wanted := request.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        response = web.StreamResponse(status=206 if start else 200, headers={"Content-Length": str(len(data) - start)})
        await response.prepare(request)
        if self.breaks and len(data) - start > self.break_after:
            self.breaks -= 1
            await response.write(data[start : start + self.break_after])
            request.transport.abort()
            return response
        await response.write(data[start:])
        return response
