"""The daemon's own identifier: made at its first start, kept in its data directory."""

import uuid
from pathlib import Path


def engine_id(path: Path) -> str:
    """Return the identifier kept in a file, made where the file is missing or empty. Blocks; used at start-up."""
    try:
        known = path.read_text().strip()
    except FileNotFoundError:
        known = ""
    if known:
        return known
    made = str(uuid.uuid4())
    unfinished = path.with_name(f"{path.name}.tmp")
    unfinished.write_text(made)
    unfinished.chmod(0o600)
    unfinished.rename(path)
    return made
