"""Entry point of `driftline` and `python -m monitor`."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from monitor.cli.main import driftline

    driftline()


if __name__ == "__main__":
    main()
