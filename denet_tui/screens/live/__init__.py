"""The live screen: what a command calls, while it does."""
