"""`python -m tokenlearner`."""

import sys

from tokenlearner.cli import main

if __name__ == "__main__":
    sys.exit(main())
