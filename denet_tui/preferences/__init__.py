"""What the user prefers, and how the screens were left."""
