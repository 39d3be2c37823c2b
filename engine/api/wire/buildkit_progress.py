"""Progress of builds as BuildKit's clients read it: `StatusResponse`, from the model's events."""

from collections.abc import Iterable

from engine.domain.builder.llb.ops import SourceRange
from engine.domain.builder.progress import LogEvent, ProgressEvent, StatusEvent, VertexEvent, WarningEvent
from engine.domain.builder.protocol.messages import Message, control, pb, well_known

_SECOND = 1_000_000_000


def timestamp(instant: int) -> Message | None:
    """Return an instant; None for "never"."""
    if not instant:
        return None
    seconds, nanos = divmod(instant, _SECOND)
    return well_known.Timestamp(seconds=seconds, nanos=nanos)


def instant(message: Message) -> int:
    """Return the nanoseconds since the epoch of a Timestamp."""
    return int(message.seconds) * _SECOND + int(message.nanos)


def encode_progress(events: Iterable[ProgressEvent]) -> Message:
    """Return events as one message; their kinds are separate in it, as clients expect."""
    response = control.StatusResponse()
    for event in events:
        match event:
            case VertexEvent():
                response.vertexes.append(_vertex(event))
            case StatusEvent():
                response.statuses.append(_status(event))
            case LogEvent():
                response.logs.add(
                    vertex=event.vertex, timestamp=timestamp(event.timestamp), stream=event.stream, msg=event.data
                )
            case WarningEvent():
                response.warnings.append(_warning(event))
    return response


def _vertex(event: VertexEvent) -> Message:
    group = event.group
    return control.Vertex(
        digest=event.digest,
        inputs=event.inputs,
        name=event.name,
        cached=event.cached,
        started=timestamp(event.started),
        completed=timestamp(event.completed),
        error=event.error,
        progressGroup=pb.ProgressGroup(id=group[0], name=group[1], weak=group[2]) if group else None,
    )


def _status(event: StatusEvent) -> Message:
    return control.VertexStatus(
        ID=event.id,
        vertex=event.vertex,
        name=event.name,
        current=event.current,
        total=event.total,
        timestamp=timestamp(event.timestamp),
        started=timestamp(event.started),
        completed=timestamp(event.completed),
    )


def _warning(event: WarningEvent) -> Message:
    known = event.filename or event.source
    return control.VertexWarning(
        vertex=event.vertex,
        level=event.level,
        short=event.short.encode(),
        detail=[detail.encode() for detail in event.detail],
        url=event.url,
        info=pb.SourceInfo(filename=event.filename, data=event.source, language="Dockerfile") if known else None,
        ranges=encode_ranges(event.ranges),
    )


def encode_ranges(ranges: Iterable[SourceRange]) -> list[Message]:
    """Return lines of a file."""
    return [pb.Range(start=pb.Position(line=each.start), end=pb.Position(line=each.end)) for each in ranges]


def decode_warning(message: Message) -> WarningEvent:
    """Return a warning that a frontend has sent (`WarnRequest`)."""
    info = message.info
    return WarningEvent(
        vertex=message.digest,
        short=message.short.decode(errors="replace"),
        detail=[detail.decode(errors="replace") for detail in message.detail],
        url=message.url,
        level=message.level,
        ranges=[SourceRange(info.filename, each.start.line, each.end.line, info.data) for each in message.ranges],
        filename=info.filename,
        source=info.data,
    )
