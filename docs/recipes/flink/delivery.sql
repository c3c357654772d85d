-- Flink SQL over sms.events.delivery and sms.contacts. Jars: flink-sql-connector-kafka, flink-sql-avro-confluent-registry.
-- https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/formats/avro-confluent/

-- The columns are the reader's schema: leave out what is not needed; the writer's is found by the id in each record.
-- Nullable columns must be so here too.
CREATE TABLE delivery (
    event_id STRING NOT NULL,
    account STRING NOT NULL,
    message_id STRING NOT NULL,
    provider STRING NOT NULL,
    `to` STRING,
    list_number STRING,
    status STRING NOT NULL,
    status_detail STRING NOT NULL,
    final BOOLEAN NOT NULL,
    `timestamp` TIMESTAMP(3) NOT NULL,
    WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '1' HOUR
) WITH (
    'connector' = 'kafka',
    'topic' = 'sms.events.delivery',
    'properties.bootstrap.servers' = 'kafka:9092',
    'properties.group.id' = 'flink-delivery',
    'scan.startup.mode' = 'earliest-offset',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = 'http://trackly-registry:8082'
);

-- Who may be texted, kept up to date: the newest record of each key.
CREATE TABLE contacts (
    contact STRING NOT NULL,
    account STRING NOT NULL,
    list_number STRING NOT NULL,
    phone_number STRING NOT NULL,
    active BOOLEAN NOT NULL,
    failures INT NOT NULL,
    reason STRING,
    PRIMARY KEY (contact) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = 'sms.contacts',
    'properties.bootstrap.servers' = 'kafka:9092',
    'key.format' = 'raw',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = 'http://trackly-registry:8082'
);

-- Each event once: they come at least once.
CREATE VIEW delivery_once AS
SELECT * FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY `timestamp` ASC) AS repetition FROM delivery
) WHERE repetition = 1;

-- Failures in an hour.
SELECT window_start, provider, status_detail, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE delivery_once, DESCRIPTOR(`timestamp`), INTERVAL '1' HOUR))
WHERE status IN ('undeliverable', 'rejected', 'expired')
GROUP BY window_start, window_end, provider, status_detail;
