"""What time it is at AWS: what it says of dates is compared with its own clock, not with ours."""

from email.utils import parsedate_to_datetime

from aliquot.clock import Clock


class AwsClock:
    """A `Clock`. Ours until AWS has answered something; from then on as far from ours as its last answer said."""

    def __init__(self, ours: Clock) -> None:
        self._ours = ours
        self._ahead_s = 0.0

    def now(self) -> float:
        return self._ours.now() + self._ahead_s

    def hear(self, date: str) -> None:
        """Of an answer's `Date`, which is told to the second. What is no date is passed over."""
        try:
            self._ahead_s = parsedate_to_datetime(date).timestamp() - self._ours.now()
        except ValueError:
            return
