from pack.core import answer
