"""How bytes leave: frames, hijacked streams, progress lines."""
