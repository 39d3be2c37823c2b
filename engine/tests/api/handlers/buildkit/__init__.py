"""Tests of BuildKit's services."""
