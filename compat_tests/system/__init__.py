"""Ping, version, info, disk usage and the protocol's edges."""
