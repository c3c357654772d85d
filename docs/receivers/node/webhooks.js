const crypto = require("node:crypto");

function isOurs(secret, webhookId, timestamp, signatures, body) { // body: a Buffer
  if (!/^[0-9]+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const digest = crypto.createHmac("sha256", key).update(`${webhookId}.${timestamp}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${digest}`);
  return signatures.split(" ").some((each) => {
    const given = Buffer.from(each);
    return given.length === expected.length && crypto.timingSafeEqual(given, expected);
  });
}

module.exports = { isOurs };
