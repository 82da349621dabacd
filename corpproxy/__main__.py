"""``python -m corpproxy`` is the command line, also in a checkout where nothing was installed."""

import sys

from corpproxy.cli import main

sys.exit(main())
