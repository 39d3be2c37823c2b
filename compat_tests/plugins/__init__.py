"""Plugins: volume drivers, authorization, installed ones."""
