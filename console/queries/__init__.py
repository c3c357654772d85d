"""Queries of the read model: functions of a connection that return frozen rows. All concern one account."""
