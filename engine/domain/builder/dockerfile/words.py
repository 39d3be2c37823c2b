"""The shapes of arguments: JSON arrays, `name=value` pairs, lists of words. Pure."""

import json
import re

from engine.domain.builder.dockerfile.failures import Unreadable
from engine.domain.builder.dockerfile.shell import go_quoted

_BLANKS = re.compile(r"[\t\v\f\r ]+")


def json_form(text: str) -> list[str] | None:
    """Return the words of a JSON array of texts, None for anything else. Raises Unreadable for other arrays."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not all(isinstance(w, str) for w in found):
        raise Unreadable("when using JSON array syntax, arrays must be comprised of strings only")
    return list(found)


def split_at_blanks(text: str) -> list[str]:
    """Split at blanks, quotes or not."""
    return _BLANKS.split(text) if text else []


def raw_words(text: str, escape: str) -> list[str]:
    """Split at blanks outside quotes; quotes and escapes stay (BuildKit's `parseWords`)."""
    words, word, quote, at = [], "", "", 0
    while at < len(text):
        character = text[at]
        if not quote and character.isspace():
            if word:
                words.append(word)
            word, at = "", at + 1
            continue
        if character == escape and quote != "'":
            if at + 1 == len(text):
                break
            word += character
            at += 1
            character = text[at]
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        word += character
        at += 1
    return [*words, word] if word else words


def pairs(name: str, text: str, escape: str) -> tuple[list[tuple[str, str]], bool]:
    """Return the pairs of `a=b c="d e"`, unexpanded, and False; or that of `a the rest`, and True.

    Raises Unreadable.
    """
    words = raw_words(text, escape)
    if not words:
        return [], False
    if "=" not in words[0]:
        parts = _BLANKS.split(text, maxsplit=1)
        if len(parts) < 2:
            raise Unreadable(f"{name} must have two arguments")
        return [(parts[0], parts[1])], True
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Unreadable(f"Syntax error - can't find = in {go_quoted(word)}. Must be of the form: name=value")
        found.append((key, value))
    return found, False
