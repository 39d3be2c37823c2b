"""Dockerfiles to instructions, and the errors with their lines."""

import pytest

from engine.domain.builder.dockerfile.failures import NothingToBuild, ParseFailed
from engine.domain.builder.dockerfile.instructions import Command, Copy, Env, Health, Instruction, Run, Single
from engine.domain.builder.dockerfile.read import read

_ONE_ARGUMENT = (
    "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. "
    "Destination could not be determined"
)


def _only(text: str) -> Instruction:
    return read(f"FROM x\n{text}").stages[0].instructions[0]


def test_stages_and_arguments_before_them() -> None:
    dockerfile = read("ARG V=1\nFROM --platform=linux/amd64 busybox:$V AS Base\nFROM base\n")
    assert [a.arguments for a in dockerfile.globals] == [[("V", "1")]]
    assert [(s.begin.base, s.name, s.begin.platform) for s in dockerfile.stages] == [
        ("busybox:$V", "base", "linux/amd64"),
        ("base", "", ""),
    ]


def test_continuation_skips_comments_and_blank_lines() -> None:
    run = _only("RUN echo a && \\\n  # no\n\n  echo b\n")
    assert isinstance(run, Run)
    assert (run.shell, run.words) == (True, ["echo a &&   echo b"])
    assert run.line == 2


def test_escape_directive() -> None:
    run = read("# escape=`\nFROM x\nRUN a `\n b\\\n").stages[0].instructions[0]
    assert isinstance(run, Run)
    assert run.words == ["a  b\\"]


def test_heredoc_is_the_script() -> None:
    run = _only("RUN <<EOF\necho hi\nEOF\nCMD x")
    assert isinstance(run, Run)
    assert (run.words, [d.content for d in run.documents]) == (["<<EOF"], ["echo hi\n"])


def test_heredoc_as_a_file() -> None:
    copy = _only('COPY <<-"X" /foo\n\thello\n\tX\n')
    assert isinstance(copy, Copy)
    assert (copy.sources, copy.dest) == ([], "/foo")
    assert [(d.name, d.content, d.expand, d.chomp) for d in copy.documents] == [("X", "\thello\n", False, True)]


def test_json_and_shell_form() -> None:
    exec_form, shell_form = _only('CMD ["a", "b"]'), _only("ENTRYPOINT a b")
    assert isinstance(exec_form, Command)
    assert isinstance(shell_form, Command)
    assert (exec_form.words, exec_form.shell) == (["a", "b"], False)
    assert (shell_form.words, shell_form.shell) == (["a b"], True)


def test_pairs_old_and_new() -> None:
    new, old = _only('ENV a=b c="d e" f=$a'), _only("ENV a b c")
    assert isinstance(new, Env)
    assert isinstance(old, Env)
    assert list(new.pairs) == [("a", "b"), ("c", '"d e"'), ("f", "$a")]
    assert list(old.pairs) == [("a", "b c")]


def test_health_and_triggers() -> None:
    health, trigger = _only("HEALTHCHECK --interval=5s --retries=2 CMD true"), _only("ONBUILD RUN --mount=type=tmpfs x")
    assert isinstance(health, Health)
    assert isinstance(trigger, Single)
    assert (health.check.interval, health.check.retries) == (5_000_000_000, 2)
    assert trigger.value == "RUN --mount=type=tmpfs x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM a\nRUNN x", "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)"),
        ("FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments"),
        ("RUN x", "no build stage in current context"),
        ("FROM a\nRUN <<E\nx", "unterminated heredoc"),
        ("FROM a\n\nENV x", "ENV must have two arguments"),
        ("FROM a\nCOPY --bad=1 a b", "dockerfile parse error on line 2: unknown flag: --bad"),
        ("FROM a\nSHELL x", "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form"),
        (
            "FROM a\nCOPY x",
            _ONE_ARGUMENT,
        ),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(ParseFailed) as caught:
        read(text)
    assert str(caught.value) == message


def test_nothing_but_comments() -> None:
    with pytest.raises(NothingToBuild, match="file with no instructions"):
        read("# x\n\n")
