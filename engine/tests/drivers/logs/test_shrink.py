"""Compressed and cut files: nothing of what is kept is lost, doubled or shown twice, whoever reads meanwhile."""

import gzip

import pytest

from engine.drivers.logs.files import LogSequence
from engine.drivers.logs.options import LogOptions
from engine.drivers.logs.parse import Parser
from engine.drivers.logs.rotate import LogBounds, LogFile, cut
from engine.drivers.logs.shrink import keep_end, pack
from engine.tests.drivers.logs.test_parse import record
from engine.tests.drivers.logs.test_rotate import Conmon


@pytest.fixture
def conmon(tmp_path):
    conmon = TimedConmon(tmp_path)
    yield conmon
    conmon.close()


class TimedConmon(Conmon):
    """No two records bear one time."""

    def write(self, count):
        numbers = range(self.written, self.written + count)
        self._file.write(b"".join(record(str(i), at=i) for i in numbers))
        self._file.flush()
        self.written += count


def read(sequence):
    parser, found = Parser(LogOptions()), []
    while data := sequence.read(4096):
        found += b"".join(c.data for c in parser.feed(data)).split()
    return [int(n) for n in found]


def rotate(conmon, bounds):
    log = LogFile(conmon.log, conmon.ctl, bounds)
    log.keep_within_bounds()
    conmon.obey()
    conmon.write(1)
    log.keep_within_bounds()


def names(conmon):
    return sorted(p.name for p in conmon.log.parent.glob("c.log*"))


def test_older_files_are_compressed(conmon):
    for _ in range(4):
        conmon.write(30)
        rotate(conmon, LogBounds(1000, 3, compress=True))
    assert names(conmon) == ["c.log", "c.log.1.gz", "c.log.2.gz"]
    sequence = LogSequence(conmon.log)
    kept = read(sequence)
    sequence.close()
    assert kept == list(range(conmon.written - len(kept), conmon.written))
    assert len(kept) == 63
    assert gzip.decompress(conmon.log.with_name("c.log.1.gz").read_bytes()).count(b"\n") == 31


@pytest.mark.parametrize(("tail", "expected"), [(1, 1), (20, 20), (32, 32), (60, 60), (1000, 63)])
def test_the_last_lines_of_compressed_files(conmon, tail, expected):
    for _ in range(3):
        conmon.write(30)
        rotate(conmon, LogBounds(1000, 3, compress=True))
    sequence = LogSequence(conmon.log, tail=tail)
    assert read(sequence) == list(range(conmon.written - expected, conmon.written))
    sequence.close()


def test_a_few_last_lines_unpack_nothing(conmon, monkeypatch):
    conmon.write(30)
    rotate(conmon, LogBounds(1000, 3, compress=True))
    monkeypatch.setattr("engine.drivers.logs.files.unpacked", lambda *_: pytest.fail("unpacked"))
    conmon.write(5)
    sequence = LogSequence(conmon.log, tail=3)
    assert len(read(sequence)) == 3
    sequence.close()


@pytest.mark.parametrize("compress", [True, False])
def test_a_follower_survives_compression_and_cuts(conmon, compress):
    """Whatever becomes of the file that it reads: each line once, none missing while it has the file open."""
    sequence, found = LogSequence(conmon.log, follow=True), []
    for round_ in range(8):
        conmon.write(30)
        if round_ % 3:
            found += read(sequence)
        rotate(conmon, LogBounds(500, 2, compress=compress))
        found += read(sequence)
    sequence.close()
    assert found == sorted(set(found))
    assert found == list(range(conmon.written))


def test_while_both_forms_are_there_the_plain_one_counts(conmon):
    conmon.write(30)
    rotate(conmon, LogBounds(1000, 3))
    plain = conmon.log.with_name("c.log.1")
    conmon.log.with_name("c.log.1.gz").write_bytes(gzip.compress(plain.read_bytes()))
    sequence = LogSequence(conmon.log)
    assert read(sequence) == list(range(conmon.written))
    sequence.close()


def test_a_burst_is_cut_to_the_bounds(conmon):
    conmon.write(500)
    rotate(conmon, LogBounds(1000, 3))
    assert conmon.log.with_name("c.log.1").stat().st_size <= 3000
    sequence = LogSequence(conmon.log)
    kept = read(sequence)
    sequence.close()
    assert kept == list(range(conmon.written - len(kept), conmon.written))


def test_what_grew_without_a_daemon_is_cut(conmon):
    conmon.write(500)
    cut(conmon.log, LogBounds(1000, 2))
    assert 1900 < conmon.log.stat().st_size <= 2000
    assert conmon.log.read_bytes().endswith(b"499\n")
    cut(conmon.log.with_name("none"), LogBounds())


def test_the_end_in_whole_lines(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"one\ntwo\nthree\n")
    for size, left in ((100, b"one\ntwo\nthree\n"), (10, b"two\nthree\n"), (9, b"three\n"), (5, b"")):
        keep_end(path, size)
        assert path.read_bytes() == left
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_packing_fails_without_a_trace(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"text")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.drivers.logs.shrink.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        pack(path)
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
