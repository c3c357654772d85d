#!/usr/bin/env bash
# Twilio signs the address of a webhook with its port or without ("sig generation on back end is inconsistent", says its
# library for Node), so validators try both. twilio for Java 11.3.5 puts the address together again from decoded parts
# for that: an escape in the query that stands for a character with a meaning there, as %2B, %26, and %3D do, comes out
# as that character, and the right signature is refused. An address that names a number in E.164 is of this kind. Where
# Twilio signs the text just as it was entered, nothing is seen.
#
# Seen with an address with a port, signed without it: no query, ?list=shop, and ?list=my%20shop: true;
# ?list=%2B14155550123 and ?q=a%26b: false. twilio 6.3.1 for Node: true for all five.
# What to do: no port in the address, or none of these escapes (`list=14155550123`).
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
cat > pom.xml <<'XML'
<project>
  <modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>com.twilio.sdk</groupId><artifactId>twilio</artifactId><version>11.3.5</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B -Dmaven.repo.local="$PWD/repository" dependency:copy-dependencies -DoutputDirectory="$PWD/jars" \
    > log 2>&1 || { cat log; exit 1; }
npm install --silent --no-audit --no-fund --prefix . twilio@6.3.1
cat > Seen.java <<'JAVA'
import com.twilio.security.RequestValidator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

class Seen {
    public static void main(String[] arguments) throws Exception {
        var validator = new RequestValidator("token");
        for (String line : Files.readAllLines(Path.of("signed"))) {
            String[] signed = line.split(" ");
            System.out.println(validator.validate(signed[0], Map.of("Body", "STOP"), signed[1]));
        }
    }
}
JAVA
cat > seen.js <<'JAVASCRIPT'
const { createHmac } = require("node:crypto");
const { writeFileSync } = require("node:fs");
const twilio = require("twilio");

const lines = [];
for (const query of ["", "?list=shop", "?list=my%20shop", "?list=%2B14155550123", "?q=a%26b"]) {
  const text = `https://shop.example/sms${query}BodySTOP`;
  const signature = createHmac("sha1", "token").update(text).digest("base64");
  const address = `https://shop.example:8443/sms${query}`;
  lines.push(`${address} ${signature}`);
  console.log(address, twilio.validateRequest("token", signature, address, { Body: "STOP" }));
}
writeFileSync("signed", lines.join("\n"));
JAVASCRIPT
node=$(node seen.js)
java=$(java -cp 'jars/*' Seen.java 2> log) || { cat log; exit 1; }
seen=$(paste -d ' ' <(echo "$node") <(echo "$java"))
echo "$seen"
[ "$seen" = "https://shop.example:8443/sms true true
https://shop.example:8443/sms?list=shop true true
https://shop.example:8443/sms?list=my%20shop true true
https://shop.example:8443/sms?list=%2B14155550123 true false
https://shop.example:8443/sms?q=a%26b true false" ]
