#!/usr/bin/env bash
# The npm package validator 13.15.35 tells by `isMobilePhone` whether a text is a mobile number, of a locale or of any. For
# some countries its pattern is of other numbers: Benin's are those from before 30 November 2024, when 01 came in front of
# every number, and Afghanistan's (`fa-AF`) are the area codes of fixed lines, while mobile numbers there begin with 7. A
# form that asks it, for consent or to leave a list, refuses everybody of these countries and takes numbers that are no
# mobile's.
#
# Seen, and what libphonenumber (google-libphonenumber 3.2.47) says: +2290195123456 false / valid, mobile;
# +22995123456 true / not valid; +93701234567 false / valid, mobile; +93234567890 true / valid, fixed line.
# What to do: ask libphonenumber or a port of it (`isPossibleNumber` is enough for a list of numbers that must not be texted).
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . validator@13.15.35 google-libphonenumber@3.2.47
cat > seen.js <<'JAVASCRIPT'
const validator = require("validator");
const { PhoneNumberType, PhoneNumberUtil } = require("google-libphonenumber");

const util = PhoneNumberUtil.getInstance();
const { MOBILE, FIXED_LINE } = PhoneNumberType;
const words = { [MOBILE]: "mobile", [FIXED_LINE]: "fixed line" };
const seen = ["+2290195123456", "+22995123456", "+93701234567", "+93234567890"].map((number) => {
  const parsed = util.parse(number);
  const official = util.isValidNumber(parsed) ? words[util.getNumberType(parsed)] : "not valid";
  const told = validator.isMobilePhone(number);
  console.log(`${number}: validator ${told}; libphonenumber: ${official}`);
  return [told, official].join(" ");
});
const expected = ["false mobile", "true not valid", "false mobile", "true fixed line"];
process.exit(seen.join() === expected.join() ? 0 : 1);
JAVASCRIPT
node seen.js
