"""Content-addressed storage of results: read before a run, added to while it goes on.

An action's key leads to its entry, which lists results with the inputs that each of them read and
names the blobs that hold the rest. A result is believed while all of its inputs are what they were.
Doubt is a miss; damage is a miss; a fault is a warning, once, and the run goes on without.

===============  ==========================================================================
``ports``        what the orchestration asks of a store, and what counts as clean
``entries``      entry ↔ bytes, and how entries grow
``lifetime``     how long a result holds
``validate``     results × inputs as they are now → a hit, or what changed
``verdicts``     keys → hits and misses, by index and entries
``index``        what all entries say, packed
``reader``       the store on disk, the synchronous half
``disk``         the store on disk, the asynchronous half that writes
``faults``       what goes wrong, and what is given up because of it
``census``       the files that there are
``maintenance``  statistics, verification, clearing
``collection``   garbage, by size and last use
===============  ==========================================================================

``disk`` alone imports asyncio's world, and is imported only where something is written.
"""
