"""`python -m service`, and the command `topfive`."""

import sys

from service.process import main

if __name__ == "__main__":
    sys.exit(main())
