"""Records survive, and an unreadable one is set aside."""

import sqlite3
from pathlib import Path

import pytest

from engine.core.model.volume import Volume
from engine.state.store import Delete, Put, Store


async def test_what_is_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    one = Volume(name="one", created_at=1, labels={"a": "b"})
    await store.commit(Put("volume", "one", one), Put("volume", "two", one))
    await store.commit(Delete("volume", "two"))
    store.close()
    again = Store(tmp_path / "db")
    assert again.load("volume", Volume) == {"one": one}
    again.close()


async def test_an_unreadable_record_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "db")
    await store.commit(Put("volume", "good", Volume(name="good", created_at=1)))
    with sqlite3.connect(tmp_path / "db") as other:
        other.execute("INSERT INTO records VALUES ('volume', 'bad', '{broken')")
    assert list(store.load("volume", Volume)) == ["good"]
    assert "volume bad is unreadable" in caplog.text
    with sqlite3.connect(tmp_path / "db") as other:
        assert other.execute("SELECT key FROM quarantine").fetchall() == [("bad",)]
    store.close()
