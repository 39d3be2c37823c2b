"""Bridges, veths, namespaces."""
