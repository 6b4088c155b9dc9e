"""From finished trainings to a published model: checked, written as a card with weights, uploaded."""

from m3amba_zoo.hub.publish.card_files import redraw_golden
from m3amba_zoo.hub.publish.publishing import Published, publish
from m3amba_zoo.hub.publish.upload import check_may_push, push

__all__ = ["Published", "check_may_push", "publish", "push", "redraw_golden"]
