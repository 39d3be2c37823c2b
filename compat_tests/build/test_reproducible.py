"""`SOURCE_DATE_EPOCH` and `rewrite-timestamp`: the same image at another time."""

import io
import json
import tarfile

import pytest

from compat_tests.clients.buildx import Buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp

pytestmark = [
    pytest.mark.usefixtures("empty_cache"),
    pytest.mark.wharfd_only("dockerd 28.5 rewrites no image of its own store: it must unpack it"),
]
EPOCH = 1_000_000_000


def test_times_of_files_and_of_the_image(buildx: Buildx, api: RawHttp) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN mkdir /d && echo x > /d/f\nCOPY a /a\n", "a": "1"})
    output = "type=image,rewrite-timestamp=true,unpack=false,name=docker.io/library/epoch:1"
    arguments = ("--provenance=false", "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", "--output", output)
    buildx.ok(*arguments)
    first = api.get("/images/epoch:1/json")
    assert first["Created"] == "2001-09-09T01:46:40Z"
    with tarfile.open(fileobj=io.BytesIO(api.request("GET", "/images/epoch:1/get").body)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        for layer in manifest[0]["Layers"][1:]:
            with tarfile.open(fileobj=archive.extractfile(layer)) as files:
                assert {member.mtime <= EPOCH for member in files} == {True}
    buildx.ok("--no-cache", *arguments)
    assert api.get("/images/epoch:1/json")["RootFS"] == first["RootFS"]
    assert api.get("/images/epoch:1/json")["Id"] == first["Id"]


def test_what_is_rewritten_runs(buildx: Buildx, cli: DockerCli) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo x > /f && rm -rf /tmp\n"})
    output = "type=image,rewrite-timestamp=true,unpack=false,name=docker.io/library/epoch:2"
    buildx.ok("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", "--output", output)
    assert (
        cli.ok("run", "--rm", "epoch:2", "sh", "-c", "stat -c %Y /f; ls -d /tmp 2> /dev/null || echo gone")
        == f"{EPOCH}\ngone"
    )
