import base64
import sys

from snippet import is_ours

for line in sys.stdin:
    secret, webhook_id, timestamp, signatures, body = map(base64.b64decode, line.rstrip("\n").split("\t"))
    texts = (each.decode() for each in (secret, webhook_id, timestamp, signatures))
    print("true" if is_ours(*texts, body) else "false")
