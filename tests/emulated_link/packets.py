"""Numbered UDP packets through a link.

python packets.py send ADDRESS COUNT SIZE | python packets.py receive ADDRESS
"""

from __future__ import annotations

import socket
import sys

PORT = 5000
END = b"end"
PATIENCE_S = 1.0


def send(address: str, count: int, size: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(number.to_bytes(4, "big") + bytes(size - 4), (address, PORT))


def receive(address: str) -> None:
    """Print the numbers that come, in their order, once none has come for a while after stdin has ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        receiver.bind((address, PORT))
        print("ready", flush=True)
        sys.stdin.read()
        receiver.settimeout(PATIENCE_S)
        try:
            while True:
                print(int.from_bytes(receiver.recv(65_536)[:4], "big"))
        except TimeoutError:
            return


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        receive(sys.argv[2])
