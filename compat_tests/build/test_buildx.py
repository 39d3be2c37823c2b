"""What buildx and Compose ask of the daemon over BuildKit's API, each with its newest release and that of Debian 13."""

import base64
import hashlib
import io
import json
import os
import re
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.build.projects import build, write
from compat_tests.clients.buildx import Buildx, outcome
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import Registry
from compat_tests.clients.terminal import Terminal
from compat_tests.clients.waiting import eventually

pytestmark = pytest.mark.usefixtures("empty_cache")

_H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"


# Progress and errors.


def test_steps_are_told_of_as_buildkit_does(client: DockerCli, context: Path) -> None:
    write(
        context,
        Dockerfile="FROM busybox AS one\nRUN echo 1 > /a\nFROM busybox\nCOPY f /f\nCOPY --from=one /a /a\n",
        f="x",
    )
    code, text = build(client, context, "-t", "told")
    assert code == 0, text
    names = set(outcome(code, text).steps)
    image = next(name for name in names if "] FROM" in name)
    assert re.fullmatch(r"\[(one|stage-1) 1/[23]\] FROM docker.io/library/busybox:latest@sha256:[0-9a-f]{64}", image)
    assert names - {image} == {
        "[internal] load build definition from Dockerfile",
        "[internal] load metadata for docker.io/library/busybox:latest",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[one 2/2] RUN echo 1 > /a",
        "[stage-1 2/3] COPY f /f",
        "[stage-1 3/3] COPY --from=one /a /a",
        "exporting to image",
    }
    assert "transferring dockerfile: " in text
    assert re.search(r"transferring context: \d+B", text)
    assert re.search(r"exporting manifest sha256:[0-9a-f]{64}", text)
    assert "naming to docker.io/library/told:latest" in text


def test_a_failing_command_is_shown_in_its_dockerfile(client: DockerCli, context: Path) -> None:
    write(context, Dockerfile="FROM busybox\nRUN echo said && exit 3\nRUN true\n")
    code, text = build(client, context)
    assert code == 1
    assert outcome(code, text).of("RUN echo said") == "ERROR"
    wanted = (
        "Dockerfile:2\n--------------------\n   1 |     FROM busybox\n   2 | >>> RUN echo said && exit 3\n"
        "   3 |     RUN true\n   4 |     \n--------------------\n"
    )
    assert wanted in text
    assert re.search(r" > \[2/3\] RUN echo said && exit 3:\n\d+\.\d+ said\n------\n", text)
    last = 'failed to solve: process "/bin/sh -c echo said && exit 3" did not complete successfully: exit code: 3'
    assert text.strip().splitlines()[-1].endswith(last)


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM busybox\nRUNN x\n", "dockerfile parse error on line 2: unknown instruction: RUNN"),
        ("FROM busybox\nCOPY\n", "dockerfile parse error on line 2: COPY requires at least two arguments"),
        ("FROM nothing/at-all@sha256:123\n", "invalid reference format"),
    ],
)
def test_a_dockerfile_that_makes_no_sense(buildx: Buildx, dockerfile: str, message: str) -> None:
    buildx.write({"Dockerfile": dockerfile})
    found = buildx.build()
    assert found.code == 1
    last = found.text.strip().splitlines()[-1]
    assert "failed to solve: " in last
    assert message in last


def test_a_dockerfile_that_is_not_there(buildx: Buildx) -> None:
    found = buildx.build("-f", str(buildx.directory / "None"))
    assert "failed to read dockerfile: open None: no such file or directory" in found.text


def test_raw_progress(newest: Buildx) -> None:
    buildx = newest
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo unheard; echo of >&2\n"})
    result = buildx.cli.run("build", "--progress=rawjson", "--no-cache", str(buildx.directory))
    assert result.code == 0, result
    lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    logs = [log for line in lines for log in line.get("logs") or ()]
    said = {log["stream"]: base64.b64decode(log["data"]).decode() for log in logs}
    assert said == {1: "unheard\n", 2: "of\n"}
    vertices = {v["name"]: v for line in lines for v in line.get("vertexes") or ()}
    run = vertices["[2/2] RUN echo unheard; echo of >&2"]
    assert run["started"] < run["completed"]
    assert run["inputs"] == [next(v["digest"] for name, v in vertices.items() if name.startswith("[1/2] FROM"))]


