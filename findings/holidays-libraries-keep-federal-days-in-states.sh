#!/usr/bin/env bash
# holidays 0.109 for Python and date-holidays 3.37.0 for Node have the public holidays of the states of the United States,
# but keep those that a state shares with the whole country as the federal government does, whatever the state's law
# says. Utah keeps Juneteenth on the Monday of its week (Utah Code 63G-1-301, 2c), Rhode Island a Fourth of July that is a
# Saturday on the Monday after (General Laws 25-1-1). A state that forbids sales calls on its holidays means these days.
#
# Seen for 2026 with both: Utah's Juneteenth on Friday, 19 June, and nothing on Monday, the 15th; Rhode Island's Fourth of
# July also on Friday, the 3rd, and nothing on Monday, the 6th.
# What to do: look the days up in the state's law, and add them to what the library has.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check holidays==0.109
npm install --silent --no-audit --no-fund --prefix . date-holidays@3.37.0
python=$(venv/bin/python -c '
import holidays
for state in ("UT", "RI"):
    days = holidays.country_holidays("US", subdiv=state, years=2026)
    print(state, *sorted(str(day) for day in days if day.month in (6, 7)))')
node=$(node -e '
const Holidays = require("date-holidays");
for (const state of ["UT", "RI"]) {
  const days = new Holidays("US", state).getHolidays(2026).filter(({ type }) => type === "public");
  console.log(state, ...days.map(({ date }) => date.slice(0, 10)).filter((day) => /-0[67]-/.test(day)).sort());
}')
printf 'Python:\n%s\nNode:\n%s\n' "$python" "$node"
expected="UT 2026-06-19 2026-07-03 2026-07-04 2026-07-24
RI 2026-06-19 2026-07-03 2026-07-04"
[ "$python" = "$expected" ] && [ "$node" = "$expected" ]
