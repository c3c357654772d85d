// go run ./franz 10 sms.events.delivery sms.contacts
package main

import (
	"context"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"read/typed"
)

func main() {
	wanted, topics, group := typed.Arguments("franz-report")
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	typed.Check(err)
	defer client.Close()
	for read := 0; ; {
		fetches := client.PollFetches(context.Background())
		for _, failed := range fetches.Errors() {
			typed.Check(failed.Err)
		}
		for _, record := range fetches.Records() {
			kind := ""
			for _, header := range record.Headers {
				if header.Key == "ce_type" {
					kind = string(header.Value)
				}
			}
			typed.Check(typed.Print(record.Topic, record.Key, kind, record.Value))
			if read++; read == wanted {
				return
			}
		}
	}
}
