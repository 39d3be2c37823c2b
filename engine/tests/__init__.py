"""Unit tests: no root, seconds."""
