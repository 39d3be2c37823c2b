"""What a classic build prints, as it goes on: text, ids, the progress of pulls."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.domain.builder.progress import LogEvent, Progress, ProgressEvent
from engine.domain.images import progress as images

_RED, _PLAIN = "\x1b[91m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class ImageId:
    """The image that a stage has come to."""

    id: str


Line = images.Line | ImageId


class Output:
    """Lines on their way to the client; they wait here while it is slow."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[Line | None] = asyncio.Queue()

    def text(self, text: str) -> None:
        """Print text as it is."""
        self._lines.put_nowait(images.Text(text))

    def line(self, text: str) -> None:
        """Print a line."""
        self.text(f"{text}\n")

    def error(self, text: str) -> None:
        """Print text in red, as what a command writes to its standard error."""
        self.text(f"{_RED}{text}{_PLAIN}")

    def image(self, image_id: str) -> None:
        """Tell an image's id."""
        self._lines.put_nowait(ImageId(image_id))

    async def progress(self, line: images.Line) -> None:
        """Pass on the progress of a pull."""
        self._lines.put_nowait(line)

    def end(self) -> None:
        """Nothing more will come."""
        self._lines.put_nowait(None)

    async def lines(self) -> AsyncIterator[Line]:
        """Yield everything until the end."""
        while (line := await self._lines.get()) is not None:
            yield line


class CommandOutput(Progress):
    """The progress of a build, of which only what commands print is passed on."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def send(self, event: ProgressEvent) -> None:
        """Take an event; keep none."""
        if isinstance(event, LogEvent):
            text = event.data.decode("utf-8", "replace")
            if event.stream == 2:
                self._output.error(text)
            else:
                self._output.text(text)
