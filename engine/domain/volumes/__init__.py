"""Named volumes and who holds them."""
