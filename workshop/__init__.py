"""For those who make a zoo: leaderboard, benchmarks, cards, publishing, stand-ins. It is not installed."""
