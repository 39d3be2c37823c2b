"""Decides; knows no HTTP, no netlink, no tar."""
