"""The scenarios of DESIGN section 7. Each measures one engine once and says how long it took, in seconds (or MiB)."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from compat_tests.bench import contexts, copies, throughput, transfers, workload
from compat_tests.bench.engines import Pair
from compat_tests.clients.buildx import with_buildx
from compat_tests.clients.daemon import Daemon

Measure = Callable[[Daemon, Pair], float]


def _nothing(daemon: Daemon, pair: Pair) -> None:
    pass


@dataclass(frozen=True)
class Scenario:
    """`prepare` and `finish` run once per engine, unmeasured; `bar` is the most that ours ÷ theirs may be."""

    name: str
    bar: float
    measure: Measure
    rounds: int = 9
    quick: int = 3
    unit: str = "ms"
    prepare: Callable[[Daemon, Pair], None] = field(default=_nothing)
    finish: Callable[[Daemon, Pair], None] = field(default=_nothing)
    needs_images: bool = False


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _cli(*arguments: str) -> Measure:
    return lambda daemon, pair: _timed(lambda: daemon.cli.ok(*arguments, timeout=300))


# One container at a time.


def _cycle(daemon: Daemon, pair: Pair) -> float:
    def whole() -> None:
        container = workload.create(daemon, "true")
        workload.start(daemon, container)
        workload.wait(daemon, container)
        workload.remove(daemon, container)

    return _timed(whole)


def _create_alone(daemon: Daemon, pair: Pair) -> float:
    made: list[str] = []
    took = _timed(lambda: made.append(workload.create(daemon, "true")))
    workload.remove(daemon, made[0])
    return took


def _start_alone(daemon: Daemon, pair: Pair) -> float:
    container = workload.create(daemon, "sleep", "300")
    took = _timed(lambda: workload.start(daemon, container))
    workload.remove(daemon, container)
    return took


def _stop(daemon: Daemon, pair: Pair) -> float:
    script = "trap 'exit 0' TERM; echo ready; sleep 300 & wait"
    container = daemon.cli.ok("run", "-d", "busybox", "sh", "-c", script)
    while not daemon.cli.ok("logs", container):
        time.sleep(0.02)
    took = _timed(lambda: daemon.cli.ok("stop", container))
    workload.remove(daemon, container)
    return took


def _prepare_exec(daemon: Daemon, pair: Pair) -> None:
    daemon.cli.ok("run", "-d", "--name", "bench-exec", "busybox", "sleep", "3000")


def _finish_exec(daemon: Daemon, pair: Pair) -> None:
    workload.remove(daemon, "bench-exec")


# Many at a time.


def _parallel(function: Callable[[int], object], count: int) -> list[object]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, range(count)))


def _forty_started(daemon: Daemon, pair: Pair) -> float:
    def one(number: int) -> None:
        workload.start(daemon, workload.create(daemon, "sleep", "300"))

    took = _timed(lambda: _parallel(one, 40))
    _remove_all(daemon)
    return took


def _forty_removed(daemon: Daemon, pair: Pair) -> float:
    def one(number: int) -> None:
        workload.start(daemon, workload.create(daemon, "sleep", "300"))

    _parallel(one, 40)
    return _timed(lambda: _remove_all(daemon))


def _remove_all(daemon: Daemon) -> None:
    ids = [container["Id"] for container in daemon.api.get("/containers/json?all=1")]
    _parallel(lambda number: workload.remove(daemon, ids[number]), len(ids))


# Builds.


def _context(pair: Pair) -> str:
    """COPY and ten RUN; the salt makes the steps new, as often as it changes."""
    where = pair.scratch / "context"
    where.mkdir(exist_ok=True)
    steps = [f"RUN echo {number} > /file{number}" for number in range(10)]
    text = ["FROM busybox", "ARG SALT", "COPY data /data", "RUN echo $SALT > /salt", *steps[1:]]
    (where / "Dockerfile").write_text("\n".join(text) + "\n")
    (where / "data").write_bytes(b"x" * 100_000)
    return str(where)


def _build(daemon: Daemon, pair: Pair, salt: str) -> float:
    cli, where = with_buildx(daemon.cli), _context(pair)
    arguments = ("build", "--quiet", "--build-arg", f"SALT={salt}", "--tag", "bench-build", where)
    return _timed(lambda: cli.ok(*arguments, timeout=300))


def _built(daemon: Daemon, pair: Pair) -> float:
    return _build(daemon, pair, str(time.monotonic_ns()))


def _built_again(daemon: Daemon, pair: Pair) -> float:
    return _build(daemon, pair, "same")


def _prepare_built(daemon: Daemon, pair: Pair) -> None:
    _build(daemon, pair, "same")


# Output.


def _lines(count: int, line: str = workload.LINE) -> tuple[str, ...]:
    return ("sh", "-c", f"yes {line} | head -n {count}")


def _log_write(daemon: Daemon, pair: Pair) -> float:
    container = workload.create(daemon, *_lines(1_000_000))

    def whole() -> None:
        workload.start(daemon, container)
        assert workload.wait(daemon, container) == 0

    took = _timed(whole)
    workload.remove(daemon, container)
    return took


def _prepare_logs(daemon: Daemon, pair: Pair) -> None:
    daemon.cli.ok("run", "-d", "--name", "bench-logs", "busybox", *_lines(500_000))
    assert workload.wait(daemon, "bench-logs") == 0


def _finish_logs(daemon: Daemon, pair: Pair) -> None:
    workload.remove(daemon, "bench-logs")


def _logs(*arguments: str, lines: int) -> Measure:
    def measure(daemon: Daemon, pair: Pair) -> float:
        out: list[str] = []
        took = _timed(lambda: out.append(daemon.cli.ok("logs", *arguments, "bench-logs", timeout=120)))
        assert out[0].count("\n") + 1 == lines, out[0].count("\n")
        return took

    return measure


def _attach(daemon: Daemon, pair: Pair) -> float:
    def whole() -> None:
        with daemon.cli.spawn("run", "--rm", "busybox", *_lines(1_000_000, "x" * 59)) as process:
            assert process.stdout is not None
            size = 0
            while data := process.stdout.read(1 << 20):
                size += len(data)
            assert size == 60_000_000, size

    return _timed(whole)


# Questions.


def _prepare_many(daemon: Daemon, pair: Pair) -> None:
    _parallel(lambda number: workload.create(daemon, "true"), 300)


def _finish_many(daemon: Daemon, pair: Pair) -> None:
    _remove_all(daemon)


def _ps(daemon: Daemon, pair: Pair) -> float:
    found: list[list[object]] = []
    took = _timed(lambda: found.append(daemon.api.get("/containers/json?all=1")))
    assert len(found[0]) == 300, len(found[0])
    return took


def _prepare_inspect(daemon: Daemon, pair: Pair) -> None:
    daemon.api.post("/containers/create?name=bench-inspect", workload.body("true"))


def _finish_inspect(daemon: Daemon, pair: Pair) -> None:
    workload.remove(daemon, "bench-inspect")


def _stats(daemon: Daemon, pair: Pair) -> float:
    """Of the container that the scenario for exec runs."""
    return _timed(lambda: _requests(daemon, "/containers/bench-exec/stats?stream=0&one-shot=1", 50))


def _requests(daemon: Daemon, path: str, count: int) -> None:
    """Keep-alive requests on one connection."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(daemon.socket))
        stream = sock.makefile("rb")
        request = f"GET {path} HTTP/1.1\r\nHost: d\r\n\r\n".encode()
        for _ in range(count):
            sock.sendall(request)
            _answer(stream)


