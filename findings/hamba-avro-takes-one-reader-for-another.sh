#!/usr/bin/env bash
# A program may read one topic with several reader schemas: one part takes a record's id alone, another all of it.
# hamba/avro 2.31.0 for Go resolves each reader's schema against the writer's (`SchemaCompatibility.Resolve`), and keeps
# the decoder that it builds by a fingerprint of the resolved schema. That has the writer's fields, whichever of them
# the reader skips, so two readers of one record get one fingerprint, and the second gets the first one's decoder:
# fields are missing, or there are some that it did not ask for. No error says so. Decoders are kept for each Go type,
# so structs of different types do not meet; `any` and maps do.
#
# Seen: readers of id, of text, and of all three fields, in this order, each into `any`: three times the id alone; each
# with an API of its own: what they ask for. twmb/avro 1.9.1 reads what they ask for without that.
# What to do: an `avro.Config{}.Freeze()` or a struct type for each reader schema, or twmb/avro.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export GOPATH="$PWD/go" GOCACHE="$PWD/cache" GOFLAGS=-modcacherw
mkdir seen
cd seen
cat > seen.go <<'GO'
package main

import (
	"fmt"

	hamba "github.com/hamba/avro/v2"
	twmb "github.com/twmb/avro"
)

const (
	id   = `{"name": "id", "type": "string"}`
	text = `{"name": "text", "type": "string"}`
	note = `{"name": "note", "type": ["null", "string"], "default": null}`
)

func record(fields string) string {
	return `{"type": "record", "name": "Event", "fields": [` + fields + `]}`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func parsed(text string) hamba.Schema {
	return must(hamba.ParseWithCache(text, "", &hamba.SchemaCache{}))
}

func main() {
	whole := record(id + "," + text + "," + note)
	data := must(hamba.Marshal(parsed(whole), map[string]any{"id": "evt_1", "text": "STOP", "note": "n"}))
	readers := []string{record(id), record(text), whole}
	for _, reader := range readers {
		resolved := must(hamba.NewSchemaCompatibility().Resolve(parsed(reader), parsed(whole)))
		var shared, own, other any
		for read, api := range map[*any]hamba.API{&shared: hamba.DefaultConfig, &own: hamba.Config{}.Freeze()} {
			if err := api.Unmarshal(resolved, data, read); err != nil {
				panic(err)
			}
		}
		must(must(twmb.Resolve(must(twmb.Parse(whole)), must(twmb.Parse(reader)))).Decode(data, &other))
		fmt.Println(shared, own, other)
	}
}
GO
go mod init seen > /dev/null 2>&1
go get github.com/hamba/avro/v2@v2.31.0 github.com/twmb/avro@v1.9.1 > /dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "map[id:evt_1] map[id:evt_1] map[id:evt_1]
map[id:evt_1] map[text:STOP] map[text:STOP]
map[id:evt_1] map[id:evt_1 note:n text:STOP] map[id:evt_1 note:n text:STOP]" ]
