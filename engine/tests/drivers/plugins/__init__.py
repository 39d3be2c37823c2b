"""Tests of drivers/plugins."""
