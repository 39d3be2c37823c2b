"""What goes over the wire, against what dockerd 28.5 sent of the same lines."""

import gzip
import json
import os
import time
import zlib

import msgspec
import pytest

from engine.drivers.logs.forward import fluentd, gelf
from engine.drivers.logs.forward.entries import Entry, Piece
from engine.drivers.logs.forward.fluentd import FluentdEncoder, FluentdForm
from engine.drivers.logs.forward.gelf import GelfEncoder, GelfForm
from engine.drivers.logs.forward.journald import JournaldEncoder, JournaldForm, field_name
from engine.drivers.logs.forward.syslog import SyslogEncoder, SyslogForm

TIME = b"2026-11-04T08:12:42.642034290"
OUT, ERR = Entry(1, TIME, b"out"), Entry(2, TIME, b"err")
BINARY = Entry(1, TIME, b"a\xffb\0c")
EMPTY = Entry(1, TIME, b"")
PIECE = Entry(1, TIME, b"end", Piece("ab", 2, False))


@pytest.fixture
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("", "<{p}>Nov  4 08:12:42 tag[{pid}]: {text}\n"),
        ("rfc3164", "<{p}>Nov  4 08:12:42 host tag[{pid}]: {text}\n"),
        ("rfc5424", "<{p}>1 2026-11-04T08:12:42Z host tag {pid} tag - {text}\n"),
        ("rfc5424micro", "<{p}>1 2026-11-04T08:12:42.642034Z host tag {pid} tag - {text}\n"),
    ],
)
def test_syslog(utc, form, expected):
    encoder = SyslogEncoder(SyslogForm("tag", form), "host")
    pid = os.getpid()
    assert encoder.encode([OUT, EMPTY, ERR]) == [
        expected.format(p=30, pid=pid, text="out").encode(),
        expected.format(p=27, pid=pid, text="err").encode(),
    ]


def test_syslog_counts_for_tls(utc):
    (plain,) = SyslogEncoder(SyslogForm("t", "rfc5424", facility=19), "h").encode([BINARY])
    (counted,) = SyslogEncoder(SyslogForm("t", "rfc5424", facility=19, counted=True), "h").encode([BINARY])
    assert counted == b"%d %b" % (len(plain), plain)
    assert plain.startswith(b"<158>1 ")
    assert plain.endswith(b" - a\xffb\0c\n")


def test_syslog_in_another_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert (
            b"<30>1 2026-11-04T13:42:42.642034+05:30 "
            in SyslogEncoder(SyslogForm("t", "rfc5424micro"), "h").encode([OUT])[0]
        )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_fluentd():
    encoder = FluentdEncoder(FluentdForm("tag", {"container_id": "id", "team": "blue"}))
    out, err = encoder.encode([OUT, ERR])
    assert msgspec.msgpack.decode(out) == [
        "tag",
        1793779962,
        {"container_id": "id", "team": "blue", "source": "stdout", "log": "out"},
        {},
    ]
    assert msgspec.msgpack.decode(err)[2]["source"] == "stderr"
    assert b"\xa3log\xa5a\xffb\0c" in encoder.encode([BINARY])[0]


def test_fluentd_pieces_and_fractions():
    (packet,) = FluentdEncoder(FluentdForm("tag", sub_second=True)).encode([PIECE])
    _, instant, record, _ = msgspec.msgpack.decode(packet)
    assert (instant.code, instant.data) == (0, (1793779962).to_bytes(4, "big") + (642034290).to_bytes(4, "big"))
    assert record == {
        "source": "stdout",
        "log": "end",
        "partial_message": "true",
        "partial_id": "ab",
        "partial_ordinal": "2",
        "partial_last": "false",
    }


def test_fluentd_labels_win():
    (packet,) = FluentdEncoder(FluentdForm("tag", {"log": "label"})).encode([OUT])
    assert msgspec.msgpack.decode(packet)[2] == {"log": "label", "source": "stdout"}


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65535, 65536])
def test_fluentd_text(size):
    assert msgspec.msgpack.decode(fluentd.text(b"x" * size)) == "x" * size


