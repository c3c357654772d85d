import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import trackly.sdk.ApiClient;
import trackly.sdk.ApiException;
import trackly.sdk.api.AccountApi;
import trackly.sdk.api.SendingApi;
import trackly.sdk.api.WebhooksApi;
import trackly.sdk.model.Message;
import trackly.sdk.model.Messages;
import trackly.sdk.model.NewEndpoint;
import trackly.sdk.model.Question;

class Conform {
    interface Call {
        void run() throws ApiException;
    }

    static ApiClient client(String key) {
        ApiClient made = new ApiClient();
        made.updateBaseUri(System.getenv("TRACKLY_URL"));
        made.setRequestInterceptor(request -> request.header("X-Api-Key", key));
        return made;
    }

    static List<Object> statusOf(Call call) throws Exception {
        try {
            call.run();
        } catch (ApiException error) {
            return List.of(error.getCode(), new ObjectMapper().readTree(error.getResponseBody()).get("code").asText());
        }
        return null;
    }

    public static void main(String[] arguments) throws Exception {
        ApiClient mine = client(System.getenv("TRACKLY_KEY"));
        var account = new AccountApi(mine).getAccount(null);
        var message = new Message()
                .messageId("order-4711")
                .provider("infobip")
                .providerMessageId("ib-1")
                .listNumber("+18005551234")
                .to("+15551230001")
                .partCount(1L)
                .uniqueArgs(Map.of("order", "ü-7"))
                .sentAt(OffsetDateTime.parse("2026-11-20T10:15:00Z"));
        var sending = new SendingApi(mine);
        var registered = sending.register(new Messages().messages(List.of(message)), null, "batch-1");
        var question = new Question().listNumber("+18005551234").numbers(List.of("+15551230001", "+15551230002"));
        var answers = sending.check(question, null);
        var webhooks = new WebhooksApi(mine);
        var wanted = new NewEndpoint().id("sdk").url("https://sdk.example.com/trackly").events(List.of("reply"));
        var made = webhooks.createEndpoint(wanted, null);
        Map<String, Object> seen = new LinkedHashMap<>();
        seen.put("account", List.of(account.getId(), account.getLists().stream().map(each -> each.getNumber()).toList()));
        seen.put("registered", registered.getAccepted());
        seen.put("answers", answers.getContacts().stream()
                .map(each -> Arrays.asList(each.getNumber(), each.getMayBeTexted(), each.getReason()))
                .toList());
        seen.put("made", Arrays.asList(made.getEndpoint().getId(), made.getSecret().startsWith("whsec_"),
                made.getEndpoint().getRateLimit()));
        seen.put("endpoints", webhooks.getEndpoints(null).getData().stream().map(each -> each.getId()).sorted().toList());
        seen.put("no such endpoint", statusOf(() -> webhooks.getEndpoint("nobody", null)));
        seen.put("wrong key", statusOf(() -> new AccountApi(client("trk_wrong")).getAccount(null)));
        System.out.println(new ObjectMapper().writeValueAsString(seen));
    }
}
