"""`python3 -m kfp`."""

import sys

from kfp.cli import main

sys.exit(main())
