"""A client that behaves, by the library h2: whoever is attacked serves it all the same."""

import h2.config
import h2.connection
import h2.events
import h2.settings

from wire import connect, PATIENCE


class Well:
    """A connection that asks one thing after another."""

    def __init__(self, to, ca=None, settings=None):
        self.wire = connect(to, ca, hello=False)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        if settings:
            self.state.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        self.wire.raw(self.state.data_to_send())

    def ask(self, path="/", more=(), content=None, method=None):
        """Status, fields and content of the answer."""
        stream = self.state.get_next_available_stream_id()
        method = method or ("GET" if content is None else "POST")
        fields = self.wire.fields(method, path, more)
        self.state.send_headers(stream, fields, end_stream=content is None)
        if content is not None:
            self.state.send_data(stream, content, end_stream=True)
        self.flush()
        return self.answer(stream)

    def answer(self, stream):
        fields, body = [], b""
        self.wire.sock.settimeout(PATIENCE)
        while True:
            data = self.wire.sock.recv(65_536)
            assert data, "closed on a client that behaves"
            over = False
            for event in self.state.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    fields = event.headers
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamReset):
                    raise AssertionError(f"reset with {event.error_code}")
                over |= isinstance(event, h2.events.StreamEnded)
            self.flush()
            if over:
                return dict(fields)[":status"], fields, body

    def close(self):
        self.wire.close()


def is_served(to, ca=None):
    """Whether a client that behaves gets its answer."""
    it = Well(to, ca)
    try:
        return it.ask("/served")[0] == "200"
    finally:
        it.close()
