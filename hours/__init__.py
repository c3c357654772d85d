"""When a number may be texted: dated rules of countries and states, and where numbers are. Pure; no legal advice."""
