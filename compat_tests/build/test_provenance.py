"""Where files come from: the statement beside a build's result on the client's disk, in both of SLSA's forms."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.buildx import Buildx

pytestmark = pytest.mark.usefixtures("empty_cache")
DOCKERFILE = """\
FROM busybox AS made
ARG A
RUN --mount=type=secret,id=key --mount=type=ssh echo $A > /said
FROM scratch
COPY f d/
COPY --from=made /said /
"""


def written(buildx: Buildx, options: str) -> tuple[Path, dict[str, Any]]:
    buildx.write({"Dockerfile": DOCKERFILE, "f": "x"})
    out = buildx.directory.parent / "out"
    attest = f"--attest=type=provenance,{options}"
    buildx.ok(attest, "--build-arg", "A=private", "--label", "a=b", "-o", f"type=local,dest={out}")
    return out, json.loads((out / "provenance.json").read_text())


@pytest.mark.parametrize("mode", ["min", "max"])
def test_files_say_where_they_come_from(newest: Buildx, mode: str) -> None:
    out, said = written(newest, f"mode={mode}")
    assert sorted(path.name for path in out.iterdir()) == ["d", "provenance.json", "said"]
    assert (out / "provenance.json").stat().st_mode & 0o777 == 0o600
    assert said["predicateType"] == "https://slsa.dev/provenance/v0.2"
    assert said["subject"] == [
        {"name": "d/f", "digest": {"sha256": hashlib.sha256(b"x").hexdigest()}},
        {"name": "said", "digest": {"sha256": hashlib.sha256(b"private\n").hexdigest()}},
    ]
    predicate = said["predicate"]
    parameters = predicate["invocation"]["parameters"]
    if mode == "min":
        assert parameters.keys() == {"frontend", "locals"}
        assert predicate["metadata"]["https://mobyproject.org/buildkit@v1#metadata"] == {}
        return
    assert parameters["args"] == {"build-arg:A": "private", "label:a": "b"}
    assert parameters["secrets"] == [{"id": "key", "optional": True}]
    assert parameters["ssh"] == [{"id": "default", "optional": True}]
    source = predicate["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]["source"]
    assert source["infos"][0]["filename"] == "Dockerfile"
    lines = [entry["ranges"] for step in source["locations"].values() for entry in step.get("locations", ())]
    assert [{"start": {"line": 3}, "end": {"line": 3}}] in lines


@pytest.mark.parametrize("mode", ["min", "max"])
def test_in_the_words_of_v1(newest: Buildx, mode: str) -> None:
    _, said = written(newest, f"mode={mode},version=v1")
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, details = said["predicate"]["buildDefinition"], said["predicate"]["runDetails"]
    assert definition["buildType"].endswith("/slsa-definitions.md")
    assert definition["externalParameters"]["configSource"] == {"path": "Dockerfile"}
    assert ("args" in definition["externalParameters"]["request"]) == (mode == "max")
    assert ("buildConfig" in definition["internalParameters"]) == (mode == "max")
    assert definition["resolvedDependencies"][0]["uri"].startswith("pkg:docker/busybox@latest?")
    assert details["metadata"]["buildkit_completeness"] == {"request": mode == "max", "resolvedDependencies": False}


def test_archives_say_it_too_where_they_are_asked(newest: Buildx) -> None:
    newest.write({"Dockerfile": "FROM scratch\nCOPY f /\n", "f": "x"})
    found = []
    for options in ((), ("--provenance=mode=min",)):
        out = newest.directory.parent / "out.tar"
        newest.ok(*options, "-o", f"type=tar,dest={out}")
        with tarfile.open(fileobj=io.BytesIO(out.read_bytes())) as archive:
            found.append([(entry.name, entry.mode) for entry in archive])
    assert found == [[("f", 0o644)], [("f", 0o644), ("provenance.json", 0o600)]]
