"""How the daemon's own log looks: lines as dockerd's, on the standard error."""

import json
import logging
import sys
from datetime import UTC, datetime

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
_NAMES = {"WARNING": "warning", "CRITICAL": "fatal"}


class _Lines(logging.Formatter):
    """`time="…" level=info msg="…" module=…`, or the same as JSON; what a plugin has printed comes with its ID."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        level = _NAMES.get(record.levelname, record.levelname.lower())
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        plugin = getattr(record, "plugin", "")
        source = {"plugin": plugin} if plugin else {"module": record.name}
        if self._json:
            return json.dumps({"time": when, "level": level, "msg": message, **source})
        [(key, value)] = source.items()
        return f'time="{when}" level={level} msg={json.dumps(message, ensure_ascii=False)} {key}={value}'


def start(level: str, form: str) -> None:
    """Log from here on, at a level of `--log-level` and in a form of `--log-format`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(form))
    logging.basicConfig(level=_LEVELS[level], handlers=[handler], force=True)
    set_level(level)


def set_level(level: str) -> None:
    """Log at another level. The libraries' own debug lines stay out: they show headers, with credentials."""
    logging.getLogger().setLevel(max(_LEVELS[level], logging.INFO))
    logging.getLogger("engine").setLevel(_LEVELS[level])
