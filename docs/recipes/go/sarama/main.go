// go run ./sarama 10 sms.events.delivery sms.contacts
package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/IBM/sarama"

	"read/typed"
)

type reader struct {
	records chan *sarama.ConsumerMessage
}

func (*reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim runs once for each partition, beside the others.
func (r *reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		select {
		case r.records <- message:
			session.MarkMessage(message, "")
		case <-session.Context().Done():
			return nil
		}
	}
	return nil
}

func main() {
	wanted, topics, group := typed.Arguments("sarama-report")
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	client, err := sarama.NewConsumerGroup(strings.Split(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), ","), group, config)
	typed.Check(err)
	defer client.Close()
	handler := &reader{records: make(chan *sarama.ConsumerMessage)}
	go func() {
		for {
			err := client.Consume(context.Background(), topics, handler)
			if errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			}
			typed.Check(err)
		}
	}()
	for read := 0; ; {
		message := <-handler.records
		kind := ""
		for _, header := range message.Headers {
			if string(header.Key) == "ce_type" {
				kind = string(header.Value)
			}
		}
		typed.Check(typed.Print(message.Topic, message.Key, kind, message.Value))
		if read++; read == wanted {
			return
		}
	}
}
