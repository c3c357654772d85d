// The receiver for OTLP of the OpenTelemetry Collector, by HTTP and by gRPC. What it takes it writes as lines of
// OTLP's JSON. It first writes a line with its two addresses.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

var writing sync.Mutex

func write(line []byte, err error) error {
	writing.Lock()
	defer writing.Unlock()
	if err == nil {
		_, err = fmt.Println(string(line))
	}
	return err
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	return listener.Addr().String()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx, factory := context.Background(), otlpreceiver.NewFactory()
	http, grpc := freeAddress(), freeAddress()
	config := factory.CreateDefaultConfig()
	check(confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"http": map[string]any{"endpoint": http},
		"grpc": map[string]any{"endpoint": grpc},
	}}).Unmarshal(config))
	settings := receiver.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	traces, err := consumer.NewTraces(func(_ context.Context, data ptrace.Traces) error {
		return write((&ptrace.JSONMarshaler{}).MarshalTraces(data))
	})
	check(err)
	metrics, err := consumer.NewMetrics(func(_ context.Context, data pmetric.Metrics) error {
		return write((&pmetric.JSONMarshaler{}).MarshalMetrics(data))
	})
	check(err)
	logs, err := consumer.NewLogs(func(_ context.Context, data plog.Logs) error {
		return write((&plog.JSONMarshaler{}).MarshalLogs(data))
	})
	check(err)
	// One receiver behind all three: the factory knows it by its configuration.
	ofTraces, err := factory.CreateTraces(ctx, settings, config, traces)
	check(err)
	_, err = factory.CreateMetrics(ctx, settings, config, metrics)
	check(err)
	_, err = factory.CreateLogs(ctx, settings, config, logs)
	check(err)
	check(ofTraces.Start(ctx, componenttest.NewNopHost()))
	check(write([]byte(fmt.Sprintf(`{"http": "http://%s", "grpc": "http://%s"}`, http, grpc)), nil))
	select {}
}
