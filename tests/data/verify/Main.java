import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

class Main {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split("\t", -1);
            String[] texts = new String[4];
            for (int index = 0; index < 4; index++) {
                texts[index] = new String(Base64.getDecoder().decode(parts[index]), StandardCharsets.UTF_8);
            }
            byte[] body = Base64.getDecoder().decode(parts[4]);
            System.out.println(Webhooks.isOurs(texts[0], texts[1], texts[2], texts[3], body));
        }
    }
}
