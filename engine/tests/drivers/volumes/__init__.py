"""Tests of engine.drivers.volumes."""
