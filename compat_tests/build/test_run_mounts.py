"""`RUN --mount`: what a command sees, and what of it stays."""

import threading
import time
from pathlib import Path

import pytest

from compat_tests.clients.buildx import Buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp

pytestmark = pytest.mark.usefixtures("empty_cache")


def test_a_bind_of_the_context_is_not_changed(buildx: Buildx, cli: DockerCli) -> None:
    run = "RUN --mount=type=bind,target=/ctx,rw cat /ctx/a && echo 2 > /ctx/a && cat /ctx/a"
    buildx.write({"Dockerfile": f"FROM busybox\n{run}\nRUN --mount=type=bind,target=/ctx cat /ctx/a\n", "a": "1"})
    found = buildx.ok("-t", "bound")
    assert found.said("target=/ctx,rw").split() == ["12"]
    assert found.said("target=/ctx cat").split() == ["1"]
    assert (buildx.directory / "a").read_text() == "1"
    assert cli.run("run", "--rm", "bound", "ls", "/ctx").code != 0


def test_a_bind_is_read_only(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN --mount=type=bind,target=/ctx touch /ctx/a\n"})
    found = buildx.build()
    assert found.code == 1
    assert "touch: /ctx/a: Read-only file system" in found.text


def test_files_and_directories_of_stages(buildx: Buildx) -> None:
    dockerfile = (
        "FROM busybox AS one\nRUN mkdir /d && echo x > /d/x && ln -s /d /l\nFROM busybox\n"
        "RUN --mount=from=one,source=/d/x,target=/deep/er/file --mount=from=one,source=/l,target=/l "
        "cat /deep/er/file /l/x\nRUN ls /\n"
    )
    buildx.write({"Dockerfile": dockerfile})
    found = buildx.ok()
    assert found.said("--mount=from").split() == ["x", "x"]
    assert not {"deep", "l"} & set(found.said("RUN ls").split())


def test_what_a_bind_mounts_counts_by_its_content(buildx: Buildx) -> None:
    run = "RUN --mount=type=bind,source=a,target=/a cat /a"
    buildx.write({"Dockerfile": f"FROM busybox\n{run}\n", "a": "1", "b": "1"})
    buildx.ok()
    buildx.write({"b": "2"})
    assert buildx.ok().of("RUN") == "CACHED"
    buildx.write({"a": "2"})
    assert buildx.ok().of("RUN") == "DONE"


def test_memory(buildx: Buildx) -> None:
    run = "RUN --mount=type=tmpfs,target=/m,size=1m dd if=/dev/zero of=/m/x bs=64k; df -k /m | tail -n 1"
    buildx.write({"Dockerfile": f"FROM busybox\n{run}\nRUN test ! -e /m\n"})
    assert "1024" in buildx.ok().said("tmpfs").splitlines()[-1].split()


def test_cache_mounts_outlive_builds_and_are_in_no_layer(buildx: Buildx, cli: DockerCli) -> None:
    run = "RUN --mount=type=cache,target=/c,id=outlive echo {} >> /c/log && cat /c/log"
    for number, expected in ((1, ["1"]), (2, ["1", "2"])):
        buildx.write({"Dockerfile": f"FROM busybox\n{run.format(number)}\n"})
        assert buildx.ok("-t", "cached").said("RUN").split() == expected
    assert cli.run("run", "--rm", "cached", "ls", "/c").code != 0


def test_cache_mounts_begin_with_what_they_are_made_from(buildx: Buildx) -> None:
    dockerfile = (
        "FROM busybox AS seed\nRUN mkdir /s && echo seed > /s/f && chown 5:6 /s/f\nFROM busybox\n"
        "RUN --mount=type=cache,target=/c,from=seed,source=/s stat -c '%u %g' /c/f && cat /c/f\n"
        "RUN --mount=type=cache,target=/o,uid=7,gid=8,mode=0700 stat -c '%u %g %a' /o\n"
    )
    buildx.write({"Dockerfile": dockerfile})
    found = buildx.ok()
    assert found.said("from=seed").splitlines() == ["5 6", "seed"]
    assert found.said("uid=7").splitlines() == ["7 8 700"]


@pytest.mark.parametrize(("sharing", "together"), [("shared", True), ("private", True), ("locked", False)])
def test_sharing_of_cache_mounts(buildx: Buildx, sharing: str, together: bool) -> None:
    mount = f"--mount=type=cache,target=/c,id=sharing-{sharing},sharing={sharing}"
    script = "cat /proc/uptime; touch /c/{0}; sleep 0.7; ls /c | wc -l; cat /proc/uptime"
    stages = [f"FROM busybox AS s{n}\nRUN {mount} {script.format(n)}\n" for n in range(2)]
    copies = "FROM busybox\nCOPY --from=s0 /etc/passwd /0\nCOPY --from=s1 /etc/passwd /1\n"
    buildx.write({"Dockerfile": "".join(stages) + copies})
    found = buildx.ok("--no-cache")
    times = [[float(line.split()[0]) for line in found.said(f"[s{n} 2/2]").splitlines()] for n in range(2)]
    assert (max(t[0] for t in times) < min(t[2] for t in times)) is together
    assert sorted(int(t[1]) for t in times) == {"shared": [2, 2], "private": [1, 1], "locked": [1, 2]}[sharing]


def test_secrets_are_seen_and_leave_nothing(buildx: Buildx, cli: DockerCli, api: RawHttp, tmp_path: Path) -> None:
    word = "do-not-tell-4711"
    (tmp_path / "secret").write_text(word)
    dockerfile = (
        "FROM busybox\nRUN --mount=type=secret,id=s,mode=0444,uid=9 wc -c < /run/secrets/s; stat -c '%u %a' /run/secrets/s\n"
        "RUN --mount=type=secret,id=s,env=WORD test ${#WORD} = 16\n"
        "RUN --mount=type=secret,id=none test ! -e /run/secrets/none\nRUN test ! -e /run/secrets\n"
    )
    buildx.write({"Dockerfile": dockerfile})
    found = buildx.ok("-t", "secret", "--secret", f"id=s,src={tmp_path}/secret")
    assert found.said("id=s,mode").splitlines() == ["16", "9 444"]
    assert word not in found.text
    archive = cli.binary and api.request("GET", "/images/secret/get").body
    assert word.encode() not in archive
    assert word not in str(api.get("/images/secret/json")) + str(api.get("/images/secret/history"))


def test_a_secret_that_is_required(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN --mount=type=secret,id=none,required true\n"})
    found = buildx.build()
    assert found.code == 1
    assert "ERROR: failed to solve: secret none: not found" in found.text.replace("failed to build: ", "")


def test_networks(buildx: Buildx) -> None:
    dockerfile = (
        "FROM busybox\nRUN ls /sys/class/net\nRUN --network=none ls /sys/class/net\nRUN cat /etc/hosts; hostname\n"
    )
    buildx.write({"Dockerfile": dockerfile})
    found = buildx.ok()
    assert "eth0" in found.said("RUN ls").split()
    assert "eth0" not in found.said("--network=none").split()
    assert found.said("/etc/hosts").splitlines()[-1] == "buildkitsandbox"


def test_a_command_that_fails(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN echo out; exit 7\n"})
    found = buildx.build()
    assert 'process "/bin/sh -c echo out; exit 7" did not complete successfully: exit code: 7' in found.text
    assert ">>> RUN echo out; exit 7" in found.text


def test_a_user_and_a_directory(buildx: Buildx) -> None:
    dockerfile = (
        "FROM busybox\nRUN echo 'u:x:1234:56::/home/u:/bin/sh' >> /etc/passwd\nUSER u\nWORKDIR /w/x\n"
        "RUN id -u; id -g; echo $HOME; pwd; stat -c %u .\n"
    )
    buildx.write({"Dockerfile": dockerfile})
    assert buildx.ok().said("id -u").split() == ["1234", "56", "/home/u", "/w/x", "1234"]


def test_a_link_in_a_stage_does_not_lead_to_the_host(buildx: Buildx, tmp_path: Path) -> None:
    """CVE-2024-1753: the source of a bind is a link to the root of the file system."""
    (tmp_path / "host-only").write_text("x")
    dockerfile = (
        f"FROM busybox AS evil\nRUN ln -s / /root-link && ln -s {tmp_path} /out && ln -s ../../../../../../ /up\n"
        "FROM busybox\nRUN --mount=type=bind,from=evil,source=/root-link,target=/x ls /x | grep -c root-link\n"
        "RUN --mount=type=bind,from=evil,source=/up,target=/x ls /x | grep -c root-link\n"
    )
    buildx.write({"Dockerfile": dockerfile})
    found = buildx.ok()
    assert found.said("source=/root-link").split() == ["1"]
    assert found.said("source=/up").split() == ["1"]
    buildx.write({"Dockerfile": dockerfile + "RUN --mount=type=bind,from=evil,source=/out,target=/x ls /x\n"})
    assert "host-only" not in buildx.build().text


def test_a_part_of_a_cache_mount_does_not_lead_to_the_host(buildx: Buildx) -> None:
    """CVE-2024-23651: what is mounted of a cache changes while it is mounted."""
    evil = "FROM busybox AS evil\nRUN mkdir /base && mkdir /base/sub && touch /base/sub/inside\n"
    mount = "--mount=type=cache,id=race,from=evil,source=/base/sub,target=/c"
    swap = f"RUN {mount},sharing=shared i=0; while [ $i -lt 200 ]; do rm -rf /c/*; ln -s / /c/x; i=$((i+1)); done"
    look = f"RUN {mount},sharing=shared for n in 1 2 3; do ls /c 2> /dev/null | grep -c -E '^(proc|var)$'; done; true"
    copies = "FROM busybox\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n"
    buildx.write({"Dockerfile": f"{evil}FROM busybox AS a\n{swap}\nFROM busybox AS b\n{look}\n{copies}"})
    assert set(buildx.ok("--no-cache").said("[b 2/2]").split()) <= {"0"}


def test_a_client_that_leaves_ends_the_command(buildx: Buildx) -> None:
    marker = f"86{time.time_ns() % 10**6}"
    buildx.write({"Dockerfile": f"FROM busybox\nRUN echo begun; sleep {marker}\n"})
    with buildx.cli.spawn(*buildx.arguments("--no-cache")) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(b" begun"):
                break
        assert running(marker)
        process.terminate()
        process.wait(30)
    deadline = time.monotonic() + 15
    while running(marker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(marker)


def running(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().split(b"\0")[:2] == [b"sleep", marker.encode()]:
                    found.append(entry.name)
            except OSError:
                continue
    return found


def test_many_lines_come_in_order(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN seq 1 2000\n"})
    assert buildx.ok("--no-cache").said("RUN seq").split() == [str(n) for n in range(1, 2001)]


def test_steps_of_two_builds_run_beside_each_other(buildx: Buildx) -> None:
    buildx.write({f"Dockerfile.{n}": f"FROM busybox\nRUN echo {n}; sleep 0.5\n" for n in range(3)})
    threads = [
        threading.Thread(target=buildx.ok, args=("--no-cache", "-f", str(buildx.directory / f"Dockerfile.{n}")))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_mounts_where_links_lead_leave_nothing(buildx: Buildx) -> None:
    dockerfile = (
        "FROM busybox\nRUN ln -s /nowhere /l && ln -s /tmp/away /m\n"
        "RUN --mount=source=a,target=/l --mount=source=a,target=/m/b cat /l /tmp/away/b\n"
        "RUN ls -A / /tmp | grep -x -e nowhere -e away -e l -e m\n"
    )
    buildx.write({"Dockerfile": dockerfile, "a": "content\n"})
    found = buildx.ok()
    assert found.said("cat /l") == "content\ncontent\n"
    assert sorted(found.said("ls -A").split()) == ["l", "m"]


def test_names_and_resolver_cannot_be_changed(buildx: Buildx) -> None:
    buildx.write(
        {"Dockerfile": "FROM busybox\nRUN for f in hosts resolv.conf; do echo x 2>&1 >> /etc/$f; done || true\n"}
    )
    said = buildx.ok().said("for f in")
    assert said.count("Read-only file system") == 2
