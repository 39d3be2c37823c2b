"""`POST /build`, version 1: what it prints, what it makes, what goes wrong and how it is told."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from compat_tests.clients.buildcontext import build, context, forget_built
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually


@pytest.fixture(autouse=True)
def no_images_left(engine: Daemon) -> Iterator[None]:
    yield
    forget_built(engine)


def history(api: RawHttp, image: str) -> list[str]:
    return [entry["CreatedBy"] for entry in api.get(f"/images/{image}/history")]


def output(cli: DockerCli, image: str, *command: str) -> str:
    return cli.ok("run", "--rm", image, *command)


def test_prints_each_step(api: RawHttp) -> None:
    dockerfile = "ARG V=latest\nFROM busybox:$V\nENV A=1\nRUN echo hi\nCOPY a /a\n"
    built = build(api, context(dockerfile, {"a": "x"}), t="steps:1")
    assert built.text == [
        "Step 1/5 : ARG V=latest",
        "Step 2/5 : FROM busybox:$V",
        " ---> ID",
        "Step 3/5 : ENV A=1",
        " ---> Running in ID",
        " ---> Removed intermediate container ID",
        " ---> ID",
        "Step 4/5 : RUN echo hi",
        " ---> Running in ID",
        "hi",
        " ---> Removed intermediate container ID",
        " ---> ID",
        "Step 5/5 : COPY a /a",
        " ---> ID",
        "Successfully built ID",
        "Successfully tagged steps:1",
    ]
    assert built.lines[:2] == [{"stream": "Step 1/5 : ARG V=latest"}, {"stream": "\n"}]
    assert api.get("/images/steps:1/json")["Id"] == built.image


def test_errors_of_commands_are_red(api: RawHttp) -> None:
    built = build(api, context("FROM busybox\nRUN echo out; echo err >&2\n"))
    assert {"stream": "out\n"} in built.lines
    assert {"stream": "\x1b[91merr\n\x1b[0m"} in built.lines


def test_second_build_is_cached_until_something_changes(api: RawHttp) -> None:
    dockerfile = 'FROM busybox\nENV A=1\nRUN echo one > /one\nCOPY d /d\nRUN echo two > /two\nCMD ["x"]\n'
    first = build(api, context(dockerfile, {"d/": "", "d/f": "1"}))
    assert first.cached == 0
    again = build(api, context(dockerfile, {"d/": "", "d/f": "1"}))
    assert (again.cached, again.image) == (5, first.image)
    edited = build(api, context(dockerfile, {"d/": "", "d/f": "2"}))
    assert edited.cached == 2
    added = build(api, context(dockerfile, {"d/": "", "d/f": "1", "d/g": ""}))
    assert added.cached == 2
    elsewhere = build(api, context(dockerfile, {"d/": "", "d/f": "1", "other": ""}))
    assert elsewhere.cached == 5
    assert build(api, context(dockerfile, {"d/": "", "d/f": "1"}), nocache="1").cached == 0


def test_step_whose_image_is_gone_is_done_anew(api: RawHttp) -> None:
    dockerfile = "FROM busybox\nRUN echo gone > /gone\n"
    first = build(api, context(dockerfile), t="gone")
    assert build(api, context(dockerfile)).cached == 1
    assert api.request("DELETE", f"/images/{first.image}?force=1").status == 200
    assert build(api, context(dockerfile)).cached == 0


def test_cache_from(api: RawHttp) -> None:
    dockerfile = "FROM busybox\nENV FOO=bar\nRUN touch /baz\nRUN touch /bax\n"
    build(api, context(dockerfile), t="cached1")
    assert build(api, context(dockerfile), t="cached2", cachefrom=json.dumps(["cached1"])).cached == 3
    assert build(api, context(dockerfile), cachefrom=json.dumps(["nosuch"])).cached == 0


EVERYTHING = """FROM busybox
ARG X=1
ENV A=b C="d e"
WORKDIR /w/x
RUN echo $X > f
COPY --chown=1:2 a /c/
EXPOSE 90/udp 80
HEALTHCHECK --interval=90s CMD true
LABEL l=$A
VOLUME /v /w
USER 1000
ENTRYPOINT ["/bin/echo"]
CMD echo hi
STOPSIGNAL 9
SHELL ["/bin/sh","-c"]
ONBUILD RUN x
MAINTAINER me
"""


def test_history(api: RawHttp) -> None:
    built = build(api, context(EVERYTHING, {"a": "x"}), buildargs={"X": "7"})
    nop = "/bin/sh -c #(nop) "
    found = history(api, built.image)[:16]
    copied = found.pop(11)
    assert found == [
        f"{nop} MAINTAINER me",
        f"{nop} ONBUILD RUN x",
        f"{nop} SHELL [/bin/sh -c]",
        f"{nop} STOPSIGNAL 9",
        f'{nop} CMD ["/bin/sh" "-c" "echo hi"]',
        f'{nop} ENTRYPOINT ["/bin/echo"]',
        f"{nop} USER 1000",
        f"{nop} VOLUME [/v /w]",
        f"{nop} LABEL l=b",
        f"{nop} HEALTHCHECK &{{[CMD-SHELL true] 1m30s 0s 0s 0s 0}}",
        f"{nop} EXPOSE 80 90/udp",
        "|1 X=7 /bin/sh -c echo $X > f",
        f"{nop}WORKDIR /w/x",
        f"{nop} ENV A=b C=d e",
        f"{nop} ARG X=1",
    ]
    assert copied.startswith(f"{nop}COPY --chown=1:2 file:")
    assert copied.endswith(" in /c/ ")


def test_configuration(api: RawHttp) -> None:
    built = build(api, context(EVERYTHING, {"a": "x"}), buildargs={"X": "7"})
    shown = api.get(f"/images/{built.image}/json")
    config = {name: value for name, value in shown["Config"].items() if value}
    assert config == {
        "User": "1000",
        "ExposedPorts": {"80/tcp": {}, "90/udp": {}},
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=b", "C=d e"],
        "Cmd": ["/bin/sh", "-c", "echo hi"],
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 90_000_000_000},
        "Volumes": {"/v": {}, "/w": {}},
        "WorkingDir": "/w/x",
        "Entrypoint": ["/bin/echo"],
        "OnBuild": ["RUN x"],
        "Labels": {"l": "b"},
        "StopSignal": "9",
        "Shell": ["/bin/sh", "-c"],
    }
    assert shown["Author"] == "me"
    assert shown["Parent"]


def test_stages_and_target(api: RawHttp, cli: DockerCli) -> None:
    dockerfile = (
        "FROM busybox AS a\nRUN echo a > /a\nFROM busybox\nCOPY --from=a /a /b\nCOPY --from=0 /a /c/\nRUN false\n"
    )
    built = build(api, context(dockerfile), target="a", t="stage:a")
    assert built.text[-1] == "Successfully tagged stage:a"
    assert output(cli, "stage:a", "cat", "/a") == "a"
    failed = build(api, context(dockerfile))
    assert failed.error == {"code": 1, "message": "The command '/bin/sh -c false' returned a non-zero code: 1"}
    whole = build(api, context(dockerfile.replace("RUN false\n", "")), t="stage:b")
    assert output(cli, "stage:b", "cat", "/b", "/c/a") == "a\na"
    assert len([line for line in whole.lines if "aux" in line]) == 2


def test_triggers_of_the_base(api: RawHttp) -> None:
    build(api, context("FROM busybox\nONBUILD RUN echo trig\nONBUILD ENV z=1\n"), t="trigger")
    built = build(api, context("FROM trigger\nRUN echo $z\n"), labels={"x": "y", "a": "b c"})
    assert built.text == [
        "Step 1/4 : FROM trigger",
        "# Executing 2 build triggers",
        " ---> Running in ID",
        "trig",
        " ---> Removed intermediate container ID",
        " ---> Running in ID",
        " ---> Removed intermediate container ID",
        " ---> ID",
        "Step 2/4 : RUN echo $z",
        " ---> Running in ID",
        "1",
        " ---> Removed intermediate container ID",
        " ---> ID",
        "Step 3/4 : LABEL a=b c",
        " ---> Running in ID",
        " ---> Removed intermediate container ID",
        " ---> ID",
        "Step 4/4 : LABEL x=y",
        " ---> Running in ID",
        " ---> Removed intermediate container ID",
        " ---> ID",
        "Successfully built ID",
    ]


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("RUN x", "no build stage in current context"),
        ("FROM busybox\nFOO x", "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)"),
        ("FROM busybox\nENV x", "failed to parse Dockerfile: ENV must have two arguments"),
        ("", "the Dockerfile (Dockerfile) cannot be empty"),
        ("# comment\n", "failed to parse Dockerfile: file with no instructions"),
    ],
)
def test_bad_dockerfiles_are_bad_requests(api: RawHttp, dockerfile: str, message: str) -> None:
    built = build(api, context(dockerfile))
    assert (built.status, built.message) == (400, message)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"target": "zz"}, 400, 'target stage "zz" could not be found'),
        ({"dockerfile": "Foo"}, 500, "Cannot locate specified Dockerfile: Foo"),
        ({"dockerfile": "../Foo"}, 500, "forbidden path outside the build context: ../Foo ()"),
        ({"squash": "1"}, 400, "squash is only supported with experimental mode"),
        ({"t": "BAD"}, 500, "invalid reference format: repository name (library/BAD) must be lowercase"),
        ({"buildargs": "x"}, 400, "error reading build args: invalid character 'x' looking for beginning of value"),
        ({"labels": "x"}, 400, "error reading labels: invalid character 'x' looking for beginning of value"),
        ({"ulimits": "x"}, 400, "error reading ulimit settings: invalid character 'x' looking for beginning of value"),
        ({"cachefrom": "x"}, 400, "error reading cache-from: invalid character 'x' looking for beginning of value"),
        ({"version": "3"}, 400, 'invalid version "3"'),
        ({"platform": "foo"}, 400, '"foo": unknown operating system or architecture: invalid argument'),
        ({"securityopt": "x"}, 400, "security options are not supported on linux"),
        ({"isolation": "x"}, 400, 'unsupported isolation: "x"'),
        ({"shmsize": "x"}, 500, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ],
)
def test_bad_parameters(api: RawHttp, query: dict[str, str], status: int, message: str) -> None:
    built = build(api, context("FROM busybox\n"), **query)
    assert (built.status, built.message) == (status, message)


_MISSING = "file not found in build context or excluded by .dockerignore: stat nofile: file does not exist"


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        ("RUN exit 3", {"code": 3, "message": "The command '/bin/sh -c exit 3' returned a non-zero code: 3"}),
        ('RUN ["/bin/false"]', {"code": 1, "message": "The command '/bin/false' returned a non-zero code: 1"}),
        ("COPY nofile /x", {"message": f"COPY failed: {_MISSING}"}),
        ("ADD nofile /x", {"message": f"ADD failed: {_MISSING}"}),
        ("COPY no* /x", {"message": "COPY failed: no source files were specified"}),
        (
            "COPY a d /x",
            {
                "message": "When using COPY with more than one source file, the destination must be a directory and "
                "end with a /"
            },
        ),
        ("COPY --from=5 /a /b", {"message": "invalid from flag value 5: index out of bounds"}),
        ("COPY --from=busybox /nofile /b", {"message": "COPY failed: stat nofile: file does not exist"}),
        (
            "COPY --chown=nouser a /b",
            {
                "message": "unable to convert uid/gid chown string to host mapping: can't find uid for user nouser: "
                "no such user: nouser"
            },
        ),
        ("COPY ../x /x", {"message": "COPY failed: forbidden path outside the build context: ../x ()"}),
        (
            "ADD http://127.0.0.1:1/x /x",
            {
                "message": 'ADD failed: Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused',
            },
        ),
        ("STOPSIGNAL BAD", {"message": "invalid signal: BAD"}),
        ("ENV a=${b:%x}", {"message": 'failed to process "${b:%x}": unsupported modifier (:%) in substitution'}),
        (
            "FROM --platform=a/b/c/d busybox",
            {"message": 'failed to parse platform a/b/c/d: "a/b/c/d": cannot parse platform specifier: invalid argument'},
        ),
        ("USER nouser\nRUN true", {"message": "unable to find user nouser: no matching entries in passwd file"}),
    ],
)
def test_failures_of_steps(api: RawHttp, step: str, detail: dict[str, object]) -> None:
    built = build(api, context(f"FROM busybox\n{step}\n", {"a": "a", "d/": "", "d/b": "b"}))
    assert built.error == detail
    assert built.lines[-1]["error"] == detail["message"]


def test_other_failures(api: RawHttp) -> None:
    assert build(api, context("FROM scratch\n")).error == {
        "message": "No image was generated. Is your Dockerfile empty?"
    }
    twice = build(api, context("FROM busybox AS a\nFROM busybox AS a\n"))
    assert twice.error == {"message": "a stage name already used"}
    assert build(api, context("FROM BAD\n")).error == {
        "message": "invalid reference format: repository name (library/BAD) must be lowercase"
    }
    assert build(api, context("FROM $X\n")).error == {"message": "base name ($X) should not be blank"}
    removed = build(api, context("FROM busybox\nRUN false\n"), forcerm="1")
    assert removed.text[-1] == " ---> Removed intermediate container ID"


def test_quiet(api: RawHttp) -> None:
    built = build(api, context("FROM busybox\nRUN echo quiet\n"), q="1")
    assert len(built.lines) == 1
    image = built.lines[0]["stream"].strip()
    assert api.get(f"/images/{image}/json")["Id"] == image
    failed = build(api, context("FROM busybox\nRUN echo told; false\n"), q="1")
    assert "told" in failed.text
    assert failed.error["code"] == 1


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress], ids=str)
def test_compressed_contexts(api: RawHttp, compress: object) -> None:
    body = compress(context("FROM scratch\nCOPY a /\n", {"a": "x"}))  # type: ignore[operator]
    assert build(api, body).text[-1] == "Successfully built ID"


def test_build_arguments(api: RawHttp) -> None:
    dockerfile = "FROM busybox\nARG A\nARG B=1\nENV C=$A$B\nRUN echo [$A$B$C$HTTP_PROXY]\n"
    built = build(api, context(dockerfile), buildargs={"A": "a", "HTTP_PROXY": "p", "zz": "1", "none": None})
    assert "[a1a1p]" in built.text
    assert "[Warning] One or more build-args [none zz] were not consumed" in built.text
    environment = api.get(f"/images/{built.image}/json")["Config"]["Env"]
    assert [each for each in environment if not each.startswith("PATH=")] == ["C=a1"]


def test_limits_hosts_and_networks(api: RawHttp) -> None:
    shared = build(api, context("FROM busybox\nRUN df -k /dev/shm | tail -1\n"), shmsize="1000000")
    assert any(" 980 " in line for line in shared.text)
    hosts = build(api, context("FROM busybox\nRUN grep foo /etc/hosts\n"), extrahosts="foo:1.2.3.4")
    assert "1.2.3.4\tfoo" in hosts.text
    alone = build(api, context("FROM busybox\nRUN ls /sys/class/net\n"), networkmode="none")
    assert "eth0" not in alone.text
    lost = build(api, context("FROM busybox\nRUN echo lost\n"), networkmode="nosuch")
    assert lost.error == {"message": "failed to set up container networking: network nosuch not found"}


def test_owners_modes_and_places(api: RawHttp, cli: DockerCli) -> None:
    dockerfile = """FROM busybox
