"""Commands and options."""


def main() -> None:
    """Run the command line."""
