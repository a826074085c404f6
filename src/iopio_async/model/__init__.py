"""Values: what the rest of iopio talks about, with no I/O and no clock.

``module``  what is run · ``action``  what a worker is told · ``outcome``  how things end ·
``events``  what happens, in order · ``stats``  a run as the fold of its events ·
``config``  the resolved settings.
"""
