"""`docker run` in the forms that people use."""

import hashlib
import os
import re
import signal as signals
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.terminal import Terminal
from compat_tests.clients.waiting import eventually


def test_output_and_exit_code(cli: DockerCli) -> None:
    result = cli.run("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.code, result.out, result.err) == (3, "out\n", "err\n")
    assert cli.ok("ps", "-aq") == ""


def test_without_rm_it_stays(cli: DockerCli) -> None:
    cli.ok("run", "--name", "kept", "busybox", "true")
    assert cli.ok("ps", "-a", "--format", "{{.Names}} {{.State}}") == "kept exited"


def test_detached_prints_the_id(cli: DockerCli) -> None:
    printed = cli.ok("run", "-d", "--name", "web", "busybox", "sleep", "60")
    assert re.fullmatch(r"[0-9a-f]{64}", printed)
    assert cli.ok("inspect", "-f", "{{.Id}} {{.State.Running}}", "web") == f"{printed} true"


def test_stdin_is_forwarded_to_its_end(cli: DockerCli) -> None:
    data = os.urandom(300_000).hex().encode()
    result = cli.run("run", "-i", "--rm", "busybox", "md5sum", stdin=data)
    expected = hashlib.md5(data).hexdigest()
    assert (result.code, result.out) == (0, f"{expected}  -\n")


def test_a_large_burst_arrives_whole(cli: DockerCli) -> None:
    result = cli.run("run", "--rm", "busybox", "sh", "-c", "yes 0123456789abcde | head -n 655360")
    assert result.code == 0
    assert len(result.out) == 655360 * 16
    assert result.out.endswith("\n0123456789abcde\n")


def test_terminal(terminal: Callable[..., Terminal]) -> None:
    with terminal("run", "-it", "--rm", "busybox", "sh", rows=33, columns=77) as screen:
        screen.expect(rb"# ")
        screen.send(b"stty size; tty\n")
        screen.expect(rb"33 77\r\n/dev/pts/0\r\n")
        screen.resize(20, 50)
        screen.expect(rb"# ")
        screen.send(b"until stty size | grep '20 50'; do :; done\n")
        screen.expect(rb"20 50\r\n")
        screen.send(b"exit 7\n")
        assert screen.wait() == 7


def test_interrupt_in_a_terminal(terminal: Callable[..., Terminal]) -> None:
    with terminal(
        "run",
        "-it",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "trap 'echo got-int; exit 9' INT; echo ready; while :; do sleep 0.1; done",
    ) as screen:
        screen.expect(rb"ready")
        screen.send(b"\x03")
        screen.expect(rb"got-int")
        assert screen.wait() == 9


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("busybox", "/nosuch"), 127, "no such file or directory"),
        (("busybox", "nosuch"), 127, "executable file not found in $PATH"),
        (("busybox", "/etc/passwd"), 126, "permission denied"),
        (("busybox", "/etc"), 126, "exec: \"/etc\": "),
        (("--network", "nosuchnet", "busybox", "true"), 125, "network nosuchnet not found"),
        (("-v", "relative/path:/x", "busybox", "true"), 125, "includes invalid characters for a local volume name"),
        (("--memory", "1m", "busybox", "true"), 125, "Minimum memory limit allowed is 6MB"),
        (("--cap-add", "BOGUS", "busybox", "true"), 125, 'invalid CapAdd: unknown capability: "CAP_BOGUS"'),
        (("-u", "nosuchuser", "busybox", "true"), 125, "unable to find user nosuchuser: no matching entries in passwd file"),
        (("--network", "container:nope", "busybox", "true"), 125, "No such container: nope"),
        (("--cpus", "4096", "busybox", "true"), 125, "range of CPUs is from 0.01 to"),
    ],
)  # fmt: skip
def test_exit_codes_of_failures(cli: DockerCli, arguments: tuple[str, ...], code: int, text: str) -> None:
    result = cli.run("run", "--rm", *arguments)
    assert text in result.err
    assert result.code == code
    assert eventually(lambda: cli.ok("ps", "-aq") == "")


