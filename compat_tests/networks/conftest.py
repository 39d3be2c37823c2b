"""Containers that ask for names, and a network for them."""

from collections.abc import Callable

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.networks.asker import Container


@pytest.fixture
def run(cli: DockerCli) -> Callable[..., Container]:
    return lambda name, *options: Container(cli, name, *options)


@pytest.fixture
def front(cli: DockerCli) -> None:
    cli.ok("network", "create", "--ipv6", "--subnet", "10.215.1.0/24", "--subnet", "fd15:1::/64", "front")
