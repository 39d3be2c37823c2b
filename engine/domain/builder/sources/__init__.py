"""Where trees come from: images, directories of the client, repositories, downloads."""
