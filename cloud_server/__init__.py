"""The cloud half: a gRPC server with a big model that answers the frames which devices are unsure of.

Start it with `cloud-server`, embed it with `cloud_server.server.CloudServer`, or start one of your own on loopback with
`cloud_server.local.start_local_server`. Importing this package, or `cloud_server.local`, loads no torch.
"""
