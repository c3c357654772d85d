import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Executors;

/** javac *.java; java Receiver: takes webhooks on port 8000 (PORT) into ./inbox (INBOX), signed with WEBHOOK_SECRET. */
class Receiver {
    static final String SECRET = System.getenv("WEBHOOK_SECRET");
    static final Path INBOX = Path.of(System.getenv().getOrDefault("INBOX", "inbox"));
    static final Path DONE = INBOX.resolve("done"); // a worker of yours moves a file here when all is done

    public static void main(String[] arguments) throws IOException {
        Files.createDirectories(DONE);
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8000"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", exchange -> {
            try (exchange) {
                exchange.sendResponseHeaders(receive(exchange), -1);
            } catch (GeneralSecurityException impossible) {
                throw new IllegalStateException(impossible);
            }
        });
        server.start();
    }

    static int receive(HttpExchange exchange) throws IOException, GeneralSecurityException {
        byte[] body = exchange.getRequestBody().readNBytes(1_000_001);
        String id = header(exchange, "webhook-id");
        if (body.length > 1_000_000) {
            return 413;
        }
        if (!id.matches("[\\w.-]{1,200}") || !Webhooks.isOurs(SECRET, id, header(exchange, "webhook-timestamp"),
                header(exchange, "webhook-signature"), body)) {
            return 401;
        }
        // The same id is the same event: it has the same file, and one that is done stays done.
        if (!Files.exists(DONE.resolve(id))) {
            Path beside = INBOX.resolve("." + UUID.randomUUID());
            Files.write(beside, body, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SYNC);
            Files.move(beside, INBOX.resolve(id), StandardCopyOption.ATOMIC_MOVE);
        }
        return 204; // kept: answer, and work afterwards
    }

    static String header(HttpExchange exchange, String name) {
        return Objects.requireNonNullElse(exchange.getRequestHeaders().getFirst(name), "");
    }
}
