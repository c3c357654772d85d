#!/usr/bin/env bash
# Avro's timestamp-millis is a long in milliseconds since 1970. Jackson's Avro format reads such a field into an Instant
# as if it were seconds: an event of 2026 is of the year 58856, and no error says so. In jackson-dataformat-avro 2.22.1
# this happens with JavaTimeModule, which Jackson's error about Instant tells one to add, and an Instant that it writes
# is in seconds too: everyone else reads January 1970. In 3.1.4, where Instant needs no module, `new AvroMapper()` reads
# the same and refuses to write.
#
# Seen with 2026-11-20T10:15:32.120Z: 2.22.1 reads +58856-08-30T10:55:20Z and writes 1795169732; 3.1.4 reads
# +58856-08-30T10:55:20Z; both read and write it rightly with AvroJavaTimeModule.
# What to do: `AvroMapper.builder().addModule(new AvroJavaTimeModule()).build()`; the module is in the same jar.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
jars() { # folder, dependencies as group:artifact:version
    mkdir "$1"
    {
        echo "<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId>"
        echo "<version>1</version><dependencies>"
        for dependency in "${@:2}"; do
            IFS=: read -r group artifact version <<< "$dependency"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>"
            echo "</dependency>"
        done
        echo "</dependencies></project>"
    } > "$1/pom.xml"
    mvn -q -B -f "$1/pom.xml" -Dmaven.repo.local="$PWD/repository" dependency:copy-dependencies \
        -DoutputDirectory="$PWD/$1" > "$1/log" 2>&1 || { cat "$1/log"; return 1; }
}
two=com.fasterxml.jackson
jars 2 $two.dataformat:jackson-dataformat-avro:2.22.1 $two.datatype:jackson-datatype-jsr310:2.22.1
jars 3 tools.jackson.dataformat:jackson-dataformat-avro:3.1.4
cat > Seen.java <<'JAVA'
import java.io.ByteArrayOutputStream;
import java.time.Instant;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import @PACKAGE@.avro.AvroMapper;
import @PACKAGE@.avro.AvroSchema;
import @PACKAGE@.avro.jsr310.AvroJavaTimeModule;

class Seen {
    public static class Event {
        public Instant at;
    }

    static final Instant AT = Instant.parse("2026-11-20T10:15:32.120Z");
    static final Schema SCHEMA = new Schema.Parser().parse("""
        {"type": "record", "name": "Event",
         "fields": [{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}""");

    static byte[] byAvro() throws Exception {
        GenericRecord record = new GenericData.Record(SCHEMA);
        record.put("at", AT.toEpochMilli());
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        var encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(SCHEMA).write(record, encoder);
        encoder.flush();
        return out.toByteArray();
    }

    static String written(AvroMapper mapper) throws Exception {
        Event event = new Event();
        event.at = AT;
        byte[] bytes;
        try {
            bytes = mapper.writer(new AvroSchema(SCHEMA)).writeValueAsBytes(event);
        } catch (Exception refused) {
            return "nothing";
        }
        var decoder = DecoderFactory.get().binaryDecoder(bytes, null);
        return new GenericDatumReader<GenericRecord>(SCHEMA).read(null, decoder).get("at").toString();
    }

    public static void main(String[] arguments) throws Exception {
        AvroMapper usual = @USUAL@;
        AvroMapper right = AvroMapper.builder().addModule(new AvroJavaTimeModule()).build();
        for (AvroMapper mapper : new AvroMapper[] {usual, right}) {
            Event event = mapper.readerFor(Event.class).with(new AvroSchema(SCHEMA)).readValue(byAvro());
            System.out.println("reads " + event.at + ", writes " + written(mapper));
        }
    }
}
JAVA
seen() { # folder, package, the mapper that users make
    sed "s/@PACKAGE@/$2/; s/@USUAL@/$3/" Seen.java > "$1/Seen.java"
    java -cp "$1/*" "$1/Seen.java" 2> "$1/log" || { cat "$1/log"; return 1; }
}
module="new com.fasterxml.jackson.datatype.jsr310.JavaTimeModule()"
second=$(seen 2 $two.dataformat "AvroMapper.builder().addModule($module).build()")
third=$(seen 3 tools.jackson.dataformat "new AvroMapper()")
printf '2.22.1:\n%s\n3.1.4:\n%s\n' "$second" "$third"
right="reads 2026-11-20T10:15:32.120Z, writes 1795169732120"
[ "$second" = "reads +58856-08-30T10:55:20Z, writes 1795169732
$right" ]
[ "$third" = "reads +58856-08-30T10:55:20Z, writes nothing
$right" ]
