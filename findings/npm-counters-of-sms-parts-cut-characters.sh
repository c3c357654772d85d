#!/usr/bin/env bash
# A text longer than one SMS goes out in parts of 153 characters of GSM 03.38, or of 67 units of UCS-2. No character is
# cut in two: an extension character such as the euro sign takes two places, and so does an emoji, and the one that no
# longer fits moves to the next part whole. The npm packages sms-length 0.2.2, sms-counter 1.0.0, and smshelper 0.1.0
# divide the length instead: the first two for both kinds, smshelper for emoji. sms-counter does not even count the second
# place of an extension character. Who shows a price or keeps the number of parts by them has fewer than the provider sends and
# bills.
#
# Seen, and what Twilio's own sms-segments-calculator 1.3.0 and split-sms 0.1.7 say: 152 letters, a euro sign, and 152
# letters: sms-length 2, sms-counter 2, smshelper 3 / 3; 67 emoji: 2, 2, 2 / 3; 159 letters and a euro sign: 2, 1, 2 / 2.
# What to do: sms-segments-calculator or split-sms.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . \
    sms-length@0.2.2 sms-counter@1.0.0 smshelper@0.1.0 sms-segments-calculator@1.3.0 split-sms@0.1.7
cat > seen.js <<'JAVASCRIPT'
const { SegmentedMessage } = require("sms-segments-calculator");
const smsCounter = require("sms-counter");
const smsHelper = require("smshelper");
const smsLength = require("sms-length");
const splitSms = require("split-sms");

const texts = {
  "152 letters, euro, 152 letters": `${"a".repeat(152)}€${"a".repeat(152)}`,
  "67 emoji": "😀".repeat(67),
  "159 letters, euro": `${"a".repeat(159)}€`,
};
const seen = Object.entries(texts).map(([name, text]) => {
  const parts = {
    "sms-length": smsLength.count(text).messages,
    "sms-counter": (smsCounter.count ? smsCounter : smsCounter.default).count(text).messages,
    smshelper: smsHelper.parts(text),
    "sms-segments-calculator": new SegmentedMessage(text).segmentsCount,
    "split-sms": splitSms.split(text).parts.length,
  };
  console.log(name, parts);
  return Object.values(parts);
});
const expected = [
  [2, 2, 3, 3, 3],
  [2, 2, 2, 3, 3],
  [2, 1, 2, 2, 2],
];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
JAVASCRIPT
node seen.js
