"""Tests of flags and daemon.json."""
