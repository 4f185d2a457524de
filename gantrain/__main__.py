"""``python -m gantrain`` is the ``gantrain`` command."""

import sys

from gantrain.cli.main import main

sys.exit(main())
