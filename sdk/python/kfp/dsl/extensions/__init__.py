"""v1: additions for one kind of cluster."""