USER 7
COPY a d/ /x/
WORKDIR /own/y
COPY --chown=3:4 a .
ADD d/b ../z
COPY d /whole
"""
    build(api, context(dockerfile, {"a": (b"a", 0o751), "d/": "", "d/b": "b", "d/.h": "h"}), t="places")
    listed = output(
        cli, "places", "sh", "-c", "cd /; stat -c '%n %u:%g %a' x x/a x/b x/.h own own/y own/y/a own/z whole/.h"
    )
    assert listed.splitlines() == [
        "x 0:0 755",
        "x/a 0:0 751",
        "x/b 0:0 644",
        "x/.h 0:0 644",
        "own 0:0 755",
        "own/y 0:0 755",
        "own/y/a 3:4 751",
        "own/z 0:0 644",
        "whole/.h 0:0 644",
    ]


def test_archives_are_unpacked_by_add_alone(api: RawHttp, cli: DockerCli) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        entry = tarfile.TarInfo("in/side")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    build(api, context("FROM busybox\nADD t.tgz /added/\nCOPY t.tgz /copied/\n", {"t.tgz": inner.getvalue()}), t="arch")
    assert output(cli, "arch", "sh", "-c", "ls /added /copied") == "/added:\nin\n\n/copied:\nt.tgz"


def test_ignored_files_do_not_go_into_the_image(api: RawHttp, cli: DockerCli) -> None:
    files = {".dockerignore": "Dockerfile\n.dockerignore\n", "a": "a"}
    build(api, context("FROM busybox\nCOPY . /c/\n", files), t="ignored")
    assert output(cli, "ignored", "ls", "-A", "/c") == "a"


def test_volumes_take_what_steps_write_to_them(api: RawHttp) -> None:
    built = build(api, context("FROM busybox\nVOLUME /v\nRUN echo x > /v/x; ls /v\nRUN ls /v; echo end\n"))
    assert "end" in built.text
    assert built.text.count("x") == 1


def test_blank_continuations_are_warned_of(api: RawHttp) -> None:
    built = build(api, context("FROM busybox\nRUN echo a; \\\n\n  echo b\n"))
    assert (
        built.lines[0]["stream"] == "\x1b[91m[WARNING]: Empty continuation line found in: RUN echo a;   echo b\n\x1b[0m"
    )


def test_client_that_leaves_ends_its_build(api: RawHttp, engine: Daemon) -> None:
    with api.stream("POST", "/build", context("FROM busybox\nRUN sleep 4242\n")) as stream:
        for line in stream.lines():
            if "Running in" in line.get("stream", ""):
                break
        eventually(lambda: _runs("sleep", "4242"))
    eventually(lambda: not _runs("sleep", "4242"))
    assert build(api, context("FROM busybox\nRUN echo next\n")).text[-1] == "Successfully built ID"


def _runs(*command: str) -> bool:
    wanted = "\0".join(command).encode() + b"\0"
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            if (pid / "cmdline").read_bytes().endswith(wanted):
                return True
        except OSError:
            continue
    return False


def test_cli_without_buildkit(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY a /\nRUN cat /a\n")
    (tmp_path / "a").write_text("content\n")
    classic = DockerCli(cli.environment["DOCKER_HOST"], tmp_path / "config", {"DOCKER_BUILDKIT": "0"})
    result = classic.run("build", "-t", "by-cli", "--iidfile", str(tmp_path / "id"), str(tmp_path))
    assert result.code == 0, result
    assert "content\n" in result.out
    assert "Successfully tagged by-cli:latest" in result.out
    assert classic.ok("image", "inspect", "-f", "{{.Id}}", "by-cli") == (tmp_path / "id").read_text()
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN exit 7\n")
    failed = classic.run("build", str(tmp_path))
    assert (failed.code, failed.err.splitlines()[-1]) == (
        7,
        "The command '/bin/sh -c exit 7' returned a non-zero code: 7",
    )


def test_builds_at_once(api: RawHttp) -> None:
    with (
        api.stream("POST", "/build", context("FROM busybox\nRUN sleep 1; echo one\n")) as one,
        api.stream("POST", "/build", context("FROM busybox\nRUN sleep 1; echo two\n")) as two,
    ):
        begun = time.monotonic()
        said = ["".join(line.get("stream", "") for line in stream.lines()) for stream in (one, two)]
        assert time.monotonic() - begun < 5
    assert "one" in said[0]
    assert "two" in said[1]


def test_by_buildkits_rules(api: RawHttp, cli: DockerCli) -> None:
    body = context("FROM busybox\nRUN --mount=target=/c cat /c/a > /a\n", {"a": "x"})
    built = build(api, body, version="2", t="solved:1")
    assert {line["id"] for line in built.lines} == {"moby.buildkit.trace", "moby.image.id"}
    assert built.lines[-1] == {"id": "moby.image.id", "aux": {"ID": api.get("/images/solved:1/json")["Id"]}}
    assert output(cli, "solved:1", "cat", "/a") == "x"
    quiet = build(api, body, version="2", q="1")
    assert [set(line) for line in quiet.lines] == [{"stream"}]
    failed = build(api, body, version="2", target="nope")
    assert failed.error == {"message": 'target stage "nope" could not be found'}
    refused = build(api, body, version="2", networkmode="foo")
    assert (refused.status, refused.message) == (500, 'network mode "foo" not supported by buildkit')


@pytest.mark.parametrize(
    ("remote", "message"),
    [
        ("foo", "remoteURL (foo) could not be recognized as URL"),
        (
            "http://127.0.0.1:1/x",
            (
                'error downloading remote context http://127.0.0.1:1/x: Get "http://127.0.0.1:1/x": '
                "dial tcp 127.0.0.1:1: connect: connection refused"
            ),
        ),
        ("git://127.0.0.1:1/x.git", "error fetching: fatal: unable to connect to 127.0.0.1:"),
    ],
)
def test_remote_contexts_that_cannot_be_had(api: RawHttp, remote: str, message: str) -> None:
    built = build(api, b"", remote=remote)
    assert built.status == 500
    assert built.message.startswith(message)
