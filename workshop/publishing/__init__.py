"""Publishing of finished trainings: they are checked, written as a card with weights, and uploaded."""

from workshop.publishing.card_files import redraw_golden
from workshop.publishing.publishing import Published, check_may_push, publish, push

__all__ = ["Published", "check_may_push", "publish", "push", "redraw_golden"]
