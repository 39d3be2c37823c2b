"""Builds: the classic protocol, BuildKit, and both against real dockerd."""
