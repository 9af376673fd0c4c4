"""`python3 -m kfp.cli`."""

import sys

from kfp.cli import main

sys.exit(main())
