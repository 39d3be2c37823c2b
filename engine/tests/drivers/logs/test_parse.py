"""conmon's records to output: against a slow and obvious reference, whatever the blocks."""

import random
import struct

import pytest

from engine.core.times import parse_rfc3339
from engine.drivers.logs.options import LogOptions
from engine.drivers.logs.parse import Parser, stamp

BASE = parse_rfc3339("2026-11-24T20:12:42.642034290Z")


def frame(stream, data):
    return struct.pack(">BxxxL", stream, len(data)) + data


def record(text, stream="stdout", flag="F", at=0):
    return stamp(BASE + at) + f"+00:00 {stream} {flag} {text}\n".encode()


def feed(data, options=None, block=1 << 20):
    parser = Parser(options or LogOptions())
    return [c for i in range(0, len(data), block) for c in parser.feed(data[i : i + block])] + parser.rest()


def by_stream(chunks):
    return {s: b"".join(c.data for c in chunks if c.stream == s) for s in (1, 2)}


def test_whole_lines():
    assert feed(record("one") + record("") + record("two  ")) == [(1, b"one\n\ntwo  \n")]


def test_streams_keep_their_order():
    data = record("a") + record("b", "stderr") + record("c", "stderr") + record("d")
    assert feed(data) == [(1, b"a\n"), (2, b"b\nc\n"), (1, b"d\n")]
    assert feed(data, LogOptions(stderr=False)) == [(1, b"a\n"), (1, b"d\n")]
    assert feed(data, LogOptions(stdout=False)) == [(2, b"b\nc\n")]


def test_parts_are_joined_and_bear_one_stamp():
    data = record("pa", flag="P") + record("err", "stderr") + record("rt", flag="P") + record("ial") + record("next")
    options = LogOptions(timestamps=True)
    t = b"2026-11-24T20:12:42.642034290Z "
    assert feed(data) == [(1, b"pa"), (2, b"err\n"), (1, b"rt"), (1, b"ial\nnext\n")]
    assert by_stream(feed(data, options)) == {1: t + b"partial\n" + t + b"next\n", 2: t + b"err\n"}


def test_details_stand_behind_the_stamp():
    data = record("one") + record("two")
    assert feed(data, LogOptions(details="a=b,c=d ")) == [(1, b"a=b,c=d one\na=b,c=d two\n")]
    assert feed(record("x"), LogOptions(details=" ", timestamps=True)) == [(1, b"2026-11-24T20:12:42.642034290Z  x\n")]


def test_since_and_until_include_their_instants():
    data = b"".join(record(str(i), at=i) for i in range(10))
    assert feed(data, LogOptions(since=BASE + 3, until=BASE + 5)) == [(1, b"3\n4\n5\n")]
    assert feed(data, LogOptions(since=BASE + 10)) == []


def test_local_time_is_shown_as_utc():
    line = b"2026-11-25T01:42:42.642034290+05:30 stderr F here\n"
    assert feed(line, LogOptions(timestamps=True)) == [(2, b"2026-11-24T20:12:42.642034290Z here\n")]
    assert feed(line + record("x"), LogOptions(since=BASE)) == [(2, b"here\n"), (1, b"x\n")]


def test_what_is_no_record_is_shown():
    data = record("a") + b"garbage\n\n" + record("b")
    assert b"".join(c.data for c in feed(data)) == b"a\ngarbage\n\nb\n"


def test_frames_hold_a_line_each_when_following():
    data = record("a") + record("b") + record("c", "stderr")
    assert feed(data, LogOptions(frame=frame)) == [(0, frame(1, b"a\nb\n") + frame(2, b"c\n"))]
    following = LogOptions(frame=frame, follow=True)
    assert feed(data, following) == [(0, frame(1, b"a\n") + frame(1, b"b\n") + frame(2, b"c\n"))]


@pytest.mark.parametrize("follow", [True, False])
def test_frames_hold_whole_lines(follow):
    data = record("pa", flag="P") + record("err", "stderr") + record("rt", flag="P") + record("ial") + record("next")
    options = LogOptions(frame=frame, follow=follow, timestamps=True, details="d ")
    t = b"2026-11-24T20:12:42.642034290Z d "
    lines = [(2, t + b"err\n"), (1, t + b"partial\n"), (1, t + b"next\n")]
    if not follow:
        lines[1:] = [(1, lines[1][1] + lines[2][1])]
    for block in (1, 50, 1000) if follow else (1000,):
        found = b"".join(c.data for c in feed(data, options, block))
        assert found == b"".join(frame(*line) for line in lines)


def test_an_unfinished_line_is_shown_at_the_end():
    data = record("a") + record("prompt> ", flag="P")
    parser = Parser(LogOptions(frame=frame, follow=True))
    assert parser.feed(data) == [(0, frame(1, b"a\n"))]
    assert parser.rest() == [(0, frame(1, b"prompt> "))]
    assert parser.rest() == []


def test_a_line_that_does_not_end_is_not_kept_for_ever():
    parser = Parser(LogOptions(frame=frame, follow=True))
    chunks = [c for _ in range(4) for c in parser.feed(record("x" * 8192, flag="P"))]
    assert chunks == [(0, frame(1, b"x" * 16384))] * 2


def reference(records, options):
    """Return the output by stream, made record by record."""
    shown, inside = {1: b"", 2: b""}, {1: False, 2: False}
    for at, stream, flag, text in records:
        number = 1 if stream == "stdout" else 2
        if (options.since and BASE + at < options.since) or (options.until and BASE + at > options.until):
            continue
        if not inside[number]:
            shown[number] += (stamp(BASE + at) + b"Z " if options.timestamps else b"") + options.details.encode()
        inside[number] = flag == "P"
        shown[number] += text.encode() + (b"" if flag == "P" else b"\n")
    return shown


@pytest.mark.parametrize("seed", range(40))
def test_any_log_in_any_blocks(seed):
    chance = random.Random(seed)
    records = [
        (i, chance.choice(["stdout", "stdout", "stderr"]), chance.choice("FFFP"), "x" * chance.choice([0, 1, 5, 300]))
        for i in range(chance.randrange(1, 200))
    ]
    options = LogOptions(
        timestamps=chance.random() < 0.5,
        details=chance.choice(["", "k=v "]),
        since=chance.choice([0, BASE + 20]),
        until=chance.choice([0, BASE + 100]),
    )
    data = b"".join(record(text, stream, flag, at) for at, stream, flag, text in records)
    for block in (1, 7, 64, 1000, 1 << 20):
        assert by_stream(feed(data, options, block)) == reference(records, options)
