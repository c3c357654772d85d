"""The commands: one a file, or a folder with the command in `command.py`."""
