#!/usr/bin/env bash
# The npm package phone 3.1.72 brings a number to E.164. Where a number with a plus is longer than the lengths that the
# package has for its country, it takes the digit behind the calling code for a trunk prefix, whichever it is, drops it,
# and says `isValid: true`. The lengths are old: Gabon's numbers have had eight digits since 2019. So two subscribers
# there get one number, and a STOP of one is taken for the other's.
#
# Seen: +24166031234 and +24176031234 -> +2416031234, +231770123456 -> +23170123456, each "valid". libphonenumber
# (google-libphonenumber 3.2.47) finds the three numbers valid as they are, and +23170123456 not. With `strictDetection`
# the result is null.
# What to do: `phone(number, { strictDetection: true })`, and another library for what it then refuses.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . phone@3.1.72 google-libphonenumber@3.2.47
cat > seen.js <<'JAVASCRIPT'
const { phone } = require("phone");
const { PhoneNumberFormat, PhoneNumberUtil } = require("google-libphonenumber");

const util = PhoneNumberUtil.getInstance();
const numbers = ["+24166031234", "+24176031234", "+231770123456"];
const seen = numbers.map((number) => {
  const { phoneNumber, isValid } = phone(number);
  const parsed = util.parse(number);
  const official = [util.format(parsed, PhoneNumberFormat.E164), util.isValidNumber(parsed)];
  const strict = phone(number, { strictDetection: true }).phoneNumber;
  console.log(`${number}: phone ${phoneNumber} ${isValid}, strict ${strict}; libphonenumber ${official.join(" ")}`);
  return [phoneNumber, isValid, strict, ...official];
});
const result = util.isValidNumber(util.parse(seen[2][0]));
console.log(`libphonenumber of ${seen[2][0]}: ${result}`);
const expected = [
  ["+2416031234", true, null, "+24166031234", true],
  ["+2416031234", true, null, "+24176031234", true],
  ["+23170123456", true, null, "+231770123456", true],
];
process.exit(JSON.stringify([seen, result]) === JSON.stringify([expected, false]) ? 0 : 1);
JAVASCRIPT
node seen.js
