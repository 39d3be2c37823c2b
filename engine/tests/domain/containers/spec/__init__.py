"""Tests of the OCI configuration."""