def test_environment(cli: DockerCli) -> None:
    out = cli.ok("run", "--rm", "-e", "A=1", "-e", "B=x y", "-h", "box", "busybox", "env")
    assert set(out.splitlines()) >= {"A=1", "B=x y", "HOSTNAME=box", "HOME=/root"}
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in out


def test_workdir_is_made(cli: DockerCli) -> None:
    assert cli.ok("run", "--rm", "-w", "/made/here", "busybox", "pwd") == "/made/here"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("alice", "1000:1000 [1000 10] /home/alice"),
        ("1000", "1000:1000 [1000 10] /home/alice"),
        ("alice:wheel", "1000:10 [10] /home/alice"),
        ("4711:42", "4711:42 [42] /"),
        ("0", "0:0 [0] /root"),
        ("nobody", "65534:65534 [65534] /"),
    ],
)
def test_user(cli: DockerCli, user: str, expected: str) -> None:
    script = 'echo "$(id -u):$(id -g) [$(id -G)] $HOME"'
    assert cli.ok("run", "--rm", "-u", user, "busybox", "sh", "-c", script) == expected


def test_group_add(cli: DockerCli) -> None:
    assert cli.ok(
        "run", "--rm", "-u", "alice", "--group-add", "777", "--group-add", "wheel", "busybox", "id", "-G"
    ).split() == ["1000", "10", "777"]


