"""Space kept back for a full disk."""

import errno
from pathlib import Path

import pytest

from engine.core.model.volume import Volume
from engine.state.reserve import Reserve
from engine.state.store import Delete, Put, Store


def test_it_takes_space_and_gives_it_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    reserve.take()
    assert (tmp_path / "reserve").stat().st_size == 1 << 20
    reserve.give_back()
    assert (tmp_path / "reserve").stat().st_size == 0
    reserve.take()
    assert (tmp_path / "reserve").stat().st_size == 1 << 20


class _TinyStore(Store):
    """A store whose database may not grow."""

    def _connect(self):
        connection = super()._connect()
        connection.execute("PRAGMA max_page_count=12")
        return connection


async def test_a_full_database_says_so_and_lets_records_go(tmp_path: Path) -> None:
    store = _TinyStore(tmp_path / "db")
    await store.commit(Put("volume", "first", Volume(name="first", created_at=1)))
    with pytest.raises(OSError, match="No space left on device") as raised:
        await store.commit(Put("volume", "second", Volume(name="x" * 200_000, created_at=1)))
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "db"))
    await store.commit(Put("volume", "first", Volume(name="changed", created_at=1)))
    await store.commit(Delete("volume", "first"))
    assert store.load("volume", Volume) == {}
    store.close()
