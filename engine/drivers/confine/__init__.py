"""Tree work in a process confined to one root."""
