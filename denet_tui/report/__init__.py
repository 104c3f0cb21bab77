"""Findings as text, as JSON, and as a report that can be shared."""
