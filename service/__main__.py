"""`python -m service`, and the command `topfive`."""

import os
import signal
import sys

# Importing what follows takes most of a start, and the first process of a container loses a signal that nobody handles:
# stopped in its first second, it would have to be killed. Nothing has begun that would have to be ended.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from service.process import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
