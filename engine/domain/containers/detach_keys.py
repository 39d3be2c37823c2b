"""The key sequence by which a client leaves a terminal without ending what runs in it. Pure."""

from engine.core.errors import InvalidParameter

DEFAULT = "ctrl-p,ctrl-q"
_PUNCTUATION = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


class InvalidDetachKeys(InvalidParameter):
    """Not a sequence of characters and ctrl- combinations."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid detach keys ({text}) provided")


def parse(text: str) -> bytes:
    """Return the bytes of a sequence such as `ctrl-p,ctrl-q` or `a,b`. Raises InvalidDetachKeys."""
    return bytes(_key(part, text) for part in (text or DEFAULT).split(","))


def _key(part: str, whole: str) -> int:
    if len(part) == 1 and part.isascii():
        return ord(part)
    letter = part.removeprefix("ctrl-")
    if part != letter and len(letter) == 1:
        if letter.isascii() and letter.isalpha():
            return ord(letter.lower()) - ord("a") + 1
        if letter in _PUNCTUATION:
            return _PUNCTUATION[letter]
    raise InvalidDetachKeys(whole)


class EscapeScanner:
    """Looks for the sequence in what a client types, across reads; held-back bytes are passed on when it breaks off."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return the bytes to pass on, and whether the sequence is complete (the rest is dropped then)."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                passed.append(byte)
        return bytes(passed), False
