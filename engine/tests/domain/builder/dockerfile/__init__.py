"""Tests of the Dockerfile language."""
