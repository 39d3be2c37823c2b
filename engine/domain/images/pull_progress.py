"""How far the layers of one pull are: looked at ten times a second, told where it has changed."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from engine.core.ids import short
from engine.domain.images.downloads import Download
from engine.domain.images.progress import Sink, Step
from engine.domain.images.unpack import LayerSource

INTERVAL = 0.1


class Phase(Enum):
    """What is going on with a layer."""

    WAITING = "Pulling fs layer"
    DOWNLOADING = "Downloading"
    DOWNLOADED = "Download complete"
    EXTRACTING = "Extracting"
    COMPLETE = "Pull complete"


@dataclass(eq=False, slots=True)
class LayerWork:
    """One layer of a pull. `present`: its blob was there from the start, so nobody needs to hear of it."""

    source: LayerSource
    present: bool
    phase: Phase = Phase.WAITING
    download: Download | None = None
    extracting_since: float = 0.0

    @property
    def id(self) -> str:
        """By what the user knows it: the beginning of the blob's digest."""
        return short(self.source.blob.digest)

    def extract(self) -> None:
        """Say that unpacking begins."""
        self.phase, self.extracting_since = Phase.EXTRACTING, time.monotonic()

    def step(self) -> Step | None:
        """Return what there is to tell."""
        phase, download = self.phase, self.download
        if phase is Phase.DOWNLOADING and download is not None:
            if not download.received:
                return None
            return Step(self.id, phase.value, download.received, download.descriptor.size)
        if phase is Phase.EXTRACTING:
            seconds = int(time.monotonic() - self.extracting_since) + 1
            return Step(self.id, phase.value, seconds, units="s")
        return Step(self.id, phase.value, finished=phase is not Phase.WAITING)


class Reporter:
    """Tells of the layers of one pull."""

    def __init__(self, works: Sequence[LayerWork], sink: Sink) -> None:
        self._shown = [w for w in works if not w.present]
        self._told: dict[LayerWork, Step] = {}
        self._sink = sink

    async def run(self) -> None:
        """Tell of changes until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(INTERVAL)

    async def tell(self) -> None:
        """Tell what has changed since the last time. Raises ConnectionError when the client is gone."""
        for step in list(self._changes()):
            await self._sink(step)

    def _changes(self) -> Iterator[Step]:
        for work in self._shown:
            step, told = work.step(), self._told.get(work)
            if step is None or step == told:
                continue
            if work.phase in (Phase.EXTRACTING, Phase.COMPLETE) and not _is_past_download(told):
                yield Step(work.id, Phase.DOWNLOADED.value, finished=True)
            self._told[work] = step
            yield step


def _is_past_download(told: Step | None) -> bool:
    return told is not None and told.status in (Phase.DOWNLOADED.value, Phase.EXTRACTING.value)
