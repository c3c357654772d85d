-- Delivery by day, provider and outcome, over what `trackly tap sms.events.delivery --out delivery.parquet` wrote.
-- An export with a position writes further files beside the first: delivery-2.parquet and so on.

CREATE OR REPLACE VIEW delivery AS
SELECT * EXCLUDE (repetition)
FROM (
    -- Events come at least once: one of each id.
    SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY kafka_timestamp, kafka_offset) AS repetition
    FROM read_parquet('delivery*.parquet')
)
WHERE repetition = 1;

-- How messages ended, by day: the newest final state of each, and of two with the same time the later one. The message
-- is the provider's: message_id changes once the sender registers it late.
WITH ended AS (
    SELECT CAST(timestamp AT TIME ZONE 'UTC' AS DATE) AS day, provider, status
    FROM delivery
    WHERE final
    QUALIFY row_number() OVER (
        PARTITION BY account, provider, provider_message_id ORDER BY timestamp DESC, kafka_offset DESC
    ) = 1
),
counted AS (
    SELECT day, provider, status, count(*) AS messages FROM ended GROUP BY ALL
)
SELECT *, round(100 * messages / sum(messages) OVER (PARTITION BY day, provider), 1) AS percent
FROM counted
ORDER BY day, provider, messages DESC, status;

-- What keeps messages from arriving.
SELECT provider, status_detail, provider_code, count(*) AS events
FROM delivery
WHERE status IN ('undeliverable', 'rejected', 'expired')
GROUP BY ALL
ORDER BY events DESC
LIMIT 20;
