"""Docker's multiplexed stream: each piece of output behind a header of 8 bytes.

Source: Engine API, "Attach to a container", stream format. Input from the client is never framed.
"""

from struct import Struct

STDIN, STDOUT, STDERR = 0, 1, 2
_HEADER = Struct(">BxxxL")


def frame(stream: int, data: bytes) -> bytes:
    """Return `data` behind the header for a stream (1: stdout, 2: stderr)."""
    return _HEADER.pack(stream, len(data)) + data
