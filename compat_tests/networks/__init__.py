"""Networks: made, joined, left; packets and names."""
