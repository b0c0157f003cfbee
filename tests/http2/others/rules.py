"""The rules of RFC 9113 and RFC 7541, each broken or kept on a connection of its own; one line for each that is not
kept as it should be.

Usage: rules.py HOST:PORT CA|-. The last line counts the rows. Behind every row a client that behaves is served.
"""

import os

import rules_compression, rules_frames, rules_kinds, rules_messages, rules_states  # noqa: F401
from table import CA, ROWS, TO
from well import Well
from wire import connect


def main():
    well, wrong = Well(TO, CA), 0
    wanted = os.environ.get("ONLY", "")
    chosen = [it for it in ROWS if wanted in it[0]]
    for title, script, verdict, hello, settings in chosen:
        it = connect(TO, CA, settings, hello)
        try:
            script(it)
            fits = verdict(it)
        except Exception as error:
            fits = False
            it.came.error = repr(error)
        it.close()
        if not fits:
            wrong += 1
            print(f"{title}: {it.came}", flush=True)
        status, _, content = well.ask("/served")
        if (status, content) != ("200", b"hello"):
            wrong += 1
            print(f"behind {title}: {status} {content}", flush=True)
    print(f"{len(chosen)} rows, {wrong} wrong", flush=True)


main()