def test_fluentd_many_labels():
    (packet,) = FluentdEncoder(FluentdForm("tag", {f"l{n}": "v" for n in range(30)})).encode([OUT])
    assert len(msgspec.msgpack.decode(packet)[2]) == 32


def test_fluentd_acknowledgements():
    (packet,) = FluentdEncoder(FluentdForm("tag")).encode([OUT])
    assert msgspec.msgpack.decode(fluentd.with_chunk(packet, "c1"))[3] == {"chunk": "c1"}
    answer = msgspec.msgpack.encode({"ack": "c1"})
    assert fluentd.acknowledged(answer) == "c1"
    assert fluentd.acknowledged(answer[:4]) is None
    assert fluentd.acknowledged(b"\xa1x") is None


def gelf_of(entry, **form):
    return GelfEncoder(GelfForm({"_tag": "<t>", "_b": "x"}, **form), "host").encode([entry])


def test_gelf():
    (packet,) = gelf_of(BINARY, compression="none")
    assert packet.decode() == (
        '{"version":"1.1","host":"host","short_message":"a\N{REPLACEMENT CHARACTER}b\\u0000c",'
        '"timestamp":1793779962.642,"level":6,"_b":"x","_tag":"\\u003ct\\u003e"}'
    )
    assert json.loads(gelf_of(ERR, compression="none")[0])["level"] == 3
    assert gelf_of(EMPTY) == []


def test_gelf_compression():
    (plain,) = gelf_of(OUT, compression="none")
    assert gzip.decompress(gelf_of(OUT)[0]) == plain
    assert zlib.decompress(gelf_of(OUT, compression="zlib", level=9)[0]) == plain
    assert gzip.decompress(gelf_of(OUT, level=-1)[0]) == plain
    assert gelf_of(OUT, stream=True) == [plain + b"\0"]


def test_gelf_chunks():
    message = os.urandom(5000)
    pieces = gelf.chunks(message)
    assert [len(p) for p in pieces] == [1420, 1420, 1420, 5000 - 3 * 1408 + 12]
    assert {p[:2] for p in pieces} == {b"\x1e\x0f"}
    assert len({p[2:10] for p in pieces}) == 1
    assert [(p[10], p[11]) for p in pieces] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert b"".join(p[12:] for p in pieces) == message
    assert gelf.chunks(b"x" * 1420) == [b"x" * 1420]
    assert gelf.chunks(b"x" * (128 * 1408 + 1)) == []


def fields_of(packet):
    """Take an entry of the journal apart."""
    found = {}
    while packet:
        line, _, packet = packet.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(packet[:8], "little")
            value, packet = packet[8 : 8 + size], packet[9 + size :]
        found[name.decode()] = value
    return found


def test_journald():
    encoder = JournaldEncoder(JournaldForm({"CONTAINER_NAME": "web", "LABEL": "two\nlines"}))
    out, err, piece = map(fields_of, encoder.encode([OUT, ERR, PIECE]))
    assert (out.pop("PRIORITY"), err["PRIORITY"]) == (b"6", b"3")
    assert out.pop("CONTAINER_LOG_EPOCH") == err["CONTAINER_LOG_EPOCH"]
    assert (out.pop("CONTAINER_LOG_ORDINAL"), err["CONTAINER_LOG_ORDINAL"]) == (b"1", b"2")
    assert out == {
        "MESSAGE": b"out",
        "CONTAINER_NAME": b"web",
        "LABEL": b"two\nlines",
        "SYSLOG_TIMESTAMP": b"2026-11-04T08:12:42.64203429Z",
    }
    assert piece["CONTAINER_PARTIAL_MESSAGE"] == b"true"
    assert [piece[f"CONTAINER_PARTIAL_{name}"] for name in ("ID", "ORDINAL", "LAST")] == [b"ab", b"2", b"false"]
    (last,) = encoder.encode([Entry(1, TIME, b"x", Piece("ab", 3, True))])
    assert "CONTAINER_PARTIAL_MESSAGE" not in fields_of(last)


def test_names_in_the_journal():
    assert field_name("com.example.my-label1") == "COM_EXAMPLE_MY_LABEL1"
    assert field_name("__x\N{LATIN SMALL LETTER E WITH ACUTE}") == "X_"
