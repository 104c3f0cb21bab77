"""Looking and repairing for the setup screen, by a process that keeps its privilege while the screen has none."""
