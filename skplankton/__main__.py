"""``python -m skplankton``: the command line interface."""

import sys

from skplankton._cli import main

if __name__ == "__main__":
    sys.exit(main())
