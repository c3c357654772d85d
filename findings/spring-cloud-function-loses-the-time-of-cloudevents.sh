#!/usr/bin/env bash
# In Kafka's binary mode of CloudEvents, an event's attributes are headers, and the value of a Kafka header is bytes.
# Spring for Apache Kafka 4.1.2 hands such headers on as byte[], unless it wrote them itself. In Spring Cloud Function
# 5.0.5, CloudEventMessageUtils reads these bytes for the id, the type, the source, and the subject, and takes the
# message for a CloudEvent, but the time only where it is a String: `getTime` is null, as if the event had none. Who
# orders by it, or takes the time of receipt where there is none, is wrong about every event that Spring did not write.
#
# Seen: getId evt_1, getType shop.Event, getTime null; with ce_time mapped as text 2026-11-20T10:15:32.120Z.
# What to do: `mapper.setRawMappedHeaders(Map.of("ce_time", true))` at the JsonKafkaHeaderMapper that the listener uses,
# which makes a String of that header.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
cat > pom.xml <<'XML'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>seen</groupId>
  <artifactId>seen</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.springframework.kafka</groupId>
      <artifactId>spring-kafka</artifactId>
      <version>4.1.2</version>
    </dependency>
    <dependency>
      <groupId>org.springframework.cloud</groupId>
      <artifactId>spring-cloud-function-context</artifactId>
      <version>5.0.5</version>
    </dependency>
    <dependency>
      <groupId>tools.jackson.core</groupId>
      <artifactId>jackson-databind</artifactId>
      <version>3.0.2</version>
    </dependency>
  </dependencies>
</project>
XML
mvn -q -B -Dmaven.repo.local="$PWD/repository" dependency:copy-dependencies -DoutputDirectory="$PWD/jars" > log 2>&1 \
    || { cat log; exit 1; }
cat > Seen.java <<'JAVA'
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.springframework.cloud.function.cloudevent.CloudEventMessageUtils;
import org.springframework.kafka.support.JsonKafkaHeaderMapper;
import org.springframework.messaging.Message;
import org.springframework.messaging.MessageHeaders;
import org.springframework.messaging.support.MessageBuilder;

class Seen {
    static final Map<String, String> EVENT = Map.of(
            "ce_specversion", "1.0", "ce_id", "evt_1", "ce_type", "shop.Event", "ce_source", "/shop",
            "ce_time", "2026-11-20T10:15:32.120Z", "content-type", "application/avro");

    static void print(JsonKafkaHeaderMapper mapper) {
        RecordHeaders received = new RecordHeaders();
        EVENT.forEach((name, value) -> received.add(name, value.getBytes(StandardCharsets.UTF_8)));
        Map<String, Object> headers = new HashMap<>();
        mapper.toHeaders(received, headers);
        Message<byte[]> message = MessageBuilder.createMessage(new byte[0], new MessageHeaders(headers));
        System.out.println(CloudEventMessageUtils.isCloudEvent(message) + " " + CloudEventMessageUtils.getId(message)
                + " " + CloudEventMessageUtils.getType(message) + " " + CloudEventMessageUtils.getTime(message));
    }

    public static void main(String[] arguments) {
        print(new JsonKafkaHeaderMapper());
        JsonKafkaHeaderMapper text = new JsonKafkaHeaderMapper();
        text.setRawMappedHeaders(Map.of("ce_time", true));
        print(text);
    }
}
JAVA
seen=$(java -cp 'jars/*' Seen.java 2> log) || { cat log; exit 1; }
echo "$seen"
[ "$seen" = "true evt_1 shop.Event null
true evt_1 shop.Event 2026-11-20T10:15:32.120Z" ]
