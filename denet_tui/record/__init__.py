"""Recordings: JSON Lines out and in, the summary, and the table at the end."""
