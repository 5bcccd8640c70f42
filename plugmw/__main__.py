"""``python -m plugmw`` is ``plugmw``."""

import sys

from plugmw.cli import main

if __name__ == "__main__":
    sys.exit(main())
