"""The CLI's main commands against the engine under test and against real dockerd: same output, same exit code.

Both engines run the same script, step by step; each step's answers are compared after taking out ids, times and sizes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Layer, file, tar
from compat_tests.clients.oracle import OracleMissing
from compat_tests.clients.registry import Registry
from compat_tests.clients.terminal import Terminal
from compat_tests.conftest import Suite, finish, load_busybox
from compat_tests.side_by_side.normal import difference, keys, labels, normal, processes

PROMPT = "/ #"  # drawn once more whenever the size of the terminal arrives
SLEEP = ("busybox", "sleep", "300")


@dataclass(frozen=True)
class Step:
    """One command. `REGISTRY`, `BEGIN` and `NOW` in it are replaced; `view` says how its output is compared."""

    name: str
    argv: tuple[str, ...]
    stdin: bytes = b""
    view: Callable[[str], list[str]] = normal
    typed: tuple[tuple[bytes, bytes], ...] = ()  # under a terminal: (wait for this, then type that)
    after: tuple[str, ...] = ()  # a command that must succeed first


def step(name: str, *argv: str, **options: Any) -> Step:
    return Step(name, argv, **options)


STEPS = (
    step("version", "version", view=lambda text: labels(text)[:17]),
    step("info", "info", view=lambda text: [line for line in labels(text) if line in INFO_LABELS]),
    step("pull", "pull", "REGISTRY/side/image:1", view=lambda text: sorted(set(normal(text)))),
    step("pull again", "pull", "REGISTRY/side/image:1"),
    step("pull quietly", "pull", "-q", "REGISTRY/side/image:1"),
    step("pull a missing tag", "pull", "REGISTRY/side/image:nosuch"),
    step("pull a bad name", "pull", "BAD"),
    step("run", "run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"),
    step("run a pulled image", "run", "--rm", "REGISTRY/side/image:1", "cat", "/side"),
    step("run -it", "run", "-it", "--rm", "busybox", "sh", typed=((b"# ", b"tty; stty size\n"), (b"# ", b"exit 5\n"))),
    step("run -d", "run", "-d", "--name", "web", "-p", "127.0.0.1::80", "-v", "data:/data", "-e", "A=1", "-l", "k=v", *SLEEP),
    step("run -v", "run", "--rm", "-v", "data:/data:ro", "busybox", "touch", "/data/x"),
    step("run -e", "run", "--rm", "-e", "A=b", "busybox", "sh", "-c", "echo $A"),
    step("run -w", "run", "--rm", "-w", "/new/dir", "busybox", "pwd"),
    step("run -u", "run", "--rm", "-u", "alice", "busybox", "id"),
    step("run -u unknown", "run", "--rm", "-u", "nosuch", "busybox", "id"),
    step("run --memory", "run", "--rm", "--memory", "32m", "busybox", "echo", "ok"),
    step("run --memory too small", "run", "--rm", "--memory", "1m", "busybox", "true"),
    step("run --cpus", "run", "--rm", "--cpus", "0.5", "busybox", "echo", "ok"),
    step("run --network none", "run", "--rm", "--network", "none", "busybox", "ip", "-o", "link", view=lambda text: normal(text)[:1]),
    step("run --network host", "run", "--rm", "--network", "host", "busybox", "hostname"),
    step("run --network container:", "run", "--rm", "--network", "container:web", "busybox", "ls", "/sys/class/net"),
    step("run --network nosuch", "run", "--rm", "--network", "nosuch", "busybox", "true"),
    step("run nosuch program", "run", "--rm", "busybox", "nosuch"),
    step("run a missing file", "run", "--rm", "busybox", "/no/such"),
    step("run what is no program", "run", "--rm", "busybox", "/etc/passwd"),
    step("run a taken name", "run", "--name", "web", *SLEEP),
    step("run a bad option", "run", "--rm", "--cap-add", "BOGUS", "busybox", "true"),
    step("run a missing image", "run", "--rm", "REGISTRY/side/nosuch:1"),
    step("ps", "ps"),
    step("ps -a --format", "ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Labels}} {{.Mounts}} {{.Networks}}"),
    step("port", "port", "web"),
    step("logs", "run", "--name", "talk", "busybox", "sh", "-c", "echo e >&2; sleep 0.1; for i in 1 2 3; do echo $i; done"),
    step("logs -f", "logs", "-f", "talk"),
    step("logs --tail", "logs", "--tail", "2", "talk"),
    step("logs -t", "logs", "-t", "talk"),
    step("logs of nosuch", "logs", "nosuch"),
    step("attach", "attach", "reader", after=("run", "-d", "--name", "reader", "busybox", "sh", "-c", "sleep 1; echo attached; exit 4")),
    step("attach to a stopped one", "attach", "talk"),
    step("exec", "exec", "web", "sh", "-c", "echo in; exit 6"),
    step("exec -it", "exec", "-it", "web", "sh", typed=((b"# ", b"echo $((20+3))\n"), (b"23\r\n", b"exit 7\n"))),
    step("exec -u -w -e", "exec", "-u", "alice", "-w", "/tmp", "-e", "X=y", "web", "sh", "-c", "id -un; pwd; echo $X"),
    step("exec nosuch", "exec", "web", "nosuch"),
    step("exec in nosuch", "exec", "nosuch", "true"),
    step("exec in a stopped one", "exec", "talk", "true"),
    step("top", "top", "web", view=processes),
    step("pause", "pause", "web"),
    step("pause again", "pause", "web"),
    step("exec in a paused one", "exec", "web", "true"),
    step("ps shows paused", "ps"),
    step("unpause", "unpause", "web"),
    step("unpause again", "unpause", "web"),
    step("inspect", "inspect", "web", view=keys),
    step("rename", "rename", "web", "web2"),
    step("rename to a taken name", "rename", "web2", "talk"),
    step("inspect --format", "inspect", "-f", "{{.Name}} {{.State.Status}} {{json .Config.Env}} {{json .HostConfig.Binds}} {{json .Mounts}}", "web2"),
    step("inspect nosuch", "inspect", "nosuch"),
    step("kill -s", "kill", "-s", "CONT", "web2"),
    step("kill with a bad signal", "kill", "-s", "BOGUS", "web2"),
    step("restart", "restart", "-t", "0", "web2"),
    step("rm a running one", "rm", "web2"),
    step("stop", "stop", "-t", "0", "web2"),
    step("stop again", "stop", "web2"),
    step("kill a stopped one", "kill", "web2"),
    step("wait", "wait", "web2"),
    step("ps -a", "ps", "-a", "--format", "{{.Names}} {{.Status}} {{.Ports}}"),
    step("rm", "rm", "web2", "talk", "reader"),
    step("rm nosuch", "rm", "nosuch"),
    step("images", "images"),
    step("images --digests", "images", "--digests", "busybox"),
    step("tag", "tag", "busybox", "copy:1"),
    step("tag nosuch", "tag", "nosuch", "copy:2"),
    step("history", "history", "busybox"),
    step("image inspect", "image", "inspect", "-f", "{{json .Config}} {{json .RepoTags}} {{json .RootFS}} {{.Os}}/{{.Architecture}}", "copy:1"),
    step("rmi", "rmi", "copy:1"),
    step("rmi nosuch", "rmi", "nosuch"),
    step("rmi in use", "rmi", "REGISTRY/side/image:1", after=("create", "--name", "user", "REGISTRY/side/image:1")),
    step("rmi -f", "rmi", "-f", "REGISTRY/side/image:1", after=("rm", "user")),
    step("load", "load", stdin=imagefiles.archive(imagefiles.derived(Layer(tar([file("l", b"l")]))), "docker.io/library/loaded:1"), view=lambda text: normal(text)[-1:]),
    step("load garbage", "load", stdin=b"garbage" * 1000),
    step("import", "import", "-", "imported:1", stdin=imagefiles.busybox().layers[0].tar),
    step("system df", "system", "df"),
    step("volume ls", "volume", "ls"),
    step("volume inspect", "volume", "inspect", "data"),
    step("volume rm", "volume", "rm", "data"),
    step("volume rm again", "volume", "rm", "data"),
    step("container prune", "container", "prune", "-f"),
    step("events of containers", "events", "--since", "BEGIN", "--until", "NOW", "--filter", "container=web", "--format", "{{.Type}} {{.Action}}"),
    step("events of images", "events", "--since", "BEGIN", "--until", "NOW", "--filter", "type=image", "--format", "{{.Action}} {{.Actor.Attributes.name}}"),
    step("events in full", "events", "--since", "BEGIN", "--until", "NOW", "--filter", "container=talk", "--filter", "type=container"),
)  # fmt: skip

INFO_LABELS = {
    "Server", "Containers", "Running", "Paused", "Stopped", "Images", "Storage Driver", "driver-type", "Logging Driver", "Cgroup Driver",
    "Cgroup Version", "Plugins", "Volume", "Network", "Log", "Swarm", "Runtimes", "Default Runtime", "Init Binary", "Security Options",
    "Profile", "Kernel Version", "Operating System", "OSType", "Architecture", "CPUs", "Total Memory", "Name", "ID", "Docker Root Dir",
    "Debug Mode", "Experimental", "Insecure Registries", "Live Restore Enabled",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    code: int
    out: list[str]
    err: list[str]

    def lines(self) -> list[str]:
        return [f"exit code {self.code}", *self.out, "standard error:", *self.err]


class Script(threading.Thread):
    """All steps against one engine."""

    def __init__(self, daemon: Daemon, registry: Registry) -> None:
        super().__init__()
        self._daemon = daemon
        self._words = {"REGISTRY": registry.address, "BEGIN": f"{time.time():.9f}"}
        self.outcomes: dict[str, Outcome] = {}

    def run(self) -> None:
        for each in STEPS:
            try:
                self.outcomes[each.name] = self._outcome(each)
            except Exception as error:
                self.outcomes[each.name] = Outcome(-1, [], [repr(error)])

    def _outcome(self, each: Step) -> Outcome:
        argv = [self._word(word) for word in each.argv]
        if each.after:
            self._daemon.cli.ok(*(self._word(word) for word in each.after))
        if each.typed:
            return self._typed(each, argv)
        result = self._daemon.cli.run(*argv, stdin=each.stdin, timeout=40)
        return Outcome(result.code, each.view(result.out), normal(result.err))

    def _typed(self, each: Step, argv: list[str]) -> Outcome:
        cli = self._daemon.cli
        with Terminal(cli.argv(*argv), cli.environment) as screen:
            for wanted, keys in each.typed:
                screen.expect(wanted)
                screen.send(keys)
            code = screen.wait()
            return Outcome(code, [line for line in each.view(screen.output.decode()) if line != PROMPT], [])

    def _word(self, word: str) -> str:
        now = {"NOW": f"{time.time():.3f}"}
        for name, value in (self._words | now).items():
            word = word.replace(name, value)
        return word


@pytest.fixture(scope="module")
def outcomes(suite: Suite) -> Iterator[tuple[dict[str, Outcome], dict[str, Outcome]]]:
    """The engine's own outcomes and dockerd's."""
    daemons = [suite.daemon(), suite.daemon(kind="dockerd")]
    registries: list[Registry] = []
    try:
        for daemon in daemons:
            daemon.start()
            load_busybox(daemon)
            registries.append(Registry(daemon.namespaces, suite.scratch / f"registry-of-{daemon.state.name}"))
            registries[-1].push(imagefiles.derived(Layer(tar([file("side", b"side by side\n")]))), "side/image", "1")
        scripts = [Script(daemon, registry) for daemon, registry in zip(daemons, registries, strict=True)]
        for script in scripts:
            script.start()
        for script in scripts:
            script.join()
        yield scripts[0].outcomes, scripts[1].outcomes
    except OracleMissing as error:
        pytest.skip(str(error))
    finally:
        for registry in registries:
            registry.close()
        for daemon in daemons:
            finish(daemon)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [each.name for each in STEPS])
def test_same_answer(outcomes: tuple[dict[str, Outcome], dict[str, Outcome]], name: str) -> None:
    ours, theirs = outcomes
    assert theirs[name].code != -1, theirs[name]
    assert not difference(ours[name].lines(), theirs[name].lines())
