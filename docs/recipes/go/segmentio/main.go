// go run ./segmentio 10 sms.events.delivery sms.contacts
package main

import (
	"context"
	"os"
	"strings"

	"github.com/segmentio/kafka-go"

	"read/typed"
)

func main() {
	wanted, topics, group := typed.Arguments("segmentio-report")
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers:     strings.Split(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), ","),
		GroupID:     group,
		GroupTopics: topics,
		StartOffset: kafka.FirstOffset,
	})
	defer reader.Close()
	for read := 0; ; {
		message, err := reader.ReadMessage(context.Background())
		typed.Check(err)
		kind := ""
		for _, header := range message.Headers {
			if header.Key == "ce_type" {
				kind = string(header.Value)
			}
		}
		typed.Check(typed.Print(message.Topic, message.Key, kind, message.Value))
		if read++; read == wanted {
			return
		}
	}
}
