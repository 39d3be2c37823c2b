"""Which steps of a build are done again after which change, and how often equal steps are done."""

import os
import threading
from pathlib import Path

import pytest

from compat_tests.clients.buildx import Buildx, Outcome
from compat_tests.clients.cli import DockerCli

pytestmark = pytest.mark.usefixtures("empty_cache")


def states(found: Outcome, *parts: str) -> list[str]:
    return [found.of(part) for part in parts]


def test_the_second_build_does_nothing(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nCOPY a b/ /x/\nRUN echo one > /one\nWORKDIR /w\n", "a": "1", "b/c": "2"})
    steps = ("COPY", "RUN", "WORKDIR")
    assert states(buildx.ok(), *steps) == ["DONE", "DONE", "DONE"]
    assert states(buildx.ok(), *steps) == ["CACHED", "CACHED", "CACHED"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("time", ["CACHED", "CACHED"]),
        ("other", ["CACHED", "CACHED"]),
        ("content", ["DONE", "DONE"]),
        ("mode", ["DONE", "DONE"]),
        ("added", ["DONE", "DONE"]),
    ],
)
def test_copies_depend_on_content_and_not_on_times(buildx: Buildx, change: str, expected: list[str]) -> None:
    buildx.write({"Dockerfile": f"FROM busybox\nCOPY d /d\nRUN echo {change}\n", "d/f": "1", "other": "1"})
    buildx.ok()
    path: Path = buildx.directory / "d/f"
    if change == "time":
        os.utime(path, (1, 1))
    elif change == "mode":
        path.chmod(0o755)
    else:
        buildx.write({{"other": "other", "content": "d/f", "added": "d/g"}[change]: "2"})
    assert states(buildx.ok(), "COPY", "RUN") == expected


def test_what_is_copied_from_a_stage_counts_by_content(buildx: Buildx) -> None:
    first = "FROM busybox AS made\nCOPY in /in\nRUN wc -c < /in > /size\n"
    buildx.write({"Dockerfile": first + "FROM busybox\nCOPY --from=made /size /\nRUN true\n", "in": "abc"})
    buildx.ok()
    buildx.write({"in": "xyz"})
    assert states(buildx.ok(), "COPY in", "RUN wc", "COPY --from", "RUN true") == ["DONE", "DONE", "CACHED", "CACHED"]
    assert states(buildx.ok(), "RUN wc", "COPY --from") == ["CACHED", "CACHED"]


def test_an_edited_instruction_and_those_after_it_are_done_again(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo 1\nRUN echo two\nRUN echo three\n"})
    buildx.ok()
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo 1\nRUN echo 2\nRUN echo three\n"})
    assert states(buildx.ok(), "echo 1", "echo 2", "echo three") == ["CACHED", "DONE", "DONE"]


def test_build_arguments_count_where_they_are_used(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo before\nARG A\nRUN echo after\n"})
    buildx.ok("--build-arg", "A=1")
    assert states(buildx.ok("--build-arg", "A=2"), "before", "after") == ["CACHED", "DONE"]
    assert states(buildx.ok("--build-arg", "A=1"), "before", "after") == ["CACHED", "CACHED"]


def test_no_cache(buildx: Buildx) -> None:
    buildx.write(
        {"Dockerfile": "FROM busybox AS one\nRUN echo nc1\nFROM busybox AS two\nCOPY --from=one /etc/passwd /\n"}
    )
    buildx.ok()
    assert states(buildx.ok("--no-cache"), "nc1", "COPY") == ["DONE", "DONE"]
    assert states(buildx.ok("--no-cache-filter=one"), "nc1", "COPY") == ["DONE", "CACHED"]


def test_only_what_the_target_needs_is_done(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox AS a\nRUN echo a\nFROM busybox AS b\nRUN false\nFROM a\nRUN echo c\n"})
    found = buildx.ok()
    assert not [name for name in found.steps if "false" in name]
    assert not [name for name in buildx.ok("--target", "a").steps if "echo c" in name]


def test_independent_stages_run_at_the_same_time(buildx: Buildx) -> None:
    stages = [f"FROM busybox AS s{n}\nRUN cat /proc/uptime; sleep 1; cat /proc/uptime > /s{n}\n" for n in range(3)]
    copies = [f"COPY --from=s{n} /s{n} /\n" for n in range(3)]
    buildx.write({"Dockerfile": "".join([*stages, "FROM busybox\n", *copies, "RUN cat /s0 /s1 /s2\n"])})
    found = buildx.ok("--no-cache")
    began = [float(found.said(f"[s{n} 2/2]").split()[0]) for n in range(3)]
    ended = [float(line.split()[0]) for line in found.said("RUN cat /s0").splitlines()]
    assert max(began) < min(ended)


def test_equal_steps_of_builds_at_the_same_time_are_done_once(buildx: Buildx, cli: DockerCli, tmp_path: Path) -> None:
    dockerfile = f"FROM busybox\nRUN sleep 1; cat /proc/sys/kernel/random/uuid > /{tmp_path.name}\n"
    buildx.write({"Dockerfile": dockerfile})
    threads = [threading.Thread(target=buildx.ok, args=("-t", f"dedupe:{n}")) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {cli.ok("run", "--rm", f"dedupe:{n}", "cat", f"/{tmp_path.name}") for n in range(2)}
    assert len(made) == 1


def test_linked_copies_lie_upon_whatever_is_below(buildx: Buildx, cli: DockerCli) -> None:
    dockerfile = "FROM busybox\nRUN echo {} > /below\nCOPY --link a /dir/a\n"
    buildx.write({"Dockerfile": dockerfile.format(1), "a": "1"})
    buildx.ok()
    buildx.write({"Dockerfile": dockerfile.format(2)})
    buildx.ok("-t", "linked")
    assert cli.ok("run", "--rm", "linked", "cat", "/below", "/dir/a") == "2\n1"
