"""Rank 0 answers, every other rank asks: bytes over PET_MASTER_ADDR, and a line each in the directory they share."""

import os
import pathlib
import socket
import time

rank, address = int(os.environ["PET_NODE_RANK"]), (os.environ["PET_MASTER_ADDR"], int(os.environ["PET_MASTER_PORT"]))
pathlib.Path(f"/shared/rank-{rank}").write_text(f"written by uid {os.getuid()}\n")
if rank == 0:
    with socket.create_server(("", address[1])) as server, server.accept()[0] as peer:
        print("rank 0 got:", peer.recv(100).decode())
        print("rank 0 sees:", sorted(path.name for path in pathlib.Path("/shared").iterdir()))
        peer.sendall(b"pong from rank 0")
else:
    for _ in range(150):  # the name of rank 0 may not resolve at first
        try:
            peer = socket.create_connection(address, timeout=2)
            break
        except OSError:
            time.sleep(0.2)
    with peer:
        peer.sendall(f"ping from rank {rank}".encode())
        print(f"rank {rank} got:", peer.recv(100).decode())
