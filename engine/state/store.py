"""Records that survive a restart: SQLite in WAL mode behind one writer thread.

A record is a kind (`container`, `image`, …), a key and a msgspec Struct encoded as JSON. Changes that belong together
are one `commit`. Commits that wait while another is written share its transaction, so many containers starting at once
cost few of them. `synchronous=NORMAL`: a killed daemon loses nothing; a power cut may lose the last instants, never
consistency. An unreadable record is moved to the table `quarantine` and reported, never dropped. On a full disk records
can still be deleted and changed (reserve.py), only not added.
"""

import asyncio
import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import msgspec

from engine.state.reserve import Reserve

log = logging.getLogger(__name__)
T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL
);
"""
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Put:
    """Write a record."""

    kind: str
    key: str
    record: msgspec.Struct


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record; nothing happens where there is none."""

    kind: str
    key: str


Change = Put | Delete


@dataclass(slots=True)
class _Job:
    changes: Sequence[Change]
    done: asyncio.Future[None]

    def end(self, failure: OSError | None) -> None:
        """Tell who waits. Called in the writer's thread."""
        self.done.get_loop().call_soon_threadsafe(_finish, self.done, failure)


class Store:
    """The daemon's records. `load` at start; `commit` from the event loop."""

    def __init__(self, path: Path) -> None:
        """Open or make the database. Blocks; used at start-up only."""
        self._path = path
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        connection.executescript(_SCHEMA)
        connection.close()
        path.chmod(0o600)
        self._reserve = Reserve(path.with_suffix(".reserve"))
        self._writer = threading.Thread(target=self._write_forever, name="state-writer", daemon=True)
        self._writer.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def load(self, kind: str, record_type: type[T]) -> dict[str, T]:
        """Return all records of a kind by key. Blocks; used at start-up only."""
        connection = self._connect()
        decoder = msgspec.json.Decoder(record_type)
        found: dict[str, T] = {}
        for key, body in connection.execute("SELECT key, body FROM records WHERE kind = ?", (kind,)).fetchall():
            try:
                found[key] = decoder.decode(body)
            except msgspec.DecodeError as error:
                self._set_aside(connection, kind, key, str(error))
        connection.close()
        return found

    def _set_aside(self, connection: sqlite3.Connection, kind: str, key: str, reason: str) -> None:
        log.error("the record of %s %s is unreadable and was set aside: %s", kind, key, reason)
        with connection:
            connection.execute("BEGIN")
            connection.execute(
                "INSERT INTO quarantine SELECT kind, key, body, ? FROM records WHERE kind = ? AND key = ?",
                (reason, kind, key),
            )
            connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))

    async def commit(self, *changes: Change) -> None:
        """Write the changes in one transaction; returned means written. Raises OSError (disk full, I/O error)."""
        job = _Job(changes, asyncio.get_running_loop().create_future())
        self._queue.put(job)
        # A cancelled request must not leave the caller's memory and the disk apart: the write goes on regardless.
        await asyncio.shield(job.done)

    def close(self) -> None:
        """Finish what is queued and stop the writer. Blocks."""
        self._queue.put(None)
        self._writer.join()

    def _write_forever(self) -> None:
        self._reserve.take()
        connection = self._connect()
        stopping = False
        while not stopping:
            jobs: list[_Job] = []
            while not jobs or (len(jobs) < _BATCH and not self._queue.empty()):
                job = self._queue.get()
                if job is None:
                    stopping = True
                    break
                jobs.append(job)
            if jobs:
                self._write(connection, jobs)
        connection.close()

    def _write(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        failure = self._try(connection, jobs)
        if failure is None:
            self._reserve.take()
        elif failure.errno == errno.ENOSPC:
            self._write_on_full_disk(connection, jobs)
            return
        for job in jobs:
            job.end(failure)

    def _try(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> OSError | None:
        """Write all or nothing; return why nothing was written."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                for change in job.changes:
                    _apply(connection, change)
            connection.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            return OSError(f"cannot write the daemon's state: {error}")
        return None

    def _write_on_full_disk(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        """Write what adds nothing from the reserve, each on its own."""
        for job in jobs:
            failure = self._try(connection, [job])
            if failure is not None and failure.errno == errno.ENOSPC and not _adds(connection, job.changes):
                self._reserve.give_back()
                failure = self._try(connection, [job])
            job.end(failure)


def _adds(connection: sqlite3.Connection, changes: Sequence[Change]) -> bool:
    """Tell whether a change makes a record that does not exist yet."""
    query = "SELECT 1 FROM records WHERE kind = ? AND key = ?"
    return any(isinstance(c, Put) and not connection.execute(query, (c.kind, c.key)).fetchone() for c in changes)


def _apply(connection: sqlite3.Connection, change: Change) -> None:
    if isinstance(change, Put):
        body = msgspec.json.encode(change.record)
        connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (change.kind, change.key, body))
    else:
        connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (change.kind, change.key))


def _finish(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
