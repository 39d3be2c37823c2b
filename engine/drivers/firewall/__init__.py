"""Packet filter and NAT rules."""
