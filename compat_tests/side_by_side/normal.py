"""What two engines' answers have in common once ids, times, sizes and addresses are taken out. Pure."""

import difflib
import re

_RULES: tuple[tuple[str, str], ...] = (
    (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
    (r"/var/tmp/wct-[^/\s]+/[wd]\d+/", "STATE/"),
    (r"127\.0\.0\.1:\d{4,5}|0\.0\.0\.0:\d{4,5}|\[::\]:\d{4,5}", "HOST:PORT"),
    (r"\b10\.\d+\.\d+\.\d+", "ADDRESS"),
    (r"([0-9a-f]{2}:){5}[0-9a-f]{2}", "MAC"),
    (r"\b[0-9a-f]{64}\b", "ID64"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b", "ID12"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[-+]\d{4} \w+|Z|[-+]\d\d:\d\d)?", "TIME"),
    (
        r"(About|Less than) (a|an|a) (second|minute|hour)|\d+ (second|minute|hour|day|week|month|year)s?( ago)?",
        "DURATION",
    ),
    (r"DURATION ago", "DURATION"),
    (r"\b\d+(\.\d+)?(e[-+]\d+)?\s?(B|kB|MB|GB|KiB|MiB|GiB)\b", "SIZE"),
    (r"\(\d+%\)", "(PERCENT)"),
    (r"execDuration=\d+", "execDuration=N"),
    (r"[ \t]+", " "),
)
_COMPILED = tuple((re.compile(pattern), text) for pattern, text in _RULES)


def normal(text: str) -> list[str]:
    """The lines of an answer, without what may differ between two engines."""
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def labels(text: str) -> list[str]:
    """Only what stands before the colons: for reports whose values are the machine's."""
    return [line.split(":", 1)[0].strip() for line in text.splitlines() if ":" in line]


def keys(text: str) -> list[str]:
    """The names of all fields of a JSON document."""
    return sorted(set(re.findall(r'^\s*"([^"]+)":', text, re.MULTILINE)))


def processes(text: str) -> list[str]:
    """A table of processes without its numbers and times."""
    return normal(re.sub(r"\b\d+(:\d+)*\b", "N", text))


def difference(ours: list[str], theirs: list[str]) -> str:
    """The lines that differ, `-` dockerd's and `+` ours."""
    return "\n".join(difflib.unified_diff(theirs, ours, "dockerd", "wharfd", lineterm="", n=1))
