#!/usr/bin/env bash
# Avro's JSON encoding writes a value of a union with the name of its type, which for types without a name of their own is
# "long", "string", "map" (Avro 1.12, "JSON Encoding"); a logical type changes nothing about it. goavro 2.15.0 for Go names
# a time that may be null "long.timestamp-millis". Nobody else reads its JSON of such a record, and it reads nobody
# else's. A record in which the time is null passes both ways, and so does one whose time cannot be null.
#
# Seen: goavro writes {"long.timestamp-millis": 1795169732120}, which fastavro 1.13.1 for Python refuses; fastavro writes
# {"long": 1795169732120}, which goavro refuses: cannot determine codec: "long". A null goes both ways.
# What to do: hand on Avro's binary encoding, or plain JSON (`NewCodecForStandardJSONFull`).
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export GOPATH="$PWD/go" GOCACHE="$PWD/cache" GOFLAGS=-modcacherw
python3 -m venv python
python/bin/pip install --quiet fastavro==1.13.1
cat > event.avsc <<'JSON'
{"type": "record", "name": "Event", "fields": [
  {"name": "seen", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}]}
JSON
mkdir seen
cat > seen/seen.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/linkedin/goavro/v2"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	codec := must(goavro.NewCodec(string(must(os.ReadFile("../event.avsc")))))
	if len(os.Args) == 1 {
		at := time.UnixMilli(1795169732120)
		for _, seen := range []any{goavro.Union("long.timestamp-millis", at), nil} {
			fmt.Println(string(must(codec.TextualFromNative(nil, map[string]any{"seen": seen}))))
		}
		return
	}
	for _, line := range strings.Split(strings.TrimSpace(string(must(os.ReadFile(os.Args[1])))), "\n") {
		if _, _, err := codec.NativeFromTextual([]byte(line)); err != nil {
			fmt.Println("refused,", err)
		} else {
			fmt.Println("read")
		}
	}
}
GO
cat > seen.py <<'PYTHON'
import io
import json
import sys
from datetime import UTC, datetime

import fastavro

schema = fastavro.parse_schema(json.load(open("event.avsc")))
if len(sys.argv) == 1:
    out = io.StringIO()
    at = datetime(2026, 11, 20, 10, 15, 32, 120_000, tzinfo=UTC)
    fastavro.json_writer(out, schema, [{"seen": at}, {"seen": None}])
    print(out.getvalue())
else:
    for line in open(sys.argv[1]):
        try:
            list(fastavro.json_reader(io.StringIO(line), schema))
            print("read")
        except ValueError as error:
            print("refused,", error)
PYTHON
cd seen
go mod init seen > /dev/null 2>&1
go get github.com/linkedin/goavro/v2@v2.15.0 > /dev/null 2>&1
go build -o ../goavro .
go_wrote=$(../goavro)
cd ..
echo "$go_wrote" > go.json
python/bin/python seen.py > python.json
python_wrote=$(cat python.json)
go_read=$(cd seen && ../goavro ../python.json)
python_read=$(python/bin/python seen.py go.json)
printf '%s\n' "goavro:" "$go_wrote" "fastavro reads them:" "$python_read" "fastavro:" "$python_wrote" \
    "goavro reads them:" "$go_read"
[ "$go_wrote" = '{"seen":{"long.timestamp-millis":1795169732120}}
{"seen":null}' ]
[ "$python_read" = "refused, 'long.timestamp-millis' is not in list
read" ]
[ "$python_wrote" = '{"seen": {"long": 1795169732120}}
{"seen": null}' ]
[[ "$go_read" = 'refused,'*'cannot determine codec: "long"'*'
read' ]]
