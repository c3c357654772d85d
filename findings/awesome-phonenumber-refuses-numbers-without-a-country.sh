#!/usr/bin/env bash
# Some calling codes belong to no country: +881 and +870 are phones over satellites, +882 and +883 networks that span
# countries. Who has such a number can text STOP like anybody else. libphonenumber knows these codes under the region
# "001". The npm package awesome-phonenumber 7.8.0 is libphonenumber "pre-compiled", and has left them out: it says that
# such a number is neither valid nor possible, and gives nothing in E.164, so it cannot be told who asked to stop.
#
# Seen, and what libphonenumber (google-libphonenumber 3.2.47) says: +881612345678, +870773111632, +882161234567: false,
# false, undefined / valid, possible, as it is; +14155552671: both the same.
# What to do: google-libphonenumber, or libphonenumber-js/max; a number in E.164 can also be kept as it is.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . awesome-phonenumber@7.8.0 google-libphonenumber@3.2.47
cat > seen.js <<'JAVASCRIPT'
const { parsePhoneNumber } = require("awesome-phonenumber");
const { PhoneNumberFormat, PhoneNumberUtil } = require("google-libphonenumber");

const util = PhoneNumberUtil.getInstance();
for (const text of ["+881612345678", "+870773111632", "+882161234567", "+14155552671"]) {
  const { valid, possible, number } = parsePhoneNumber(text);
  const parsed = util.parse(text);
  const official = [util.isValidNumber(parsed), util.isPossibleNumber(parsed)].join(" ");
  console.log(`${valid} ${possible} ${number?.e164} / ${official} ${util.format(parsed, PhoneNumberFormat.E164)}`);
}
JAVASCRIPT
seen=$(node seen.js)
echo "$seen"
[ "$seen" = "false false undefined / true true +881612345678
false false undefined / true true +870773111632
false false undefined / true true +882161234567
true true +14155552671 / true true +14155552671" ]
