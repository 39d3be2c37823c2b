"""The Container Device Interface: specification files of device vendors."""
