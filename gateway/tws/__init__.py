"""The TWS wire without a socket: bytes in, messages out, and back. It knows no meaning, no clock and no I/O."""
