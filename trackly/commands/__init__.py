"""The commands: one per file, or per folder with the command in `command.py`."""
