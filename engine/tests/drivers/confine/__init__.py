"""Tests of drivers/confine."""
