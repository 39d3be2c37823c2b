"""Logs: drivers, collectors, files."""
