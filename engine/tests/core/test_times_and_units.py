"""Instants, durations and sizes as Docker writes and reads them."""

import pytest

from engine.core import times, units


def test_rfc3339_is_gos_nano_format() -> None:
    assert times.rfc3339(0) == "0001-01-01T00:00:00Z"
    assert times.rfc3339(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"
    assert times.rfc3339(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20.123456789Z", "2023-11-14T23:13:20.123456789+01:00"])
def test_parses_what_it_formats(text: str) -> None:
    assert times.rfc3339(times.parse_rfc3339(text)) == "2023-11-14T22:13:20.123456789Z"


def test_instants_of_clients() -> None:
    assert times.parse_instant("12.5") == 12_500_000_000
    assert times.parse_instant("1970-01-02") == 86_400_000_000_000
    assert abs(times.now() - times.parse_instant("1h") - 3_600_000_000_000) < 5_000_000_000
    with pytest.raises(ValueError, match="bogus"):
        times.parse_instant("bogus")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (999, "999B"), (327680, "327.7kB"), (30009348, "30.01MB"), (12003845, "12MB")]
)
def test_human_size(size: int, text: str) -> None:
    assert units.human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (125, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (49 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (61 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds: int, text: str) -> None:
    assert units.human_duration(seconds) == text


def test_ram_in_bytes() -> None:
    assert units.ram_in_bytes("64m") == 64 << 20
    assert units.ram_in_bytes("1.5GiB") == 3 << 29
    with pytest.raises(ValueError, match="invalid size"):
        units.ram_in_bytes("many")
