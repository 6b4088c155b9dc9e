"""Model cards: the README.md of each published model, partly generated and partly written by hand.

``new_card`` makes a card, ``build_card`` rewrites its generated parts, ``build_catalogue`` the index and the
table of all cards; ``check_card`` and ``check_catalogue`` return what is invalid or stale.
"""

from workshop.cards.build import build_card, check_card, new_card
from workshop.cards.catalogue import build_catalogue, card_folders, check_catalogue

__all__ = ["build_card", "build_catalogue", "card_folders", "check_card", "check_catalogue", "new_card"]
