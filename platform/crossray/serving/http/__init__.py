"""The HTTP interface: the gateway, who may use it, what it reads and how it is described."""
