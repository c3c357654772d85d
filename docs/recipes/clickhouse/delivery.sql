-- ClickHouse reads sms.events.delivery and keeps one row an event.
-- https://clickhouse.com/docs/engines/table-engines/integrations/kafka

-- The queue: a row is read once. Nullable where the schema is.
CREATE TABLE delivery_queue
(
    event_id String,
    account LowCardinality(String),
    message_id String,
    provider_message_id String,
    provider LowCardinality(String),
    `to` Nullable(String),
    list_number Nullable(String),
    status LowCardinality(String),
    status_detail LowCardinality(String),
    status_class LowCardinality(String),
    provider_code Nullable(String),
    final Bool,
    timestamp DateTime64(3, 'UTC')
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'sms.events.delivery',
    kafka_group_name = 'clickhouse-delivery',
    kafka_format = 'AvroConfluent',
    format_avro_schema_registry_url = 'http://trackly-registry:8082',
    kafka_num_consumers = 4;

-- What stays. Events come at least once; rows with the same key are merged, and FINAL does it at once.
CREATE TABLE delivery AS delivery_queue
ENGINE = ReplacingMergeTree
ORDER BY (account, toDate(timestamp), event_id);

CREATE MATERIALIZED VIEW delivery_fill TO delivery AS
SELECT * FROM delivery_queue;

SELECT toDate(timestamp) AS day, status_detail, count() AS events
FROM delivery FINAL
GROUP BY day, status_detail
ORDER BY day, events DESC;
