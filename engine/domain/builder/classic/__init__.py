"""`POST /build`: a Dockerfile step by step, as dockerd's classic builder does it, on the one solver."""
