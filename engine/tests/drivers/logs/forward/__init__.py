"""Tests of engine.drivers.logs."""
