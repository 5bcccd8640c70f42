"""The ``plugmw`` command."""

from plugmw.cli.program import main as main
