"""Tests of engine.api.handlers."""
