import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Scanner;

/** Lines of base64, separated by tabs: secret, id, time, signatures, body. Prints `yes`, `no`, or `cannot`. */
class Verify {
    public static void main(String[] arguments) {
        for (Scanner lines = new Scanner(System.in); lines.hasNextLine(); ) {
            String[] given = Arrays.stream(lines.nextLine().split("\t", -1))
                    .map(each -> new String(Base64.getDecoder().decode(each), StandardCharsets.UTF_8))
                    .toArray(String[]::new);
            System.out.println(verify(given));
        }
    }

    static String verify(String[] given) {
        Webhook webhook;
        try {
            webhook = new Webhook(given[0]);
        } catch (Exception refused) {
            return "cannot";
        }
        var headers = HttpHeaders.of(
                Map.of("webhook-id", List.of(given[1]), "webhook-timestamp", List.of(given[2]),
                        "webhook-signature", List.of(given[3])),
                (name, value) -> true);
        try {
            webhook.verify(given[4], headers);
            return "yes";
        } catch (WebhookVerificationException refused) {
            return "no";
        }
    }
}