def test_terminal_progress(buildx: Buildx, terminal: Callable[..., Terminal]) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo 1\n"})
    screen = terminal("build", "--no-cache", str(buildx.directory))
    screen.expect(b"FINISHED")
    assert screen.wait() == 0


def test_quiet_and_iidfile(buildx: Buildx, api: RawHttp, tmp_path: Path) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nENV q=1\n"})
    name = buildx.cli.ok("build", "-q", "--iidfile", str(tmp_path / "iid"), "-t", "quiet", str(buildx.directory))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", name)
    assert (tmp_path / "iid").read_text() == name
    assert api.get("/images/quiet/json")["Config"]["Env"][-1] == "q=1"


# Results.


_TREE = "FROM scratch\nCOPY --from=busybox /bin/busybox /bin/\nCOPY f /d/f\nCOPY --chmod=600 --chown=3:4 f /d/g\n"


def test_a_directory(client: DockerCli, context: Path, tmp_path: Path) -> None:
    write(context, Dockerfile=_TREE, f="content")
    code, text = build(client, context, "-o", str(tmp_path / "out"))
    assert code == 0, text
    out = tmp_path / "out"
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*")) == ["bin", "bin/busybox", "d", "d/f", "d/g"]
    assert (out / "d/f").read_text() == "content"
    assert (out / "d/g").stat().st_mode & 0o7777 == 0o600
    inside = client.ok("run", "--rm", "busybox", "sha256sum", "/bin/busybox").split()[0]
    assert hashlib.sha256((out / "bin/busybox").read_bytes()).hexdigest() == inside
    assert outcome(code, text).of("exporting to client directory") == "DONE"
    assert "copying files" in text


def test_an_archive(client: DockerCli, context: Path, tmp_path: Path) -> None:
    write(context, Dockerfile=_TREE, f="content")
    code, text = build(client, context, "-o", f"type=tar,dest={tmp_path}/out.tar")
    assert code == 0, text
    with tarfile.open(tmp_path / "out.tar") as archive:
        members = {member.name: member for member in archive}
        assert sorted(members) == ["bin", "bin/busybox", "d", "d/f", "d/g"]
        assert (members["d/g"].uid, members["d/g"].gid, members["d/g"].mode) == (3, 4, 0o600)
    assert "exporting to client tarball" in text
    assert "sending tarball" in text


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_archive_of_the_image(buildx: Buildx, api: RawHttp, tmp_path: Path, kind: str) -> None:
    buildx.write({"Dockerfile": _TREE, "f": "content"})
    found = buildx.ok("-o", f"type={kind},dest={tmp_path}/out.tar,name=example.com/a/b:c")
    assert f"exporting to {kind} image format" in found.text
    with tarfile.open(tmp_path / "out.tar") as archive:
        names = set(archive.getnames())
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
        entry = index["manifests"][0]
        assert entry["annotations"]["io.containerd.image.name"] == "example.com/a/b:c"
        assert entry["annotations"]["org.opencontainers.image.ref.name"] == "c"
        assert entry["platform"]["os"] == "linux"
        manifest = json.load(archive.extractfile("blobs/" + entry["digest"].replace(":", "/")))  # type: ignore[arg-type]
        assert len(manifest["layers"]) == 3
        assert {"blobs/" + layer["digest"].replace(":", "/") for layer in manifest["layers"]} <= names
    assert ("manifest.json" in names) == (kind == "docker")
    if kind == "docker":
        buildx.cli.ok("load", "-q", "-i", str(tmp_path / "out.tar"))
        assert api.get("/images/example.com/a/b:c/json")["RootFS"]["Layers"]


