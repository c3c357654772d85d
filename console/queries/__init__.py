"""Questions to the read model: functions of a connection that give frozen rows. All of one account."""
