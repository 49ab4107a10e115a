"""The real service around a model that looks at next to nothing: `python server.py [REPORTS]` prints its address."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gated_model import GatedModel

from cloud_server.config import ServerConfig
from cloud_server.server import CloudServer


async def main() -> None:
    reports = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    async with CloudServer(ServerConfig(port=0, reports=reports), GatedModel()) as server:
        print(server.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
