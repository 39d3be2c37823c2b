"""Kills, crashes and load."""
