"""Requests as they come: bounds of bodies and rates, fields, and what answers tell browsers."""
