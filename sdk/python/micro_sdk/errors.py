"""What a call may fail with, by what the host can do about it. The texts are for operators."""


class Error(Exception):
    """One of the classes below; the base class itself is like :class:`Other`."""


class NotFound(Error):
    """The thing that the call names does not exist. An unknown *service* is an empty answer, not an error."""


class Denied(Error):
    """The host's policy or the backend refused. Does not heal by itself."""


class Unavailable(Error):
    """The backend cannot be reached or is not able to answer. Another try, later, may work."""

    def __init__(self, reason: str, retry_after: float = 0.0):
        """``retry_after``: the earliest time at which trying again makes sense, in seconds. 0: no opinion."""
        super().__init__(reason)
        self.retry_after = retry_after


class Conflict(Error):
    """Somebody else changed the same thing. Read again before trying again."""


class Invalid(Error):
    """A wrong option or argument. Trying again does not help; in ``configure`` it ends the attempt for good."""


class Timeout(Error):
    """The call's time is over. The plugin is fine."""


class Other(Error):
    """Anything else."""
