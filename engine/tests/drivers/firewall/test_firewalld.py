"""What firewalld is told, by a `firewall-cmd` that writes down its arguments."""

import os
from pathlib import Path

import pytest

from engine.drivers.firewall import firewalld
from engine.drivers.firewall.rules import BridgeRules, NoFirewall

_PROGRAM = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
--state) exit {state} ;;
--get-zones) echo public {zone} ;;
--get-policies) echo {policy} ;;
esac
"""


def _install(directory: Path, monkeypatch: pytest.MonkeyPatch, state: int, zone: str = "", policy: str = "") -> Path:
    log, program = directory / "log", directory / "firewall-cmd"
    log.touch()
    program.write_text(_PROGRAM.format(log=log, state=state, zone=zone, policy=policy))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return log


async def _lived() -> None:
    firewall = firewalld.BesideFirewalld(NoFirewall())
    await firewall.replace([BridgeRules("one"), BridgeRules("two")], [])
    assert firewall._joining is not None
    await firewall._joining
    await firewall.add_bridge(BridgeRules("three"))
    await firewall.add_bridge(BridgeRules("three"))
    await firewall.remove_bridge(BridgeRules("one"))
    await firewall.remove_bridge(BridgeRules("unknown"))
    firewall.close()


async def test_bridges_come_into_the_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _install(tmp_path, monkeypatch, 0, "docker", "docker-forwarding")
    await _lived()
    assert log.read_text().splitlines() == [
        "--state",
        "--get-zones",
        "--get-policies",
        "--zone docker --change-interface=one --change-interface=two",
        "--zone docker --change-interface=three",
        "--zone docker --remove-interface=one",
    ]


async def test_the_zone_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _install(tmp_path, monkeypatch, 0)
    await _lived()
    told = log.read_text().splitlines()
    assert told[3:10] == [
        "--permanent --new-zone docker",
        "--permanent --zone docker --set-target ACCEPT",
        "--permanent --new-policy docker-forwarding",
        "--permanent --policy docker-forwarding --set-target ACCEPT",
        "--permanent --policy docker-forwarding --add-ingress-zone ANY",
        "--permanent --policy docker-forwarding --add-egress-zone docker",
        "--reload",
    ]


async def test_one_that_does_not_run_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _install(tmp_path, monkeypatch, 252)
    await _lived()
    assert log.read_text() == "--state\n"
