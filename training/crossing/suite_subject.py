"""stub until suites is merged"""

from training.crossing.subjects import PairSubject

KINDS = {"pair": PairSubject}
