"""Tests of engine.domain.system."""
