"""How a machine is put right: chosen, shown, made, noted and undone."""
