"""The program nft, with a script in its place: what it is given, and that nothing it does ends us."""

import pytest

from engine.drivers.firewall import foreign, nft
from engine.drivers.firewall.nft import Nftables, NftablesUnavailable, NftCrashed, RulesRefused


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.setattr(nft, "_PATH", f"{tmp_path}:/bin")
    path = tmp_path / "nft"

    def write(body):
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return Nftables()

    return write


def test_commands_go_in_and_json_comes_out(program):
    assert program('test "$*" = "-j -f -" && cat').query("list chain ip x y") == b"list chain ip x y"
    program('test "$*" = "-f -" && grep -q "add table ip x"').run("add table ip x\n")


def test_a_refusal_says_why(program):
    with pytest.raises(RulesRefused, match="nftables: no such thing"):
        program("echo no such thing >&2; exit 1").run("add")


def test_a_crash_is_an_error_like_others(program):
    with pytest.raises(NftCrashed, match="SIGSEGV"):
        program("kill -SEGV $$").run("add")


def test_it_may_not_be_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(nft, "_PATH", str(tmp_path))
    with pytest.raises(NftablesUnavailable):
        Nftables()


class _Changing:
    """A chain that somebody else changes between a look and a change, as often as told."""

    def __init__(self, times):
        self.times = times
        self.looks = 0

    def query(self, command):
        self.looks += 1
        return b'{"nftables": [{"chain": {"policy": "drop"}}]}'

    def run(self, commands):
        if self.times:
            self.times -= 1
            raise RulesRefused("No such file or directory")


def test_a_chain_that_others_change_is_looked_at_again():
    chain = _Changing(3)
    foreign.let_through(chain, "mark", ["br0"])
    assert chain.looks == 3 + 2
    with pytest.raises(RulesRefused):
        foreign.let_through(_Changing(99), "mark", ["br0"])
