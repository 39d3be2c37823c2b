"""When a step of the history was: only where the client fixes it; else it is set as the image is written. Pure."""

from engine.core import times
from engine.domain.builder.dockerfile.convert.settings import Settings


def created(settings: Settings) -> str | None:
    """Return the instant of all steps, None where each has its own."""
    if settings.epoch is None:
        return None
    return times.rfc3339(settings.epoch) if settings.epoch else "1970-01-01T00:00:00Z"
