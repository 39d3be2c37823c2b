"""Content stores on the client's disk: layouts of images as contexts and as results, caches in directories."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from compat_tests.build.projects import build, write
from compat_tests.clients.buildx import outcome
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon

pytestmark = pytest.mark.usefixtures("empty_cache")
_BASE = "FROM busybox\nRUN cat /proc/uptime > /made\nENV SAID=by-the-base\n"


def _json(layout: Path, digest: str) -> Any:
    data = (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
    return json.loads(data)


@pytest.fixture
def layout(client: DockerCli, context: Path, tmp_path: Path) -> Path:
    """An image in a directory."""
    write(context, Dockerfile=_BASE)
    where = tmp_path / "layout"
    code, text = build(client, context, "-o", f"type=oci,tar=false,dest={where}")
    assert code == 0, text
    assert outcome(code, text).of("exporting to oci image format") == "DONE"
    return where


def test_a_layout_as_a_result(layout: Path) -> None:
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    assert "org.opencontainers.image.created" in entry["annotations"]
    assert entry["platform"]["os"] == "linux"
    manifest = _json(layout, entry["digest"])
    assert "SAID=by-the-base" in _json(layout, manifest["config"]["digest"])["config"]["Env"]
    for layer in manifest["layers"]:
        assert (layout / "blobs/sha256" / layer["digest"][7:]).stat().st_size == layer["size"]
    assert not list((layout / "ingest").iterdir())


def test_a_layout_as_a_context(client: DockerCli, context: Path, layout: Path, engine: Daemon) -> None:
    assert engine.api.request("POST", "/build/prune?all=1").status == 200
    steps = (
        "FROM base\nRUN echo $SAID\nFROM busybox\nCOPY --from=0 /made /a\nCOPY --from=base /made /b\nRUN cmp /a /b\n"
    )
    write(context, Dockerfile=steps)
    code, text = build(client, context, "--build-context", f"base=oci-layout://{layout}", "--no-cache")
    assert code == 0, text
    found = outcome(code, text)
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    assert f"[context base] load metadata for docker.io/library/base@{entry['digest']}" in text
    assert found.said("RUN echo") == "by-the-base\n"
    assert "[context base] OCI load from client" in text


def test_a_layout_that_lacks_a_layer(client: DockerCli, context: Path, layout: Path, engine: Daemon) -> None:
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    layer = _json(layout, entry["digest"])["layers"][-1]["digest"]
    (layout / "blobs/sha256" / layer[7:]).unlink()
    for image in json.loads(engine.api.request("GET", '/images/json?filters={"dangling":["true"]}').body):
        engine.api.request("DELETE", f"/images/{image['Id']}?force=1")
    assert engine.api.request("POST", "/build/prune?all=1").status == 200
    write(context, Dockerfile="FROM base\nRUN true\n")
    code, text = build(client, context, "--build-context", f"base=oci-layout://{layout}")
    assert code == 1
    assert f"content {layer}: not found" in text or f"blob {layer}: not found" in text, text


def test_a_cache_in_a_directory(client: DockerCli, context: Path, tmp_path: Path, engine: Daemon) -> None:
    steps = (
        "FROM busybox AS one\nRUN cat /proc/uptime > /one\nFROM busybox\nCOPY --from=one /one /\nRUN cat /one > /2\n"
    )
    write(context, Dockerfile=steps)
    code, text = build(client, context, "--cache-to", f"type=local,mode=max,dest={tmp_path}/cache", "-t", "first")
    assert code == 0, text
    assert outcome(code, text).of("exporting cache to client directory") == "DONE"
    made = engine.cli.ok("run", "--rm", "first", "cat", "/2")
    engine.cli.ok("rmi", "-f", "first")
    assert engine.api.request("POST", "/build/prune?all=1").status == 200
    write(context, Dockerfile=steps.replace("> /2", "> /2; true"))
    code, text = build(client, context, "--cache-from", f"type=local,src={tmp_path}/cache", "-t", "again")
    assert code == 0, text
    assert outcome(code, text).of("importing cache manifest from local:") == "DONE"
    assert engine.cli.ok("run", "--rm", "again", "cat", "/2") == made


def test_a_directory_without_a_cache(client: DockerCli, context: Path, tmp_path: Path) -> None:
    write(context, Dockerfile="FROM busybox\nRUN true\n")
    code, text = build(client, context, "--cache-from", f"type=local,src={tmp_path}/none", "--no-cache")
    assert code == 0, text
    assert "importing cache manifest" not in text


def test_an_image_that_is_not_kept(client: DockerCli, context: Path, engine: Daemon) -> None:
    write(context, Dockerfile="FROM busybox\nLABEL unkept=1\n")
    code, text = build(client, context, "-o", "type=image,name=unkept,store=false")
    assert code == 0, text
    assert "naming to" not in text
    assert engine.api.request("GET", "/images/unkept/json").status == 404
