#!/usr/bin/env bash
# Parquet says of text that it is text (the logical type STRING), in a map as elsewhere. parquet-go 0.32.0 reads a file
# without a struct, as `ReadFile[any]`: text in a column, in a list, or in a list of groups is a string, but text that is
# a map's value is bytes behind a pointer, and `json.Marshal` writes it in base64. Keys are strings. So the row looks
# whole, and every argument or tag in it is another text.
#
# Seen: id "m-1", words ["stop"], links [{"url": "https://shop.example"}], tags {"campaign": "may"}: the first three as
# they are, tags {"campaign": "bWF5"}; with a struct that has `map[string]string`: may.
# What to do: a struct for the columns that are maps; other columns may be left out of it.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export GOPATH="$PWD/go" GOCACHE="$PWD/cache" GOFLAGS=-modcacherw
python3 -m venv python
python/bin/pip install --quiet pyarrow==26.0.1
python/bin/python - <<'PYTHON'
import pyarrow as pa
import pyarrow.parquet as pq

tags = pa.array([[("campaign", "may")]], pa.map_(pa.string(), pa.string()))
columns = {"id": ["m-1"], "words": [["stop"]], "links": [[{"url": "https://shop.example"}]], "tags": tags}
pq.write_table(pa.table(columns), "messages.parquet")
PYTHON
mkdir seen
cd seen
cat > seen.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"

	"github.com/parquet-go/parquet-go"
)

type message struct {
	Tags map[string]string `parquet:"tags" json:"tags"`
}

func read[T any]() {
	rows, err := parquet.ReadFile[T]("../messages.parquet")
	if err != nil {
		panic(err)
	}
	for _, row := range rows {
		text, err := json.Marshal(row)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}

func main() {
	read[any]()
	read[message]()
}
GO
go mod init seen > /dev/null 2>&1
go get github.com/parquet-go/parquet-go@v0.32.0 > /dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = '{"id":"m-1","links":[{"url":"https://shop.example"}],"tags":{"campaign":"bWF5"},"words":["stop"]}
{"tags":{"campaign":"may"}}' ]
