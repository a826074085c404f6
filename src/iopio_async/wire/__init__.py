"""The worker's stream: bytes ↔ messages, without I/O.

A worker writes frames: four bytes of big-endian length, then one MessagePack array. ``frames``
splits a byte stream at those lengths, ``messages`` says what a frame may hold, ``codec`` encodes
and decodes, and ``certificate`` decides whether a whole stream proves that its module passed.
"""
