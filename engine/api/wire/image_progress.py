"""The lines of pull, push, load and import, as Docker's `jsonmessage` readers know them."""

from typing import Any

from engine.core.units import human_size
from engine.domain.images.documents import descriptor_json
from engine.domain.images.progress import IndexNarrowed, Line, Note, Sent, Step, Text

_BAR = 50


def encode_line(line: Line) -> dict[str, Any]:
    """Return a line's JSON."""
    if isinstance(line, Text):
        return {"stream": line.stream}
    if isinstance(line, IndexNarrowed):
        return {"progressDetail": {}, "aux": _narrowed(line)}
    if isinstance(line, Sent):
        return {"progressDetail": {}, "aux": {"Tag": line.tag, "Digest": line.digest, "Size": line.size}}
    if isinstance(line, Note):
        return {"status": line.status, "id": line.id} if line.id else {"status": line.status}
    return _step(line)


def _narrowed(line: IndexNarrowed) -> dict[str, Any]:
    return {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": descriptor_json(line.index),
        "selectedManifest": descriptor_json(line.manifest),
    }


def _step(step: Step) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": step.status}
    if step.finished:
        answer["progressDetail"] = {"hidecounts": True}
    elif step.units:
        answer["progressDetail"] = {"current": step.current, "units": step.units}
        answer["progress"] = f"{step.current} {step.units}"
    elif step.current or step.total:
        answer["progressDetail"] = {"current": step.current, "total": step.total}
        answer["progress"] = bar(step.current, step.total)
    else:
        answer["progressDetail"] = {}
    answer["id"] = step.id
    return answer


def bar(current: int, total: int) -> str:
    """Return the progress bar that servers send for readers without one of their own."""
    if total <= 0 or current > total:
        return f"{human_size(current):>8}"
    filled = min(current * 100 // total // 2, _BAR)
    return f"[{'=' * filled}>{' ' * (_BAR - filled)}] {human_size(current):>8}/{human_size(total)}"