def test_memory_cpu_and_pids_limits(cli: DockerCli, api: RawHttp) -> None:
    container = cli.ok("run", "-d", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "77", "busybox", "sleep", "60")
    pid = api.get(f"/containers/{container}/json")["State"]["Pid"]
    assert _cgroup_value(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert _cgroup_value(pid, "pids", "pids.max", "pids.max") == "77"
    quota = _cgroup_value(pid, "cpu", "cpu.cfs_quota_us", "cpu.max")
    assert quota in ("50000", "50000 100000")


def _cgroup_value(pid: int, controller: str, v1: str, v2: str) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return (Path("/sys/fs/cgroup") / controller / path.lstrip("/") / v1).read_text().strip()
        if number == "0" and not Path("/sys/fs/cgroup", controller).exists():
            return (Path("/sys/fs/cgroup") / path.lstrip("/") / v2).read_text().strip()
    raise AssertionError(f"no {controller} cgroup for {pid}")


def test_out_of_memory(cli: DockerCli, api: RawHttp) -> None:
    result = cli.run("run", "--name", "oom", "--memory", "16m", "busybox", "tail", "/dev/zero")
    assert result.code == 137
    assert eventually(lambda: api.get("/containers/oom/json")["State"]["OOMKilled"] is True)


def test_bind_mount(cli: DockerCli, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "in").write_text("from the host")
    script = "cat /m/in; echo back > /m/out; ls -n /m/in | cut -c1-4"
    assert cli.ok("run", "--rm", "-v", f"{tmp_path}:/m", "busybox", "sh", "-c", script) == "from the host-rw-"
    assert (tmp_path / "out").read_text() == "back\n"


def test_read_only_bind_mount(cli: DockerCli, tmp_path: Path) -> None:
    result = cli.run("run", "--rm", "-v", f"{tmp_path}:/m:ro", "busybox", "touch", "/m/x")
    assert (result.code, result.err) == (1, "touch: /m/x: Read-only file system\n")


def test_missing_bind_source_is_made(cli: DockerCli, tmp_path: Path) -> None:
    cli.ok("run", "--rm", "-v", f"{tmp_path}/made/dir:/m", "busybox", "touch", "/m/x")
    assert (tmp_path / "made/dir/x").exists()


def test_bind_of_a_file_and_nested_mounts(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("file\n")
    out = cli.ok(
        "run",
        "--rm",
        "-v",
        f"{tmp_path}/f:/etc/f",
        "-v",
        "vol:/a",
        "--tmpfs",
        "/a/b",
        "busybox",
        "sh",
        "-c",
        "cat /etc/f; mount | grep ' /a/b ' | cut -d' ' -f5",
    )
    assert out.splitlines() == ["file", "tmpfs"]


def test_mount_flag(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("bound\n")
    out = cli.ok(
        "run", "--rm",
        "--mount", f"type=bind,src={tmp_path},dst=/b,readonly",
        "--mount", "type=volume,src=named,dst=/v",
        "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
        "busybox", "sh", "-c", "cat /b/f; touch /b/x 2>/dev/null || echo ro; touch /v/y && echo rw; stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'",
    )  # fmt: skip
    assert out.split() == ["bound", "ro", "rw", "700", "1024"]


def test_init(cli: DockerCli) -> None:
    script = "tr '\\0' ' ' < /proc/1/cmdline; :"
    assert cli.ok("run", "--rm", "--init", "busybox", "sh", "-c", script).startswith("/sbin/docker-init -- sh -c ")
    assert cli.ok("run", "--rm", "busybox", "sh", "-c", script).startswith("sh -c ")


def test_init_forwards_signals(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "init", "--init", "busybox", "sleep", "60")
    cli.ok("stop", "-t", "10", "init")
    assert cli.ok("inspect", "-f", "{{.State.ExitCode}}", "init") == "143"


def test_read_only_root(cli: DockerCli) -> None:
    result = cli.run(
        "run", "--rm", "--read-only", "--tmpfs", "/tmp", "busybox", "sh", "-c", "touch /tmp/ok && touch /no"
    )
    assert (result.code, result.err) == (1, "touch: /no: Read-only file system\n")


def test_capabilities(cli: DockerCli) -> None:
    show = ("busybox", "grep", "CapEff", "/proc/self/status")
    assert cli.ok("run", "--rm", *show) == "CapEff:\t00000000a80425fb"
    assert cli.ok("run", "--rm", "--cap-drop", "ALL", *show) == "CapEff:\t0000000000000000"
    assert cli.ok("run", "--rm", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", *show) == "CapEff:\t0000000000001000"
    assert cli.ok("run", "--rm", "--cap-add", "SYS_ADMIN", *show) == "CapEff:\t00000000a82425fb"
    assert cli.ok("run", "--rm", "-u", "alice", *show) == "CapEff:\t0000000000000000"


def test_privileged(cli: DockerCli) -> None:
    script = "grep -c . /proc/sys/kernel/hostname; mount -t tmpfs x /mnt 2>&1 || mkdir /m && mount -t tmpfs x /m && echo mounted; ls /dev | wc -l; mount | grep -c 'on /sys type sysfs (rw'"
    out = cli.ok("run", "--rm", "--privileged", "busybox", "sh", "-c", script).splitlines()
    assert "mounted" in out
    assert int(out[-2]) > 30
    assert out[-1] == "1"


def test_not_privileged_is_confined(cli: DockerCli) -> None:
    script = "mount -t tmpfs x /tmp 2>/dev/null && echo mounted; cat /proc/kcore | head -c1 | wc -c; echo 1 2>/dev/null > /proc/sys/kernel/hostname || echo ro; grep -E 'Seccomp:|NoNewPrivs' /proc/self/status"
    out = cli.ok("run", "--rm", "busybox", "sh", "-c", script)
    assert out.split() == ["0", "ro", "NoNewPrivs:", "0", "Seccomp:", "2"]


def test_no_new_privileges_and_seccomp_options(cli: DockerCli) -> None:
    show = ("busybox", "grep", "-E", "Seccomp:|NoNewPrivs", "/proc/self/status")
    out = cli.ok("run", "--rm", "--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", *show)
    assert out.split() == ["NoNewPrivs:", "1", "Seccomp:", "0"]


def test_ulimits_and_sysctls(cli: DockerCli) -> None:
    script = "ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax"
    out = cli.ok(
        "run", "--rm", "--ulimit", "nofile=100:200", "--sysctl", "kernel.shmmax=1048576", "busybox", "sh", "-c", script
    )
    assert out.split() == ["100", "200", "0", "1048576"]


def test_devices(cli: DockerCli) -> None:
    out = cli.ok(
        "run",
        "--rm",
        "--device",
        "/dev/null:/dev/mynull:rw",
        "busybox",
        "sh",
        "-c",
        "echo x > /dev/mynull; stat -c '%t %T' /dev/mynull",
    )
    assert out == "1 3"


def test_shm_size(cli: DockerCli) -> None:
    assert (
        cli.ok("run", "--rm", "--shm-size", "1m", "busybox", "sh", "-c", "df -k /dev/shm | tail -1 | awk '{print $2}'")
        == "1024"
    )


def test_entrypoint(cli: DockerCli, load: Callable[..., None]) -> None:
    load(imagefiles.derived(Entrypoint=["echo", "from"], Cmd=["image"]), "entry:1")
    assert cli.ok("run", "--rm", "entry:1") == "from image"
    assert cli.ok("run", "--rm", "entry:1", "here") == "from here"
    assert cli.ok("run", "--rm", "--entrypoint", "printf", "entry:1", "x") == "x"
    assert cli.ok("run", "--rm", "--entrypoint", "", "entry:1", "echo", "bare") == "bare"


def test_image_configuration_is_merged(cli: DockerCli, load: Callable[..., None]) -> None:
    load(
        imagefiles.derived(
            Env=["PATH=/bin", "A=image", "B=image"],
            User="alice",
            WorkingDir="/opt/work",
            Labels={"from": "image", "both": "image"},
            ExposedPorts={"80/tcp": {}},
            StopSignal="SIGUSR1",
        ),
        "merged:1",
    )
    out = cli.ok(
        "run", "--name", "mm", "-e", "B=run", "-l", "both=run", "merged:1", "sh", "-c", "echo $A $B $(id -un) $(pwd)"
    )
    assert out == "image run alice /opt/work"
    shown = cli.ok(
        "inspect", "-f", "{{json .Config.Labels}} {{.Config.StopSignal}} {{json .Config.ExposedPorts}}", "mm"
    )
    assert shown == '{"both":"run","from":"image"} SIGUSR1 {"80/tcp":{}}'


def test_image_that_is_nowhere(cli: DockerCli) -> None:
    result = cli.run("run", "--rm", "127.0.0.1:1/nosuch:1", "true")
    assert result.code == 125
    assert result.err.startswith("Unable to find image '127.0.0.1:1/nosuch:1' locally\n")
    assert "connection refused" in result.err


def test_cidfile_and_attach_choice(cli: DockerCli, tmp_path: Path) -> None:
    result = cli.run(
        "run", "--cidfile", str(tmp_path / "cid"), "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2"
    )
    assert (result.out, result.err) == ("", "err\n")
    assert (tmp_path / "cid").read_text() == cli.ok("ps", "-aq", "--no-trunc")


@pytest.mark.parametrize(("signal", "code"), [("TERM", 143), ("INT", 130), ("HUP", 129)])
def test_signals_to_the_cli_reach_the_container(cli: DockerCli, signal: str, code: int) -> None:
    with cli.spawn(
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        f"trap 'echo got; exit {code}' {signal}; echo ready; while :; do sleep 0.05; done",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signals.Signals[f"SIG{signal}"])
        assert process.stdout.read() == b"got\n"
        assert process.wait(20) == code


def test_pid_ipc_and_uts_of_the_host(cli: DockerCli) -> None:
    own = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "ipc", "uts")]
    out = cli.ok(
        "run",
        "--rm",
        "--pid",
        "host",
        "--ipc",
        "host",
        "--uts",
        "host",
        "busybox",
        "sh",
        "-c",
        "for k in pid ipc uts; do readlink /proc/self/ns/$k; done",
    )
    assert out.splitlines() == own


def test_labels_and_annotations(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "--name", "ll", "-l", "a=1", "-l", "b", "busybox", "sleep", "60")
    assert api.get("/containers/ll/json")["Config"]["Labels"] == {"a": "1", "b": ""}


def test_sixty_environment_kilobytes(cli: DockerCli) -> None:
    value = "x" * 60_000
    assert cli.ok("run", "--rm", "-e", f"BIG={value}", "busybox", "sh", "-c", "echo ${#BIG}") == "60000"
