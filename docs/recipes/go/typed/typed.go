// Package typed reads what is behind the five bytes of a record: a zero, the schema's id, then the Avro body.
package typed

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/hamba/avro/v2"
)

var schemas = map[uint32]avro.Schema{}

// Decode gives the fields of a value; nil of a record without one, which says that its key is gone.
func Decode(value []byte) (map[string]any, error) {
	if value == nil {
		return nil, nil
	}
	if len(value) < 5 || value[0] != 0 {
		return nil, fmt.Errorf("not written by trackly: %x", value)
	}
	id := binary.BigEndian.Uint32(value[1:])
	schema, found := schemas[id]
	if !found {
		answer, err := http.Get(os.Getenv("SCHEMA_REGISTRY_URL") + "/schemas/ids/" + strconv.Itoa(int(id)))
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		var body struct{ Schema string }
		if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
			return nil, err
		}
		if schema, err = avro.Parse(body.Schema); err != nil {
			return nil, err
		}
		schemas[id] = schema
	}
	var fields map[string]any
	return fields, avro.Unmarshal(schema, value[5:], &fields)
}

// Print writes a record as one JSON line. Times are time.Time, with milliseconds.
func Print(topic string, key []byte, kind string, value []byte) error {
	fields, err := Decode(value)
	if err != nil {
		return err
	}
	line := map[string]any{"topic": topic, "key": string(key), "type": kind, "value": nil}
	if fields != nil {
		line["value"] = fields
	}
	return json.NewEncoder(os.Stdout).Encode(line)
}

// Arguments are how many records to read (0: for ever), the topics, and the group.
func Arguments(group string) (int, []string, string) {
	wanted, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage: read COUNT TOPIC...")
		os.Exit(2)
	}
	if given := os.Getenv("GROUP"); given != "" {
		group = given
	}
	return wanted, os.Args[2:], group
}

// Check ends the program on an error.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
