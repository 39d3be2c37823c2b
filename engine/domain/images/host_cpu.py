"""What this host's processor can do, as far as platforms have names for it."""

from functools import cache
from pathlib import Path

# The microarchitecture levels of the x86-64 psABI, by the flags of /proc/cpuinfo that each adds.
_LEVELS = (
    ("v2", {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    ("v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    ("v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
)


def level(flags: set[str]) -> str:
    """Return the highest level that a processor with these flags has, empty for the first. Pure."""
    found = ""
    for name, wanted in _LEVELS:
        if not wanted <= flags:
            break
        found = name
    return found


@cache
def amd64_level() -> str:
    """Return this host's level. Reads a small file below /proc once."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    flags = next((line for line in lines if line.startswith("flags")), "")
    return level(set(flags.partition(":")[2].split()))
