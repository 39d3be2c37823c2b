"""The local volume driver: directories of volumes, and what is mounted on them."""
