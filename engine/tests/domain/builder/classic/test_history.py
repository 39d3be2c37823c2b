"""The texts of an image's history, as a dockerd of 28.5 with the containerd store wrote them."""

from engine.core.model.container import Healthcheck
from engine.domain.builder.classic import history

_SHELL = history.DEFAULT_SHELL


def test_changes_of_the_configuration() -> None:
    assert history.of_change(_SHELL, "ENV VER=1") == "/bin/sh -c #(nop)  ENV VER=1"
    assert history.of_change(_SHELL, f"VOLUME {history.bracketed(['/vol'])}") == "/bin/sh -c #(nop)  VOLUME [/vol]"


def test_files() -> None:
    comment = history.of_copy("COPY", "file:60cf", "/ver2")
    assert history.of_files(_SHELL, comment) == "/bin/sh -c #(nop) COPY file:60cf in /ver2 "
    assert history.of_copy("ADD", "dir:1", "/d", "www:grp") == "ADD --chown=www:grp dir:1 in /d "


def test_commands() -> None:
    assert history.of_command([*_SHELL, "true"], {}) == "/bin/sh -c true"
    assert history.of_command([*_SHELL, "true"], {"b": "2", "a": "1"}) == "|2 a=1 b=2 /bin/sh -c true"


def test_healthcheck() -> None:
    shown = history.of_healthcheck(Healthcheck(test=["CMD-SHELL", "true"], interval=90_000_000_000, retries=3))
    assert shown == "HEALTHCHECK &{[CMD-SHELL true] 1m30s 0s 0s 0s 3}"