def _answer(stream: object) -> None:
    assert b" 200 " in stream.readline()  # type: ignore[attr-defined]
    size, chunked = 0, False
    while (line := stream.readline().lower()) != b"\r\n":  # type: ignore[attr-defined]
        if line.startswith(b"content-length:"):
            size = int(line.split(b":")[1])
        chunked = chunked or line.startswith(b"transfer-encoding: chunked")
    if not chunked:
        stream.read(size)  # type: ignore[attr-defined]
        return
    while size := int(stream.readline(), 16):  # type: ignore[attr-defined]
        stream.read(size + 2)  # type: ignore[attr-defined]
    stream.readline()  # type: ignore[attr-defined]


def _inspect(daemon: Daemon, pair: Pair) -> float:
    return _timed(lambda: _requests(daemon, "/containers/bench-inspect/json", 300))


def _ping(daemon: Daemon, pair: Pair) -> float:
    def whole() -> None:
        threads = [threading.Thread(target=_requests, args=(daemon, "/_ping", 500)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _timed(whole)


# Ports and memory.


def _ports(daemon: Daemon, pair: Pair) -> float:
    def whole() -> None:
        ports = "127.0.0.1:21000-21299:1000-1299"
        container = daemon.cli.ok("run", "-d", "-p", ports, "busybox", "sleep", "300", timeout=300)
        daemon.cli.ok("rm", "-f", container, timeout=300)

    return _timed(whole)


def _memory_idle(daemon: Daemon, pair: Pair) -> float:
    return workload.memory(daemon)


def _prepare_fifty(daemon: Daemon, pair: Pair) -> None:
    _parallel(lambda number: workload.start(daemon, workload.create(daemon, "sleep", "3000")), 50)


def _transfers(suffix: str, image: str) -> list[Scenario]:
    """An image of few large files, or one of many small ones."""
    of = transfers.Transfers(image)
    kept = {"prepare": of.keep, "finish": of.drop}
    made: list[tuple[str, float, Measure, int, dict[str, Measure]]] = [
        ("pull", 0.6, of.pull, 3, {}),
        ("load", 0.6, of.load, 3, {}),
        ("save", 0.15, of.save, 3, kept),
        ("push", 0.7, of.push, 9, kept),
    ]
    return [
        Scenario(name + suffix, bar, measure, rounds=rounds, quick=1, needs_images=True, **around)
        for name, bar, measure, rounds, around in made
    ]


SCENARIOS = (
    Scenario("memory-idle", 0.6, _memory_idle, rounds=1, quick=1, unit="MiB"),
    Scenario("run", 0.35, _cli("run", "--rm", "busybox", "true"), rounds=15, quick=5),
    Scenario("run-port", 0.3, _cli("run", "--rm", "-p", "127.0.0.1::80", "busybox", "true")),
    Scenario("run-none", 0.35, _cli("run", "--rm", "--network", "none", "busybox", "true")),
    Scenario("api-cycle", 0.25, _cycle, rounds=15, quick=5),
    Scenario("api-create", 0.25, _create_alone, rounds=15, quick=5),
    Scenario("api-start", 0.3, _start_alone, rounds=15, quick=5),
    Scenario("forty-started", 0.35, _forty_started, rounds=3, quick=1),
    Scenario("forty-removed", 0.35, _forty_removed, rounds=3, quick=1),
    Scenario(
        "exec", 0.5, _cli("exec", "bench-exec", "true"), prepare=_prepare_exec, finish=_finish_exec, rounds=15, quick=5
    ),
    Scenario("stop", 0.5, _stop, rounds=5),
    Scenario("build", 0.3, _built, rounds=5, quick=3),
    Scenario("build-cached", 0.7, _built_again, prepare=_prepare_built),
    Scenario("log-write", 0.35, _log_write, rounds=3, quick=1),
    Scenario("logs", 0.5, _logs(lines=500_000), prepare=_prepare_logs, finish=_finish_logs, rounds=3, quick=1),
    Scenario("logs-tail", 1.0, _logs("--tail", "10", lines=10), prepare=_prepare_logs, finish=_finish_logs, rounds=41),
    Scenario("attach", 0.7, _attach, rounds=3, quick=1),
    *_transfers("", transfers.LARGE),
    *_transfers("-small", transfers.SMALL),
    Scenario("cp-in", 0.8, copies.into, prepare=copies.prepare, finish=copies.finish),
    Scenario("cp-out", 0.8, copies.out, prepare=copies.prepare, finish=copies.finish),
    Scenario("ps", 0.2, _ps, prepare=_prepare_many, finish=_finish_many),
    Scenario("inspect", 1.0, _inspect, prepare=_prepare_inspect, finish=_finish_inspect, rounds=5),
    Scenario("ping", 1.0, _ping, rounds=5),
    Scenario("stats", 0.7, _stats, prepare=_prepare_exec, finish=_finish_exec, rounds=5),
    Scenario("ports", 0.02, _ports, rounds=1, quick=1),
    Scenario(
        "net-containers",
        1.1,
        throughput.between_containers,
        prepare=throughput.prepare,
        finish=throughput.finish,
        rounds=15,
    ),
    Scenario(
        "net-port", 1.1, throughput.through_a_port, prepare=throughput.prepare, finish=throughput.finish, rounds=7
    ),
    Scenario(
        "memory-50", 0.35, _memory_idle, rounds=1, quick=1, unit="MiB", prepare=_prepare_fifty, finish=_finish_many
    ),
    *(
        Scenario(f"context{suffix}", 1.0, of.build, prepare=of.prepare, finish=of.finish, rounds=5, quick=1)
        for suffix, of in (("", contexts.LARGE), ("-small", contexts.SMALL))
    ),
)
