"""The pure parts of archive, update, commit and stats."""

import stat

import pytest

from engine.core import times
from engine.core.model.container import Container, ContainerConfig, HostConfig
from engine.domain.containers.archive import absolute, go_mode
from engine.domain.containers.commit import completed
from engine.domain.containers.stats import interfaces
from engine.domain.containers.update import CannotUpdate, merged


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("d/f", "/d/f"),
        ("/d/", "/d/"),
        ("/d/.", "/d/."),
        ("/", "/"),
        (".", "/."),
        ("/bin/../d", "/d"),
        ("//x//y", "/x/y"),
        ("../../x", "/x"),
    ],
)
def test_absolute(path: str, wanted: str) -> None:
    assert absolute(path) == wanted


def test_go_mode() -> None:
    assert go_mode(stat.S_IFDIR | 0o755) == 2147484141
    assert go_mode(stat.S_IFLNK | 0o777) == 134218239
    assert go_mode(stat.S_IFREG | 0o4755) == 1 << 23 | 0o755
    assert go_mode(stat.S_IFCHR | 0o600) == 1 << 26 | 1 << 21 | 0o600


def _container(**host_config: object) -> Container:
    config = HostConfig(**host_config)  # type: ignore[arg-type]
    return Container(id="c", name="c", created_at=0, image="", config=ContainerConfig(), host_config=config)


def test_only_what_is_named_changes() -> None:
    changed = merged(_container(memory=5, cpu_shares=7), HostConfig(cpu_shares=9, pids_limit=0))
    assert (changed.memory, changed.cpu_shares, changed.pids_limit) == (5, 9, 0)


def test_contradictions() -> None:
    for present, wanted in (
        ({"cpu_period": 5}, HostConfig(nano_cpus=5)),
        ({"nano_cpus": 5}, HostConfig(cpu_quota=5)),
        ({"memory_swap": 5}, HostConfig(memory=6)),
    ):
        with pytest.raises(CannotUpdate):
            merged(_container(**present), wanted)


def test_a_commit_completes_the_configuration() -> None:
    container = ContainerConfig(cmd=["sh"], entrypoint=["e"], env=["A=1", "B=2"], labels={"l": "1"})
    found = completed(ContainerConfig(cmd=["x"], env=["A=3"]), container)
    assert (found.cmd, found.entrypoint, found.env, found.labels) == (["x"], ["e"], ["A=3", "B=2"], {"l": "1"})


def test_interfaces() -> None:
    text = "Inter-|\n face |\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
    found = interfaces(text)
    assert set(found) == {"eth0"}
    assert (found["eth0"].rx_dropped, found["eth0"].tx_bytes, found["eth0"].tx_dropped) == (4, 5, 8)


def test_durations_as_go_writes_them() -> None:
    shown = [times.duration(n) for n in (300_000_000, 30 * 10**9, 1_500_000_000, 90 * 10**9, 3600 * 10**9)]
    assert shown == ["300ms", "30s", "1.5s", "1m30s", "1h0m0s"]
