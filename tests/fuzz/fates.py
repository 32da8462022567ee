"""What becomes of an input that nobody would make."""

from es_randomized.errors import UserError

REFUSED, PASSED_OVER = "refused", "passed over"


def said(error: UserError) -> str:
    """A refusal says something."""
    assert str(error).strip()
    return REFUSED
