"""A paper IB Gateway: a small exchange that speaks the real TWS wire.

Layers, imports one way: __main__ → server → venue → exchange → liquidity → book. Everything from `exchange` down is a
pure simulation: time comes from an injected clock, chance from a seed, and nothing in it knows of sockets, of
asyncio or of the wire. docs/paper-gateway.md says what is simulated and what is not.
"""
