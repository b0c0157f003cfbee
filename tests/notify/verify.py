"""Verifies a webhook with the reference library: secret, id, time and signature as arguments, the body as input."""

import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret, identity, time, signature = sys.argv[1:]
headers = {"webhook-id": identity, "webhook-timestamp": time, "webhook-signature": signature}
try:
    Webhook(secret).verify(sys.stdin.buffer.read(), headers)
except WebhookVerificationError as error:
    sys.exit(f"refused: {error}")
