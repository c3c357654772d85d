#!/usr/bin/env bash
# A list in Parquet has three levels: the list, its repetition, and the item ("Lists" in Parquet's LogicalTypes.md); so
# pyarrow writes it. Apache's own parquet-avro 1.18.1 for Java, where the file has no Avro schema in it, takes the middle
# level for the item, as in old files that have two: each item becomes a record with one field, `element`, also if it is
# only text. Code that was written for the Avro records of a topic does not fit the same records from a Parquet export.
#
# Seen: words ["stop"] -> [{"element": "stop"}], links [{"url": ...}] -> [{"element": {"url": ...}}]; with the setting
# below, both as they were written. A map is read as it is either way.
# What to do: `.set("parquet.avro.add-list-element-records", "false")` at the reader's builder.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyarrow==26.0.1
venv/bin/python - <<'PYTHON'
import pyarrow as pa
import pyarrow.parquet as pq

tags = pa.array([[("campaign", "may")]], pa.map_(pa.string(), pa.string()))
columns = {"words": [["stop"]], "links": [[{"url": "https://shop.example"}]], "tags": tags}
pq.write_table(pa.table(columns), "messages.parquet")
PYTHON
{
    echo "<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId>"
    echo "<version>1</version><dependencies>"
    for dependency in org.apache.parquet:parquet-avro:1.18.1 org.apache.hadoop:hadoop-client-api:3.4.1 \
        org.apache.hadoop:hadoop-client-runtime:3.4.1; do
        IFS=: read -r group artifact version <<< "$dependency"
        echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>"
        echo "</dependency>"
    done
    echo "</dependencies></project>"
} > pom.xml
mvn -q -B -Dmaven.repo.local="$PWD/repository" dependency:copy-dependencies -DoutputDirectory="$PWD/jars" \
    > log 2>&1 || { cat log; exit 1; }
cat > Seen.java <<'JAVA'
import java.nio.file.Path;
import org.apache.avro.generic.GenericRecord;
import org.apache.parquet.avro.AvroParquetReader;
import org.apache.parquet.io.LocalInputFile;

class Seen {
    public static void main(String[] arguments) throws Exception {
        var file = new LocalInputFile(Path.of("messages.parquet"));
        for (String setting : new String[] {null, "false"}) {
            var builder = AvroParquetReader.<GenericRecord>builder(file);
            if (setting != null) {
                builder.set("parquet.avro.add-list-element-records", setting);
            }
            try (var reader = builder.build()) {
                System.out.println(reader.read());
            }
        }
    }
}
JAVA
seen=$(java -cp 'jars/*' Seen.java 2> log) || { cat log; exit 1; }
echo "$seen"
[ "$seen" = '{"words": [{"element": "stop"}], "links": [{"element": {"url": "https://shop.example"}}], "tags": {"campaign": "may"}}
{"words": ["stop"], "links": [{"url": "https://shop.example"}], "tags": {"campaign": "may"}}' ]
