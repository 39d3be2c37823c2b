"""The shapes of arguments: JSON arrays, `name=value` pairs, lists of words. Pure."""

import json

from engine.domain.builder.dockerfile.failures import InstructionWrong


def json_form(text: str) -> list[str] | None:
    """Return the words of a JSON array of texts, None for anything else."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(w, str) for w in found) else None


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
        if character == escape and at + 1 < len(text) and quote != "'":
            word += character
            at += 1
            character = text[at]
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        word += character
        at += 1
    return [*words, word] if word else words


def pairs(name: str, text: str, escape: str) -> list[tuple[str, str]]:
    """Return the pairs of `a=b c="d e"`, or of the old form `a the rest`, unexpanded. Raises InstructionWrong."""
    words = raw_words(text, escape)
    if not words:
        return []
    if "=" not in words[0]:
        parts = text.split(None, 1)
        if len(parts) < 2:
            raise InstructionWrong(f"{name} must have two arguments")
        return [(parts[0], parts[1])]
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InstructionWrong(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        if not key:
            raise InstructionWrong(f"{name} names can not be blank")
        found.append((key, value))
    return found
