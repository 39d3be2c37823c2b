"""Tests of engine.drivers.cdi."""
