"""Tests of engine/domain/builder."""
