"""What can be wrong with a machine, and how it is put right. Knows nothing of screens."""
