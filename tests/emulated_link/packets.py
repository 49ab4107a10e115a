"""Numbered UDP packets through a link.

python packets.py send ADDRESS COUNT SIZE | python packets.py receive ADDRESS
"""

from __future__ import annotations

import socket
import sys

PORT = 5000


def send(address: str, count: int, size: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(number.to_bytes(4, "big") + bytes(size - 4), (address, PORT))


def receive(address: str) -> None:
    """Print the numbers that come, in their order: as many as stdin says."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        receiver.bind((address, PORT))
        print("ready", flush=True)
        for _ in range(int(sys.stdin.read())):
            print(int.from_bytes(receiver.recv(65_536)[:4], "big"))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        receive(sys.argv[2])
