"""Tests of the classic front."""
