#!/usr/bin/env bash
# A header of a Kafka record is bytes without a type. Kafka Connect 4.3.1 reads every header, unless `header.converter`
# says otherwise, by guessing from its text (SimpleHeaderConverter): what looks like a number becomes one, and is written
# as that number's shortest text where a connector hands the header on. In CloudEvents' binary mode the version of the
# specification is such a header: "1.0" comes out as "1", and CloudEvents' own library refuses the event. A phone number
# loses its plus, an id its leading zeros, or all of its digits where it looks like an exponent.
#
# Seen: ce_specversion 1.0 -> 1, which cloudevents-kafka 4.0.1 for Java refuses ("Invalid specversion: 1"); +14155550123
# -> 14155550123; 0012 -> 12; 12345e6 -> 12345000000; a time and other text: as they were.
# What to do: `header.converter=org.apache.kafka.connect.converters.ByteArrayConverter` at the worker or the connector.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
{
    echo "<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId>"
    echo "<version>1</version><dependencies>"
    for dependency in org.apache.kafka:connect-runtime:4.3.1 org.apache.kafka:kafka-clients:4.3.1 \
        io.cloudevents:cloudevents-kafka:4.0.1; do
        IFS=: read -r group artifact version <<< "$dependency"
        echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>"
        echo "</dependency>"
    done
    echo "</dependencies></project>"
} > pom.xml
mvn -q -B -Dmaven.repo.local="$PWD/repository" dependency:copy-dependencies -DoutputDirectory="$PWD/jars" \
    > log 2>&1 || { cat log; exit 1; }
cat > Seen.java <<'JAVA'
import io.cloudevents.kafka.KafkaMessageFactory;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.runtime.WorkerConfig;
import org.apache.kafka.connect.storage.HeaderConverter;

class Seen {
    static final Map<String, String> EVENT = Map.of("ce_specversion", "1.0", "ce_id", "evt_1", "ce_source", "/shop",
        "ce_type", "shop.Sent", "ce_time", "2026-11-20T10:15:32.120Z", "content-type", "application/avro");

    static byte[] handedOn(HeaderConverter converter, String name, String value) {
        var read = converter.toConnectHeader("events", name, value.getBytes());
        return converter.fromConnectHeader("events", name, read.schema(), read.value());
    }

    static HeaderConverter converter(String name) throws Exception {
        var found = (HeaderConverter) Class.forName(name).getDeclaredConstructor().newInstance();
        found.configure(Map.of("converter.type", "header"));
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        String[] names = {WorkerConfig.HEADER_CONVERTER_CLASS_DEFAULT,
            "org.apache.kafka.connect.converters.ByteArrayConverter"};
        for (String name : names) {
            HeaderConverter converter = converter(name);
            System.out.print(name.substring(name.lastIndexOf('.') + 1) + ":");
            String[] values = {"1.0", "+14155550123", "0012", "12345e6", "2026-11-20T10:15:32.120Z", "evt_1"};
            for (String value : values) {
                System.out.print(" " + new String(handedOn(converter, "x", value)));
            }
            var headers = new RecordHeaders();
            EVENT.forEach((header, value) -> headers.add(header, handedOn(converter, header, value)));
            var record = new ConsumerRecord<String, byte[]>("events", 0, 0, 0, TimestampType.CREATE_TIME, 0, 0, "key",
                new byte[] {0}, headers, Optional.empty());
            try {
                System.out.println(", event " + KafkaMessageFactory.createReader(record).toEvent().getId());
            } catch (RuntimeException refused) {
                System.out.println(", " + refused.getMessage());
            }
        }
    }
}
JAVA
seen=$(java -cp 'jars/*' Seen.java 2> log) || { cat log; exit 1; }
echo "$seen"
[ "$seen" = "SimpleHeaderConverter: 1 14155550123 12 12345000000 2026-11-20T10:15:32.120Z evt_1, Invalid specversion: 1
ByteArrayConverter: 1.0 +14155550123 0012 12345e6 2026-11-20T10:15:32.120Z evt_1, event evt_1" ]
