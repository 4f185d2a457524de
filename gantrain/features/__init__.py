"""What samples are compared by: importing this package registers every file in it."""

from gantrain.registry import load_family

load_family(__name__)
