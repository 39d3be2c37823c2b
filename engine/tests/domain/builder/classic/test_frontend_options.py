"""The parameters of `POST /build` as BuildKit's frontend options."""

import pytest

from engine.core.model.container import HostConfig, Ulimit
from engine.core.model.image import Platform
from engine.domain.builder.classic.frontend_options import NetworkUnsupported, frontend_options
from engine.domain.builder.classic.options import BuildOptions


def test_nothing_asked():
    assert frontend_options(BuildOptions()) == {"filename": "Dockerfile", "image-resolve-mode": "default"}
    assert "context" not in frontend_options(BuildOptions(remote="client-session"))


def test_everything_asked():
    options = BuildOptions(
        dockerfile="D",
        remote="https://e.com/x",
        target="t",
        platform=Platform(os="linux", architecture="arm64"),
        build_args={"A": "1", "UNSET": None},
        labels={"l": "v"},
        cache_from=["a", "b"],
        no_cache=True,
        pull=True,
        host_config=HostConfig(
            network_mode="host",
            extra_hosts=["h:::1"],
            shm_size=5,
            cgroup_parent="/c",
            ulimits=[Ulimit(name="nofile", soft=1, hard=2)],
        ),
    )
    assert frontend_options(options) == {
        "filename": "D",
        "context": "https://e.com/x",
        "target": "t",
        "platform": "linux/arm64",
        "build-arg:A": "1",
        "label:l": "v",
        "cache-from": "a,b",
        "no-cache": "",
        "image-resolve-mode": "pull",
        "force-network-mode": "host",
        "add-hosts": "h=::1",
        "shm-size": "5",
        "cgroup-parent": "/c",
        "ulimit": "nofile=1:2",
    }


def test_networks_of_a_name():
    with pytest.raises(NetworkUnsupported, match='network mode "n" not supported by buildkit'):
        frontend_options(BuildOptions(host_config=HostConfig(network_mode="n")))
