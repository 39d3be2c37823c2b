"""Touch kernel, disk and network."""
