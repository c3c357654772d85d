#!/usr/bin/env bash
# avro-js is Apache's own Avro for JavaScript. Version 1.12.2, the newest on npm, requires the package underscore and
# does not name it among its dependencies, as 1.12.1 does: after `npm install avro-js`, `require("avro-js")` fails. In a
# project that has underscore for another reason nothing is seen, until that reason goes.
#
# Seen: 1.12.1 loads; 1.12.2 "Cannot find module 'underscore'"; 1.12.2 with underscore beside it loads.
# What to do: install underscore too, stay with 1.12.1, or read with avsc.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
loaded() {
    mkdir "$1"
    npm install --silent --no-audit --no-fund --prefix "$1" "${@:2}"
    (cd "$1" && node -e '
        try { console.log(require("avro-js").parse("string").toBuffer("x").length + " bytes"); }
        catch (error) { console.log(error.message.split("\n")[0]); }')
}
before=$(loaded before avro-js@1.12.1)
newest=$(loaded newest avro-js@1.12.2)
both=$(loaded both avro-js@1.12.2 underscore@1.13.7)
echo "1.12.1: $before; 1.12.2: $newest; with underscore: $both"
[ "$before" = "2 bytes" ] && [ "$newest" = "Cannot find module 'underscore'" ] && [ "$both" = "2 bytes" ]
