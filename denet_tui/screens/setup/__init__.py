"""The setup and the start screen: what comes before the watching."""
