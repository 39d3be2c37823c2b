"""What the operations of the graph do: commands, file operations, trees above one another."""
