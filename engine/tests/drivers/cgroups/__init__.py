"""Tests of engine/drivers/cgroups."""
