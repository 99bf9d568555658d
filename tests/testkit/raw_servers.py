"""Small servers on bare sockets: ones that answer, and ones that do what a load generator must get over."""

from __future__ import annotations

import socket
import threading


def answer(body: bytes, *, status: int = 200, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Reason\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


class RawServer:
    """Answers each request with the first eight bytes of its body; a subclass may do otherwise."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.connections = 0
        self.connected = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def serve(self, connection: socket.socket) -> None:
        received = b""
        while piece := connection.recv(65536):
            received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            if len(body) == int(head.rpartition(b" ")[2]):
                connection.sendall(self.reply(body))
                received = b""

    def reply(self, body: bytes) -> bytes:
        return answer(body[:8])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            self.connected.set()
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.serve(connection)
            except ConnectionError:  # the generator has given it up
                return


class Refusing(RawServer):
    """Refuses by the head alone, and hangs up while the body is still on its way."""

    def serve(self, connection: socket.socket) -> None:
        if not connection.recv(100):  # somebody looked whether there is a server
            return
        connection.sendall(answer(b"{}", status=429, more="Retry-After: 3\r\nConnection: close\r\n"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


class HangingUp(RawServer):
    """Closes each connection when it has read the head."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(100)
