// cargo run --release 10 sms.events.delivery sms.contacts      (how many records, 0: for ever; which topics)
use std::collections::HashMap;
use std::env::{args, var};
use std::error::Error;

use apache_avro::{Schema, from_avro_datum, types::Value};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::ClientConfig;
use serde_json::{Value as Json, json};

type Answer<T> = Result<T, Box<dyn Error>>;

/// What is behind the five bytes of a record: a zero, the schema's id, then the Avro body. None: its key is gone.
fn typed(value: Option<&[u8]>, schemas: &mut HashMap<u32, Schema>) -> Answer<Option<Value>> {
    let Some(bytes) = value else { return Ok(None) };
    let (head, mut body) = bytes.split_at_checked(5).ok_or("not written by trackly")?;
    let id = u32::from_be_bytes(head[1..].try_into()?);
    if !schemas.contains_key(&id) {
        let url = format!("{}/schemas/ids/{id}", var("SCHEMA_REGISTRY_URL")?);
        let answer: Json = serde_json::from_str(&ureq::get(&url).call()?.body_mut().read_to_string()?)?;
        schemas.insert(id, Schema::parse_str(answer["schema"].as_str().ok_or("no schema")?)?);
    }
    Ok(Some(from_avro_datum(&schemas[&id], &mut body, None)?))
}

/// As JSON has it. Times are Value::TimestampMillis here.
fn plain(value: Value) -> Answer<Json> {
    Ok(match value {
        Value::TimestampMillis(at) => jiff::Timestamp::from_millisecond(at)?.to_string().into(),
        Value::Union(_, inner) => plain(*inner)?,
        Value::Record(fields) => {
            fields.into_iter().map(|(name, each)| Ok((name, plain(each)?))).collect::<Answer<_>>()?
        }
        other => Json::try_from(other)?,
    })
}

fn main() -> Answer<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let (wanted, topics) = arguments.split_first().ok_or("usage: read COUNT TOPIC...")?;
    let wanted: u64 = wanted.parse()?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", var("KAFKA_BOOTSTRAP_SERVERS")?)
        .set("group.id", var("GROUP").unwrap_or("rust-report".into()))
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut schemas = HashMap::new();
    for (read, message) in consumer.iter().enumerate() {
        let message = message?;
        let kind = message.headers().and_then(|all| all.iter().find(|header| header.key == "ce_type"));
        let line = json!({
            "topic": message.topic(),
            "key": message.key().map(String::from_utf8_lossy),
            "type": kind.and_then(|header| header.value).map(String::from_utf8_lossy),
            "value": typed(message.payload(), &mut schemas)?.map(plain).transpose()?,
        });
        println!("{line}");
        if read as u64 + 1 == wanted {
            break;
        }
    }
    Ok(())
}
