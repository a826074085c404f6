"""What runs inside a test process: light, and out of the tests' way.

``__main__`` is the process (``python -m iopio_async.worker``), ``surroundings`` what is arranged
before the tests and tidied after them, ``recorder`` writes what happens to a private descriptor,
``frameworks`` turns a framework's callbacks into the recorder's messages.
"""
