"""Images: pull, list, inspect, change, load, save, push."""
