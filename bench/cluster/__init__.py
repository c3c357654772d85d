"""Three real brokers that are restarted, killed, frozen, filled and grown under load: who stands still for how long."""
