"""``python -m skplankton``: a station's day on the command line."""

import sys

from skplankton._cli import main

if __name__ == "__main__":
    sys.exit(main())
