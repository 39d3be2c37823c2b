"""Tests of request handlers."""
