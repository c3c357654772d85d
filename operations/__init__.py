"""Operator actions shared by the command line and the console: changes of settings, tests, replays, retries."""
