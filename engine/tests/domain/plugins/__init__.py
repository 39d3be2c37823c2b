"""Tests of domain/plugins."""
