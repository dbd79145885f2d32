"""The `pyoms` command."""


def main() -> None:
    """Run the command."""
