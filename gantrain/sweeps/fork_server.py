"""Imported by the process from which jobs are forked: it ends at once, where taking torch apart takes seconds."""

import atexit
import os

atexit.register(os._exit, 0)
