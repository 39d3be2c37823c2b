"""Turns graphs into trees: what is needed, at once where possible, each thing once, from the cache if it is there."""
