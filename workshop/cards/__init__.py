"""Model cards: README.md of a published model, written by hand and, where files say it, generated.

``new_card`` makes a card's README.md, ``build_card`` rewrites what is generated in it, ``build_catalogue``
the index and the table of all cards; ``check_card`` and ``check_catalogue`` say what is invalid or stale.
"""

from workshop.cards.build import build_card, check_card
from workshop.cards.catalogue import build_catalogue, card_folders, check_catalogue
from workshop.cards.new import new_card

__all__ = ["build_card", "build_catalogue", "card_folders", "check_card", "check_catalogue", "new_card"]
