#!/usr/bin/env bash
# Google's libphonenumber has a table of time zones by prefix, and its ports the same data. Who must not text at night
# asks them for a number's zones. For a mobile number the two differ: phonenumbers 9.0.43 for Python falls back to all
# zones of the whole calling code, whatever the prefix says; nyaruka/phonenumbers 1.8.1 for Go takes the prefix.
# A mobile number in Antigua, whose area code is Antigua's alone, is in 42 zones from Guam to Newfoundland for one and in
# one for the other; a Russian one is in Kazakhstan too. In the United States and Canada both take the prefix, because
# there mobile and landline numbers cannot be told apart.
#
# Seen: +12684641234 -> 42 zones / America/Antigua; +79123456789 -> 16 / Europe/Moscow; +14155552671 -> one zone for both.
# What to do in Python: `time_zones_for_geographical_number`, which takes the prefix, if a number's own area is meant.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
numbers="+12684641234 +79123456789 +14155552671"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check phonenumbers==9.0.43
cat > zones.py <<'PYTHON'
import sys

import phonenumbers
from phonenumbers import timezone

for number in sys.argv[1:]:
    zones = timezone.time_zones_for_number(phonenumbers.parse(number))
    prefix = timezone.time_zones_for_geographical_number(phonenumbers.parse(number))
    print(number, len(zones), *sorted(prefix)[:1])
PYTHON
cat > zones.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/nyaruka/phonenumbers"
)

func main() {
	for _, number := range os.Args[1:] {
		parsed, _ := phonenumbers.Parse(number, "ZZ")
		zones, _ := phonenumbers.GetTimezonesForNumber(parsed)
		fmt.Println(number, len(zones), zones[0])
	}
}
GO
export GOPATH="$PWD/go" GOCACHE="$PWD/cache" GOFLAGS=-modcacherw
go mod init zones >/dev/null 2>&1
go get github.com/nyaruka/phonenumbers@v1.8.1 >/dev/null 2>&1
python=$(venv/bin/python zones.py $numbers)
go=$(go run zones.go $numbers)
printf 'Python:\n%s\nGo:\n%s\n' "$python" "$go"
[ "$python" = "+12684641234 42 America/Antigua
+79123456789 16 Europe/Moscow
+14155552671 1 America/Los_Angeles" ]
[ "$go" = "+12684641234 1 America/Antigua
+79123456789 1 Europe/Moscow
+14155552671 1 America/Los_Angeles" ]
