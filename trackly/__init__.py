"""The command `trackly`: runs the services, shows what is going on, changes settings."""
