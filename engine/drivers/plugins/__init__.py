"""Plugins of other makers: how they are found and what is said to them over HTTP."""
