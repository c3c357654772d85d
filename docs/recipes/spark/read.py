"""Reads topics with Spark's structured streaming and prints one JSON object a record.

    pip install pyspark==4.2.0
    mvn -q dependency:copy-dependencies -DoutputDirectory=jars      (or spark-submit --packages with those of pom.xml)
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082
    python read.py 10 sms.events.delivery sms.contacts

How many records to read of those that are there (0: for ever, what comes too), then which topics.
"""

import json
import os
import sys
from functools import cache
from pathlib import Path
from urllib.request import urlopen

from pyspark.sql import SparkSession
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.functions import col, expr, to_json


@cache
def schema(schema_id):
    """The schema that a record was written with, as JSON text."""
    with urlopen(f"{os.environ['SCHEMA_REGISTRY_URL']}/schemas/ids/{schema_id}") as answer:
        return json.load(answer)["schema"]


def typed(batch):
    """A frame a schema: `topic`, `key`, `type`, and `value` with the schema's columns, null where the key is gone."""
    records = batch.select(
        "topic",
        col("key").cast("string").alias("key"),
        expr("cast(filter(headers, each -> each.key = 'ce_type')[0].value as string)").alias("type"),
        # Spark's Avro reader knows nothing of registries: the five bytes before the body are cut here.
        expr("cast(conv(hex(substring(value, 2, 4)), 16, 10) as int)").alias("schema_id"),
        expr("substring(value, 6)").alias("body"),
    ).persist()
    for (schema_id,) in records.select("schema_id").distinct().collect():
        same = records.where(col("schema_id").eqNullSafe(schema_id))
        value = from_avro(col("body"), schema(schema_id)) if schema_id is not None else expr("null")
        yield same.select("topic", "key", "type", value.alias("value"))
    records.unpersist()


def main(wanted, *topics):
    spark = (
        SparkSession.builder.master(os.environ.get("SPARK_MASTER", "local[1]"))
        .config("spark.jars", ",".join(map(str, Path("jars").glob("*.jar"))))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    left = int(wanted)

    def show(batch, _):
        nonlocal left
        for frame in typed(batch):
            rows = frame.select("topic", "key", "type", to_json("value", {"ignoreNullFields": "false"}).alias("value"))
            for row in rows.collect():
                if left or not int(wanted):
                    left -= 1
                    value = row.value and json.loads(row.value)
                    print(json.dumps({**row.asDict(), "value": value}), flush=True)

    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", os.environ["KAFKA_BOOTSTRAP_SERVERS"])
        .option("subscribe", ",".join(topics))
        .option("startingOffsets", "earliest")
        .option("includeHeaders", "true")
        .load()
        .writeStream.foreachBatch(show)
    )
    # Where it stands is in its own folder, `.option("checkpointLocation", ...)`: without one it starts anew each time.
    stream = stream.trigger(availableNow=True) if int(wanted) else stream
    stream.start().awaitTermination()
    spark.stop()


main(*sys.argv[1:])
