for (const line of require("node:fs").readFileSync(0, "utf8").trimEnd().split("\n")) {
  const [secret, id, timestamp, signatures, body] = line.split("\t").map((each) => Buffer.from(each, "base64"));
  console.log(isOurs(String(secret), String(id), String(timestamp), String(signatures), body) === true);
}
