"""Tests of engine/drivers/runtime."""
