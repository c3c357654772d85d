import java.io.ByteArrayInputStream;
import java.util.HexFormat;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.avro.AvroSchema;
import org.apache.flink.avro.registry.confluent.shaded.io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumReader;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericRecord;
import org.apache.flink.avro.shaded.org.apache.avro.io.DecoderFactory;
import org.apache.flink.formats.avro.registry.confluent.ConfluentSchemaRegistryCoder;

/** Reads records (hex) as Flink does, and asks what Kafka Connect's converter asks of a registry besides. */
public class ReadRecord {
  public static void main(String[] arguments) throws Exception {
    CachedSchemaRegistryClient client = new CachedSchemaRegistryClient(arguments[0], 100);
    ConfluentSchemaRegistryCoder coder = new ConfluentSchemaRegistryCoder(client);
    for (int index = 1; index + 1 < arguments.length; index += 2) {
      String subject = arguments[index];
      ByteArrayInputStream record = new ByteArrayInputStream(HexFormat.of().parseHex(arguments[index + 1]));
      Schema schema = coder.readSchema(record);
      GenericRecord value =
          new GenericDatumReader<GenericRecord>(schema)
              .read(null, DecoderFactory.get().binaryDecoder(record, null));
      int version = client.getVersion(subject, new AvroSchema(schema.toString()));
      int latest = client.getLatestSchemaMetadata(subject).getVersion();
      String level = client.getCompatibility(subject);
      System.out.printf("%s %d %d %s %s%n", schema.getFullName(), version, latest, level, value.get("event_id"));
    }
  }
}
