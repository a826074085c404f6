"""Envelopes in, artefacts out: each reporter takes every event of a run and writes one thing.

``ports``        what a reporter is · ``fanout``       all of them as one, each able to fail alone
``console``      chooses between ``terminal`` (a bar and running modules) and ``plain`` (a log)
``narration``    what either says of an event, from ``blocks`` (failures) and ``summary`` (the end)
``progress``     what moves on a terminal · ``stage`` draws it, with rich
``palette``      colours and glyphs · ``wording`` labels and figures · ``escape`` hostile text
``sink``         a stream that may be slow, blocked or gone · ``artefact`` whole files or none
``junit``  ``json_report``  ``stream``   the files and the event stream for other programs
``json_text``    JSON as ``json_report``, ``chrome_trace`` and ``timeline`` write it
``metrics``      figures of a whole run · ``run_report`` these in words · ``trends`` those of many
``timeline``     a page that shows what ran when · ``chrome_trace`` the same for trace viewers
"""
