"""Tests of engine.domain.volumes."""
