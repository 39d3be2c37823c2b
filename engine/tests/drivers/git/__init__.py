"""Tests of engine/drivers/git."""
