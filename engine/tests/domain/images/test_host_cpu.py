"""Levels of x86-64 processors."""

import pytest

from engine.domain.images.host_cpu import level

V2 = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("flags", "found"),
    [("", ""), ("sse sse2", ""), (V2, "v2"), (V3, "v3"), (V4, "v4"), (V4.replace("popcnt", ""), "")],
)
def test_levels(flags, found):
    assert level(set(flags.split())) == found
