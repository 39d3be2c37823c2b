"""Content-addressed blobs, unpacked layers, overlay mounts."""
