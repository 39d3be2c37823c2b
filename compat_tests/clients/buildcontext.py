"""Build contexts, and `POST /build` with them."""

import io
import json
import re
import tarfile
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp

Files = Mapping[str, str | bytes | tuple[bytes, int]]
"""Contents by path; with a mode, or a directory where the path ends in a slash."""


def context(dockerfile: str | bytes, files: Files | None = None) -> bytes:
    """A tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in {"Dockerfile": dockerfile, **(files or {})}.items():
            data, mode = content if isinstance(content, tuple) else (content, 0o644)
            data = data.encode() if isinstance(data, str) else data
            entry = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            else:
                entry.size, entry.mode = len(data), mode
            entry.mtime = 1_700_000_000
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@dataclass(frozen=True)
class Built:
    """What a build has answered."""

    status: int
    lines: list[dict[str, Any]] = field(default_factory=list)
    message: str = ""

    @property
    def image(self) -> str:
        """The id of the last stage."""
        return str([line["aux"]["ID"] for line in self.lines if "aux" in line][-1])

    @property
    def text(self) -> list[str]:
        """What it printed, ids taken out."""
        joined = "".join(line.get("stream", "") for line in self.lines)
        return re.sub(r"\b[0-9a-f]{12}\b", "ID", joined).splitlines()

    @property
    def error(self) -> Any:
        """The error at the end of the stream."""
        return self.lines[-1].get("errorDetail")

    @property
    def cached(self) -> int:
        """How many steps were done before."""
        return sum(line.get("stream") == " ---> Using cache\n" for line in self.lines)


def build(api: RawHttp, body: bytes, headers: dict[str, str] | None = None, **query: object) -> Built:
    """Build; a list is a parameter several times, anything else that is no text is JSON."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, each if isinstance(each, str) else json.dumps(each)) for each in values]
    answer = api.request("POST", f"/build?{urllib.parse.urlencode(pairs)}", body, headers, timeout=90)
    if answer.status != 200:
        return Built(answer.status, message=answer.message)
    return Built(200, [json.loads(line) for line in answer.body.splitlines() if line.strip()])


def forget_built(engine: Daemon) -> None:
    """Remove containers, the build cache, and all images but busybox."""
    engine.wipe()
    for _ in range(2):
        for image in engine.api.get("/images/json?all=1"):
            if "busybox:latest" not in image["RepoTags"]:
                engine.api.request("DELETE", f"/images/{image['Id']}?force=1")
    engine.api.request("POST", "/build/prune?all=1")
