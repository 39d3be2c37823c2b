"""The `wharfd` command as far as it goes without a daemon."""

from pathlib import Path

import pytest

from engine import cli


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Wharf version ")


def test_validate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text("{}")
    assert cli.command(["--validate", "--config-file", str(tmp_path / "daemon.json")]) == 0
    assert capsys.readouterr().out == "configuration OK\n"


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.command(["--bogus"]) == 1
    assert capsys.readouterr().err == "unknown flag: --bogus\nSee 'wharfd --help'.\n"
