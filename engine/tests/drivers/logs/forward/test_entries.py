"""Records to messages: parts of lines are joined, lines beyond 16 KiB are cut, as dockerd does it."""

import random

import msgspec

from engine.drivers.logs.forward.entries import LONGEST, Assembler, Entry, OpenLine
from engine.drivers.logs.parse import stamp
from engine.tests.drivers.logs.test_parse import BASE, record


def records(*data):
    return b"".join(data)[:-1].split(b"\n")


def test_whole_lines():
    time = stamp(BASE)
    found = Assembler().feed(records(record("one"), record("", "stderr"), record("two ")))
    assert found == [Entry(1, time, b"one"), Entry(2, time, b""), Entry(1, time, b"two ")]


def test_parts_are_joined_and_bear_the_time_of_the_first():
    data = records(record("a", flag="P"), record("err", "stderr"), record("b", flag="P", at=5), record("c", at=6))
    assert Assembler().feed(data) == [Entry(2, stamp(BASE), b"err"), Entry(1, stamp(BASE), b"abc")]


def test_long_lines_are_cut():
    data = records(*[record("x" * 8192, flag="P", at=i) for i in range(4)], record("y", at=9))
    found = Assembler().feed(data)
    assert [(e.line, e.piece.ordinal, e.piece.last) for e in found] == [
        (b"x" * LONGEST, 1, False),
        (b"x" * LONGEST, 2, False),
        (b"y", 3, True),
    ]
    assert {e.piece.id for e in found} == {found[0].piece.id}
    assert {e.time for e in found} == {stamp(BASE)}
    assert len(found[0].piece.id) == 64


def test_a_line_of_exactly_the_size_has_an_empty_last_piece():
    found = Assembler().feed(records(record("x" * LONGEST)))
    assert [(len(e.line), e.piece.last) for e in found] == [(LONGEST, False), (0, True)]
    assert Assembler().feed(records(record("x" * (LONGEST - 1))))[0].piece is None


def test_a_line_without_an_end_is_a_piece():
    assembler = Assembler()
    assert assembler.feed(records(record("end", flag="P"))) == []
    (entry,) = assembler.flush()
    assert (entry.line, entry.piece.ordinal, entry.piece.last) == (b"end", 1, False)
    assert assembler.flush() == []


def test_what_is_no_record_is_sent_as_it_is():
    assert Assembler().feed([b"garbage"])[0].line == b"garbage"


def test_an_assembler_goes_on_where_another_one_stopped():
    rng = random.Random(7)
    data = []
    for number in range(400):
        text, stream = f"{number} " * rng.choice([1, 3, 3000]), rng.choice(["stdout", "stderr"])
        cuts = [text[i : i + 8000] for i in range(0, len(text), 8000)]
        data += [record(c, stream, "P", number)[:-1] for c in cuts[:-1]] + [record(cuts[-1], stream, at=number)[:-1]]
    whole = Assembler().feed(data)
    assembler, found = Assembler(), []
    for one in data:
        found += assembler.feed([one])
        kept = msgspec.json.encode(assembler.open)
        assembler = Assembler(msgspec.json.decode(kept, type=dict[int, OpenLine]))
    assert [(e.stream, e.time, e.line) for e in found] == [(e.stream, e.time, e.line) for e in whole]
    assert [e.piece and e.piece[1:] for e in found] == [e.piece and e.piece[1:] for e in whole]
