"""What can be wrong with a machine. Knows neither how it is put right nor screens."""
