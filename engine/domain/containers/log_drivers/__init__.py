"""Log drivers: the options of each, with dockerd's checks and texts, and what they make of a container."""
