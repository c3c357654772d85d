"""What operators do, by the command and by the console alike: changes of settings, tests, replays, retries."""
