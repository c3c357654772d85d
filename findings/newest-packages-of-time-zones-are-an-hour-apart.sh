#!/usr/bin/env bash
# British Columbia, Alberta, and Manitoba stay on summer time since 2026 (so the IANA data 2026f). Who lets nobody there be
# texted after 21:00 needs to know it: by the old rule messages go out until 22:00. Packages that bring IANA data of their
# own, each the newest of its name on 2026-11-30, do not agree: chrono-tz 0.10.4 for Rust has 2025b, @js-joda/timezone
# 2.25.2 for Node the old rule too; moment-timezone 0.6.6 for Node and tzdata 2026.6 for Python have 2026f. An update of
# the system changes nothing in the first three, and Python takes the package only where the system has no data.
#
# Seen at 2026-12-15 12:00 UTC in Vancouver: chrono-tz and js-joda 04:00, moment-timezone and tzdata 05:00.
# What to do: look which data a package has (`IANA_TZDB_VERSION`, `moment.tz.dataVersion`, `tzdata.IANA_VERSION`), and
# keep moments in UTC where the other side may know another clock.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tzdata==2026.6
npm install --silent --no-audit --no-fund --prefix . @js-joda/core@6.3.2 @js-joda/timezone@2.25.2 moment-timezone@0.6.6
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.1.0"
edition = "2021"

[dependencies]
chrono = { version = "0.4", default-features = false }
chrono-tz = "=0.10.4"
TOML
cat > src/main.rs <<'RUST'
use chrono::{TimeZone, Timelike, Utc};

fn main() {
    let noon = Utc.with_ymd_and_hms(2026, 12, 15, 12, 0, 0).unwrap();
    let hour = noon.with_timezone(&chrono_tz::America::Vancouver).hour();
    println!("chrono-tz ({}): {hour}", chrono_tz::IANA_TZDB_VERSION);
}
RUST
cat > seen.js <<'JAVASCRIPT'
const { Instant, ZonedDateTime, ZoneId } = require("@js-joda/core");
require("@js-joda/timezone");
const moment = require("moment-timezone");

const noon = "2026-12-15T12:00:00Z";
const joda = ZonedDateTime.ofInstant(Instant.parse(noon), ZoneId.of("America/Vancouver")).hour();
console.log(`js-joda: ${joda}`);
console.log(`moment-timezone (${moment.tz.dataVersion}): ${moment.tz(noon, "America/Vancouver").hour()}`);
JAVASCRIPT
cat > seen.py <<'PYTHON'
from datetime import datetime, timezone
from zoneinfo import ZoneInfo, reset_tzpath

import tzdata

reset_tzpath([])
noon = datetime(2026, 12, 15, 12, tzinfo=timezone.utc)
print(f"tzdata ({tzdata.IANA_VERSION}): {noon.astimezone(ZoneInfo('America/Vancouver')).hour}")
PYTHON
seen=$(cargo run --quiet && node seen.js && venv/bin/python seen.py)
echo "$seen"
[ "$seen" = "chrono-tz (2025b): 4
js-joda: 4
moment-timezone (2026f): 5
tzdata (2026f): 5" ]
