"""When a number may be texted: dated rules of countries and states, and the location of numbers. Pure; not legal
advice."""
