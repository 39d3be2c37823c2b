"""The rules' pages and options."""

import pytest

from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.lint import RULES, Lint, read_options


def test_pages() -> None:
    assert RULES["InvalidBaseImagePlatform"].url == ""
    pages = {name: rule.url.rsplit("/", 2)[1] for name, rule in RULES.items() if rule.url}
    assert pages["JSONArgsRecommended"] == "json-args-recommended"
    assert pages["FromAsCasing"] == "from-as-casing"
    assert pages["SecretsUsedInArgOrEnv"] == "secrets-used-in-arg-or-env"


def test_options() -> None:
    options = read_options("skip=UndefinedVar,StageNameCasing;error=true")
    assert options.skip == {"undefinedvar", "stagenamecasing"}
    assert options.error
    assert read_options("skip=all").skip_all
    with pytest.raises(InstructionWrong, match='invalid check option "foo"'):
        read_options("foo=1")


def test_skipped_rules_are_silent_and_errors_are_errors() -> None:
    lint = Lint(read_options("skip=UndefinedVar;error=1"))
    lint.report("UndefinedVar", (1, 1), "x", "")
    lint.check()
    lint.report("StageNameCasing", (2, 2), "X")
    assert lint.found[0].short == "StageNameCasing: Stage name 'X' should be lowercase (line 2)"
    with pytest.raises(InstructionWrong, match="lint violation found for rules: StageNameCasing"):
        lint.check()
