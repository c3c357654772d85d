import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** How many records to read (0: for ever), then which topics; prints one JSON object a record. */
class Read {
    static final ObjectMapper JSON = new ObjectMapper();
    static final HttpClient HTTP = HttpClient.newHttpClient();
    static final GenericData DATA = new GenericData();
    static final Map<Integer, Schema> SCHEMAS = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        int wanted = Integer.parseInt(arguments[0]);
        DATA.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion()); // times are java.time.Instant
        Properties settings = new Properties();
        settings.put("bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP_SERVERS"));
        settings.put("group.id", System.getenv().getOrDefault("GROUP", "java-report"));
        settings.put("auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(Arrays.asList(arguments).subList(1, arguments.length));
            for (int read = 0; wanted == 0 || read < wanted; ) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    if (wanted > 0 && read == wanted) {
                        break;
                    }
                    var type = record.headers().lastHeader("ce_type");
                    Map<String, Object> line = new LinkedHashMap<>();
                    line.put("topic", record.topic());
                    line.put("key", record.key());
                    line.put("type", type == null ? null : new String(type.value(), StandardCharsets.UTF_8));
                    line.put("value", plain(decode(record.value())));
                    System.out.println(JSON.writeValueAsString(line));
                    read++;
                }
            }
        }
    }

    /** The fields behind a zero byte and four bytes of schema id; null of a record without a value: its key is gone. */
    static GenericRecord decode(byte[] value) throws Exception {
        if (value == null) {
            return null;
        }
        int id = ByteBuffer.wrap(value, 1, 4).getInt();
        if (!SCHEMAS.containsKey(id)) {
            var url = URI.create(System.getenv("SCHEMA_REGISTRY_URL") + "/schemas/ids/" + id);
            var answer = HTTP.send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofString());
            SCHEMAS.put(id, new Schema.Parser().parse(JSON.readTree(answer.body()).get("schema").asText()));
        }
        Schema schema = SCHEMAS.get(id);
        var decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null);
        return new GenericDatumReader<GenericRecord>(schema, schema, DATA).read(null, decoder);
    }

    /** As JSON has it. */
    static Object plain(Object value) {
        if (value instanceof GenericRecord record) {
            Map<String, Object> fields = new LinkedHashMap<>();
            record.getSchema().getFields().forEach(field -> fields.put(field.name(), plain(record.get(field.pos()))));
            return fields;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> values = new LinkedHashMap<>();
            map.forEach((key, each) -> values.put(key.toString(), plain(each)));
            return values;
        }
        if (value instanceof List<?> list) {
            List<Object> values = new ArrayList<>();
            list.forEach(each -> values.add(plain(each)));
            return values;
        }
        return value instanceof CharSequence || value instanceof Instant ? value.toString() : value;
    }
}
