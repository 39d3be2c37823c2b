"""Images: from registries, archives and tars; listed, named, removed."""
