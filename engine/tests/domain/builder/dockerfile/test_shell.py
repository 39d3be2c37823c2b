"""Variables, modifiers, quotes and escapes."""

import pytest

from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.shell import Style, expand, expand_words, expansion, go_quoted

_ENV = {"v": "ba.na.na", "empty": "", "two": "a b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$v", "ba.na.na"),
        ("${none}", ""),
        ("${none:-y}", "y"),
        ("${empty:-y}", "y"),
        ("${empty-y}", ""),
        ("${v:+z}", "z"),
        ("${none+z}", ""),
        ("${none:-${v}}", "ba.na.na"),
        ("${v%.*}", "ba.na"),
        ("${v%%.*}", "ba"),
        ("${v#*.}", "na.na"),
        ("${v##*.}", "na"),
        ("${v/a/b}", "bb.na.na"),
        ("${v//a/b}", "bb.nb.nb"),
        ("'$v'", "$v"),
        ('"$v x"', "ba.na.na x"),
        (r"\$v", "$v"),
        (r'"a\"b\c"', r'a"b\c'),
        ("a$", "a$"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, _ENV) == expected


def test_words_are_split_but_not_in_quotes() -> None:
    assert expand_words("x $two \"$two\" ''", _ENV) == ["x", "a", "b", "a b"]


def test_documents_keep_their_quotes() -> None:
    assert expansion("'$two' \\$two \"\\n\"", _ENV, Style(raw=True)).text == "'a b' $two \"n\""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${none:?}", "none: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("${none?why}", "none: why"),
        ("${v", "unsupported modifier (\ufffd) in substitution"),
        ("${v:-x", "syntax error: missing '}'"),
        ("'x", "unexpected end of statement while looking for matching single-quote"),
        ('"x', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(InstructionWrong) as caught:
        expand(text, _ENV)
    assert str(caught.value) == f"failed to process {go_quoted(text)}: {message}"
