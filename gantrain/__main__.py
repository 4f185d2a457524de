"""``python -m gantrain`` is the ``gantrain`` command."""

import sys

from gantrain.cli import main

sys.exit(main())
