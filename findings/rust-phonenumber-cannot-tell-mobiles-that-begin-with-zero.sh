#!/usr/bin/env bash
# In some countries the zero belongs to the number: every mobile number of Ivory Coast, Benin, and the Congo has one
# behind the calling code. The crate phonenumber 0.3.10 for Rust keeps such a zero apart from the number and writes it
# back, so the number in E.164 is right and found valid. When it asks for the number's type it leaves the zero away,
# fits none of the country's patterns, and says `Unknown`. Who keeps only mobile numbers loses every contact of these
# countries. An Italian landline has no country either.
#
# Seen, and what libphonenumber (rlibphonenumber 2.2.15, a port of it for Rust) says: +2250707123456, +2290195123456,
# and +242061234567: valid, Unknown / valid, Mobile; +390669812345: Unknown, no country / FixedLine, VA; +14155552671
# and +447400123456: both the same.
# What to do: rlibphonenumber, or keep what is Unknown.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.1.0"
edition = "2021"

[dependencies]
phonenumber = "=0.3.10"
rlibphonenumber = "=2.2.15"
TOML
cat > src/main.rs <<'RUST'
use phonenumber::{metadata::DATABASE, Mode};
use rlibphonenumber::PHONE_NUMBER_UTIL;

const NUMBERS: [&str; 6] =
    ["+2250707123456", "+2290195123456", "+242061234567", "+390669812345", "+14155552671", "+447400123456"];

fn main() {
    for text in NUMBERS {
        let number = phonenumber::parse(None, text).unwrap();
        assert_eq!(number.format().mode(Mode::E164).to_string(), text);
        let country = number.country().id().map(|id| format!("{id:?}"));
        print!("{} {:?} {:?}", number.is_valid(), number.number_type(&DATABASE), country.as_deref().unwrap_or("none"));
        let util = &PHONE_NUMBER_UTIL;
        let number = util.parse(text, None).unwrap();
        let region = util.get_region_for_number(&number).unwrap();
        println!(" / {} {:?} \"{region:?}\"", util.is_valid_number(&number), util.get_number_type(&number));
    }
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
[ "$seen" = 'true Unknown "CI" / true Mobile "CI"
true Unknown "BJ" / true Mobile "BJ"
true Unknown "CG" / true Mobile "CG"
true Unknown "none" / true FixedLine "VA"
true FixedLineOrMobile "US" / true FixedLineOrMobile "US"
true Mobile "GB" / true Mobile "GB"' ]