def test_nothing_but_the_cache(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo 1 > /only-in-cache\n"})
    found = buildx.ok("--output=type=cacheonly")
    assert found.of("RUN echo 1 > /only") == "DONE"
    assert not [name for name in found.steps if "exporting" in name]
    assert buildx.ok("--output=type=cacheonly").of("RUN echo 1 > /only") == "CACHED"


def test_metadata(newest: Buildx, api: RawHttp, tmp_path: Path) -> None:
    buildx = newest
    buildx.write({"Dockerfile": "FROM busybox\nENV m=1\n"})
    buildx.ok("--metadata-file", str(tmp_path / "m"), "-t", "first", "-t", "second:x")
    found = json.loads((tmp_path / "m").read_text())
    assert found["image.name"] == "docker.io/library/first:latest,docker.io/library/second:x"
    assert (
        found["containerimage.digest"] == api.get("/images/first/json")["Id"] == api.get("/images/second:x/json")["Id"]
    )
    assert found["containerimage.descriptor"]["digest"] == found["containerimage.digest"]
    assert found["buildx.build.provenance"]["invocation"]["parameters"]["frontend"] == "dockerfile.v0"


def _manifests(cli: DockerCli, name: str) -> list[tuple[dict, dict]]:  # type: ignore[type-arg]
    """An index's entries, each with its manifest, out of a saved image."""
    saved = subprocess.run(cli.argv("save", name), env=cli.environment, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:

        def read(digest: str) -> dict:  # type: ignore[type-arg]
            return json.load(archive.extractfile("blobs/" + digest.replace(":", "/")))  # type: ignore[arg-type]

        target = json.load(archive.extractfile("index.json"))["manifests"][0]  # type: ignore[arg-type]
        index = read(target["digest"])
        found = [(entry, read(entry["digest"])) for entry in index["manifests"]]
        for _, manifest in found:
            manifest["statements"] = [
                read(layer["digest"]) for layer in manifest["layers"] if layer["mediaType"].endswith("in-toto+json")
            ]
        return found


@pytest.mark.parametrize("mode", ["", "max"])
def test_images_say_where_they_come_from(buildx: Buildx, api: RawHttp, mode: str) -> None:
    dockerfile = "FROM busybox\nARG A\nRUN echo 1 $A > /said\nCOPY f /f\n"
    buildx.write({"Dockerfile": dockerfile, "f": "x"})
    more = ["--provenance", f"mode={mode}"] if mode else []
    found = buildx.ok("-t", "attested", "--build-arg", "A=private", *more)
    assert "exporting attestation manifest sha256:" in found.text
    assert "exporting manifest list sha256:" in found.text
    (image, manifest), (about, said) = _manifests(buildx.cli, "attested")
    assert len(manifest["layers"]) == 3
    assert about["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert about["annotations"] == {
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    (statement,) = said["statements"]
    assert statement["predicateType"] == "https://slsa.dev/provenance/v0.2"
    algorithm, _, digest = image["digest"].partition(":")
    assert [subject["digest"] for subject in statement["subject"]] == [{algorithm: digest}]
    predicate = statement["predicate"]
    busybox = api.get("/images/busybox/json")["Id"]
    assert [material["digest"] for material in predicate["materials"]] == [{"sha256": busybox.partition(":")[2]}]
    assert predicate["materials"][0]["uri"].startswith("pkg:docker/busybox@latest?")
    assert predicate["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert predicate["invocation"]["parameters"]["locals"] == [{"name": "context"}, {"name": "dockerfile"}]
    assert predicate["invocation"]["parameters"].get("args") == ({"build-arg:A": "private"} if mode else None)
    assert ("buildConfig" in predicate) == bool(mode)
    if mode:
        steps = predicate["buildConfig"]["llbDefinition"]
        kinds = [next(iter(step["op"]["Op"]), None) for step in steps]
        assert sorted(kinds, key=str) == sorted(["source", "source", "exec", "file", None], key=str)
        assert set(predicate["buildConfig"]["digestMapping"].values()) >= {step["id"] for step in steps[:-1]}


def test_images_that_say_nothing(buildx: Buildx, api: RawHttp) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nENV silent=1\n"})
    assert "attestation" not in buildx.ok("-t", "silent", "--provenance=false").text
    found = api.get("/images/silent/json")["Descriptor"]
    assert found["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_a_pushed_image_is_whole(buildx: Buildx, registry: Registry, api: RawHttp) -> None:
    """A registry takes no index without the manifests in it, those of statements included."""
    name = f"{registry.address}/pushed/whole:1"
    buildx.write({"Dockerfile": "FROM busybox\nENV pushed=1\n"})
    buildx.ok("-t", name, "--push")
    built = api.get(f"/images/{name}/json")["Id"]
    assert len(_manifests(buildx.cli, name)) == 2
    buildx.cli.ok("rmi", "-f", name)
    buildx.cli.ok("pull", name)
    assert api.get(f"/images/{name}/json")["Id"] == built


# Several targets, Compose.


_BAKE = """
group "default" { targets = ["app", "web"] }
target "root" {
  context = "shared"
  dockerfile-inline = "FROM busybox\\nCOPY f /f\\nRUN echo root > /root-ran\\n"
}
target "app" {
  context = "shared"
  contexts = { root = "target:root" }
  dockerfile-inline = "FROM root\\nRUN cat /root-ran /f\\n"
  tags = ["bake-app"]
}
target "web" {
  context = "shared"
  contexts = { root = "target:root" }
  dockerfile-inline = "FROM root\\nCOPY f /f2\\nRUN cat /root-ran /f2\\n"
  tags = ["bake-web"]
}
"""


def test_linked_targets(client: DockerCli, context: Path, api: RawHttp) -> None:
    write(context, f="")
    write(context / "shared", f="shared f\n")
    (context / "docker-bake.hcl").write_text(_BAKE)
    argv = client.argv("buildx", "bake", "--progress=plain", "--no-cache")
    environment = {**client.environment, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    done = subprocess.run(argv, cwd=context, env=environment, capture_output=True, timeout=60, check=False)
    text = done.stderr.decode()
    assert done.returncode == 0, text
    said = outcome(0, text).output
    assert said[next(name for name in said if "RUN cat /root-ran /f2" in name)] == "root\nshared f\n"
    assert said[next(name for name in said if name.endswith("RUN cat /root-ran /f"))] == "root\nshared f\n"
    assert len([name for name in outcome(0, text).steps if "RUN echo root" in name]) == 1
    assert api.get("/images/bake-app/json") and api.get("/images/bake-web/json")


_PROJECT = """
name: built
services:
  one:
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        COPY compose.yaml /c
        RUN --mount=type=secret,id=s cat /run/secrets/s
        CMD ["sh", "-c", "echo one is up"]
      secrets: [s]
  two:
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        COPY compose.yaml /d
        CMD ["sh", "-c", "echo two is up"]
secrets:
  s: {file: ./s}
"""


def test_compose(client: DockerCli, context: Path, api: RawHttp) -> None:
    write(context, compose__yaml=_PROJECT, s="the secret")
    compose = ["compose", "-f", str(context / "compose.yaml")]
    result = client.run(*compose, "build")
    assert result.code == 0, result
    assert api.get("/images/built-one/json") and api.get("/images/built-two/json")
    result = client.run(*compose, "up", "--build")
    assert "one is up" in result.out
    assert "two is up" in result.out
    client.ok(*compose, "down")


# History and cache.


def test_history(newest: Buildx) -> None:
    buildx = newest
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo for the record\n"})
    buildx.ok("--no-cache")
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo in vain && exit 5\n"})
    assert buildx.build().code == 1
    listed = [json.loads(line) for line in buildx.cli.ok("buildx", "history", "ls", "--format=json").splitlines()][:2]
    assert [(entry["name"], entry["status"]) for entry in listed] == [("context", "Error"), ("context", "Completed")]
    failed, good = (entry["ref"].rpartition("/")[2] for entry in listed)
    logs = buildx.cli.run("buildx", "history", "logs", "--progress=plain", good)
    assert re.search(r"#\d+ \d+\.\d+ for the record", logs.err + logs.out)
    shown = json.loads(buildx.cli.ok("buildx", "history", "inspect", "--format=json", good))
    assert shown["Status"] == "completed"
    assert shown["NumCompletedSteps"] == shown["NumTotalSteps"] == 6
    assert shown["Dockerfile"] == "Dockerfile"
    kinds = {entry["Type"] for entry in shown["Attachments"]}
    assert "https://slsa.dev/provenance/v0.2" in kinds
    assert "application/vnd.oci.image.index.v1+json" in kinds
    assert shown["Materials"][0]["URI"].startswith("pkg:docker/busybox@latest?")
    text = buildx.cli.ok("buildx", "history", "inspect", failed)
    assert 'process "/bin/sh -c echo in vain && exit 5" did not complete successfully: exit code: 5' in text
    assert ">>> RUN echo in vain && exit 5" in text
    assert "> in vain" in text
    refused = buildx.cli.ok(
        "buildx", "history", "ls", "--format=json", "--filter", "status=error", "--filter", "startedAt>1h"
    )
    statuses = [json.loads(line)["status"] for line in refused.splitlines()]
    assert statuses and set(statuses) == {"Error"}


def test_history_is_exported(newest: Buildx, tmp_path: Path) -> None:
    newest.write({"Dockerfile": "FROM busybox\nRUN echo for export\n"})
    newest.ok("--no-cache")
    newest.cli.ok("buildx", "history", "export", "-o", str(tmp_path / "record.dockerbuild"))
    with tarfile.open(tmp_path / "record.dockerbuild") as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
        content = {name: file.read() for name, file in files.items() if file}
    [entry] = json.loads(content["index.json"])["manifests"]
    manifest = json.loads(content[f"blobs/sha256/{entry['digest'][7:]}"])
    assert manifest["config"]["mediaType"] == "application/vnd.buildkit.historyrecord.v0"
    parts = {layer["mediaType"]: content[f"blobs/sha256/{layer['digest'][7:]}"] for layer in manifest["layers"]}
    assert b"RUN echo for export" in parts["application/vnd.buildkit.status.v0"]
    assert "application/vnd.in-toto+json" in parts


@pytest.mark.wharfd_only("Debian's dockerd 28.5 crashes at it")
def test_history_is_forgotten(newest: Buildx) -> None:
    newest.write({"Dockerfile": "FROM busybox\nRUN echo forget me\n"})
    newest.ok()
    refs = [json.loads(line)["ref"] for line in newest.cli.ok("buildx", "history", "ls", "--format=json").splitlines()]
    newest.cli.ok("buildx", "history", "rm", refs[0].rpartition("/")[2])
    left = [json.loads(line)["ref"] for line in newest.cli.ok("buildx", "history", "ls", "--format=json").splitlines()]
    assert set(refs) - set(left) == {refs[0]}
    newest.cli.ok("buildx", "history", "rm", "--all")
    assert newest.cli.ok("buildx", "history", "ls", "--format=json") == ""


def test_du_and_prune(buildx: Buildx) -> None:
    marker = f"prune-{time.time_ns()}"
    buildx.write({"Dockerfile": f"FROM busybox\nRUN echo {marker} > /p\n"})
    buildx.ok("--output=type=cacheonly")
    text = buildx.cli.ok("buildx", "du", "--verbose")
    records = [dict(re.findall(r"(?m)^([A-Z][A-Za-z ]+):\s+(.*)$", record)) for record in text.split("\n\n")]
    mine = next(record for record in records if marker in record.get("Description", ""))
    assert (mine["Type"], mine["Reclaimable"]) == ("regular", "true")
    assert any(record.get("Description") == "local source for dockerfile" for record in records)
    pruned = buildx.cli.ok("buildx", "prune", "-af")
    assert mine["ID"] in pruned
    assert "Total:" in pruned
    assert marker not in buildx.cli.ok("buildx", "du", "--verbose")
    assert buildx.ok("--output=type=cacheonly").of(f"RUN echo {marker}") == "DONE"


def test_the_builder_is_known(client: DockerCli) -> None:
    text = client.ok("buildx", "inspect")
    assert re.search(r"Driver: +docker\n", text)
    assert re.search(r"Status: +running\n", text)
    assert re.search(r"Platforms: +linux/", text)


# The end of things.


def test_a_client_that_is_interrupted(newest: Buildx) -> None:
    buildx = newest
    marker = f"87{time.time_ns() % 10**6}"
    buildx.write({"Dockerfile": f"FROM busybox\nRUN echo begun; exec sleep {marker}\n"})
    with buildx.cli.spawn(*buildx.arguments("--no-cache")) as process:
        assert process.stderr is not None
        seen = b""
        for line in process.stderr:
            seen += line
            if line.rstrip().endswith(b" begun"):
                break
        assert _sleeping(marker)
        os.killpg(process.pid, 2)
        rest = process.stderr.read()
        assert process.wait(20) != 0
    assert b"context canceled" in rest
    eventually(lambda: not _sleeping(marker), what="the command ends with its client")
    listed = buildx.cli.ok("buildx", "history", "ls", "--format=json").splitlines()[0]
    assert json.loads(listed)["status"] in ("Canceled", "Error")


def _sleeping(marker: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"sleep {marker}$"], capture_output=True, check=False).returncode == 0


def test_other_upgrades_are_refused(api: RawHttp) -> None:
    for path, status in (("/grpc", 500), ("/session", 400)):
        answer = api.request("POST", path)
        assert (answer.status, answer.message) == (status, "no upgrade proto in request")


@pytest.mark.wharfd_only("dockerd 28 takes HTTP/2 without an upgrade on no socket")
def test_http2_without_an_upgrade(engine: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(engine.host.removeprefix("unix://"))
        connection.sendall(_H2)
        head = connection.recv(9)
        assert head[3] == 4  # SETTINGS
    assert api_is_well(engine)


def api_is_well(engine: Daemon) -> bool:
    return engine.api.request("GET", "/_ping").status == 200
